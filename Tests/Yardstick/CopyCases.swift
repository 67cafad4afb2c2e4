import CYardstick
import Glibc

/// copy_file_range(2), sendfile(2) and splice(2).
enum CopyCases {
  static let all: [YardstickCase] = ranges + pipes

  /// copy_file_range; nil takes a file's position.
  private static func copy(
    _ from: File, _ source: Int?, _ to: File, _ target: Int?, _ count: Int, flags: Int = 0
  ) -> Answer {
    var source64 = Int64(source ?? 0), target64 = Int64(target ?? 0)
    return withUnsafeMutableBytes(of: &source64) { a in
      withUnsafeMutableBytes(of: &target64) { b in
        from.trial.call(
          "copy_file_range", SYS_copy_file_range, Int(from.number), source == nil ? 0 : a.address, Int(to.number),
          target == nil ? 0 : b.address, count, flags)
      }
    }
  }

  private static let ranges: [YardstickCase] = [
    YardstickCase("copy_file_range", "a range is copied, positions move, and the end ends it") { t in
      try t.make("a", pattern(100_000))
      let a = try t.open("a", O_RDONLY).file()
      let b = try t.open("b", O_CREAT | O_RDWR).file()
      copy(a, nil, b, nil, 60_000).gives(60_000)
      a.seek(0, SEEK_CUR).gives(60_000)
      b.seek(0, SEEK_CUR).gives(60_000)
      copy(a, nil, b, nil, 60_000).gives(40_000)
      copy(a, nil, b, nil, 60_000).gives(0)
      t.same(try b.pread(200_000, at: 0), pattern(100_000), "all of it")
      copy(a, 10, b, 200_000, 50).gives(50)
      a.seek(0, SEEK_CUR).gives(100_000)
      t.equal(try b.pread(60, at: 200_000), Array(pattern(100_000)[10..<60]))
      t.equal(try b.pread(3, at: 150_000), [0, 0, 0])
      copy(a, 100_000, b, 0, 10).gives(0)
      copy(a, 1 << 40, b, 0, 10).gives(0)
      a.close().gives(0)
      b.close().gives(0)
    },
    YardstickCase("copy_file_range", "a large file is copied in some calls") { t in
      let contents = pattern(6 << 20, seed: 5)
      try t.make("a", contents)
      let a = try t.open("a", O_RDONLY).file()
      let b = try t.open("b", O_CREAT | O_RDWR).file()
      var done = 0
      while done < contents.count {
        let count = try copy(a, nil, b, nil, 1 << 30).ok()
        if count == 0 { break }
        done += count
      }
      t.same(try b.pread(8 << 20, at: 0), contents, "the copy")
      a.close().gives(0)
      b.close().gives(0)
    },
    YardstickCase("copy_file_range", "ranges of one file are copied unless they overlap") { t in
      try t.make("f", pattern(100_000))
      let file = try t.open("f", O_RDWR).file()
      copy(file, 0, file, 50_000, 50_000).gives(50_000)
      let half = Array(pattern(100_000)[..<50_000])
      t.same(try file.pread(200_000, at: 0), half + half, "halves")
      copy(file, 0, file, 10, 20).fails(EINVAL)
      copy(file, 10, file, 0, 20).fails(EINVAL)
      copy(file, 0, file, 0, 1).fails(EINVAL)
      copy(file, 0, file, 100_000, 10).gives(10)
      t.equal(try file.stat().size, 100_010)
      file.close().gives(0)
    },
    YardstickCase("copy_file_range", "what is not open for it, no file, or flagged is refused") { t in
      try t.make("a", pattern(1000))
      try t.make("b")
      try t.mkdir("d").ok()
      let reader = try t.open("a", O_RDONLY).file()
      let writer = try t.open("b", O_WRONLY).file()
      let appender = try t.open("b", O_WRONLY | O_APPEND).file()
      let directory = try t.open("d", O_RDONLY | O_DIRECTORY).file()
      copy(writer, 0, writer, 0, 10).fails(EBADF)
      copy(reader, 0, reader, 500, 10).fails(EBADF)
      copy(reader, 0, appender, 0, 10).fails(EBADF)
      copy(directory, 0, writer, 0, 10).fails(EISDIR)
      copy(reader, 0, directory, 0, 10).fails(EISDIR)
      copy(reader, 0, writer, 0, 10, flags: 1).fails(EINVAL)
      if t.target.sizeLimit < Int.max { copy(reader, 0, writer, Int.max - 5, 100).fails(EFBIG) }
      copy(reader, 0, writer, 0, 0).gives(0)
      t.equal(try writer.stat().size, 0)
      for file in [reader, writer, appender, directory] { file.close().gives(0) }
    },
    YardstickCase("copy_file_range", "a copy sets the target's times, and clears its set-ID bits", needs: [.root]) {
      t in
      try t.make("a", pattern(1000), 0o644)
      try t.make("b", pattern(10), 0o6777)
      try t.chown("b", User.alice, User.alice).ok()
      try t.chmod("b", 0o6777).ok()
      try t.changes([("b", [.modification, .change])], "copy_file_range") {
        try t.asUser(User.bob) {
          let a = try t.open("a", O_RDONLY).file()
          let b = try t.open("b", O_WRONLY).file()
          copy(a, 0, b, 0, 100).gives(100)
          a.close().gives(0)
          b.close().gives(0)
        }
      }
      t.equal(try t.stat("b").permissions, 0o777)
    },
  ]

