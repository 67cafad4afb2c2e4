import CYardstick
import Glibc

/// read(2), write(2) and their kin.
enum ReadWriteCases {
  static let all: [YardstickCase] = plain + vectors + direct

  private static let plain: [YardstickCase] = [
    YardstickCase("read and write", "what was written is read, at every length around a page") { t in
      for count in [1, 511, 512, 513, 4095, 4096, 4097, 8191, 8192, 12_289, 65_536, 131_073] {
        let file = try t.open("f\(count)", O_CREAT | O_RDWR).file()
        file.write(pattern(count)).gives(count)
        t.same(try file.pread(count + 10, at: 0), pattern(count), "\(count) bytes")
        t.same(try file.pread(count, at: count / 2), Array(pattern(count)[(count / 2)...]), "the second half")
        file.seek(0, SEEK_CUR).gives(count)
        file.close().gives(0)
      }
    },
    YardstickCase("read and write", "8 MiB in one write, and in one read") { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      let contents = pattern(8 << 20)
      file.write(contents).gives(8 << 20)
      t.same(try file.pread(8 << 20, at: 0), contents, "contents")
      file.sync().gives(0)
      t.same(try file.pread(8 << 20, at: 0), contents, "contents after fsync")
      file.close().gives(0)
    },
    YardstickCase("read and write", "reading ends at the end of the file") { t in
      try t.make("f", bytes("abcdef"))
      let file = try t.open("f", O_RDWR).file()
      t.equal(try file.read(4), bytes("abcd"))
      t.equal(try file.read(4), bytes("ef"))
      t.equal(try file.read(4), [])
      t.equal(try file.pread(4, at: 6), [])
      t.equal(try file.pread(4, at: 1 << 40), [])
      file.reading(0).gives(0)
      file.write(bytes("gh")).gives(2)
      t.equal(try file.read(4), [])
      file.seek(6).gives(6)
      t.equal(try file.read(4), bytes("gh"))
      file.preading(1, at: -1).fails(EINVAL)
      file.pwrite([1], at: -1).fails(EINVAL)
      file.close().gives(0)
    },
    YardstickCase("read and write", "a write behind the end leaves zeros between") { t in
      for place in [10, 4096, 5000, 1 << 20, (1 << 32) + 5] {
        let file = try t.open("f", O_CREAT | O_RDWR | O_TRUNC).file()
        file.write(bytes("abc")).gives(3)
        file.pwrite(bytes("xyz"), at: place).gives(3)
        t.equal(try file.stat().size, UInt64(place + 3))
        t.equal(try file.pread(5, at: 0), bytes("abc") + [0, 0])
        t.equal(try file.pread(10, at: place - 2), [0, 0] + bytes("xyz"))
        file.close().gives(0)
      }
    },
    YardstickCase("read and write", "a write of nothing changes nothing") { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      try t.changes([("f", [])], "write of nothing") {
        file.write([]).gives(0)
        file.pwrite([], at: 100).gives(0)
      }
      t.equal(try file.stat().size, 3)
      file.close().gives(0)
    },
    YardstickCase("read and write", "memory that is not the caller's is EFAULT, and the file stays whole") { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      file.call("write", SYS_write, 16, 10).fails(EFAULT)
      file.call("read", SYS_read, 16, 2).fails(EFAULT)
      file.close().gives(0)
      try t.holds("f", bytes("abc"))
    },
    YardstickCase("read and write", "400 writes over each other, and cuts, are what memory says") { t in
      var random = Generator(seed: 17)
      var model: [UInt8] = []
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      for i in 0..<400 {
        let place = random.below(50_000), count = 1 + random.below(9_000)
        if random.below(8) == 0 {
          file.truncate(place).gives(0)
          model = Array(model.prefix(place)) + [UInt8](repeating: 0, count: max(0, place - model.count))
        } else {
          let data = pattern(count, seed: i)
          file.pwrite(data, at: place).gives(count)
          if model.count < place + count { model += [UInt8](repeating: 0, count: place + count - model.count) }
          model.replaceSubrange(place..<(place + count), with: data)
        }
        let from = random.below(50_000)
        let expected = Array(model.dropFirst(from).prefix(500))
        t.same(try file.pread(500, at: from), expected, "step \(i) of seed 17, from \(from)")
      }
      t.same(try file.pread(100_000, at: 0), model, "contents")
      file.close().gives(0)
      try t.holds("f", model)
    },
    YardstickCase("read and write", "two descriptors of a file see each other's writes at once") { t in
      let writer = try t.open("f", O_CREAT | O_WRONLY).file()
      let reader = try t.open("f", O_RDONLY).file()
      for i in 0..<100 {
        writer.write(bytes("line \(i)\n")).gives("line \(i)\n".utf8.count)
        t.equal(try reader.read(100), bytes("line \(i)\n"))
      }
      writer.close().gives(0)
      reader.close().gives(0)
    },
    YardstickCase("read and write", "appends of two processes' worth of threads are all there") { t in
      try t.make("f")
      let writers = try (0..<4).map { _ in try t.open("f", O_WRONLY | O_APPEND).file() }
      try t.atOnce(4) { writer in
        for i in 0..<100 { writers[writer].write(bytes("\(writer) \(100 + i)\n")).gives(6) }
      }
      for writer in writers { writer.close().gives(0) }
      let lines = String(decoding: try t.contents("f"), as: UTF8.self).split(separator: "\n").map(String.init)
      t.equal(lines.count, 400)
      for writer in 0..<4 {
        t.equal(lines.filter { $0.hasPrefix("\(writer) ") }, (0..<100).map { "\(writer) \(100 + $0)" }, "in order")
      }
    },
  ]

