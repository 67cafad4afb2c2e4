import CYardstick
import Glibc

/// truncate(2), ftruncate(2), and how large a file can be.
enum SizeCases {
  static let all: [YardstickCase] = [
    YardstickCase("truncate", "what a file grows by reads as zeros, and takes no space at once") { t in
      try t.make("f", bytes("abc"))
      try t.truncate("f", 100_000).ok()
      t.same(try t.contents("f"), bytes("abc") + [UInt8](repeating: 0, count: 99_997), "contents")
      let file = try t.open("f", O_RDWR).file()
      file.truncate(1 << 30).gives(0)
      let about = try file.stat()
      t.equal(about.size, 1 << 30)
      t.expect(about.blocks < 4096, "1 GiB of zeros takes \(about.blocks) blocks")
      t.equal(try file.pread(10, at: (1 << 30) - 5), [0, 0, 0, 0, 0])
      file.close().gives(0)
    },
    YardstickCase("truncate", "no byte that was cut off comes back") { t in
      let contents = pattern(20_000)
      for size in [0, 1, 100, 4095, 4096, 4097, 8192, 10_000, 19_999] {
        try t.make("f", contents)
        try t.truncate("f", size).ok()
        t.equal(try t.stat("f").size, UInt64(size))
        try t.truncate("f", 20_000).ok()
        let expected = contents.prefix(size) + [UInt8](repeating: 0, count: 20_000 - size)
        try t.holds("f", Array(expected))
        try t.unlink("f").ok()
      }
    },
    YardstickCase("truncate", "no byte that was cut off comes back by a write behind it") { t in
      for (size, place) in [(10, 5000), (5000, 5001), (4096, 12_288), (4097, 9000)] {
        try t.make("f", pattern(20_000))
        let file = try t.open("f", O_RDWR).file()
        file.sync().gives(0)
        file.truncate(size).gives(0)
        file.pwrite(bytes("Z"), at: place).gives(1)
        let expected = pattern(20_000).prefix(size) + [UInt8](repeating: 0, count: place - size) + bytes("Z")
        t.same(try file.pread(30_000, at: 0), Array(expected), "cut to \(size), written at \(place)")
        file.close().gives(0)
        try t.unlink("f").ok()
      }
    },
    YardstickCase("truncate", "what another open reads is cut off at once") { t in
      try t.make("f", pattern(10_000))
      let reader = try t.open("f", O_RDONLY).file()
      t.equal(try reader.read(10).count, 10)
      try t.truncate("f", 5).ok()
      t.equal(try reader.read(10), [])
      t.equal(try reader.pread(10, at: 0), Array(pattern(10_000).prefix(5)))
      reader.close().gives(0)
    },
    YardstickCase("truncate", "sizes that cannot be, and files that are none, are refused") { t in
      try t.make("f", bytes("abc"))
      try t.mkdir("d").ok()
      try t.mknod("p", S_IFIFO | 0o600).ok()
      let file = try t.open("f", O_RDWR).file()
      file.truncate(-1).fails(EINVAL)
      t.truncate("f", -1).fails(EINVAL)
      t.truncate("d", 0).fails(EISDIR)
      t.truncate("p", 0).fails(EINVAL)
      t.truncate("none", 0).fails(ENOENT)
      t.truncate("f/x", 0).fails(ENOTDIR)
      t.equal(try file.stat().size, 3)
      file.close().gives(0)
    },
    YardstickCase("truncate", "a file is as large as the file system says, and not larger") { t in
      try t.make("f")
      let file = try t.open("f", O_RDWR).file()
      let limit = t.target.sizeLimit
      file.truncate(limit).gives(0)
      t.equal(try file.stat().size, UInt64(limit))
      t.equal(try file.pread(10, at: limit - 10), [UInt8](repeating: 0, count: 10))
      if limit < Int.max {
        file.truncate(limit + 1).fails(EFBIG)
        t.truncate("f", Int.max).fails(EFBIG)
        file.pwrite([1], at: limit).fails(EFBIG)
        file.pwrite([1], at: Int.max - 1).fails(EFBIG)
        t.equal(try file.stat().size, UInt64(limit))
        file.pwrite([1, 2], at: limit - 1).gives(1)
        t.equal(try file.pread(2, at: limit - 1), [1])
      }
      file.truncate(0).gives(0)
      file.close().gives(0)
    },
    YardstickCase("truncate", "a change of size sets mtime and ctime") { t in
      try t.make("f", bytes("abc"))
      let both: TimeSet = [.modification, .change]
      try t.changes([("f", both)], "truncate to more") { try t.truncate("f", 10).ok() }
      try t.changes([("f", both)], "truncate to less") { try t.truncate("f", 1).ok() }
      let file = try t.open("f", O_RDWR).file()
      try t.changes([("f", both)], "ftruncate") { file.truncate(0).gives(0) }
      try t.changes([("f", both)], "ftruncate to the same size") { file.truncate(0).gives(0) }
      try t.changes([("f", both)], "O_TRUNC of an empty file") {
        try t.open("f", O_WRONLY | O_TRUNC).file().close().gives(0)
      }
      file.close().gives(0)
    },
    YardstickCase("truncate", "space comes back when a file is cut or removed") { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      for i in 0..<16 { file.pwrite(pattern(65_536, seed: i), at: i * 65_536).gives(65_536) }
      file.sync().gives(0)
      let full = try file.stat().blocks
      t.expect(full >= 2048, "1 MiB takes \(full) blocks")
      file.truncate(65_536).gives(0)
      file.sync().gives(0)
      try t.expect(try file.stat().blocks < full / 4, "64 KiB take \(try file.stat().blocks) blocks")
      file.truncate(0).gives(0)
      file.sync().gives(0)
      try t.expect(try file.stat().blocks <= 16, "nothing takes \(try file.stat().blocks) blocks")
      file.close().gives(0)
    },
  ]
}
