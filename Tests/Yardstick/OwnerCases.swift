import CYardstick
import Glibc

/// chmod(2), chown(2), and when set-ID bits are cleared.
enum OwnerCases {
  static let all: [YardstickCase] = modes + owners + setID

  private static let modes: [YardstickCase] = [
    YardstickCase("chmod", "all twelve bits are set, on files and directories") { t in
      try t.make("f")
      try t.mkdir("d").ok()
      let file = try t.open("f", O_RDONLY).file()
      for mode in [0, 0o777, 0o644, 0o1644, 0o2755, 0o4755, 0o7777, 0o111] {
        try t.chmod("f", mode).ok()
        t.equal(try t.stat("f").mode, S_IFREG | UInt32(mode))
        try t.chmod("d", mode).ok()
        t.equal(try t.stat("d").mode, S_IFDIR | UInt32(mode))
      }
      try t.chmod("d", 0o755).ok()
      file.chmod(0o640).gives(0)
      t.equal(try t.stat("f").permissions, 0o640)
      file.close().gives(0)
      t.chmod("none", 0o644).fails(ENOENT)
      t.chmod("f/x", 0o644).fails(ENOTDIR)
    },
    YardstickCase("chmod", "a change sets ctime, also to the same mode") { t in
      try t.make("f")
      try t.changes([("f", .change)], "chmod") { try t.chmod("f", 0o600).ok() }
      try t.changes([("f", .change)], "chmod to the same") { try t.chmod("f", 0o600).ok() }
    },
    YardstickCase("chmod", "only the owner and root change a mode", needs: [.root]) { t in
      try t.make("f", [], 0o666)
      try t.chown("f", User.alice, User.staff).ok()
      try t.asUser(User.bob, group: User.staff) {
        t.chmod("f", 0o777).fails(EPERM)
        let file = try t.open("f", O_RDWR).file()
        file.chmod(0o777).fails(EPERM)
        file.close().gives(0)
      }
      try t.asUser(User.alice) { try t.chmod("f", 0o600).ok() }
      try t.chmod("f", 0o604).ok()
      t.equal(try t.stat("f").permissions, 0o604)
    },
    YardstickCase("chmod", "an owner outside the group sets no set-group-ID", needs: [.root, .setID]) { t in
      try t.make("f")
      try t.mkdir("d").ok()
      for name: Name in ["f", "d"] { try t.chown(name, User.alice, User.staff).ok() }
      try t.asUser(User.alice) {
        for name: Name in ["f", "d"] {
          try t.chmod(name, 0o2755).ok()
          t.equal(try t.stat(name).permissions, 0o755, "mode of \(name)")
        }
      }
      try t.asUser(User.alice, groups: [User.staff]) {
        try t.chmod("f", 0o2755).ok()
        t.equal(try t.stat("f").permissions, 0o2755)
      }
    },
  ]

  private static let owners: [YardstickCase] = [
    YardstickCase("chown", "root gives a file to any user and group, and -1 leaves one", needs: [.root]) { t in
      try t.make("f")
      try t.changes([("f", .change)], "chown") { try t.chown("f", User.alice, User.staff).ok() }
      let ids: () throws -> [UInt32] = { [try t.stat("f").user, try t.stat("f").group] }
      t.equal(try ids(), [UInt32(User.alice), UInt32(User.staff)])
      try t.chown("f", -1, User.guests).ok()
      t.equal(try ids(), [UInt32(User.alice), UInt32(User.guests)])
      try t.chown("f", User.bob, -1).ok()
      t.equal(try ids(), [UInt32(User.bob), UInt32(User.guests)])
      try t.chown("f", 4_000_000_000, 65_536).ok()
      t.equal(try ids(), [4_000_000_000, 65_536], "32 bits are kept")
      let file = try t.open("f", O_RDONLY).file()
      file.chown(0, 0).gives(0)
      t.equal(try ids(), [0, 0])
      file.close().gives(0)
    },
    YardstickCase("chown", "an owner gives a file to groups of his own only", needs: [.root]) { t in
      try t.make("f")
      try t.chown("f", User.alice, User.alice).ok()
      try t.asUser(User.alice, groups: [User.staff]) {
        t.chown("f", User.bob, -1).fails(EPERM)
        t.chown("f", -1, User.guests).fails(EPERM)
        try t.chown("f", -1, User.staff).ok()
        try t.chown("f", User.alice, User.alice).ok()
      }
      try t.asUser(User.bob, groups: [User.staff]) {
        t.chown("f", User.bob, -1).fails(EPERM)
        t.chown("f", -1, User.staff).fails(EPERM)
      }
    },
  ]

