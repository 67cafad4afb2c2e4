import CYardstick
import Glibc

/// open(2): its flags, and who may open.
enum OpenCases {
  static let all: [YardstickCase] = flags + errors + users

  private static let flags: [YardstickCase] = [
    YardstickCase("open", "O_CREAT makes an empty file of the caller's, with the mode that the umask leaves") { t in
      try t.withUmask(0o027) { try t.open("f", O_CREAT | O_WRONLY, 0o777).file().close().gives(0) }
      let made = try t.stat("f")
      t.equal(made.mode, S_IFREG | 0o750)
      t.equal([made.user, made.group], [getuid(), getgid()])
      t.equal([made.size, UInt64(made.links)], [0, 1])
      try t.open("f", O_CREAT | O_WRONLY, 0o111).file().close().gives(0)
      t.equal(try t.stat("f").mode, S_IFREG | 0o750, "the mode of a file that existed")
    },
    YardstickCase("open", "O_CREAT with the bits for set-ID and sticky keeps them") { t in
      try t.open("f", O_CREAT | O_WRONLY, 0o7755).file().close().gives(0)
      t.equal(try t.stat("f").permissions, 0o7755)
    },
    YardstickCase("open", "O_EXCL refuses whatever has the name") { t in
      try t.make("f")
      try t.mkdir("d").ok()
      try t.symlink("nowhere", "l").ok()
      for name: Name in ["f", "d", "l"] { t.open(name, O_CREAT | O_EXCL | O_WRONLY).fails(EEXIST) }
      t.expect(!t.exists("nowhere"), "nothing was made through the link")
      try t.open("new", O_CREAT | O_EXCL | O_RDWR).file().close().gives(0)
    },
    YardstickCase("open", "O_TRUNC empties the file, and keeps mode, number and other opens") { t in
      try t.make("f", bytes("contents"), 0o640)
      let before = try t.stat("f")
      let reader = try t.open("f", O_RDONLY).file()
      try t.open("f", O_WRONLY | O_TRUNC).file().close().gives(0)
      let after = try t.stat("f")
      t.equal([after.inode, after.size], [before.inode, 0])
      t.equal(after.mode, before.mode)
      t.equal(try reader.read(10), [])
      reader.close().gives(0)
      try t.make("g", bytes("contents"))
      try t.open("g", O_CREAT | O_RDWR | O_TRUNC).file().close().gives(0)
      t.equal(try t.stat("g").size, 0)
    },
    YardstickCase("open", "O_APPEND writes at the end, wherever the position is and whoever wrote before") { t in
      try t.make("f", bytes("one"))
      let a = try t.open("f", O_RDWR | O_APPEND).file()
      let b = try t.open("f", O_WRONLY | O_APPEND).file()
      a.write(bytes("two")).gives(3)
      b.write(bytes("three")).gives(5)
      a.seek(0).gives(0)
      a.write(bytes("four")).gives(4)
      a.seek(0, SEEK_CUR).gives(15)
      a.pwrite(bytes("five"), at: 0).gives(4)  // On Linux O_APPEND wins over pwrite's offset.
      try t.holds("f", bytes("onetwothreefourfive"))
      t.equal(try a.pread(3, at: 0), bytes("one"))
      a.close().gives(0)
      b.close().gives(0)
    },
    YardstickCase("open", "O_NOFOLLOW refuses a symbolic link at the end of a path only") { t in
      try t.mkdir("d").ok()
      try t.make("d/f", bytes("x"))
      try t.symlink("d", "dl").ok()
      try t.symlink("d/f", "fl").ok()
      t.open("fl", O_RDONLY | O_NOFOLLOW).fails(ELOOP)
      t.open("dl", O_RDONLY | O_NOFOLLOW).fails(ELOOP)
      t.open("dl", O_RDONLY | O_NOFOLLOW | O_DIRECTORY).fails(ENOTDIR)
      try t.open("dl/f", O_RDONLY | O_NOFOLLOW).file().close().gives(0)
      let link = try t.open("fl", Flag.path | O_NOFOLLOW).file()
      t.equal(try link.stat().type, S_IFLNK)
      link.close().gives(0)
    },
    YardstickCase("open", "O_DIRECTORY opens directories only") { t in
      try t.mkdir("d").ok()
      try t.make("f")
      try t.open("d", O_RDONLY | O_DIRECTORY).file().close().gives(0)
      t.open("f", O_RDONLY | O_DIRECTORY).fails(ENOTDIR)
      t.open("new", O_CREAT | O_DIRECTORY | O_RDWR).fails(EINVAL)
      t.expect(!t.exists("new"), "O_CREAT with O_DIRECTORY makes nothing")
    },
    YardstickCase("open", "a descriptor of O_PATH names the file and neither reads nor writes it") { t in
      try t.make("f", bytes("abc"))
      let path = try t.open("f", Flag.path).file()
      t.equal(try path.stat().size, 3)
      path.reading(1).fails(EBADF)
      path.write([1]).fails(EBADF)
      path.chmod(0o600).fails(EBADF)
      try t.open(path.path, O_RDONLY).file().close().gives(0)
      path.close().gives(0)
    },
    YardstickCase("open", "a file is opened again by its descriptor's name in /proc") { t in
      try t.make("f", bytes("abc"))
      let first = try t.open("f", O_RDONLY).file()
      let second = try t.open(first.path, O_RDWR).file()
      second.write(bytes("X")).gives(1)
      t.equal(try first.read(9), bytes("Xbc"), "positions are the descriptions' own")
      first.close().gives(0)
      second.close().gives(0)
    },
    YardstickCase("open", "openat takes a directory's descriptor, and no other file's") { t in
      try t.mkdir("d").ok()
      try t.make("d/f", bytes("abc"))
      let directory = try t.open("d", O_RDONLY | O_DIRECTORY).file()
      let file = try t.open("f", O_RDONLY, in: directory).file()
      t.open("f", O_RDONLY, in: file).fails(ENOTDIR)
      try t.rename("d", "e").ok()
      try t.open("f", O_RDONLY, in: directory).file().close().gives(0)
      t.equal(try t.stat("f", in: directory).inode, try t.stat("e/f").inode)
      file.close().gives(0)
      directory.close().gives(0)
    },
  ]

