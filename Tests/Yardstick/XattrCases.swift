import CYardstick
import Glibc

/// Extended attributes: xattr(7).
enum XattrCases {
  static let all: [YardstickCase] = values + refusals + namespaces

  private static let values: [YardstickCase] = [
    YardstickCase(
      "xattrs", "values are set, read, listed and removed, on files and directories", needs: [.userAttributes]
    ) {
      t in
      try t.make("f")
      try t.mkdir("d").ok()
      for name: Name in ["f", "d"] {
        t.listxattr(name).answer.gives(0)
        t.getxattr(name, "user.a").answer.fails(ENODATA)
        try t.setxattr(name, "user.a", bytes("one")).ok()
        try t.setxattr(name, "user.b", []).ok()
        t.equal(t.getxattr(name, "user.a").value, bytes("one"))
        t.getxattr(name, "user.b").answer.gives(0)
        t.equal(t.listxattr(name).names, ["user.a", "user.b"])
        try t.setxattr(name, "user.a", bytes("another")).ok()
        t.equal(t.getxattr(name, "user.a").value, bytes("another"))
        try t.setxattr(name, "user.a", bytes("s")).ok()
        t.equal(t.getxattr(name, "user.a").value, bytes("s"))
        try t.removexattr(name, "user.a").ok()
        t.getxattr(name, "user.a").answer.fails(ENODATA)
        t.removexattr(name, "user.a").fails(ENODATA)
        t.equal(t.listxattr(name).names, ["user.b"])
      }
      t.getxattr("none", "user.a").answer.fails(ENOENT)
      t.setxattr("none", "user.a", [1]).fails(ENOENT)
    },
    YardstickCase("xattrs", "XATTR_CREATE and XATTR_REPLACE", needs: [.userAttributes]) { t in
      try t.make("f")
      t.setxattr("f", "user.a", [1], flags: YARD_XATTR_REPLACE).fails(ENODATA)
      try t.setxattr("f", "user.a", [2], flags: YARD_XATTR_CREATE).ok()
      t.setxattr("f", "user.a", [3], flags: YARD_XATTR_CREATE).fails(EEXIST)
      t.equal(t.getxattr("f", "user.a").value, [2])
      try t.setxattr("f", "user.a", [4], flags: YARD_XATTR_REPLACE).ok()
      t.equal(t.getxattr("f", "user.a").value, [4])
      t.setxattr("f", "user.a", [5], flags: 4).fails(EINVAL)
    },
    YardstickCase("xattrs", "any bytes, at every size up to the limit", needs: [.userAttributes]) { t in
      try t.make("f")
      let limit = t.target.attributeLimit
      let sizes = [1, 2, 31, 32, 100, 200, 500, 1000, 2000, 3000, 4000, 8000, 16_000, 32_000, 65_536].filter {
        $0 <= limit
      }
      for size in sizes + sizes.reversed() + [limit, 1] {
        try t.setxattr("f", "user.value", pattern(size)).ok()
        t.same(t.getxattr("f", "user.value").value, pattern(size), "a value of \(size) bytes")
      }
    },
    YardstickCase("xattrs", "twenty attributes are kept apart", needs: [.userAttributes]) { t in
      try t.make("f")
      for i in 0..<20 { try t.setxattr("f", "user.\(100 + i)", bytes("value \(i)")).ok() }
      t.equal(t.listxattr("f").names, (0..<20).map { "user.\(100 + $0)" })
      for i in stride(from: 0, to: 20, by: 3) { try t.removexattr("f", "user.\(100 + i)").ok() }
      for i in stride(from: 1, to: 20, by: 3) { try t.setxattr("f", "user.\(100 + i)", bytes("new \(i)")).ok() }
      for i in 0..<20 {
        let found = t.getxattr("f", "user.\(100 + i)")
        if i % 3 == 0 {
          found.answer.fails(ENODATA)
        } else {
          t.equal(found.value, bytes(i % 3 == 1 ? "new \(i)" : "value \(i)"))
        }
      }
    },
    YardstickCase("xattrs", "attributes belong to the file, whatever its names", needs: [.userAttributes, .hardLinks]) {
      t in
      try t.make("f", bytes("abc"))
      try t.setxattr("f", "user.a", bytes("x")).ok()
      try t.link("f", "g").ok()
      try t.rename("f", "h").ok()
      t.equal(t.getxattr("g", "user.a").value, bytes("x"))
      try t.setxattr("g", "user.b", bytes("y")).ok()
      t.equal(t.listxattr("h").names, ["user.a", "user.b"])
      let file = try t.open("h", O_RDWR).file()
      try t.unlink("g").ok()
      try t.unlink("h").ok()
      t.equal(file.getxattr("user.a").value, bytes("x"))
      file.setxattr("user.c", bytes("z")).gives(0)
      t.equal(file.getxattr("user.c").value, bytes("z"))
      file.close().gives(0)
      try t.make("f")
      t.listxattr("f").answer.gives(0)
    },
    YardstickCase("xattrs", "a change sets ctime and no other time", needs: [.userAttributes]) { t in
      try t.make("f")
      try t.changes([("f", .change)], "setxattr") { try t.setxattr("f", "user.a", [1]).ok() }
      try t.changes([("f", .change)], "setxattr again") { try t.setxattr("f", "user.a", [2]).ok() }
      try t.changes([("f", [])], "getxattr") { t.getxattr("f", "user.a").answer.gives(1) }
      try t.changes([("f", .change)], "removexattr") { try t.removexattr("f", "user.a").ok() }
    },
    YardstickCase("xattrs", "a symbolic link is followed, or has none of its own", needs: [.userAttributes]) { t in
      try t.make("f")
      try t.symlink("f", "l").ok()
      try t.setxattr("l", "user.a", [1]).ok()
      t.equal(t.getxattr("f", "user.a").value, [1])
      t.setxattr("l", "user.a", [1], follow: false).fails(EPERM)
      t.getxattr("l", "user.a", follow: false).answer.fails(ENODATA)
      t.equal(t.listxattr("l", follow: false).names, [])
      try t.mknod("p", S_IFIFO | 0o666).ok()
      t.setxattr("p", "user.a", [1]).fails(EPERM)
    },
  ]

