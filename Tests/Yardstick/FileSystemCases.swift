import CYardstick
import Glibc
import Platform

/// What is told of a file system and a file: statfs(2), fsync(2) and its kin, poll(2), ioctl(2), execution.
enum FileSystemCases {
  static let all: [YardstickCase] = telling + syncing + running

  private static let telling: [YardstickCase] = [
    YardstickCase("statfs", "numbers fit each other, and names can have 255 bytes") { t in
      let about = try t.statFileSystem(".")
      t.equal(about.name_limit, 255)
      t.expect(about.block_size > 0 && about.block_size % 512 == 0, "block size \(about.block_size)")
      t.expect(about.free <= about.blocks, "\(about.free) blocks of \(about.blocks) are free")
      t.expect(about.available <= about.free, "\(about.available) blocks of \(about.free) are available")
      t.expect(about.free_files <= about.files, "\(about.free_files) files of \(about.files) are free")
      t.expect(about.type != 0, "it has a type")
      try t.make("f")
      try t.mkdir("d").ok()
      for name: Name in ["f", "d"] { t.equal(try t.statFileSystem(name).type, about.type) }
      t.statingFileSystem("none").fails(ENOENT)
    },
    YardstickCase("statfs", "what is written is missing from what is free, and comes back") { t in
      let before = try t.statFileSystem(".")
      if before.blocks == 0 { return }  // A file system without an end.
      let size = 8 << 20
      try t.make("f", pattern(size))
      let file = try t.open("f", O_RDWR).file()
      file.sync().gives(0)
      // Other cases write and remove at the same time, so only the file's own blocks are sure.
      try t.expect(Int(try file.stat().blocks) * 512 >= size, "\(try file.stat().blocks) blocks for 8 MiB")
      t.expect(try t.statFileSystem(".").free < before.blocks, "something is in use")
      file.close().gives(0)
    },
    YardstickCase("stat", "files have numbers of their own, and one device") { t in
      let names = (0..<50).map { Name("f\($0)") }
      for name in names { try t.make(name) }
      try t.mkdir("d").ok()
      let stats = try names.map { try t.stat($0) } + [t.stat("d"), t.stat(".")]
      t.equal(Set(stats.map(\.inode)).count, 52)
      t.equal(Set(stats.map(\.device)).count, 1)
      t.expect(stats.allSatisfy { $0.inode != 0 && $0.blockSize >= 512 }, "numbers and block sizes")
      t.equal(try t.stat("f0").inode, stats[0].inode, "a number stays")
    },
    YardstickCase("stat", "blocks are of 512 bytes, and what is written takes them") { t in
      try t.make("f", pattern(1 << 20))
      let file = try t.open("f", O_RDWR).file()
      file.sync().gives(0)
      let blocks = try file.stat().blocks
      t.expect(blocks >= 2048 && blocks < 4096, "1 MiB takes \(blocks) blocks")
      try t.make("empty")
      try t.expect(try t.stat("empty").blocks <= 16, "an empty file takes \(try t.stat("empty").blocks)")
      file.close().gives(0)
    },
    YardstickCase("poll", "a file is always ready") { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      var request = pollfd(fd: file.number, events: Int16(POLLIN | POLLOUT), revents: 0)
      withUnsafeMutableBytes(of: &request) { t.call("poll", SYS_ppoll, $0.address, 1, 0).gives(1) }
      t.equal(Int32(request.revents), POLLIN | POLLOUT)
      file.close().gives(0)
    },
    YardstickCase("ioctl", "a file is no terminal, and tells how much is left to read") { t in
      try t.make("f", bytes("abcdef"))
      let file = try t.open("f", O_RDONLY).file()
      var buffer = [UInt8](repeating: 0, count: 256)
      buffer.withUnsafeMutableBytes { buffer in
        file.call("ioctl TCGETS", SYS_ioctl, 0x5401, buffer.address).fails(ENOTTY)
        file.call("ioctl", SYS_ioctl, 0x1234_5678, buffer.address).fails(ENOTTY)
        t.equal(file.call("ioctl FIONREAD", SYS_ioctl, 0x541b, buffer.address).value, 0)
        t.equal(buffer.loadUnaligned(as: Int32.self), 6)
      }
      file.close().gives(0)
    },
  ]

