import CYardstick
import Glibc

/// FS_IOC_GETFLAGS and FS_IOC_SETFLAGS: chattr(1).
enum FileFlagCases {
  static let all: [YardstickCase] = [
    YardstickCase("file flags", "flags are kept, and others of the file stay", needs: [.fileFlags]) { t in
      try t.make("f")
      try t.mkdir("d").ok()
      for name: Name in ["f", "d"] {
        let before = try t.flags(name)
        try t.setFlags(name, before | YARD_FL_NODUMP)
        t.equal(try t.flags(name), before | YARD_FL_NODUMP)
        try t.setFlags(name, before | YARD_FL_NOATIME)
        t.equal(try t.flags(name), before | YARD_FL_NOATIME)
        try t.setFlags(name, before)
        t.equal(try t.flags(name), before)
      }
    },
    YardstickCase("file flags", "setting them sets the time of change", needs: [.fileFlags, .flagTimes]) { t in
      try t.make("f")
      try t.mkdir("d").ok()
      for name: Name in ["f", "d"] {
        let before = try t.flags(name)
        try t.changes([(name, .change)], "SETFLAGS") { try t.setFlags(name, before | YARD_FL_NODUMP) }
      }
    },
    YardstickCase(
      "file flags", "an immutable file is not changed, removed, renamed or linked", needs: [.fileFlags, .root]
    ) { t in
      try t.make("f", bytes("abc"))
      try t.make("g")
      try t.withFlags("f", YARD_FL_IMMUTABLE) {
        t.open("f", O_WRONLY).fails(EPERM)
        t.open("f", O_RDONLY | O_TRUNC).fails(EPERM)
        try t.holds("f", bytes("abc"))
        t.truncate("f", 0).fails(EPERM)
        t.unlink("f").fails(EPERM)
        t.rename("f", "h").fails(EPERM)
        t.rename("g", "f").fails(EPERM)
        t.link("f", "h").fails(EPERM)
        t.chmod("f", 0o600).fails(EPERM)
        t.chown("f", 1, 1).fails(EPERM)
        t.utimens("f", access: Time(1), modification: Time(1)).fails(EPERM)
        t.setxattr("f", "user.a", [1]).fails(EPERM)
      }
      try t.holds("f", bytes("abc"))
      try t.chmod("f", 0o600).ok()
      try t.unlink("f").ok()
    },
    YardstickCase(
      "file flags", "access says that an immutable file cannot be written", needs: [.fileFlags, .root, .flagsInAccess]
    ) { t in
      try t.make("f")
      try t.withFlags("f", YARD_FL_IMMUTABLE) { t.access("f", W_OK).fails(EPERM) }
    },
    YardstickCase(
      "file flags", "a descriptor from before does not change an immutable file",
      needs: [.fileFlags, .strictFlags, .root]
    ) { t in
      try t.make("f", bytes("abc"))
      let file = try t.open("f", O_RDWR).file()
      try t.withFlags("f", YARD_FL_IMMUTABLE) {
        file.pwrite([1], at: 0).fails(EPERM)
        file.truncate(1).fails(EPERM)
        file.chmod(0o600).fails(EPERM)
      }
      file.close().gives(0)
      try t.holds("f", bytes("abc"))
    },
    YardstickCase("file flags", "nothing comes into an immutable directory or goes", needs: [.fileFlags, .root]) { t in
      try t.mkdir("d").ok()
      try t.make("d/f", bytes("abc"))
      try t.make("g")
      try t.withFlags("d", YARD_FL_IMMUTABLE) {
        t.open("d/new", O_CREAT | O_RDWR).fails(EPERM)
        t.mkdir("d/new").fails(EPERM)
        t.symlink("x", "d/new").fails(EPERM)
        t.link("g", "d/new").fails(EPERM)
        t.rename("g", "d/new").fails(EPERM)
        t.rename("d/f", "h").fails(EPERM)
        t.unlink("d/f").fails(EPERM)
        t.rmdir("d").fails(EPERM)
        let file = try t.open("d/f", O_WRONLY | O_APPEND).file()
        file.write(bytes("def")).gives(3)
        file.close().gives(0)
      }
      try t.holds("d/f", bytes("abcdef"))
      try t.unlink("d/f").ok()
    },
    YardstickCase("file flags", "an append-only file grows, and is not written otherwise", needs: [.fileFlags, .root]) {
      t in
      try t.make("f", bytes("abc"))
      try t.withFlags("f", YARD_FL_APPEND) {
        t.open("f", O_WRONLY).fails(EPERM)
        t.open("f", O_WRONLY | O_APPEND | O_TRUNC).fails(EPERM)
        let file = try t.open("f", O_WRONLY | O_APPEND).file()
        file.write(bytes("def")).gives(3)
        file.truncate(1).fails(EPERM)
        file.close().gives(0)
        t.truncate("f", 0).fails(EPERM)
        t.unlink("f").fails(EPERM)
        t.rename("f", "g").fails(EPERM)
        t.link("f", "g").fails(EPERM)
        t.chmod("f", 0o600).fails(EPERM)
        t.utimens("f", access: Time(1), modification: Time(1)).fails(EPERM)
        t.utimens("f", access: .now, modification: .now).gives(0)
      }
      try t.holds("f", bytes("abcdef"))
    },
    YardstickCase("file flags", "names come into an append-only directory and do not go", needs: [.fileFlags, .root]) {
      t in
      try t.mkdir("d").ok()
      try t.withFlags("d", YARD_FL_APPEND) {
        try t.make("d/f", bytes("abc"))
        try t.mkdir("d/e").ok()
        t.unlink("d/f").fails(EPERM)
        t.rmdir("d/e").fails(EPERM)
        t.rename("d/f", "d/g").fails(EPERM)
        t.rename("d/f", "g").fails(EPERM)
      }
      t.equal(try t.list("d"), ["e", "f"])
    },
    YardstickCase("file flags", "the flags of others' files are not set", needs: [.fileFlags, .root]) { t in
      try t.make("f", [], 0o666)
      try t.asUser(User.alice) { t.settingFlags("f", YARD_FL_NODUMP).fails(EACCES, EPERM) }
      try t.chown("f", User.alice, -1).ok()
      try t.asUser(User.alice) {
        let before = try t.flags("f")
        try t.setFlags("f", before | YARD_FL_NODUMP)
        t.settingFlags("f", before | YARD_FL_IMMUTABLE).fails(EPERM)
        t.settingFlags("f", before | YARD_FL_APPEND).fails(EPERM)
      }
      t.equal(try t.flags("f") & YARD_FL_IMMUTABLE, 0)
    },
    YardstickCase("file flags", "where there are none, asking is ENOTTY or EOPNOTSUPP") { t in
      try t.make("f")
      if !t.has(.fileFlags) { t.settingFlags("f", YARD_FL_NODUMP).fails(ENOTTY, EOPNOTSUPP) }
      t.equal(try t.stat("f").size, 0)
    },
  ]
}