  private static let vectors: [YardstickCase] = [
    YardstickCase("read and write", "readv and writev go through pieces in order") { t in
      let file = try t.open("f", O_CREAT | O_RDWR).file()
      let sizes = [1, 0, 4096, 3, 10_000, 1]
      let whole = pattern(sizes.reduce(0, +))
      file.vector("writev", SYS_writev, whole, sizes).answer.gives(whole.count)
      file.vector("pwritev", SYS_pwritev, bytes("XY"), [1, 1], at: 5).answer.gives(2)
      var expected = whole
      expected.replaceSubrange(5..<7, with: bytes("XY"))
      let read = file.vector("preadv", SYS_preadv, [UInt8](repeating: 0, count: whole.count), sizes, at: 0)
      read.answer.gives(whole.count)
      t.same(read.bytes, expected, "preadv")
      file.seek(0).gives(0)
      let short = file.vector("readv", SYS_readv, [UInt8](repeating: 0, count: 20_000), [10_000, 10_000])
      short.answer.gives(whole.count)
      t.same(Array(short.bytes.prefix(whole.count)), expected, "readv")
      file.vector("preadv", SYS_preadv, [0], [1], at: -1).answer.fails(EINVAL)
      file.close().gives(0)
    },
    YardstickCase("read and write", "pwritev2 with RWF_APPEND writes at the end") { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      file.vector("pwritev2", SYS_pwritev2, bytes("def"), [3], at: 0, flags: YARD_RWF_APPEND).answer.gives(3)
      file.close().gives(0)
      try t.holds("f", bytes("abcdef"))
    },
  ]

  private static let direct: [YardstickCase] = [
    YardstickCase(
      "O_DIRECT", "what is written past the cache is read through it, and the other way", needs: [.directIO]
    ) { t in
      let size = 65_536
      let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4096)
      defer { memory.deallocate() }
      memory.copyBytes(from: pattern(size))
      let direct = try t.open("f", O_CREAT | O_RDWR | Flag.direct).file()
      let cached = try t.open("f", O_RDWR).file()
      direct.call("write", SYS_write, memory.address, size).gives(size)
      t.same(try cached.pread(size, at: 0), pattern(size), "read through the cache")
      cached.pwrite(pattern(8192, seed: 3), at: 4096).gives(8192)
      direct.call("pread", SYS_pread64, memory.address, 16_384, 0).gives(16_384)
      let expected = Array(pattern(size)[..<4096]) + pattern(8192, seed: 3) + Array(pattern(size)[12_288..<16_384])
      t.same(Array(memory.prefix(16_384)), expected, "read past the cache")
      memory.copyBytes(from: pattern(4096, seed: 9))
      direct.call("pwrite", SYS_pwrite64, memory.address, 4096, 8192).gives(4096)
      t.same(try cached.pread(4096, at: 8192), pattern(4096, seed: 9), "what the cache held is replaced")
      direct.call("pread", SYS_pread64, memory.address, size, size - 4096).gives(4096)
      direct.call("pread", SYS_pread64, memory.address, size, size).gives(0)
      direct.close().gives(0)
      cached.close().gives(0)
    }
  ]
}

extension File {
  /// readv(2) or writev(2) of a buffer that is cut into pieces of these sizes, and what the buffer then holds.
  func vector(
    _ label: StaticString, _ number: Int32, _ bytes: [UInt8], _ sizes: [Int], at offset: Int = 0, flags: Int = 0
  ) -> (answer: Answer, bytes: [UInt8]) {
    var buffer = bytes
    let answer = buffer.withUnsafeMutableBytes { buffer in
      var place = 0
      let pieces = sizes.map { size in
        defer { place += size }
        return iovec(iov_base: buffer.baseAddress.map { $0 + place }, iov_len: size)
      }
      return pieces.withUnsafeBytes {
        trial.call(label, number, Int(self.number), $0.address, pieces.count, offset, 0, flags)
      }
    }
    return (answer, buffer)
  }
}
