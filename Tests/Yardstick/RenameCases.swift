import CYardstick
import Glibc

/// rename(2): what it moves, replaces and refuses.
enum RenameCases {
  static let all: [YardstickCase] = moving + replacing + refusing

  private static let moving: [YardstickCase] = [
    YardstickCase("rename", "every kind of file moves, and stays what it is") { t in
      try t.mkdir("d").ok()
      try t.make("f", bytes("abc"), 0o640)
      try t.symlink("nowhere", "l").ok()
      try t.mknod("p", S_IFIFO | 0o600).ok()
      try t.mkdir("e", 0o750).ok()
      try t.make("e/inner")
      for name: Name in ["f", "l", "p", "e"] {
        let before = try t.lstat(name)
        try t.rename(name, "d/\(name)").ok()
        t.expect(!t.exists(name), "\(name) is gone")
        let after = try t.lstat("d/\(name)")
        t.equal(after.inode, before.inode, "number of \(name)")
        t.equal([after.mode, after.links], [before.mode, before.links], "mode and links of \(name)")
        t.equal(after.modified, before.modified, "mtime of \(name)")
        try t.rename("d/\(name)", "d/\(name)2").ok()
      }
      t.equal(try t.list("d"), ["e2", "f2", "l2", "p2"])
      t.equal(try t.list("d/e2"), ["inner"])
      try t.holds("d/f2", bytes("abc"))
      t.equal(try t.list("."), ["d"])
    },
    YardstickCase("rename", "rename sets the times of both directories and the file's ctime") { t in
      try t.mkdir("a").ok()
      try t.mkdir("b").ok()
      try t.make("a/f")
      let both: TimeSet = [.modification, .change]
      try t.changes([("a", both), ("b", both)], "rename across") { try t.rename("a/f", "b/f").ok() }
      try t.changes([("a", []), ("b", both)], "rename inside") { try t.rename("b/f", "b/g").ok() }
      try t.mkdir("a/d").ok()
      try t.changes([("a", both), ("b", both)], "rename of a directory") { try t.rename("a/d", "b/d").ok() }
    },
    YardstickCase("rename", "a directory that moves has another parent", needs: [.directoryLinkCounts]) { t in
      try t.mkdir("a").ok()
      try t.mkdir("b").ok()
      try t.mkdir("a/d").ok()
      try t.mkdir("a/d/e").ok()
      try t.make("b/mark")
      let inside = try t.open("a/d/e", O_RDONLY | O_DIRECTORY).file()
      try t.rename("a/d", "b/moved").ok()
      t.equal(try t.stat("b/moved/..").inode, try t.stat("b").inode)
      t.equal(try t.stat("../../mark", in: inside).type, S_IFREG, "also for what was open")
      let up = try t.entries("b/moved").first { $0.name == ".." }
      t.equal(up?.inode, try t.stat("b").inode, "in its listing")
      t.equal([try t.stat("a").links, try t.stat("b").links, try t.stat("b/moved").links], [2, 3, 3])
      inside.close().gives(0)
    },
    YardstickCase("rename", "a file that is open is read and written under its new name") { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      try t.rename("f", "g").ok()
      file.pwrite(bytes("X"), at: 0).gives(1)
      try t.holds("g", bytes("Xbc"))
      t.equal(try file.stat().inode, try t.stat("g").inode)
      try t.make("f", bytes("other"))
      t.equal(try file.pread(9, at: 0), bytes("Xbc"))
      file.close().gives(0)
    },
    YardstickCase("rename", "a name becomes itself, and names of one file stay both", needs: [.hardLinks]) { t in
      try t.make("a", bytes("abc"))
      try t.mkdir("d").ok()
      try t.link("a", "b").ok()
      try t.link("a", "d/c").ok()
      try t.rename("a", "a").ok()
      try t.rename("d", "d").ok()
      try t.rename("a", "b").ok()
      try t.rename("a", "d/c").ok()
      t.equal(try t.list("."), ["a", "b", "d"])
      t.equal(try t.stat("a").links, 3)
    },
    YardstickCase("rename", "a name is moved back and forth 500 times between directories") { t in
      try t.mkdir("a").ok()
      try t.mkdir("b").ok()
      try t.make("a/f", bytes("abc"))
      try t.mkdir("a/d").ok()
      try t.make("a/d/inner", bytes("x"))
      for i in 0..<500 {
        let (from, to): (Name, Name) = i % 2 == 0 ? ("a", "b") : ("b", "a")
        try t.rename("\(from)/f", "\(to)/f").ok()
        try t.rename("\(from)/d", "\(to)/d").ok()
      }
      t.equal(try t.list("a"), ["d", "f"])
      t.equal(try t.list("b"), [])
      try t.holds("a/f", bytes("abc"))
      try t.holds("a/d/inner", bytes("x"))
    },
  ]

