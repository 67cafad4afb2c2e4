import CLinux
import CYardstick
import Glibc

/// mmap(2).
enum MappingCases {
  static let all: [YardstickCase] = [
    YardstickCase("mmap", "a shared mapping and read and write show the same bytes", needs: [.sharedMappings]) { t in
      try t.make("f", pattern(20_000))
      let file = try t.open("f", O_RDWR).file()
      let map = try Map(file, 20_000)
      t.same(map.bytes(20_000), pattern(20_000), "mapped")
      map.store(bytes("mapped"), at: 4090)
      t.equal(try file.pread(6, at: 4090), bytes("mapped"))
      file.pwrite(bytes("written"), at: 8190).gives(7)
      t.equal(map.bytes(7, at: 8190), bytes("written"))
      map.sync().gives(0)
      file.sync().gives(0)
      map.end()
      file.close().gives(0)
      var expected = pattern(20_000)
      expected.replaceSubrange(4090..<4096, with: bytes("mapped"))
      expected.replaceSubrange(8190..<8197, with: bytes("written"))
      try t.holds("f", expected)
    },
    YardstickCase("mmap", "a mapping outlives its descriptor and the file's name", needs: [.sharedMappings]) { t in
      try t.make("f", pattern(10_000))
      try t.make("again")
      let file = try t.open("f", O_RDWR).file()
      let map = try Map(file, 10_000)
      file.close().gives(0)
      try t.unlink("f").ok()
      t.same(map.bytes(10_000), pattern(10_000), "mapped")
      map.store(bytes("abc"), at: 0)
      map.sync().gives(0)
      t.equal(map.bytes(3, at: 0), bytes("abc"))
      map.end()
    },
    YardstickCase("mmap", "a private mapping keeps its writes to itself") { t in
      try t.make("f", pattern(10_000))
      let file = try t.open("f", O_RDONLY).file()
      let map = try Map(file, 10_000, flags: MAP_PRIVATE)
      map.store(bytes("mine"), at: 5000)
      t.equal(map.bytes(4, at: 5000), bytes("mine"))
      map.end()
      file.close().gives(0)
      try t.holds("f", pattern(10_000))
    },
    YardstickCase(
      "mmap", "the rest of the last page is zeros, and a store there does not grow the file", needs: [.sharedMappings]
    ) {
      t in
      try t.make("f", pattern(5000))
      let file = try t.open("f", O_RDWR).file()
      let map = try Map(file, 8192)
      t.expect(map.bytes(3192, at: 5000).allSatisfy { $0 == 0 }, "zeros behind the end")
      map.store(bytes("lost"), at: 6000)
      map.sync().gives(0)
      t.equal(try file.stat().size, 5000)
      map.end()
      file.close().gives(0)
      try t.holds("f", pattern(5000))
    },
    YardstickCase(
      "mmap", "what was stored behind the end does not come back when a file grows",
      needs: [.sharedMappings, .cleanEnds]
    ) {
      t in
      try t.make("f", pattern(5000))
      let file = try t.open("f", O_RDWR).file()
      let map = try Map(file, 8192)
      map.store(bytes("lost"), at: 6000)
      map.sync().gives(0)
      map.end()
      file.truncate(8192).gives(0)
      t.same(try file.pread(9000, at: 0), pattern(5000) + [UInt8](repeating: 0, count: 3192), "after it grew")
      file.close().gives(0)
    },
    YardstickCase(
      "mmap", "pages behind the end raise SIGBUS, and are there when the file grows", needs: [.sharedMappings]
    ) {
      t in
      try t.make("f", pattern(20_000))
      let file = try t.open("f", O_RDWR).file()
      let map = try Map(file, 20_480)
      t.expect(map.canLoad(at: 16_384), "the last page is there")
      file.truncate(5000).gives(0)
      t.expect(map.canLoad(at: 4096), "the page with the end is there")
      t.expect(!map.canLoad(at: 8192) && !map.canLoad(at: 16_384), "pages behind it are not")
      t.expect(!map.canStore(at: 8192), "nor for a store")
      t.expect(map.bytes(100, at: 5000).allSatisfy { $0 == 0 }, "the rest of its page is zeros")
      file.truncate(20_000).gives(0)
      t.expect(map.canLoad(at: 16_384), "they are there again")
      t.expect(map.bytes(3808, at: 16_384).allSatisfy { $0 == 0 }, "as zeros")
      map.end()
      file.close().gives(0)
    },
    YardstickCase("mmap", "a store through a mapping sets mtime and ctime", needs: [.sharedMappings]) { t in
      try t.make("f", pattern(5000))
      let file = try t.open("f", O_RDWR).file()
      let map = try Map(file, 5000)
      try t.changes([("f", [.modification, .change])], "a store, and msync") {
        map.store(bytes("abc"), at: 10)
        map.sync().gives(0)
      }
      map.end()
      file.close().gives(0)
    },
    YardstickCase("mmap", "a mapping needs a file that is open for what it does") { t in
      try t.make("f", pattern(5000))
      try t.mkdir("d").ok()
      let reader = try t.open("f", O_RDONLY).file()
      let writer = try t.open("f", O_WRONLY).file()
      let directory = try t.open("d", O_RDONLY | O_DIRECTORY).file()
      Map.call(reader, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 0).fails(EACCES)
      Map.call(writer, 4096, PROT_READ, MAP_SHARED, 0).fails(EACCES)
      Map.call(directory, 4096, PROT_READ, MAP_SHARED, 0).fails(ENODEV)
      Map.call(reader, 4096, PROT_READ, MAP_SHARED, 100).fails(EINVAL)
      Map.call(reader, 0, PROT_READ, MAP_SHARED, 0).fails(EINVAL)
      for file in [reader, writer, directory] { file.close().gives(0) }
    },
    YardstickCase("mmap", "two mappings of two opens show each other's stores", needs: [.sharedMappings]) { t in
      try t.make("f", pattern(40_000))
      let files = try (0..<2).map { _ in try t.open("f", O_RDWR).file() }
      let maps = try files.map { try Map($0, 40_000) }
      for i in 0..<40 {
        maps[i % 2].store(bytes("store \(100 + i)"), at: i * 997)
        t.equal(maps[1 - i % 2].bytes(9, at: i * 997), bytes("store \(100 + i)"))
      }
      maps.forEach { $0.end() }
      files.forEach { $0.close().gives(0) }
    },
    YardstickCase("mmap", "a store into a hole is kept, and what is around it is zeros", needs: [.sharedMappings]) {
      t in
      try t.make("f")
      try t.truncate("f", 1 << 20).ok()
      let file = try t.open("f", O_RDWR).file()
      let map = try Map(file, 1 << 20)
      map.store(bytes("abc"), at: 500_000)
      map.end()
      file.sync().gives(0)
      t.equal(try file.pread(5, at: 499_999), [0] + bytes("abc") + [0])
      file.close().gives(0)
      t.equal(try t.contents("f").filter { $0 != 0 }, bytes("abc"))
    },
  ]
}

