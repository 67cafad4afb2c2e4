import CYardstick
import Glibc

/// Sparse files: SEEK_HOLE and SEEK_DATA of lseek(2), and fallocate(2).
enum HoleCases {
  static let all: [YardstickCase] = seeking + allocating

  private static let mebibyte = 1 << 20

  private static let seeking: [YardstickCase] = [
    YardstickCase("holes", "data and holes are found, whether they are written back or not", needs: [.seekHole]) { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      file.pwrite(pattern(65_536), at: mebibyte).gives(65_536)
      file.pwrite(pattern(65_536), at: 3 * mebibyte).gives(65_536)
      file.truncate(5 * mebibyte).gives(0)
      for state in ["dirty", "written back"] {
        let data = Int32(YARD_SEEK_DATA), hole = Int32(YARD_SEEK_HOLE)
        t.expect(file.seek(0, hole).value == 0, "\(state): the start is a hole")
        t.equal(file.seek(0, data).value, mebibyte, "\(state): data behind the start")
        t.equal(file.seek(mebibyte + 100, data).value, mebibyte + 100, "\(state): data inside data")
        t.equal(file.seek(mebibyte, hole).value, mebibyte + 65_536, "\(state): hole behind data")
        t.equal(file.seek(2 * mebibyte, data).value, 3 * mebibyte, "\(state): data behind a hole")
        t.equal(file.seek(3 * mebibyte + 65_536, data).value, -Int(ENXIO), "\(state): no data at the end")
        t.equal(file.seek(4 * mebibyte, hole).value, 4 * mebibyte, "\(state): a hole up to the end")
        file.seek(5 * mebibyte, data).fails(ENXIO)
        file.seek(5 * mebibyte, hole).fails(ENXIO)
        file.seek(-1, data).fails(ENXIO, EINVAL)
        file.sync().gives(0)
      }
      file.close().gives(0)
    },
    YardstickCase("holes", "the end of a file is a hole, and an empty file has neither") { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      file.seek(0, Int32(YARD_SEEK_DATA)).fails(ENXIO)
      file.seek(0, Int32(YARD_SEEK_HOLE)).fails(ENXIO)
      file.write(pattern(10_000)).gives(10_000)
      file.sync().gives(0)
      file.seek(0, Int32(YARD_SEEK_DATA)).gives(0)
      file.seek(0, Int32(YARD_SEEK_HOLE)).gives(10_000)
      file.seek(9_999, Int32(YARD_SEEK_DATA)).gives(9_999)
      file.seek(10_000, Int32(YARD_SEEK_DATA)).fails(ENXIO)
      file.close().gives(0)
    },
    YardstickCase("holes", "what was just written is data", needs: [.dirtyHoles]) { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      file.write(pattern(10_000)).gives(10_000)
      file.seek(5_000, Int32(YARD_SEEK_DATA)).gives(5_000)
      file.seek(0, Int32(YARD_SEEK_HOLE)).gives(10_000)
      file.close().gives(0)
    },
    YardstickCase("holes", "a file of holes reads as zeros and takes little space") { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      for i in 0..<16 { file.pwrite([UInt8(i + 1)], at: i * mebibyte + 7).gives(1) }
      file.sync().gives(0)
      try t.expect(try file.stat().blocks < 2048, "16 bytes take \(try file.stat().blocks) blocks")
      for i in 0..<16 {
        t.equal(try file.pread(3, at: i * mebibyte + 6), i == 15 ? [0, 16] : [0, UInt8(i + 1), 0])
        let middle = try file.pread(10_000, at: i * mebibyte + 5000)
        t.expect(middle.allSatisfy { $0 == 0 }, "zeros behind byte \(i)")
      }
      t.equal(try file.stat().size, UInt64(15 * mebibyte + 8))
      file.close().gives(0)
    },
  ]

