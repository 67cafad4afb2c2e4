import CYardstick
import Glibc

/// Several threads in one directory, and what must hold afterwards.
enum ConcurrencyCases {
  static let all: [YardstickCase] = [
    YardstickCase("concurrency", "four threads make, rename and unlink, and all that is left is right") { t in
      try t.mkdir("d").ok()
      try t.atOnce(4) { thread in
        var random = Generator(seed: UInt64(thread))
        for i in 0..<150 {
          let name: Name = "d/\(thread) \(i)"
          try t.make(name, bytes("\(thread) \(i)"))
          switch random.below(4) {
          case 0: try t.unlink(name).ok()
          case 1: try t.rename(name, "d/\(thread) moved \(i)").ok()
          case 2: _ = t.rename(name, "d/shared \(random.below(5))")
          default: break
          }
        }
      }
      let names = try t.list("d")
      t.equal(Set(names).count, names.count)
      for name in names {
        t.equal(try t.stat("d/\(name)").links, 1)
        t.expect(try !t.contents("d/\(name)").isEmpty, "\(name) has contents")
        try t.unlink("d/\(name)").ok()
      }
      try t.rmdir("d").ok()
    },
    YardstickCase("concurrency", "of four threads that make one name with O_EXCL, one does") { t in
      let wins = Wins()
      for round in 0..<40 {
        try t.atOnce(4) { _ in
          let answer = t.open("f \(round)", O_CREAT | O_EXCL | O_RDWR)
          if answer.value >= 0 {
            wins.add()
            File(Int32(answer.value), t).close().gives(0)
          } else {
            answer.fails(EEXIST)
          }
        }
        t.equal(wins.take(), 1, "threads that made the file of round \(round)")
      }
    },
    YardstickCase("concurrency", "of four threads that remove one name, one does") { t in
      let wins = Wins()
      for round in 0..<40 {
        if round % 2 == 0 { try t.make("f") } else { try t.mkdir("f").ok() }
        try t.atOnce(4) { _ in
          let answer = round % 2 == 0 ? t.unlink("f") : t.rmdir("f")
          if answer.value == 0 { wins.add() } else { answer.fails(ENOENT) }
        }
        t.equal(wins.take(), 1, "threads that removed it in round \(round)")
      }
    },
    YardstickCase("concurrency", "a name that is replaced again and again is always there") { t in
      try t.make("f", bytes("old 0000"))
      try t.atOnce(3) { thread in
        for i in 0..<150 {
          if thread == 0 {
            try t.make("new", bytes("new \(1000 + i)"))
            try t.rename("new", "f").ok()
          } else {
            t.equal(try t.contents("f").count, 8)
          }
        }
      }
      t.equal(try t.list("."), ["f"])
    },
    YardstickCase("concurrency", "directories that move into each other from two sides stay a tree") { t in
      for name: Name in ["a", "b", "a/x", "b/y"] { try t.mkdir(name).ok() }
      try t.atOnce(4) { thread in
        for _ in 0..<150 {
          // Each pair could make a loop, if both were done at once.
          let answers =
            thread % 2 == 0
            ? [t.rename("a", "b/y/a"), t.rename("b/y/a", "a")] : [t.rename("b", "a/x/b"), t.rename("a/x/b", "b")]
          for answer in answers where answer.value != 0 { answer.fails(ENOENT, EINVAL, ENOTEMPTY) }
        }
      }
      var count = 0
      func walk(_ path: Name) throws {
        for entry in try t.list(path) {
          count += 1
          t.equal(try t.stat("\(path)/\(entry)/..").inode, try t.stat(path).inode, "above \(entry)")
          try walk("\(path)/\(entry)")
        }
      }
      try walk(".")
      t.equal(count, 4)
    },
    YardstickCase("concurrency", "link counts are right after four threads linked and unlinked", needs: [.hardLinks]) {
      t in
      try t.make("f", bytes("abc"))
      try t.mkdir("d").ok()
      try t.atOnce(4) { thread in
        for i in 0..<100 {
          try t.link("f", "d/\(thread) \(i)").ok()
          if i % 3 != 0 { try t.unlink("d/\(thread) \(i)").ok() }
        }
      }
      t.equal(try t.list("d").count, 4 * 34)
      t.equal(try t.stat("f").links, UInt32(1 + 4 * 34))
    },
    YardstickCase("concurrency", "threads that write parts of a file lose nothing, and cuts do not tear") { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      try t.atOnce(4) { thread in
        for i in 0..<64 {
          let place = (i * 4 + thread) * 1000
          file.pwrite([UInt8](repeating: UInt8(1 + thread), count: 1000), at: place).gives(1000)
        }
      }
      let all = try file.pread(300_000, at: 0)
      t.equal(all.count, 256_000)
      let expected = (0..<256).flatMap { [UInt8](repeating: UInt8(1 + $0 % 4), count: 1000) }
      t.same(all, expected, "contents")
      try t.atOnce(2) { thread in
        for i in 0..<100 {
          if thread == 0 {
            file.truncate(i % 2 == 0 ? 0 : 256_000).gives(0)
          } else {
            let bytes = try file.pread(4096, at: 100_000)
            t.expect(bytes.allSatisfy { $0 <= 4 }, "bytes of other files")
          }
        }
      }
      file.close().gives(0)
    },
    YardstickCase("concurrency", "a directory is listed while another thread fills it, and what was there comes once") {
      t in
      let stay = (0..<200).map { Name("stays \($0)") }
      for name in stay { try t.make(name) }
      try t.atOnce(2) { thread in
        for i in 0..<20 {
          if thread == 0 {
            for j in 0..<10 { try t.make("comes \(i) \(j)") }
            for j in 0..<10 { try t.unlink("comes \(i) \(j)").ok() }
          } else {
            let names = try t.list(".").filter { $0.bytes[0] == 0x73 }
            t.equal(names, stay.sorted())
          }
        }
      }
    },
  ]
}