extension Trial {
  func flags(_ name: Name) throws -> Int {
    let file = try open(name, O_RDONLY | O_NONBLOCK).file()
    var flags = 0
    try withUnsafeMutableBytes(of: &flags) {
      _ = try file.call("ioctl GETFLAGS", SYS_ioctl, Int(yard_ioc_getflags), $0.address).ok()
    }
    file.close().gives(0)
    return flags & 0xffff_ffff
  }

  func settingFlags(_ name: Name, _ flags: Int) -> Answer {
    let opened = open(name, O_RDONLY | O_NONBLOCK)
    guard let file = try? opened.file() else { return opened }
    var flags = flags
    defer { file.close().gives(0) }
    return withUnsafeMutableBytes(of: &flags) {
      file.call("ioctl SETFLAGS", SYS_ioctl, Int(yard_ioc_setflags), $0.address)
    }
  }

  func setFlags(_ name: Name, _ flags: Int) throws { try settingFlags(name, flags).ok() }

  /// Runs something while a file has flags, and takes them away again.
  func withFlags(_ name: Name, _ flags: Int, _ body: () throws -> Void) throws {
    let before = try self.flags(name)
    try setFlags(name, before | flags)
    defer { settingFlags(name, before).gives(0) }
    try body()
    equal(try self.flags(name), before | flags, "flags of \(name)")
  }
}
