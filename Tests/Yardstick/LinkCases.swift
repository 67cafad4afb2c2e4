import CYardstick
import Glibc

/// link(2) and unlink(2).
enum LinkCases {
  static let all: [YardstickCase] = [
    YardstickCase("hard links", "names of one file share everything", needs: [.hardLinks]) { t in
      try t.make("a", bytes("abc"))
      try t.mkdir("d").ok()
      try t.link("a", "b").ok()
      try t.link("b", "d/c").ok()
      t.equal(try t.stat("a").links, 3)
      t.equal(try t.stat("a"), try t.stat("b"))
      t.equal(try t.stat("a"), try t.stat("d/c"))
      let writer = try t.open("d/c", O_WRONLY | O_APPEND).file()
      writer.write(bytes("def")).gives(3)
      writer.close().gives(0)
      try t.holds("a", bytes("abcdef"))
      try t.chmod("b", 0o600).ok()
      t.equal(try t.stat("a").permissions, 0o600)
      try t.unlink("a").ok()
      t.equal(try t.stat("b").links, 2)
      try t.unlink("b").ok()
      t.equal(try t.stat("d/c").links, 1)
      try t.holds("d/c", bytes("abcdef"))
      try t.unlink("d/c").ok()
      t.rmdir("d").gives(0)
    },
    YardstickCase("hard links", "link and unlink set ctime, and the directory's times", needs: [.hardLinks]) { t in
      try t.make("a")
      try t.mkdir("d").ok()
      try t.changes([("a", .change), ("d", [.modification, .change])], "link") { try t.link("a", "d/b").ok() }
      try t.changes([("a", .change), ("d", [.modification, .change])], "unlink") { try t.unlink("d/b").ok() }
      try t.changes([("a", []), ("d", [])], "a link that fails") { t.link("a", "d/x/y").fails(ENOENT) }
    },
    YardstickCase("hard links", "link refuses directories, names that exist, other mounts", needs: [.hardLinks]) { t in
      try t.make("a")
      try t.make("b")
      try t.mkdir("d").ok()
      try t.symlink("none", "l").ok()
      t.link("d", "e").fails(EPERM)
      t.link(".", "e").fails(EPERM)
      for name: Name in ["a", "b", "d", "l"] { t.link("a", name).fails(EEXIST) }
      t.link("none", "c").fails(ENOENT)
      t.link("a", "none/c").fails(ENOENT)
      t.link("a", "b/c").fails(ENOTDIR)
      t.link("a", "c", flags: 0x10).fails(EINVAL)
      t.link("/proc/self/stat", "c").fails(EXDEV)
      t.equal(try t.stat("a").links, 1)
      t.equal(try t.list("."), ["a", "b", "d", "l"])
    },
    YardstickCase("hard links", "a symbolic link gets names, or its file by AT_SYMLINK_FOLLOW", needs: [.hardLinks]) {
      t in
      try t.make("f")
      try t.symlink("f", "l").ok()
      try t.symlink("none", "dangling").ok()
      try t.link("l", "same").ok()
      t.equal(try t.lstat("same").inode, try t.lstat("l").inode)
      t.equal(try t.lstat("l").links, 2)
      t.equal(t.readlink("same").bytes, bytes("f"))
      try t.link("l", "file", flags: AT_SYMLINK_FOLLOW).ok()
      t.equal(try t.lstat("file").inode, try t.lstat("f").inode)
      t.link("dangling", "x", flags: AT_SYMLINK_FOLLOW).fails(ENOENT)
      try t.link("dangling", "x").ok()
      t.equal(t.readlink("x").bytes, bytes("none"))
    },
    YardstickCase("hard links", "pipes, sockets and devices have names too", needs: [.hardLinks]) { t in
      try t.mknod("p", S_IFIFO | 0o600).ok()
      try t.mknod("s", S_IFSOCK | 0o600).ok()
      for name: Name in ["p", "s"] {
        try t.link(name, "\(name)2").ok()
        t.equal(try t.stat(name), try t.stat("\(name)2"))
        try t.unlink(name).ok()
        t.equal(try t.stat("\(name)2").links, 1)
      }
    },
    YardstickCase("hard links", "a thousand names of one file", needs: [.hardLinks]) { t in
      try t.make("f", bytes("x"))
      try t.mkdir("d").ok()
      for i in 0..<1000 { try t.link("f", "d/\(i)").ok() }
      t.equal(try t.stat("f").links, 1001)
      t.equal(Set(try t.entries("d").filter { $0.name != "." && $0.name != ".." }.map(\.inode)).count, 1)
      for i in 0..<1000 { try t.unlink("d/\(i)").ok() }
      t.equal(try t.stat("f").links, 1)
    },
    YardstickCase("hard links", "one name more than there can be is EMLINK", needs: [.hardLinks, .linkLimit]) { t in
      guard let limit = t.target.linkLimit else { return }
      try t.make("f")
      try t.mkdir("d").ok()
      for i in 1..<limit { try t.link("f", "d/\(i)").ok() }
      t.link("f", "d/more").fails(EMLINK)
      t.equal(Int(try t.stat("f").links), limit)
      try t.unlink("d/1").ok()
      try t.link("f", "d/more").ok()
    },
    YardstickCase("hard links", "linking needs write and search above, and not more", needs: [.hardLinks, .root]) { t in
      try t.make("f", [], 0o666)
      try t.mkdir("d").ok()
      try t.asUser(User.alice) { t.link("f", "d/g").fails(EACCES) }
      try t.chmod("d", 0o777).ok()
      try t.asUser(User.alice) { try t.link("f", "d/g").ok() }
      t.equal(try t.stat("f").links, 2)
    },
    YardstickCase("unlink", "unlink removes a link and not what it leads to") { t in
      try t.make("f")
      try t.symlink("f", "l").ok()
      try t.symlink(".", "dl").ok()
      try t.unlink("l").ok()
      try t.unlink("dl").ok()
      t.equal(try t.list("."), ["f"])
      t.unlink("l").fails(ENOENT)
      t.unlink("f/x").fails(ENOTDIR)
    },
    YardstickCase("unlink", "a file that is open lives on without a name") { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      let number = try file.stat().inode
      try t.changes([], "nothing") {}
      try t.unlink("f").ok()
      t.expect(!t.exists("f"), "the name is gone")
      let about = try file.stat()
      t.equal([about.inode, UInt64(about.links), about.size], [number, 0, 3])
      t.equal(try file.pread(9, at: 0), bytes("abc"))
      file.pwrite(pattern(100_000), at: 3).gives(100_000)
      t.same(try file.pread(200_000, at: 0), bytes("abc") + pattern(100_000), "contents without a name")
      file.truncate(2).gives(0)
      t.equal(try file.stat().size, 2)
      file.chmod(0o600).gives(0)
      t.equal(try file.stat().permissions, 0o600)
      file.sync().gives(0)
      try t.make("f", bytes("new"))
      t.equal(try file.pread(9, at: 0), bytes("ab"), "another file of the name is another")
      t.expect(try t.stat("f").inode != number, "and has another number while the first is open")
      let again = try t.open(file.path, O_RDONLY).file()
      t.equal(try again.read(9), bytes("ab"))
      again.close().gives(0)
      file.close().gives(0)
      try t.holds("f", bytes("new"))
    },
    YardstickCase("unlink", "a file without a name gets none by linkat from /proc") { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      try t.unlink("f").ok()
      t.link(file.path, "g", flags: AT_SYMLINK_FOLLOW).fails(ENOENT)
      file.close().gives(0)
    },
    YardstickCase("unlink", "a file with another name is linked again by its descriptor", needs: [.hardLinks]) { t in
      try t.make("f", bytes("abc"))
      try t.link("f", "g").ok()
      let file = try t.open("f", O_RDWR).file()
      try t.unlink("f").ok()
      try t.link(file.path, "h", flags: AT_SYMLINK_FOLLOW).ok()
      t.equal(try file.stat().links, 2)
      file.close().gives(0)
      try t.holds("h", bytes("abc"))
    },
    YardstickCase("unlink", "names are made and removed again and again") { t in
      for i in 0..<300 {
        try t.make("f", bytes("\(i)"))
        try t.holds("f", bytes("\(i)"))
        try t.unlink("f").ok()
      }
      t.equal(try t.list("."), [])
    },
    YardstickCase("unlink", "what 200 removed files held while they were open is their own") { t in
      let files = try (0..<200).map { i in
        let file = try t.open("f", O_CREAT | O_EXCL | O_RDWR).file()
        file.write(bytes("file \(i)")).gives(5 + "\(i)".utf8.count)
        try t.unlink("f").ok()
        return file
      }
      t.equal(Set(try files.map { try $0.stat().inode }).count, 200)
      for (i, file) in files.enumerated() {
        t.equal(try file.pread(20, at: 0), bytes("file \(i)"))
        file.close().gives(0)
      }
    },
  ]
}