  private static let refusals: [YardstickCase] = [
    YardstickCase(
      "xattrs", "a buffer that is too small is ERANGE, and none asks for the size", needs: [.userAttributes]
    ) { t in
      try t.make("f")
      try t.setxattr("f", "user.a", pattern(100)).ok()
      t.getxattr("f", "user.a", size: 0).answer.gives(100)
      t.getxattr("f", "user.a", size: 99).answer.fails(ERANGE)
      t.getxattr("f", "user.a", size: 100).answer.gives(100)
      t.listxattr("f", size: 0).answer.gives(7)
      t.listxattr("f", size: 6).answer.fails(ERANGE)
      t.listxattr("f", size: 7).answer.gives(7)
    },
    YardstickCase("xattrs", "names of up to 255 bytes, and not more", needs: [.userAttributes]) { t in
      try t.make("f")
      let longest = Name("user." + String(repeating: "n", count: 250))
      try t.setxattr("f", longest, bytes("x")).ok()
      t.equal(t.getxattr("f", longest).value, bytes("x"))
      t.equal(t.listxattr("f").names, [longest])
      for name: Name in ["\(longest)n", Name("user." + String(repeating: "n", count: 1018)), ""] {
        t.setxattr("f", name, [1]).fails(ERANGE)
        t.getxattr("f", name).answer.fails(ERANGE)
        t.removexattr("f", name).fails(ERANGE)
      }
      try t.removexattr("f", longest).ok()
    },
    YardstickCase(
      "xattrs", "names can have any bytes behind the namespace, and must have some", needs: [.userAttributes]
    ) { t in
      try t.make("f")
      let all = Name(bytes("user.") + (1...200).map { UInt8($0) })
      try t.setxattr("f", all, bytes("x")).ok()
      t.equal(t.listxattr("f").names, [all])
      t.setxattr("f", "user.", [1]).fails(EINVAL)
      for name: Name in ["user", "nothing.a", "a", ".a", "USER.a"] {
        t.setxattr("f", name, [1]).fails(EOPNOTSUPP)
        t.getxattr("f", name).answer.fails(EOPNOTSUPP)
      }
    },
    YardstickCase("xattrs", "a value of more than 64 KiB is E2BIG, and the old one stays", needs: [.userAttributes]) {
      t in
      try t.make("f")
      try t.setxattr("f", "user.a", bytes("old")).ok()
      t.setxattr("f", "user.a", pattern(65_537)).fails(E2BIG)
      if !t.has(.largeAttributes) { t.setxattr("f", "user.a", pattern(65_536)).fails(ENOSPC, E2BIG) }
      t.equal(t.getxattr("f", "user.a").value, bytes("old"))
    },
    YardstickCase("xattrs", "64 KiB in one value", needs: [.userAttributes, .largeAttributes]) { t in
      try t.make("f")
      try t.setxattr("f", "user.a", pattern(65_536)).ok()
      t.same(t.getxattr("f", "user.a").value, pattern(65_536), "the value")
      try t.setxattr("f", "user.a", bytes("small")).ok()
      t.equal(t.getxattr("f", "user.a").value, bytes("small"))
    },
    YardstickCase("xattrs", "without the namespace every call is EOPNOTSUPP") { t in
      try t.make("f")
      if !t.has(.userAttributes) {
        t.setxattr("f", "user.a", [1]).fails(EOPNOTSUPP)
        t.getxattr("f", "user.a").answer.fails(EOPNOTSUPP)
      }
      t.setxattr("f", "nothing.a", [1]).fails(EOPNOTSUPP)
    },
  ]

