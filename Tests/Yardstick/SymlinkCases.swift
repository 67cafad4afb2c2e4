import CYardstick
import Glibc

/// symlink(2), readlink(2), and what follows a link.
enum SymlinkCases {
  static let all: [YardstickCase] = contents + following

  private static let contents: [YardstickCase] = [
    YardstickCase("symlinks", "a link gives back what it was made of, at every length up to 1,023 bytes") { t in
      for count in [1, 2, 15, 16, 59, 60, 61, 127, 128, 255, 256, 511, 512, 1022, 1023] {
        let text = Name((0..<count).map { UInt8(0x21 + $0 % 90) })
        try t.symlink(text, "\(count)").ok()
        t.equal(t.readlink("\(count)").bytes, text.bytes, "\(count) bytes")
        t.equal(try t.lstat("\(count)").size, UInt64(count))
      }
    },
    YardstickCase("symlinks", "a link holds up to 4,095 bytes, and not 4,096", needs: [.longSymlinks]) { t in
      for count in [1024, 2048, 4094, 4095] {
        let text = Name(long: count, "t")
        try t.symlink(text, "\(count)").ok()
        t.equal(t.readlink("\(count)", size: 8192).bytes, text.bytes, "\(count) bytes")
        t.equal(try t.lstat("\(count)").size, UInt64(count))
      }
      t.symlink(Name(long: 4096), "l").fails(ENAMETOOLONG)
      t.expect(!t.exists("l"), "nothing is made")
    },
    YardstickCase("symlinks", "a link can hold any bytes, and need not lead anywhere") { t in
      let all = Name((1...255).map { UInt8($0) })
      try t.symlink(all, "l").ok()
      t.equal(t.readlink("l").bytes, all.bytes)
      t.open("l", O_RDONLY).fails(ENOENT)
    },
    YardstickCase("symlinks", "readlink gives as much as fits, without an error") { t in
      try t.symlink("0123456789", "l").ok()
      t.equal(t.readlink("l", size: 4).bytes, bytes("0123"))
      t.equal(t.readlink("l", size: 10).bytes, bytes("0123456789"))
      t.readlink("l", size: 0).answer.fails(EINVAL)
      try t.make("f")
      try t.mkdir("d").ok()
      t.readlink("f").answer.fails(EINVAL)
      t.readlink("d").answer.fails(EINVAL)
      t.readlink("none").answer.fails(ENOENT)
    },
    YardstickCase("symlinks", "a link is open to all, its caller's, and keeps its times when it is read") { t in
      try t.withUmask(0o077) { try t.symlink("x", "l").ok() }
      let made = try t.lstat("l")
      t.equal(made.mode, S_IFLNK | 0o777)
      t.equal([made.user, made.group, made.links], [geteuid(), getegid(), 1])
      try t.changes([("l", t.has(.accessTimes) ? .access : [])], "readlink, the first time") {
        t.readlink("l").answer.gives(1)
      }
    },
    YardstickCase("symlinks", "symlink refuses a name that something has") { t in
      try t.make("f")
      try t.mkdir("d").ok()
      try t.symlink("none", "l").ok()
      for name: Name in ["f", "d", "l"] { t.symlink("x", name).fails(EEXIST) }
      t.symlink("x", "none/l").fails(ENOENT)
      t.symlink("x", "f/l").fails(ENOTDIR)
    },
    YardstickCase("symlinks", "a link's owner and times are set without following it", needs: [.root]) { t in
      try t.make("f")
      try t.symlink("f", "l").ok()
      try t.changes([("l", .change), ("f", [])], "lchown") {
        try t.chown("l", User.alice, User.staff, follow: false).ok()
      }
      t.equal([Int(try t.lstat("l").user), Int(try t.lstat("l").group)], [User.alice, User.staff])
      t.equal(try t.stat("f").user, 0)
      try t.utimens("l", access: Time(1000), modification: Time(2000), follow: false).ok()
      t.equal(try t.lstat("l").modified, Time(2000))
      t.expect(try t.stat("f").modified != Time(2000), "the file's time stays")
      try t.chmod("l", 0o600).ok()
      t.equal(try t.stat("f").permissions, 0o600)
      t.equal(try t.lstat("l").permissions, 0o777)
      let link: Name = "l"
      t.call("fchmodat2", 452, Int(AT_FDCWD), link.address, 0o600, Int(AT_SYMLINK_NOFOLLOW), names: [link]).fails(
        EOPNOTSUPP, ENOSYS)  // ENOSYS: Linux before 6.6.
    },
    YardstickCase("symlinks", "a link is renamed and replaced as a file is") { t in
      try t.make("f", bytes("abc"))
      try t.symlink("f", "l").ok()
      try t.rename("l", "m").ok()
      t.equal(t.readlink("m").bytes, bytes("f"))
      try t.symlink("other", "n").ok()
      try t.rename("n", "m").ok()
      t.equal(t.readlink("m").bytes, bytes("other"))
      try t.rename("f", "m").ok()
      try t.holds("m", bytes("abc"))
      t.equal(try t.list("."), ["m"])
    },
  ]

