import CYardstick
import Glibc

/// POSIX access control lists: acl(5).
enum ACLCases {
  static let all: [YardstickCase] = lists + defaults + enforcement

  private static let lists: [YardstickCase] = [
    YardstickCase("ACLs", "a list is kept, and the mode's group bits are its mask", needs: [.acl]) { t in
      try t.make("f", [], 0o640)
      t.equal(t.acl("f"), nil)
      let list = AccessList(7, 4, 0, mask: 6, users: [(User.alice, 7), (User.bob, 0)], groups: [(User.staff, 5)])
      try t.changes([("f", .change)], "a new ACL") { try t.setACL("f", list).ok() }
      t.equal(t.acl("f"), list)
      t.equal(try t.stat("f").permissions, 0o760)
      t.equal(t.listxattr("f").names, [AccessList.access])
      try t.make("g")
      t.equal(t.acl("g"), nil)
    },
    YardstickCase("ACLs", "chmod changes the mask, and leaves the group's entry", needs: [.acl]) { t in
      try t.make("f")
      try t.setACL("f", AccessList(6, 4, 4, mask: 6, users: [(User.alice, 6)])).ok()
      try t.chmod("f", 0o751).ok()
      t.equal(t.acl("f"), AccessList(7, 4, 1, mask: 5, users: [(User.alice, 6)]))
      t.equal(try t.stat("f").permissions, 0o751)
    },
    YardstickCase("ACLs", "a list that says no more than a mode becomes one", needs: [.acl]) { t in
      try t.make("f", [], 0o600)
      try t.setACL("f", AccessList(6, 4, 0)).ok()
      t.equal(try t.stat("f").permissions, 0o640)
      t.getxattr("f", AccessList.access).answer.fails(ENODATA)
      t.equal(t.listxattr("f").names, [])
      try t.setACL("f", AccessList(7, 5, 5, mask: 5, users: [(User.alice, 4)])).ok()
      try t.setACL("f", AccessList(6, 6, 6)).ok()
      t.equal(try t.stat("f").permissions, 0o666)
      t.equal(t.acl("f"), nil)
    },
    YardstickCase("ACLs", "a list is removed, and the mode stays", needs: [.acl]) { t in
      try t.make("f")
      try t.setACL("f", AccessList(6, 4, 0, mask: 6, users: [(User.alice, 6)])).ok()
      try t.removexattr("f", AccessList.access).ok()
      t.equal(t.acl("f"), nil)
      t.equal(try t.stat("f").permissions, 0o660)
    },
    YardstickCase("ACLs", "twenty-five entries, and their order of users and groups", needs: [.acl]) { t in
      try t.make("f")
      let users = (0..<10).map { (21_000 + $0, UInt16($0 % 8)) },
        groups = (0..<11).map { (31_000 + $0, UInt16($0 % 8)) }
      let list = AccessList(7, 5, 0, mask: 7, users: users, groups: groups)
      try t.setACL("f", list).ok()
      t.equal(t.acl("f"), list)
      t.equal(list.entries.count, 25)
    },
    YardstickCase("ACLs", "lists that are none are refused, and the old one stays", needs: [.acl]) { t in
      try t.make("f", [], 0o640)
      let old = AccessList(6, 4, 0, mask: 4, users: [(User.alice, 6)])
      try t.setACL("f", old).ok()
      var bad: [AccessList] = [AccessList(6, 4, 0, users: [(User.alice, 6)])]  // A named user without a mask.
      bad.append(AccessList(6, 4, 0, mask: 8))
      bad.append(AccessList(6, 4, 0, mask: 7))
      bad[2].entries.removeFirst()
      bad.append(AccessList(6, 4, 0, mask: 7))
      bad[3].entries.removeLast()
      bad.append(AccessList(6, 4, 0, mask: 7))
      bad[4].entries.swapAt(0, 1)
      bad.append(AccessList(6, 4, 0, mask: 7))
      bad[5].entries.insert(bad[5].entries[0], at: 0)
      bad.append(AccessList(6, 4, 0, mask: 7))
      bad[6].entries[1].tag = 3
      for list in bad { t.setACL("f", list).fails(EINVAL) }
      t.setxattr("f", AccessList.access, Array(old.bytes.dropLast())).fails(EINVAL)
      t.setxattr("f", AccessList.access, [1] + old.bytes.dropFirst()).fails(EOPNOTSUPP)
      t.setxattr("f", AccessList.access, [2, 0]).fails(EINVAL)
      t.equal(t.acl("f"), old)
      t.equal(try t.stat("f").permissions, 0o640)
    },
    YardstickCase("ACLs", "a default list is a directory's only, and a link has none", needs: [.acl]) { t in
      try t.make("f")
      try t.mkdir("d").ok()
      try t.symlink("f", "l").ok()
      let list = AccessList(7, 5, 0, mask: 5, users: [(User.alice, 7)])
      t.setACL("f", list, AccessList.standard).fails(EACCES)
      t.setxattr("l", AccessList.access, list.bytes, follow: false).fails(EOPNOTSUPP)
      try t.setACL("d", list, AccessList.standard).ok()
      t.equal(t.acl("d", AccessList.standard), list)
      t.equal(t.acl("d"), nil)
      t.equal(try t.stat("d").permissions, 0o755, "a default list leaves the mode")
      t.equal(t.listxattr("d").names, [AccessList.standard])
      try t.removexattr("d", AccessList.standard).ok()
      t.equal(t.listxattr("d").names, [])
    },
    YardstickCase("ACLs", "only the owner and root set a list", needs: [.acl, .root]) { t in
      try t.make("f", [], 0o666)
      try t.chown("f", User.alice, User.alice).ok()
      let list = AccessList(6, 6, 6, mask: 6, users: [(User.bob, 6)])
      try t.asUser(User.bob) {
        t.setACL("f", list).fails(EPERM)
        t.removexattr("f", AccessList.access).fails(EPERM)
      }
      try t.asUser(User.alice) { try t.setACL("f", list).ok() }
      try t.asUser(User.bob) { t.equal(t.acl("f"), list) }
      try t.setACL("f", AccessList(7, 7, 7)).ok()
    },
    YardstickCase("ACLs", "a list by an owner outside the group clears set-group-ID", needs: [.acl, .root]) { t in
      try t.make("f", [], 0o755)
      try t.chown("f", User.alice, User.staff).ok()
      try t.chmod("f", 0o2755).ok()
      try t.asUser(User.alice) {
        try t.setACL("f", AccessList(7, 5, 5, mask: 5, users: [(User.bob, 5)])).ok()
      }
      t.equal(try t.stat("f").permissions, 0o755)
    },
  ]

