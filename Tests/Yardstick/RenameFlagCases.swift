import CYardstick
import Glibc

/// renameat2(2) with flags.
enum RenameFlagCases {
  static let all: [YardstickCase] = [
    YardstickCase("renameat2", "NOREPLACE moves to a free name and refuses others", needs: [.noReplace]) { t in
      try t.make("f", bytes("abc"))
      try t.make("g", bytes("def"))
      try t.mkdir("d").ok()
      try t.symlink("none", "l").ok()
      for name: Name in ["f", "g", "d", "l"] { t.rename("f", name, flags: YARD_RENAME_NOREPLACE).fails(EEXIST) }
      t.rename("d", "g", flags: YARD_RENAME_NOREPLACE).fails(EEXIST)
      try t.rename("f", "d/h", flags: YARD_RENAME_NOREPLACE).ok()
      try t.rename("d", "e", flags: YARD_RENAME_NOREPLACE).ok()
      try t.holds("e/h", bytes("abc"))
      t.rename("none", "x", flags: YARD_RENAME_NOREPLACE).fails(ENOENT)
      t.equal(try t.list("."), ["e", "g", "l"])
    },
    YardstickCase("renameat2", "NOREPLACE refuses a name of the same file", needs: [.noReplace, .hardLinks]) { t in
      try t.make("a")
      try t.link("a", "b").ok()
      t.rename("a", "b", flags: YARD_RENAME_NOREPLACE).fails(EEXIST)
      t.equal(try t.stat("a").links, 2)
    },
    YardstickCase("renameat2", "EXCHANGE swaps two files", needs: [.exchange]) { t in
      try t.mkdir("d").ok()
      try t.make("a", bytes("a"))
      try t.make("d/b", bytes("b"))
      let numbers = [try t.stat("a").inode, try t.stat("d/b").inode]
      let both: TimeSet = [.modification, .change]
      try t.changes([("d", both), (".", both)], "EXCHANGE") {
        try t.rename("a", "d/b", flags: YARD_RENAME_EXCHANGE).ok()
      }
      t.equal([try t.stat("d/b").inode, try t.stat("a").inode], numbers)
      try t.holds("a", bytes("b"))
      try t.holds("d/b", bytes("a"))
      t.equal([try t.stat("a").links, try t.stat("d/b").links], [1, 1])
    },
    YardstickCase(
      "renameat2", "EXCHANGE swaps a file and a directory with entries", needs: [.exchange, .directoryLinkCounts]
    ) { t in
      for name: Name in ["one", "two", "one/d"] { try t.mkdir(name).ok() }
      try t.make("one/d/inner", bytes("x"))
      try t.make("two/f", bytes("f"))
      try t.rename("one/d", "two/f", flags: YARD_RENAME_EXCHANGE).ok()
      try t.holds("one/d", bytes("f"))
      try t.holds("two/f/inner", bytes("x"))
      t.equal([try t.stat("one").links, try t.stat("two").links], [2, 3])
      t.equal(try t.stat("two/f/..").inode, try t.stat("two").inode)
      try t.rename("two/f", "one/d", flags: YARD_RENAME_EXCHANGE).ok()
      t.equal([try t.stat("one").links, try t.stat("two").links], [3, 2])
    },
    YardstickCase("renameat2", "EXCHANGE swaps directories, and gives each its parent", needs: [.exchange]) { t in
      for name: Name in ["one", "two", "one/a", "two/b"] { try t.mkdir(name).ok() }
      try t.make("one/a/in a")
      try t.make("two/b/in b")
      try t.rename("one/a", "two/b", flags: YARD_RENAME_EXCHANGE).ok()
      t.equal(try t.list("one/a"), ["in b"])
      t.equal(try t.list("two/b"), ["in a"])
      t.equal(try t.stat("one/a/..").inode, try t.stat("one").inode)
      t.equal(try t.stat("two/b/..").inode, try t.stat("two").inode)
    },
    YardstickCase("renameat2", "EXCHANGE of a link does not follow it", needs: [.exchange]) { t in
      try t.make("f", bytes("abc"))
      try t.symlink("f", "l").ok()
      try t.rename("f", "l", flags: YARD_RENAME_EXCHANGE).ok()
      try t.holds("l", bytes("abc"))
      t.equal(t.readlink("f").bytes, bytes("f"))
    },
    YardstickCase("renameat2", "EXCHANGE needs both names, and not one below the other", needs: [.exchange]) { t in
      try t.mkdir("d").ok()
      try t.mkdir("d/e").ok()
      try t.make("f")
      t.rename("f", "none", flags: YARD_RENAME_EXCHANGE).fails(ENOENT)
      t.rename("none", "f", flags: YARD_RENAME_EXCHANGE).fails(ENOENT)
      t.rename("d", "d/e", flags: YARD_RENAME_EXCHANGE).fails(EINVAL)
      t.rename("d/e", "d", flags: YARD_RENAME_EXCHANGE).fails(EINVAL)
      try t.rename("f", "f", flags: YARD_RENAME_EXCHANGE).ok()
      t.equal(try t.list("."), ["d", "f"])
    },
    YardstickCase("renameat2", "flags that exclude each other, or that there are none of, are EINVAL") { t in
      try t.make("f")
      try t.make("g")
      t.rename("f", "h", flags: YARD_RENAME_NOREPLACE | YARD_RENAME_EXCHANGE).fails(EINVAL)
      t.rename("f", "g", flags: YARD_RENAME_WHITEOUT | YARD_RENAME_EXCHANGE).fails(EINVAL)
      t.rename("f", "g", flags: 0x8000).fails(EINVAL)
      t.equal(try t.list("."), ["f", "g"])
    },
    YardstickCase("renameat2", "WHITEOUT leaves a device of number 0", needs: [.whiteout, .root]) { t in
      try t.make("f", bytes("abc"))
      try t.mkdir("d").ok()
      try t.rename("f", "d/g", flags: YARD_RENAME_WHITEOUT).ok()
      try t.holds("d/g", bytes("abc"))
      let left = try t.lstat("f")
      t.equal([UInt64(left.type), left.special], [UInt64(S_IFCHR), 0])
      try t.mkdir("e").ok()
      try t.rename("e", "d/e", flags: YARD_RENAME_WHITEOUT).ok()
      t.equal(try t.lstat("e").type, S_IFCHR)
      t.equal(try t.stat("d/e").type, S_IFDIR)
      try t.make("h")
      t.rename("h", "d/g", flags: YARD_RENAME_WHITEOUT | YARD_RENAME_NOREPLACE).fails(EEXIST)
    },
    YardstickCase("renameat2", "a flag that the file system does not have is EINVAL, and changes nothing") { t in
      try t.make("f", bytes("f"))
      try t.make("g", bytes("g"))
      let flags: [(YardstickFeature, Int)] = [
        (.noReplace, YARD_RENAME_NOREPLACE), (.exchange, YARD_RENAME_EXCHANGE), (.whiteout, YARD_RENAME_WHITEOUT),
      ]
      for (feature, flag) in flags where !t.has(feature) {
        t.rename("f", flag == YARD_RENAME_EXCHANGE ? "g" : "h", flags: flag).fails(EINVAL)
      }
      try t.holds("f", bytes("f"))
      try t.holds("g", bytes("g"))
    },
  ]
}