  private static let allocating: [YardstickCase] = [
    YardstickCase("fallocate", "space is taken, and a file grows by zeros", needs: [.fallocate]) { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      file.allocate(0, 0, mebibyte).gives(0)
      let about = try file.stat()
      t.equal(about.size, UInt64(mebibyte))
      t.expect(about.blocks >= 2048, "1 MiB takes \(about.blocks) blocks")
      t.same(try file.pread(100_000, at: 0), bytes("abc") + [UInt8](repeating: 0, count: 99_997), "contents")
      file.allocate(0, 0, 10).gives(0)
      t.equal(try file.stat().size, UInt64(mebibyte), "a smaller range does not cut")
      try t.changes([("f", [.modification, .change])], "fallocate") { file.allocate(0, mebibyte, 4096).gives(0) }
      file.close().gives(0)
    },
    YardstickCase("fallocate", "KEEP_SIZE takes space behind the end", needs: [.fallocate]) { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      file.allocate(YARD_FALLOC_KEEP_SIZE, 0, mebibyte).gives(0)
      t.equal(try file.stat().size, 3)
      try t.expect(try file.stat().blocks >= 2048, "1 MiB takes \(try file.stat().blocks) blocks")
      t.equal(try file.pread(10, at: 0), bytes("abc"))
      file.truncate(100).gives(0)
      t.same(try file.pread(200, at: 0), bytes("abc") + [UInt8](repeating: 0, count: 97), "contents")
      file.close().gives(0)
    },
    YardstickCase("fallocate", "ranges and files that cannot be are refused", needs: [.fallocate]) { t in
      try t.make("f", bytes("abc"))
      try t.mkdir("d").ok()
      let file = try t.open("f", O_RDWR).file()
      file.allocate(0, 0, 0).fails(EINVAL)
      file.allocate(0, -1, 10).fails(EINVAL)
      file.allocate(0, 0, -1).fails(EINVAL)
      file.allocate(0, Int.max - 5, 10).fails(EFBIG)
      file.allocate(0x4000, 0, 10).fails(EOPNOTSUPP)
      file.allocate(YARD_FALLOC_PUNCH_HOLE, 0, 10).fails(EOPNOTSUPP)
      if t.target.sizeLimit < Int.max { file.allocate(0, t.target.sizeLimit, 10).fails(EFBIG) }
      let reader = try t.open("f", O_RDONLY).file()
      reader.allocate(0, 0, 10).fails(EBADF)
      let directory = try t.open("d", O_RDONLY | O_DIRECTORY).file()
      directory.allocate(0, 0, 10).fails(EBADF)
      try t.mknod("p", S_IFIFO | 0o600).ok()
      let pipe = try t.open("p", O_RDWR).file()
      pipe.allocate(0, 0, 10).fails(ESPIPE)
      t.equal(try file.stat().size, 3)
      for open in [file, reader, directory, pipe] { open.close().gives(0) }
    },
    YardstickCase(
      "fallocate", "PUNCH_HOLE makes zeros, also of parts of blocks, and keeps the size", needs: [.punchHole]
    ) {
      t in
      let size = mebibyte
      for (start, end) in [(100, 200), (4000, 9000), (0, 4096), (65_536, 131_072), (1_000_000, 2_000_000)] {
        try t.make("f", pattern(size))
        let file = try t.open("f", O_RDWR).file()
        file.allocate(YARD_FALLOC_PUNCH_HOLE | YARD_FALLOC_KEEP_SIZE, start, end - start).gives(0)
        var expected = pattern(size)
        for i in start..<min(end, size) { expected[i] = 0 }
        t.same(try file.pread(size + 1, at: 0), expected, "a hole from \(start) to \(end)")
        file.close().gives(0)
        try t.unlink("f").ok()
      }
    },
    YardstickCase("fallocate", "PUNCH_HOLE gives space back, and SEEK_HOLE finds it", needs: [.punchHole, .seekHole]) {
      t in
      try t.make("f", pattern(4 * mebibyte))
      let file = try t.open("f", O_RDWR).file()
      file.sync().gives(0)
      let before = try file.stat()
      file.allocate(YARD_FALLOC_PUNCH_HOLE | YARD_FALLOC_KEEP_SIZE, mebibyte, 2 * mebibyte).gives(0)
      let after = try file.stat()
      t.equal(after.size, before.size)
      t.expect(after.blocks + 3500 < before.blocks, "\(before.blocks) blocks became \(after.blocks)")
      t.equal(file.seek(0, Int32(YARD_SEEK_HOLE)).value, mebibyte)
      t.equal(file.seek(mebibyte, Int32(YARD_SEEK_DATA)).value, 3 * mebibyte)
      file.close().gives(0)
    },
    YardstickCase("fallocate", "ZERO_RANGE makes zeros, and grows the file unless told not to", needs: [.zeroRange]) {
      t in
      try t.make("f", pattern(100_000))
      let file = try t.open("f", O_RDWR).file()
      file.allocate(YARD_FALLOC_ZERO_RANGE, 5_000, 20_000).gives(0)
      var expected = pattern(100_000)
      for i in 5_000..<25_000 { expected[i] = 0 }
      t.same(try file.pread(200_000, at: 0), expected, "zeros inside")
      file.allocate(YARD_FALLOC_ZERO_RANGE | YARD_FALLOC_KEEP_SIZE, 90_000, 20_000).gives(0)
      t.equal(try file.stat().size, 100_000)
      file.allocate(YARD_FALLOC_ZERO_RANGE, 90_000, 20_000).gives(0)
      t.equal(try file.stat().size, 110_000)
      t.expect(try file.pread(30_000, at: 90_000).allSatisfy { $0 == 0 }, "zeros at the end")
      file.close().gives(0)
    },
    YardstickCase("fallocate", "COLLAPSE_RANGE and INSERT_RANGE move whole blocks", needs: [.shiftRange]) { t in
      try t.make("f", pattern(12 * 65_536))
      let file = try t.open("f", O_RDWR).file()
      let whole = pattern(12 * 65_536)
      file.allocate(YARD_FALLOC_COLLAPSE, 65_536, 2 * 65_536).gives(0)
      let short = Array(whole[..<65_536] + whole[(3 * 65_536)...])
      t.same(try file.pread(1 << 20, at: 0), short, "collapsed")
      file.allocate(YARD_FALLOC_INSERT, 65_536, 65_536).gives(0)
      let long = Array(short[..<65_536]) + [UInt8](repeating: 0, count: 65_536) + Array(short[65_536...])
      t.same(try file.pread(1 << 20, at: 0), long, "inserted")
      file.allocate(YARD_FALLOC_COLLAPSE, 100, 65_536).fails(EINVAL)
      file.allocate(YARD_FALLOC_INSERT, 0, 100).fails(EINVAL)
      file.allocate(YARD_FALLOC_COLLAPSE, 0, 1 << 30).fails(EINVAL)
      file.allocate(YARD_FALLOC_INSERT, 1 << 30, 65_536).fails(EINVAL)
      file.close().gives(0)
    },
    YardstickCase("fallocate", "a mode that the file system does not have is EOPNOTSUPP, and changes nothing") { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      let modes: [(YardstickFeature, Int)] = [
        (.fallocate, 0), (.fallocate, YARD_FALLOC_KEEP_SIZE),
        (.punchHole, YARD_FALLOC_PUNCH_HOLE | YARD_FALLOC_KEEP_SIZE), (.zeroRange, YARD_FALLOC_ZERO_RANGE),
        (.shiftRange, YARD_FALLOC_COLLAPSE), (.shiftRange, YARD_FALLOC_INSERT),
      ]
      for (feature, mode) in modes where !t.has(feature) { file.allocate(mode, 0, 65_536).fails(EOPNOTSUPP) }
      t.equal(try file.stat().size, 3)
      file.close().gives(0)
      try t.holds("f", bytes("abc"))
    },
  ]
}
