import CYardstick
import Glibc

/// getdents64(2): listings of directories.
enum ListingCases {
  static let all: [YardstickCase] = entries + changing

  private static let kinds: [(Name, UInt8)] = [("f", 8), ("d", 4), ("l", 10), ("p", 1), ("s", 12)]

  private static let entries: [YardstickCase] = [
    YardstickCase("listings", "dots come once each, with the right numbers") { t in
      try t.mkdir("d").ok()
      try t.mkdir("d/e").ok()
      for (name, up) in [("d", "."), ("d/e", "d")] as [(Name, Name)] {
        let list = try t.entries(name)
        t.equal(list.filter { $0.name == "." }.map(\.inode), [try t.stat(name).inode])
        t.equal(list.filter { $0.name == ".." }.map(\.inode), [try t.stat(up).inode])
        t.expect(
          list.filter { $0.name == "." || $0.name == ".." }.allSatisfy { $0.type == 4 || $0.type == 0 }, "their type")
      }
      t.equal(try t.entries("d").count, 3)
    },
    YardstickCase("listings", "an entry has the number and the type that stat tells") { t in
      try t.make("f")
      try t.mkdir("d").ok()
      try t.symlink("f", "l").ok()
      try t.mknod("p", S_IFIFO | 0o600).ok()
      try t.mknod("s", S_IFSOCK | 0o600).ok()
      let list = try t.entries(".")
      for (name, type) in kinds {
        let entry = list.first { $0.name == name }
        t.equal(entry?.inode, try t.lstat(name).inode, "number of \(name)")
        t.expect(entry?.type == type || entry?.type == 0, "type of \(name) is \(String(describing: entry?.type))")
      }
    },
    YardstickCase("listings", "small buffers give the same entries as large ones") { t in
      for i in 0..<300 { try t.make("name \(i)") }
      let large = try t.entries(".").map(\.name).sorted()
      t.equal(large.count, 302)
      for size in [64, 100, 512, 4096] {
        let directory = try t.open(".", O_RDONLY | O_DIRECTORY).file()
        t.equal(try directory.allEntries(size: size).map(\.name).sorted(), large, "\(size) bytes at once")
        directory.listing(size: size).gives(0)
        directory.close().gives(0)
      }
      let directory = try t.open(".", O_RDONLY | O_DIRECTORY).file()
      directory.listing(size: 16).fails(EINVAL)
      directory.close().gives(0)
      try t.make("f")
      let file = try t.open("f", O_RDONLY).file()
      file.listing().fails(ENOTDIR)
      file.close().gives(0)
    },
    YardstickCase("listings", "names of 255 bytes are listed whole") { t in
      let names = (0..<60).map { Name(String(repeating: "x", count: 252) + "\(100 + $0)") }
      for name in names { try t.make(name) }
      t.equal(try t.list("."), names.sorted())
    },
    YardstickCase("listings", "two descriptors of a directory have their own places") { t in
      for i in 0..<50 { try t.make("f\(i)") }
      let a = try t.open(".", O_RDONLY | O_DIRECTORY).file()
      let b = try t.open(".", O_RDONLY | O_DIRECTORY).file()
      let first = try a.entries(size: 200)
      t.expect(!first.isEmpty, "some entries")
      t.equal(try b.allEntries().count, 52)
      t.equal(try first.count + a.allEntries().count, 52)
      a.close().gives(0)
      b.close().gives(0)
    },
    YardstickCase("listings", "an entry's cookie leads to the one behind it") { t in
      for i in 0..<200 { try t.make("f\(i)") }
      let directory = try t.open(".", O_RDONLY | O_DIRECTORY).file()
      let all = try directory.allEntries(size: 300)
      t.equal(all.count, 202)
      t.equal(Set(all.map(\.next)).count, 202, "cookies differ")
      for index in [0, 1, 2, 50, 100, 199, 200] {
        directory.seek(all[index].next).gives(all[index].next)
        t.equal(try directory.entries(size: 300).first?.name, all[index + 1].name, "behind entry \(index)")
      }
      directory.seek(all[100].next).gives(all[100].next)
      t.equal(try directory.allEntries().map(\.name), all[101...].map(\.name))
      directory.seek(0).gives(0)
      t.equal(try directory.allEntries().map(\.name), all.map(\.name), "from the start again")
      directory.close().gives(0)
    },
  ]