  private static let errors: [YardstickCase] = [
    YardstickCase("open", "a name that is not there, or an empty one, is ENOENT") { t in
      t.open("f", O_RDONLY).fails(ENOENT)
      t.open("", O_RDONLY).fails(ENOENT)
      t.open("", O_CREAT | O_RDWR).fails(ENOENT)
      t.open("d/f", O_CREAT | O_RDWR).fails(ENOENT)
    },
    YardstickCase("open", "a path through something that is no directory is ENOTDIR") { t in
      try t.make("f")
      t.open("f/g", O_RDONLY).fails(ENOTDIR)
      t.open("f/g", O_CREAT | O_RDWR).fails(ENOTDIR)
      t.open("f/.", O_RDONLY).fails(ENOTDIR)
      t.open("f/..", O_RDONLY).fails(ENOTDIR)
    },
    YardstickCase("open", "a directory cannot be opened for writing") { t in
      try t.mkdir("d").ok()
      for flags in [O_WRONLY, O_RDWR, O_RDONLY | O_CREAT, O_WRONLY | O_TRUNC] { t.open("d", flags).fails(EISDIR) }
      let directory = try t.open("d", O_RDONLY).file()
      directory.reading(10).fails(EISDIR)
      directory.write([1]).fails(EBADF)
      directory.truncate(0).fails(EINVAL)
      directory.close().gives(0)
    },
    YardstickCase("open", "O_CREAT through a symbolic link that dangles makes the file that it names") { t in
      try t.symlink("made", "l").ok()
      try t.open("l", O_CREAT | O_WRONLY).file().close().gives(0)
      t.equal(try t.lstat("made").type, S_IFREG)
      t.equal(try t.lstat("l").type, S_IFLNK)
    },
    YardstickCase("open", "what was not opened for reading or writing is not read or written") { t in
      try t.make("f", bytes("abc"))
      let reader = try t.open("f", O_RDONLY).file()
      reader.write([1]).fails(EBADF)
      reader.truncate(0).fails(EINVAL)
      reader.close().gives(0)
      let writer = try t.open("f", O_WRONLY).file()
      writer.reading(1).fails(EBADF)
      writer.preading(1, at: 0).fails(EBADF)
      writer.close().gives(0)
      try t.holds("f", bytes("abc"))
    },
    YardstickCase("open", "lseek goes behind the end, and nowhere before the start") { t in
      try t.make("f", bytes("abcdef"))
      let file = try t.open("f", O_RDWR).file()
      file.seek(2).gives(2)
      t.equal(try file.read(2), bytes("cd"))
      file.seek(1, SEEK_CUR).gives(5)
      file.seek(-2, SEEK_END).gives(4)
      file.seek(-1).fails(EINVAL)
      file.seek(-7, SEEK_END).fails(EINVAL)
      file.seek(0, 99).fails(EINVAL)
      file.seek(0, SEEK_CUR).gives(4)
      file.seek(100).gives(100)
      t.equal(try file.read(1), [])
      t.equal(try t.stat("f").size, 6)
      file.close().gives(0)
    },
    YardstickCase("open", "a duplicate shares the position, another open has its own") { t in
      try t.make("f", bytes("abcdef"))
      let first = try t.open("f", O_RDONLY).file()
      let copy = File(Int32(try t.call("dup", SYS_dup, Int(first.number)).ok()), t)
      let other = try t.open("f", O_RDONLY).file()
      t.equal(try first.read(2), bytes("ab"))
      t.equal(try copy.read(2), bytes("cd"))
      t.equal(try other.read(2), bytes("ab"))
      first.close().gives(0)
      t.equal(try copy.read(2), bytes("ef"))
      copy.close().gives(0)
      other.close().gives(0)
    },
    YardstickCase("open", "O_SYNC and O_DSYNC write as usual") { t in
      for flag in [O_SYNC, O_DSYNC] {
        let file = try t.open("f", O_CREAT | O_RDWR | O_TRUNC | flag).file()
        file.write(pattern(10_000)).gives(10_000)
        t.same(try file.pread(20_000, at: 0), pattern(10_000), "contents")
        file.close().gives(0)
      }
    },
  ]

