import CYardstick
import Glibc

/// O_TMPFILE.
enum TemporaryFileCases {
  static let all: [YardstickCase] = [
    YardstickCase("O_TMPFILE", "a file without a name is read and written, and not listed", needs: [.tmpfile]) { t in
      let file = try t.withUmask(0o027) { try t.open(".", Flag.temporary | O_RDWR, 0o666).file() }
      let about = try file.stat()
      t.equal([about.mode, about.links, about.user], [S_IFREG | 0o640, 0, geteuid()])
      file.write(pattern(100_000)).gives(100_000)
      t.same(try file.pread(200_000, at: 0), pattern(100_000), "contents")
      t.equal(try t.list("."), [])
      file.chmod(0o600).gives(0)
      file.truncate(10).gives(0)
      t.equal(try file.stat().size, 10)
      file.close().gives(0)
      t.equal(try t.list("."), [])
    },
    YardstickCase("O_TMPFILE", "a file gets a name by linkat, once it is complete", needs: [.tmpfile, .hardLinks]) {
      t in
      let file = try t.open(".", Flag.temporary | O_RDWR, 0o644).file()
      file.write(bytes("abc")).gives(3)
      try t.make("taken")
      t.link(file.path, "taken", flags: AT_SYMLINK_FOLLOW).fails(EEXIST)
      try t.link(file.path, "f", flags: AT_SYMLINK_FOLLOW).ok()
      t.equal(try file.stat().links, 1)
      t.equal(try file.stat().inode, try t.stat("f").inode)
      try t.holds("f", bytes("abc"))
      try t.link(file.path, "g", flags: AT_SYMLINK_FOLLOW).ok()
      t.equal(try t.stat("f").links, 2)
      file.close().gives(0)
      try t.holds("g", bytes("abc"))
      try t.unlink("f").ok()
      try t.unlink("g").ok()
    },
    YardstickCase(
      "O_TMPFILE", "AT_EMPTY_PATH gives a name, where the caller may", needs: [.tmpfile, .hardLinks, .root]
    ) { t in
      let file = try t.open(".", Flag.temporary | O_WRONLY, 0o644).file()
      file.write(bytes("abc")).gives(3)
      try t.link("", "f", flags: Int32(YARD_AT_EMPTY_PATH), from: file).ok()
      file.close().gives(0)
      try t.holds("f", bytes("abc"))
    },
    YardstickCase("O_TMPFILE", "with O_EXCL it never gets a name", needs: [.tmpfile]) { t in
      let file = try t.open(".", Flag.temporary | O_RDWR | O_EXCL, 0o644).file()
      t.link(file.path, "f", flags: AT_SYMLINK_FOLLOW).fails(ENOENT)
      t.equal(try t.list("."), [])
      file.close().gives(0)
    },
    YardstickCase("O_TMPFILE", "it needs a directory, and to be open for writing", needs: [.tmpfile]) { t in
      try t.make("f")
      t.open(".", Flag.temporary | O_RDONLY).fails(EINVAL)
      t.open("f", Flag.temporary | O_RDWR).fails(ENOTDIR)
      t.open("none", Flag.temporary | O_RDWR).fails(ENOENT)
      t.open(".", Flag.temporary | O_RDWR | O_CREAT).fails(EINVAL)
    },
    YardstickCase("O_TMPFILE", "a directory's group and permissions count", needs: [.tmpfile, .root]) { t in
      try t.mkdir("d", 0o755).ok()
      try t.chown("d", -1, User.staff).ok()
      try t.chmod("d", 0o2755).ok()
      try t.asUser(User.alice) { t.open("d", Flag.temporary | O_RDWR).fails(EACCES) }
      try t.chmod("d", 0o2777).ok()
      try t.asUser(User.alice) {
        let file = try t.open("d", Flag.temporary | O_RDWR).file()
        t.equal([Int(try file.stat().user), Int(try file.stat().group)], [User.alice, User.staff])
        file.close().gives(0)
      }
    },
    YardstickCase("O_TMPFILE", "making one leaves the directory's times", needs: [.tmpfile]) { t in
      try t.mkdir("d").ok()
      try t.changes([("d", [])], "O_TMPFILE") { try t.open("d", Flag.temporary | O_RDWR).file().close().gives(0) }
    },
    YardstickCase("O_TMPFILE", "a hundred at once are different files", needs: [.tmpfile]) { t in
      let files = try (0..<100).map { i in
        let file = try t.open(".", Flag.temporary | O_RDWR).file()
        file.write(bytes("\(i)")).gives("\(i)".utf8.count)
        return file
      }
      t.equal(Set(try files.map { try $0.stat().inode }).count, 100)
      for (i, file) in files.enumerated() {
        t.equal(try file.pread(9, at: 0), bytes("\(i)"))
        file.close().gives(0)
      }
    },
    YardstickCase("O_TMPFILE", "where the file system has none it is EOPNOTSUPP") { t in
      if !t.has(.tmpfile) { t.open(".", Flag.temporary | O_RDWR).fails(EOPNOTSUPP, EISDIR) }
      t.equal(try t.list("."), [])
    },
  ]
}