  private static let replacing: [YardstickCase] = [
    YardstickCase("rename", "a file that is replaced loses its name, and lives while it is open") { t in
      try t.make("new", bytes("new"))
      try t.make("old", bytes("old"))
      let open = try t.open("old", O_RDWR).file()
      try t.rename("new", "old").ok()
      try t.holds("old", bytes("new"))
      t.equal(try open.stat().links, 0)
      t.equal(try open.pread(9, at: 0), bytes("old"))
      open.close().gives(0)
      t.equal(try t.list("."), ["old"])
    },
    YardstickCase("rename", "a file that is replaced keeps its other names", needs: [.hardLinks]) { t in
      try t.make("new", bytes("new"))
      try t.make("old", bytes("old"))
      try t.link("old", "other").ok()
      try t.changes([("other", .change)], "being replaced") { try t.rename("new", "old").ok() }
      t.equal(try t.stat("other").links, 1)
      try t.holds("other", bytes("old"))
    },
    YardstickCase("rename", "an empty directory is replaced by a directory", needs: [.directoryLinkCounts]) { t in
      try t.mkdir("a").ok()
      try t.make("a/f")
      try t.mkdir("b").ok()
      let old = try t.open("b", O_RDONLY | O_DIRECTORY).file()
      let links = try t.stat(".").links
      try t.rename("a", "b").ok()
      t.equal(try t.list("b"), ["f"])
      t.equal(try t.stat(".").links, links - 1)
      t.equal(try old.stat().links, 0)
      old.listing().fails(ENOENT)
      old.close().gives(0)
    },
    YardstickCase("rename", "a link, a pipe or a socket is replaced by a file, and the other way") { t in
      for kind in [S_IFIFO, S_IFSOCK, S_IFREG, S_IFLNK] {
        try t.make("f", bytes("abc"))
        (kind == S_IFLNK ? t.symlink("x", "o") : t.mknod("o", kind | 0o600)).gives(0)
        try t.rename("f", "o").ok()
        try t.holds("o", bytes("abc"))
        (kind == S_IFLNK ? t.symlink("x", "f") : t.mknod("f", kind | 0o600)).gives(0)
        try t.rename("f", "o").ok()
        t.equal(try t.lstat("o").type, kind)
        try t.unlink("o").ok()
      }
    },
  ]

  private static let refusing: [YardstickCase] = [
    YardstickCase("rename", "a directory with entries is not replaced") { t in
      try t.mkdir("a").ok()
      try t.mkdir("b").ok()
      try t.make("b/f")
      t.rename("a", "b").fails(ENOTEMPTY)
      t.equal(try t.list("."), ["a", "b"])
      t.equal(try t.list("b"), ["f"])
    },
    YardstickCase("rename", "files and directories do not replace each other") { t in
      try t.mkdir("d").ok()
      try t.make("f")
      try t.symlink("d", "l").ok()
      t.rename("d", "f").fails(ENOTDIR)
      t.rename("d", "l").fails(ENOTDIR)
      t.rename("f", "d").fails(EISDIR)
      t.rename("l", "d").fails(EISDIR)
      try t.make("d/x")
      t.rename("f", "d").fails(EISDIR)
      t.equal(try t.list("."), ["d", "f", "l"])
    },
    YardstickCase("rename", "a directory does not move into itself or below") { t in
      try t.mkdir("a").ok()
      try t.mkdir("a/b").ok()
      try t.mkdir("a/b/c").ok()
      t.rename("a", "a/x").fails(EINVAL)
      t.rename("a", "a/b/c/x").fails(EINVAL)
      t.rename("a", "a/b").fails(EINVAL)
      t.rename("a/b/c", "a").fails(ENOTEMPTY)
      t.rename("a/b", "a").fails(ENOTEMPTY)
      t.equal(try t.list("a/b"), ["c"])
    },
    YardstickCase("rename", "what is not there, and what is on another mount, is refused") { t in
      try t.make("f")
      try t.mkdir("d").ok()
      t.rename("none", "g").fails(ENOENT)
      t.rename("f", "none/g").fails(ENOENT)
      t.rename("f", "f/g").fails(ENOTDIR)
      t.rename("none/f", "g").fails(ENOENT)
      t.rename("f", "/proc/f").fails(EXDEV)
      t.equal(try t.list("."), ["d", "f"])
    },
    YardstickCase("rename", "renaming needs write permission in both directories", needs: [.root]) { t in
      try t.mkdir("mine").ok()
      try t.chmod("mine", 0o777).ok()
      try t.mkdir("yours", 0o755).ok()
      try t.make("yours/f")
      try t.asUser(User.alice) {
        try t.make("mine/g")
        t.rename("mine/g", "yours/g").fails(EACCES)
        t.rename("yours/f", "mine/f").fails(EACCES)
        t.rename("mine/g", "yours/f").fails(EACCES)
        try t.rename("mine/g", "mine/h").ok()
      }
    },
    YardstickCase("rename", "a directory that gets another parent must be writable itself", needs: [.root]) { t in
      try t.mkdir("a").ok()
      try t.mkdir("b").ok()
      for name: Name in ["a", "b"] { try t.chmod(name, 0o777).ok() }
      try t.mkdir("a/d", 0o755).ok()
      try t.asUser(User.alice) {
        t.rename("a/d", "b/d").fails(EACCES)  // Its .. would change.
        try t.rename("a/d", "a/e").ok()
      }
    },
  ]
}