  private static let users: [YardstickCase] = [
    YardstickCase("open", "the mode says who may read, write and search", needs: [.root]) { t in
      try t.mkdir("d", 0o755).ok()
      for mode in [0o400, 0o200, 0o040, 0o020, 0o004, 0o002] {
        let name: Name = "d/\(mode)"
        try t.make(name)
        try t.chown(name, User.alice, User.staff).ok()
        try t.chmod(name, mode).ok()
      }
      let check: @Sendable (Int, Int, [Int]) -> Void = { mode, flags, allowed in
        let answer = t.open("d/\(mode)", Int32(flags))
        if allowed.contains(mode) { _ = try? answer.file() } else { answer.fails(EACCES) }
        t.expect(!allowed.contains(mode) || answer.value >= 0, "mode \(mode) is open with flags \(flags)")
      }
      let modes = [0o400, 0o200, 0o040, 0o020, 0o004, 0o002]
      try t.asUser(User.alice) { for m in modes { check(m, Int(O_RDONLY), [0o400]); check(m, Int(O_WRONLY), [0o200]) } }
      try t.asUser(User.bob, group: User.staff) {
        for m in modes { check(m, Int(O_RDONLY), [0o040]); check(m, Int(O_WRONLY), [0o020]) }
      }
      try t.asUser(User.bob, groups: [User.staff]) { for m in modes { check(m, Int(O_RDONLY), [0o040]) } }
      try t.asUser(User.carol) { for m in modes { check(m, Int(O_RDONLY), [0o004]); check(m, Int(O_WRONLY), [0o002]) } }
      try t.chmod("d", 0o766).ok()
      try t.asUser(User.carol) {
        t.open("d/4", O_RDONLY).fails(EACCES)
        try t.open("d", O_RDONLY | O_DIRECTORY).file().close().gives(0)  // r lists a directory
      }
      try t.chmod("d", 0o711).ok()
      try t.asUser(User.carol) {
        t.open("d", O_RDONLY | O_DIRECTORY).fails(EACCES)
        try t.open("d/4", O_RDONLY).file().close().gives(0)
      }
    },
    YardstickCase("open", "making needs write and search in the directory", needs: [.root]) { t in
      try t.mkdir("d", 0o755).ok()
      try t.asUser(User.alice) {
        t.open("d/f", O_CREAT | O_RDWR).fails(EACCES)
        t.mkdir("d/e").fails(EACCES)
        t.symlink("x", "d/l").fails(EACCES)
        t.mknod("d/p", S_IFIFO | 0o600).fails(EACCES)
      }
      try t.chmod("d", 0o757).ok()
      try t.asUser(User.alice, group: User.staff) {
        try t.open("d/f", O_CREAT | O_RDWR).file().close().gives(0)
        let made = try t.stat("d/f")
        t.equal([Int(made.user), Int(made.group)], [User.alice, User.staff])
      }
    },
    YardstickCase("open", "the open that makes a file may do what the file's mode forbids", needs: [.root]) { t in
      try t.mkdir("d").ok()
      try t.chmod("d", 0o777).ok()
      try t.asUser(User.alice) {
        let file = try t.open("d/f", O_CREAT | O_RDWR | O_EXCL, 0o000).file()
        file.write(bytes("abc")).gives(3)
        t.equal(try file.pread(3, at: 0), bytes("abc"))
        file.close().gives(0)
        t.open("d/f", O_RDONLY).fails(EACCES)
      }
    },
    YardstickCase("open", "O_TRUNC needs write permission, and harms nothing without", needs: [.root]) { t in
      try t.make("f", bytes("abc"), 0o644)
      try t.asUser(User.alice) {
        t.open("f", O_WRONLY | O_TRUNC).fails(EACCES)
        t.open("f", O_RDONLY | O_TRUNC).fails(EACCES)
        t.truncate("f", 0).fails(EACCES)
      }
      try t.holds("f", bytes("abc"))
    },
    YardstickCase("open", "O_NOATIME is the owner's", needs: [.root]) { t in
      try t.make("f", [], 0o644)
      try t.asUser(User.alice) { t.open("f", O_RDONLY | Flag.noAccessTime).fails(EPERM) }
      try t.chown("f", User.alice, -1).ok()
      try t.asUser(User.alice) { try t.open("f", O_RDONLY | Flag.noAccessTime).file().close().gives(0) }
    },
    YardstickCase("open", "a file that is open stays so when its mode changes", needs: [.root]) { t in
      try t.make("f", bytes("abc"), 0o666)
      try t.asUser(User.alice) {
        let file = try t.open("f", O_RDWR).file()
        try onThread { t.equal(t.access("f", W_OK).value, 0, "before") }
        file.write(bytes("X")).gives(1)
        t.chmod("f", 0).fails(EPERM)
        file.close().gives(0)
      }
      let file = try t.open("f", O_RDWR).file()
      try t.chmod("f", 0).ok()
      try t.asUser(User.alice) {
        file.write(bytes("Y")).gives(1)
        t.open("f", O_RDONLY).fails(EACCES)
        t.open(file.path, O_RDONLY).fails(EACCES)
      }
      file.close().gives(0)
      try t.holds("f", bytes("Ybc"))
    },
    YardstickCase("open", "access(2) tells what open would", needs: [.root]) { t in
      try t.make("f", [], 0o640)
      t.access("f", R_OK | W_OK).gives(0)
      t.access("f", X_OK).fails(EACCES)
      t.access("g", F_OK).fails(ENOENT)
      t.access("f/g", F_OK).fails(ENOTDIR)
      try t.asUser(User.alice) {
        t.access("f", F_OK).gives(0)
        t.access("f", R_OK).fails(EACCES)
      }
    },
  ]
}