  private static let syncing: [YardstickCase] = [
    YardstickCase("sync", "fsync, fdatasync, syncfs and sync_file_range succeed, on files and directories") { t in
      try t.mkdir("d").ok()
      let directory = try t.open("d", O_RDONLY | O_DIRECTORY).file()
      let file = try t.open("d/f", O_CREAT | O_RDWR).file()
      for round in 0..<3 {
        file.write(pattern(10_000, seed: round)).gives(10_000)
        file.sync().gives(0)
        file.call("fdatasync", SYS_fdatasync).gives(0)
        file.call("sync_file_range", SYS_sync_file_range, 0, 0, YARD_SYNC_RANGE_ALL).gives(0)
        directory.sync().gives(0)
        directory.call("fdatasync", SYS_fdatasync).gives(0)
        file.call("syncfs", SYS_syncfs).gives(0)
        directory.call("syncfs", SYS_syncfs).gives(0)
      }
      let reader = try t.open("d/f", O_RDONLY).file()
      reader.sync().gives(0)
      try t.unlink("d/f").ok()
      file.sync().gives(0)
      for open in [file, reader, directory] { open.close().gives(0) }
    },
    YardstickCase("sync", "advice is taken") { t in
      try t.make("f", pattern(100_000))
      let file = try t.open("f", O_RDWR).file()
      for advice in 0...5 { file.call("fadvise64", SYS_fadvise64, 0, 0, advice).gives(0) }
      file.call("readahead", SYS_readahead, 0, 100_000).gives(0)
      t.same(try file.pread(200_000, at: 0), pattern(100_000), "contents behind POSIX_FADV_DONTNEED")
      file.close().gives(0)
    },
  ]

  private static let running: [YardstickCase] = [
    YardstickCase("execve", "a program that was copied here runs, and not without permission", needs: [.programs]) {
      t in
      try t.make("program", contents(of: "/bin/true", t), 0o755)
      t.equal(try t.run("program"), 0)
      try t.chmod("program", 0o644).ok()
      t.equal(try? t.run("program"), nil)
    },
    YardstickCase(
      "execve", "a program that runs is not written, and a file open for writing not run", needs: [.programs]
    ) { t in
      try t.make("program", contents(of: "/bin/sleep", t), 0o755)
      let writer = try t.open("program", O_WRONLY).file()
      do {
        _ = try t.start("program", ["program", "0"])
        t.expect(false, "a file that is open for writing does not run")
      } catch let error as Errno { t.equal(error.rawValue, ETXTBSY) }
      writer.close().gives(0)
      let child = try t.startSoon("program", ["program", "600"])
      t.open("program", O_WRONLY).fails(ETXTBSY)
      t.truncate("program", 0).fails(ETXTBSY)
      try t.rename("program", "other").ok()
      try t.unlink("other").ok()
      kill(child, SIGKILL)
      try Spawn.wait(for: child)
    },
    YardstickCase("execve", "a set-user-ID program runs as its owner", needs: [.programs, .root, .setIDPrograms]) { t in
      // touch makes a file of the user that it runs as.
      try t.make("touch", contents(of: "/bin/touch", t), 0o755)
      try t.chown("touch", User.alice, User.staff).ok()
      try t.chmod("touch", 0o6755).ok()
      try t.mkdir("d").ok()
      try t.chmod("d", 0o777).ok()
      t.equal(try t.run("touch", "d/made"), 0)
      t.equal([Int(try t.stat("d/made").user), Int(try t.stat("d/made").group)], [User.alice, User.staff])
    },
  ]

  private static func contents(of path: Name, _ t: Trial) throws -> [UInt8] { try t.contents(path) }
}

extension Trial {
  /// Starts a program of the case's directory; it throws what execve(2) failed with.
  func start(_ name: String, _ arguments: [String]) throws -> pid_t { try Spawn.start("./" + name, arguments) }

  /// The same of a program that has just been written: see `soon`.
  func startSoon(_ name: String, _ arguments: [String]) throws -> pid_t {
    var child: pid_t?
    try wait(
      until: {
        do { child = try start(name, arguments) } catch let error as Errno where error.rawValue == ETXTBSY {}
        return child != nil
      }, "\(name) is no longer open for writing")
    guard let child else { throw Stop() }
    return child
  }

  func run(_ name: String, _ arguments: String...) throws -> Int32 {
    try Spawn.wait(for: startSoon(name, [name] + arguments))
  }
}