  private static let pipes: [YardstickCase] = [
    YardstickCase("sendfile", "a file goes into another, into a socket, and from an offset") { t in
      try t.make("a", pattern(100_000))
      let a = try t.open("a", O_RDONLY).file()
      let b = try t.open("b", O_CREAT | O_RDWR).file()
      t.call("sendfile", SYS_sendfile, Int(b.number), Int(a.number), 0, 200_000).gives(100_000)
      t.same(try b.pread(200_000, at: 0), pattern(100_000), "the copy")
      var offset: Int64 = 99_000
      var ends: [Int32] = [0, 0]
      try ends.withUnsafeMutableBytes {
        _ = try t.call("socketpair", SYS_socketpair, Int(AF_UNIX), 1, 0, $0.address).ok()
      }
      let near = File(ends[0], t), far = File(ends[1], t)
      withUnsafeMutableBytes(of: &offset) {
        t.call("sendfile", SYS_sendfile, Int(near.number), Int(a.number), $0.address, 5000).gives(1000)
      }
      t.equal(offset, 100_000)
      t.same(try far.read(5000), Array(pattern(100_000)[99_000...]), "through the socket")
      for file in [a, b, near, far] { file.close().gives(0) }
    },
    YardstickCase("splice", "a file goes into a pipe, and from a pipe into a file") { t in
      try t.make("a", pattern(50_000))
      let a = try t.open("a", O_RDONLY).file()
      let b = try t.open("b", O_CREAT | O_RDWR).file()
      var ends: [Int32] = [0, 0]
      try ends.withUnsafeMutableBytes { _ = try t.call("pipe2", SYS_pipe2, $0.address, Int(O_CLOEXEC)).ok() }
      let reading = File(ends[0], t), writing = File(ends[1], t)
      var done = 0
      while done < 50_000 {
        let count = try t.call("splice", SYS_splice, Int(a.number), 0, Int(writing.number), 0, 16_384).ok()
        if count == 0 { break }
        var left = count
        while left > 0 { left -= try t.call("splice", SYS_splice, Int(reading.number), 0, Int(b.number), 0, left).ok() }
        done += count
      }
      t.same(try b.pread(60_000, at: 0), pattern(50_000), "the copy")
      t.call("splice", SYS_splice, Int(a.number), 0, Int(b.number), 0, 10).fails(EINVAL)
      for file in [a, b, reading, writing] { file.close().gives(0) }
    },
  ]
}