  private static let namespaces: [YardstickCase] = [
    YardstickCase("xattrs", "user attributes need the file's permissions", needs: [.userAttributes, .root]) { t in
      try t.make("f", [], 0o644)
      try t.setxattr("f", "user.a", bytes("x")).ok()
      try t.asUser(User.alice) {
        t.equal(t.getxattr("f", "user.a").value, bytes("x"))
        t.setxattr("f", "user.a", [1]).fails(EACCES)
        t.removexattr("f", "user.a").fails(EACCES)
      }
      try t.chmod("f", 0o622).ok()
      try t.asUser(User.alice) {
        t.getxattr("f", "user.a").answer.fails(EACCES)
        try t.setxattr("f", "user.b", bytes("y")).ok()
        t.equal(t.listxattr("f").names, ["user.a", "user.b"], "listing needs none")
      }
    },
    YardstickCase("xattrs", "in a sticky directory user attributes are the owner's", needs: [.userAttributes, .root]) {
      t in
      try t.mkdir("d").ok()
      try t.chmod("d", 0o1777).ok()
      try t.asUser(User.alice) { t.setxattr("d", "user.a", [1]).fails(EPERM) }
      try t.setxattr("d", "user.a", [1]).ok()
    },
    YardstickCase(
      "xattrs", "trusted attributes are root's, and hidden from others", needs: [.trustedAttributes, .root]
    ) { t in
      try t.make("f", [], 0o666)
      try t.symlink("f", "l").ok()
      try t.setxattr("f", "trusted.a", bytes("x")).ok()
      try t.setxattr("l", "trusted.b", bytes("link's"), follow: false).ok()
      t.equal(t.listxattr("f").names, ["trusted.a"])
      t.equal(t.listxattr("l", follow: false).names, ["trusted.b"])
      t.equal(t.getxattr("l", "trusted.b", follow: false).value, bytes("link's"))
      try t.asUser(User.alice) {
        t.setxattr("f", "trusted.a", [1]).fails(EPERM)
        t.getxattr("f", "trusted.a").answer.fails(ENODATA)
        t.removexattr("f", "trusted.a").fails(EPERM)
        t.equal(t.listxattr("f").names, [])
      }
      try t.removexattr("f", "trusted.a").ok()
      t.listxattr("f").answer.gives(0)
    },
    YardstickCase("xattrs", "security attributes are read by all and set by root", needs: [.trustedAttributes, .root]) {
      t in
      try t.make("f", [], 0o644)
      try t.setxattr("f", "security.yardstick", bytes("x")).ok()
      try t.asUser(User.alice) {
        t.equal(t.getxattr("f", "security.yardstick").value, bytes("x"))
        t.setxattr("f", "security.yardstick", [1]).fails(EPERM)
      }
      try t.removexattr("f", "security.yardstick").ok()
    },
    YardstickCase("xattrs", "a write by another removes a program's capabilities", needs: [.trustedAttributes, .root]) {
      t in
      try t.make("f", bytes("abc"), 0o777)
      // Version 2 with CAP_CHOWN permitted: linux/capability.h.
      let capability: [UInt8] = [1, 0, 0, 2, 1] + [UInt8](repeating: 0, count: 15)
      try t.setxattr("f", "security.capability", capability).ok()
      t.equal(t.getxattr("f", "security.capability").value, capability)
      try t.asUser(User.alice) {
        let file = try t.open("f", O_WRONLY).file()
        file.write([1]).gives(1)
        file.close().gives(0)
      }
      t.getxattr("f", "security.capability").answer.fails(ENODATA)
    },
    YardstickCase("xattrs", "a file that is made has none of another's", needs: [.userAttributes]) { t in
      for i in 0..<20 {
        try t.make("f\(i)")
        try t.setxattr("f\(i)", "user.a", pattern(500)).ok()
        try t.unlink("f\(i)").ok()
        try t.make("g\(i)")
        t.listxattr("g\(i)").answer.gives(0)
      }
    },
  ]
}