  private static let defaults: [YardstickCase] = [
    YardstickCase("ACLs", "what is made in a directory gets its default list, and no umask", needs: [.acl]) { t in
      try t.mkdir("d").ok()
      let list = AccessList(7, 7, 5, mask: 7, users: [(User.alice, 7)])
      try t.setACL("d", list, AccessList.standard).ok()
      try t.withUmask(0o077) {
        try t.make("d/f", [], 0o666)
        try t.mkdir("d/e", 0o777).ok()
        try t.mknod("d/p", S_IFIFO | 0o640).ok()
        try t.symlink("f", "d/l").ok()
      }
      t.equal(t.acl("d/f"), AccessList(6, 7, 4, mask: 6, users: [(User.alice, 7)]))
      t.equal(try t.stat("d/f").permissions, 0o664)
      t.equal(t.acl("d/f", AccessList.standard), nil)
      t.equal(t.acl("d/e"), AccessList(7, 7, 5, mask: 7, users: [(User.alice, 7)]))
      t.equal(t.acl("d/e", AccessList.standard), list)
      t.equal(try t.stat("d/e").permissions, 0o775)
      t.equal(t.acl("d/p"), AccessList(6, 7, 0, mask: 4, users: [(User.alice, 7)]))
      t.equal(try t.lstat("d/l").permissions, 0o777)
      try t.withUmask(0o077) { try t.make("d/e/deep", [], 0o666) }
      t.equal(try t.stat("d/e/deep").permissions, 0o664)
    },
    YardstickCase("ACLs", "a default list that is only a mode gives one", needs: [.acl]) { t in
      try t.mkdir("d").ok()
      try t.setACL("d", AccessList(7, 5, 0), AccessList.standard).ok()
      try t.withUmask(0) { try t.make("d/f", [], 0o666) }
      t.equal(try t.stat("d/f").permissions, 0o640)
      t.equal(t.acl("d/f"), nil)
      try t.mkdir("d/e", 0o777).ok()
      t.equal(t.acl("d/e", AccessList.standard), AccessList(7, 5, 0))
      try t.setACL("d", AccessList(7, 5, 0, mask: 7), AccessList.standard).ok()
      try t.make("d/g", [], 0o666)
      t.equal(t.acl("d/g"), AccessList(6, 5, 0, mask: 6))
    },
    YardstickCase("ACLs", "without a default list the umask counts, and no list is inherited", needs: [.acl]) { t in
      try t.mkdir("d").ok()
      try t.setACL("d", AccessList(7, 7, 7, mask: 7, users: [(User.alice, 7)])).ok()
      try t.withUmask(0o027) { try t.make("d/f", [], 0o666) }
      t.equal(try t.stat("d/f").permissions, 0o640)
      t.equal(t.acl("d/f"), nil)
    },
    YardstickCase("ACLs", "a file of O_TMPFILE gets the default list", needs: [.acl, .tmpfile]) { t in
      try t.mkdir("d").ok()
      try t.setACL("d", AccessList(7, 7, 5, mask: 7, users: [(User.alice, 7)]), AccessList.standard).ok()
      let file = try t.withUmask(0o077) { try t.open("d", Flag.temporary | O_RDWR, 0o666).file() }
      t.equal(
        AccessList(bytes: file.getxattr(AccessList.access).value),
        AccessList(6, 7, 4, mask: 6, users: [(User.alice, 7)]))
      t.equal(try file.stat().permissions, 0o664)
      file.close().gives(0)
    },
  ]