  private static let following: [YardstickCase] = [
    YardstickCase("symlinks", "links are followed in the middle of a path, and at its end") { t in
      try t.mkdir("d").ok()
      try t.mkdir("d/e").ok()
      try t.make("d/e/f", bytes("abc"))
      try t.symlink("d/e", "l").ok()
      try t.symlink("../../l/f", "d/e/up").ok()
      try t.holds("l/f", bytes("abc"))
      try t.holds("l/up", bytes("abc"))
      t.equal(try t.stat("l").inode, try t.stat("d/e").inode)
      t.equal(try t.lstat("l/up").type, S_IFLNK)
      try t.make("l/new")
      t.equal(try t.stat("d/e/new").type, S_IFREG)
      try t.truncate("l/up", 1).ok()
      t.equal(try t.stat("d/e/f").size, 1)
    },
    YardstickCase("symlinks", "a link is followed from where it lies, also after a rename") { t in
      try t.mkdir("a").ok()
      try t.mkdir("b").ok()
      try t.make("a/f", bytes("in a"))
      try t.make("b/f", bytes("in b"))
      try t.symlink("f", "a/l").ok()
      try t.holds("a/l", bytes("in a"))
      try t.rename("a/l", "b/l").ok()
      try t.holds("b/l", bytes("in b"))
    },
    YardstickCase("symlinks", "40 links in a row are followed, 41 are ELOOP") { t in
      try t.make("0", bytes("x"))
      for i in 1...41 { try t.symlink("\(i - 1)", "\(i)").ok() }
      try t.open("40", O_RDONLY).file().close().gives(0)
      t.open("41", O_RDONLY).fails(ELOOP)
      t.stating("41").fails(ELOOP)
      t.equal(try t.lstat("41").type, S_IFLNK)
    },
    YardstickCase("symlinks", "links that lead to each other are ELOOP in every call") { t in
      try t.symlink("b", "a").ok()
      try t.symlink("a", "b").ok()
      try t.symlink("self", "self").ok()
      try t.make("f")
      for name: Name in ["a", "self", "a/x", "self/x"] {
        t.open(name, O_RDONLY).fails(ELOOP)
        t.open(name, O_CREAT | O_RDWR).fails(ELOOP)
        t.stating(name).fails(ELOOP)
        t.chmod(name, 0o600).fails(ELOOP)
        t.chown(name, -1, -1).fails(ELOOP)
        t.truncate(name, 0).fails(ELOOP)
        t.access(name, F_OK).fails(ELOOP)
        t.utimens(name, access: .now, modification: .now).fails(ELOOP)
      }
      for name: Name in ["a/x", "self/x"] {
        t.mkdir(name).fails(ELOOP)
        t.rmdir(name).fails(ELOOP)
        t.unlink(name).fails(ELOOP)
        t.link("f", name).fails(ELOOP)
        t.rename("f", name).fails(ELOOP)
        t.rename(name, "g").fails(ELOOP)
        t.symlink("x", name).fails(ELOOP)
      }
    },
    YardstickCase("symlinks", "what replaces the object of a link is found through it") { t in
      try t.symlink("f", "l").ok()
      t.stating("l").fails(ENOENT)
      try t.make("f", bytes("one"))
      try t.holds("l", bytes("one"))
      try t.make("g", bytes("two"))
      try t.rename("g", "f").ok()
      try t.holds("l", bytes("two"))
      try t.unlink("f").ok()
      try t.mkdir("f").ok()
      t.equal(try t.stat("l").type, S_IFDIR)
      t.rmdir("l").fails(ENOTDIR)
    },
  ]
}