  /// Makes a file of alice's with this mode, and gives the mode that it has after something.
  private static func mode(
    of mode: Int, _ t: Trial, contents: [UInt8] = bytes("abc"), after change: () throws -> Void
  ) throws -> UInt32 {
    _ = t.unlink("s")
    try t.make("s", contents)
    try t.chown("s", User.alice, User.staff).ok()
    try t.chmod("s", mode).ok()
    t.equal(try t.stat("s").permissions, UInt32(mode))
    try change()
    return try t.stat("s").permissions
  }

  private static let setID: [YardstickCase] = [
    YardstickCase("set-ID", "chown clears the bits of files, and keeps those of directories", needs: [.root, .setID]) {
      t in
      t.equal(try mode(of: 0o6755, t) { try t.chown("s", User.bob, -1).ok() }, 0o755)
      t.equal(try mode(of: 0o6755, t) { try t.chown("s", -1, User.guests).ok() }, 0o755)
      t.equal(try mode(of: 0o2745, t) { try t.chown("s", User.bob, -1).ok() }, 0o2745, "set-group-ID without execution")
      let byOwner = try mode(of: 0o6755, t) {
        try t.asUser(User.alice, groups: [User.staff]) { try t.chown("s", -1, User.staff).ok() }
      }
      t.equal(byOwner, 0o755)
      try t.mkdir("d").ok()
      try t.chmod("d", 0o6755).ok()
      try t.chown("d", User.alice, User.staff).ok()
      t.equal(try t.stat("d").permissions, 0o6755)
    },
    YardstickCase("set-ID", "a chown that changes nobody clears the bits", needs: [.root, .setID, .strictSetID]) { t in
      t.equal(try mode(of: 0o6755, t) { try t.chown("s", -1, -1).ok() }, 0o755)
    },
    YardstickCase(
      "set-ID", "a write clears set-group-ID also without execution", needs: [.root, .setID, .strictSetID]
    ) { t in
      let after = try mode(of: 0o2766, t) {
        try t.asUser(User.bob) {
          let file = try t.open("s", O_WRONLY).file()
          file.write([1]).gives(1)
          file.close().gives(0)
        }
      }
      t.equal(after, 0o766)
    },
    YardstickCase("set-ID", "a write by other than root clears the bits", needs: [.root, .setID]) { t in
      let write: @Sendable (Trial) throws -> Void = { t in
        let file = try t.open("s", O_WRONLY).file()
        file.write([1]).gives(1)
        file.close().gives(0)
      }
      t.equal(try mode(of: 0o6777, t) { try t.asUser(User.bob) { try write(t) } }, 0o777)
      t.equal(try mode(of: 0o6777, t) { try t.asUser(User.alice, groups: [User.staff]) { try write(t) } }, 0o777)
      t.equal(try mode(of: 0o6777, t) { try write(t) }, 0o6777, "a write by root")
    },
    YardstickCase("set-ID", "a cut by other than root clears the bits", needs: [.root, .setID]) { t in
      t.equal(try mode(of: 0o6777, t) { try t.asUser(User.bob) { try t.truncate("s", 0).ok() } }, 0o777)
      let byOpen = try mode(of: 0o6777, t) {
        try t.asUser(User.bob) { try t.open("s", O_WRONLY | O_TRUNC).file().close().gives(0) }
      }
      t.equal(byOpen, 0o777, "O_TRUNC")
      let byDescriptor = try mode(of: 0o6777, t) {
        try t.asUser(User.bob) {
          let file = try t.open("s", O_WRONLY).file()
          file.truncate(1).gives(0)
          file.close().gives(0)
        }
      }
      t.equal(byDescriptor, 0o777, "ftruncate")
      t.equal(try mode(of: 0o6777, t) { try t.truncate("s", 0).ok() }, 0o6777, "a cut by root")
    },
    YardstickCase("set-ID", "fallocate by other than root clears the bits", needs: [.root, .setID, .fallocate]) { t in
      let after = try mode(of: 0o6777, t) {
        try t.asUser(User.bob) {
          let file = try t.open("s", O_WRONLY).file()
          file.allocate(0, 0, 10_000).gives(0)
          file.close().gives(0)
        }
      }
      t.equal(after, 0o777)
    },
    YardstickCase("set-ID", "a write that writes nothing, a read and a rename keep the bits", needs: [.root, .setID]) {
      t in
      let after = try mode(of: 0o6777, t) {
        try t.asUser(User.bob) {
          let file = try t.open("s", O_RDWR).file()
          file.write([]).gives(0)
          t.equal(try file.read(3), bytes("abc"))
          file.close().gives(0)
        }
        try t.rename("s", "r").ok()
        try t.rename("r", "s").ok()
        try t.utimens("s", access: .now, modification: .now).ok()
      }
      t.equal(after, 0o6777)
    },
  ]
}