  private static let enforcement: [YardstickCase] = [
    YardstickCase("ACLs", "named users and groups get what their entry and the mask allow", needs: [.acl, .root]) { t in
      try t.make("f", bytes("abc"), 0o600)
      let list = AccessList(
        6, 0, 0, mask: 4, users: [(User.alice, 6), (User.bob, 0)], groups: [(User.staff, 4), (User.guests, 2)])
      try t.setACL("f", list).ok()
      let expect: @Sendable (Bool, Bool, String) -> Void = { reads, writes, what in
        let found = [O_RDONLY, O_WRONLY].map { flags in t.open("f", flags) }
        for answer in found where answer.value >= 0 { File(Int32(answer.value), t).close() }
        t.equal(found.map { $0.value >= 0 }, [reads, writes], "reading and writing by \(what)")
      }
      try t.asUser(User.alice) { expect(true, false, "a named user, limited by the mask") }
      try t.asUser(User.bob, groups: [User.staff]) { expect(false, false, "a named user; the group does not help") }
      try t.asUser(User.carol, group: User.staff) { expect(true, false, "the named group") }
      try t.asUser(User.carol, groups: [User.guests]) { expect(false, false, "a group that the mask leaves nothing") }
      try t.asUser(User.carol) { expect(false, false, "others") }
      try t.chmod("f", 0o660).ok()
      try t.asUser(User.alice) { expect(true, true, "a named user, by a wider mask") }
      try t.asUser(User.carol, groups: [User.guests]) { expect(false, true, "a group that may write") }
      try t.asUser(User.carol, groups: [User.guests, User.staff]) { expect(true, true, "two groups, one for each") }
      try t.removexattr("f", AccessList.access).ok()
      try t.asUser(User.alice) { expect(false, false, "a user who was named") }
    },
    YardstickCase("ACLs", "the owner's entry is not limited by the mask, the group's is", needs: [.acl, .root]) { t in
      try t.make("f")
      try t.chown("f", User.alice, User.staff).ok()
      try t.setACL("f", AccessList(6, 6, 0, mask: 0, users: [(User.bob, 6)])).ok()
      t.equal(try t.stat("f").permissions, 0o600)
      try t.asUser(User.alice) { try t.open("f", O_RDWR).file().close().gives(0) }
      try t.asUser(User.carol, group: User.staff) { t.open("f", O_RDONLY).fails(EACCES) }
      try t.asUser(User.bob) { t.open("f", O_RDONLY).fails(EACCES) }
    },
    YardstickCase("ACLs", "a directory's list says who makes, lists and searches", needs: [.acl, .root]) { t in
      try t.mkdir("d").ok()
      try t.make("d/f", bytes("abc"))
      try t.chmod("d", 0o700).ok()
      try t.setACL("d", AccessList(7, 0, 0, mask: 7, users: [(User.alice, 7), (User.bob, 1)])).ok()
      try t.asUser(User.alice) {
        try t.make("d/by alice")
        t.equal(try t.list("d"), ["by alice", "f"])
      }
      try t.asUser(User.bob) {
        try t.holds("d/f", bytes("abc"))
        t.open("d", O_RDONLY | O_DIRECTORY).fails(EACCES)
        t.mkdir("d/x").fails(EACCES)
      }
      try t.asUser(User.carol) { t.open("d/f", O_RDONLY).fails(EACCES) }
    },
    YardstickCase("ACLs", "lists are refused where there are none", needs: []) { t in
      try t.make("f")
      if !t.has(.acl) { t.setACL("f", AccessList(6, 4, 0, mask: 6, users: [(User.alice, 6)])).fails(EOPNOTSUPP) }
      t.equal(try t.stat("f").permissions, 0o644)
    },
  ]
}