  private static let changing: [YardstickCase] = [
    YardstickCase("listings", "names that stay come exactly once while others come and go") { t in
      let stay = (0..<400).map { Name("stays \($0)") }
      for (i, name) in stay.enumerated() {
        try t.make(name)
        try t.make("goes \(i)")
      }
      let directory = try t.open(".", O_RDONLY | O_DIRECTORY).file()
      var seen: [Name] = []
      var step = 0
      while true {
        let some = try directory.entries(size: 600)
        if some.isEmpty { break }
        seen += some.map(\.name)
        for _ in 0..<12 where step < 400 {
          try t.unlink("goes \(step)").ok()
          try t.make("comes \(step)")
          step += 1
        }
      }
      let counts = Dictionary(grouping: seen, by: { $0 }).mapValues(\.count)
      for name in stay { t.equal(counts[name], 1, "times that \(name) came") }
      t.expect(counts.values.allSatisfy { $0 == 1 }, "no name comes twice")
      directory.close().gives(0)
    },
    YardstickCase("listings", "a name that stays is found from a cookie while others come and go") { t in
      for i in 0..<200 { try t.make("stays \(i)") }
      let directory = try t.open(".", O_RDONLY | O_DIRECTORY).file()
      let all = try directory.allEntries()
      let place = all[100].next
      // Without the dots: ext4 puts them first once it gives a directory an index.
      let behind = Set(all[101...].map(\.name)).subtracting([".", ".."])
      for i in 0..<200 { try t.make("comes \(i)") }
      for entry in all[..<100] where entry.name != "." && entry.name != ".." { try t.unlink(entry.name).ok() }
      directory.seek(place).gives(place)
      let found = try directory.allEntries().map(\.name)
      t.equal(behind.subtracting(found), [], "what came behind the cookie and does not any more")
      t.equal(Set(found).count, found.count, "and once")
      directory.close().gives(0)
    },
    YardstickCase("listings", "rewinding shows what came and hides what went") { t in
      try t.make("a")
      try t.make("b")
      let directory = try t.open(".", O_RDONLY | O_DIRECTORY).file()
      let names: () throws -> [Name] = {
        try directory.allEntries().map(\.name).filter { $0.bytes[0] != 0x2e }.sorted()
      }
      t.equal(try names(), ["a", "b"])
      try t.unlink("a").ok()
      try t.rename("b", "c").ok()
      try t.make("d")
      directory.seek(0).gives(0)
      t.equal(try names(), ["c", "d"])
      directory.close().gives(0)
    },
    YardstickCase("listings", "removing what is listed, while it is listed, empties a directory") { t in
      try t.mkdir("d").ok()
      for i in 0..<1000 { try t.make("d/file \(i)") }
      let directory = try t.open("d", O_RDONLY | O_DIRECTORY).file()
      while true {
        let some = try directory.entries(size: 2000)
        if some.isEmpty { break }
        for entry in some where entry.name != "." && entry.name != ".." { try t.unlink(entry.name, in: directory).ok() }
      }
      directory.close().gives(0)
      t.equal(try t.list("d"), [])
      try t.rmdir("d").ok()
    },
    YardstickCase("listings", "a directory that is filled, emptied and filled again") { t in
      for round in 0..<4 {
        for i in 0..<300 { try t.make("round \(round), file \(i)") }
        t.equal(try t.list(".").count, 300)
        for i in 0..<300 { try t.unlink("round \(round), file \(i)").ok() }
        t.equal(try t.list("."), [])
      }
    },
  ]
}