/// A mapping of a case; it is ended by `end`.
private struct Map {
  let file: File
  let start: UnsafeMutableRawPointer
  let count: Int

  init(_ file: File, _ count: Int, flags: Int32 = MAP_SHARED, source: StaticString = #fileID, line: Int = #line) throws
  {
    let address = try Map.call(file, count, PROT_READ | PROT_WRITE, flags, 0).ok(file: source, line: line)
    guard let start = UnsafeMutableRawPointer(bitPattern: address) else { throw Stop() }
    self.file = file
    self.start = start
    self.count = count
  }

  static func call(_ file: File, _ count: Int, _ protection: Int32, _ flags: Int32, _ offset: Int) -> Answer {
    file.trial.call("mmap", SYS_mmap, 0, count, Int(protection), Int(flags), Int(file.number), offset)
  }

  func bytes(_ count: Int, at offset: Int = 0) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: start + offset, count: count))
  }

  func store(_ bytes: [UInt8], at offset: Int) { (start + offset).copyMemory(from: bytes, byteCount: bytes.count) }

  /// Whether a load works; otherwise it raises SIGBUS.
  func canLoad(at offset: Int) -> Bool {
    var value: UInt64 = 0
    return weft_guarded_load64(start + offset, &value)
  }

  func canStore(at offset: Int) -> Bool { weft_guarded_store64(start + offset, 1) }

  func sync() -> Answer {
    file.trial.call("msync", SYS_msync, Int(bitPattern: start), count, Int(MS_SYNC))
  }

  func end() { munmap(start, count) }
}
