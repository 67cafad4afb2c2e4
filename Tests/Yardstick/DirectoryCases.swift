import CYardstick
import Glibc

/// mkdir(2) and rmdir(2), set-group-ID and sticky directories, large and deep ones.
enum DirectoryCases {
  static let all: [YardstickCase] = making + removing + groups + sizes

  private static let making: [YardstickCase] = [
    YardstickCase("directories", "mkdir gives the mode that the umask leaves, and keeps sticky") { t in
      try t.withUmask(0o022) { try t.mkdir("d", 0o777).ok() }
      t.equal(try t.stat("d").mode, S_IFDIR | 0o755)
      try t.mkdir("s", 0o1777).ok()
      t.equal(try t.stat("s").permissions, 0o1777)
      try t.mkdir("u", 0o7755).ok()
      t.equal(try t.stat("u").permissions, 0o1755, "mkdir has no set-ID bits")
      t.equal([try t.stat("d").user, try t.stat("d").group], [geteuid(), getegid()])
    },
    YardstickCase("directories", "mkdir refuses a name that something has") { t in
      try t.make("f")
      try t.mkdir("d").ok()
      try t.symlink("nowhere", "l").ok()
      for name: Name in ["f", "d", "l", "d/", "l/"] { t.mkdir(name).fails(EEXIST) }
      t.mkdir("none/d").fails(ENOENT)
      t.mkdir("f/d").fails(ENOTDIR)
    },
    YardstickCase("directories", "link counts are of subdirectories", needs: [.directoryLinkCounts]) { t in
      try t.mkdir("d").ok()
      t.equal(try t.stat("d").links, 2)
      for i in 0..<50 { try t.mkdir("d/\(i)").ok() }
      try t.make("d/f")
      try t.symlink("x", "d/l").ok()
      t.equal(try t.stat("d").links, 52)
      for i in 0..<49 { try t.rmdir("d/\(i)").ok() }
      t.equal(try t.stat("d").links, 3)
      try t.rename("d/49", "moved").ok()
      t.equal(try t.stat("d").links, 2)
      t.equal(try t.stat("moved").links, 2)
      try t.rename("moved", "d/back").ok()
      t.equal(try t.stat("d").links, 3)
    },
    YardstickCase("directories", "making and removing sets the times of the directory above") { t in
      try t.mkdir("d").ok()
      try t.changes([("d", [.modification, .change])], "mkdir") { try t.mkdir("d/e").ok() }
      try t.changes([("d", [.modification, .change])], "rmdir") { try t.rmdir("d/e").ok() }
      try t.changes([("d", [.modification, .change])], "O_CREAT") { try t.make("d/f") }
      try t.changes([("d", []), ("d/f", [.modification, .change])], "a write inside") {
        let file = try t.open("d/f", O_WRONLY).file()
        file.write([1]).gives(1)
        file.close().gives(0)
      }
      try t.changes([("d", [])], "mkdir of a name that is there") { t.mkdir("d/f").fails(EEXIST) }
      try t.changes([("d", [.modification, .change])], "unlink") { try t.unlink("d/f").ok() }
      try t.changes([("d", [.modification, .change])], "symlink") { try t.symlink("x", "d/l").ok() }
      try t.changes([("d", [.modification, .change])], "mknod") { try t.mknod("d/p", S_IFIFO | 0o600).ok() }
    },
  ]

  private static let removing: [YardstickCase] = [
    YardstickCase("directories", "rmdir refuses what is not empty or no directory") { t in
      try t.make("f")
      try t.mkdir("d").ok()
      try t.mkdir("d/e").ok()
      try t.symlink("d/e", "l").ok()
      t.rmdir("f").fails(ENOTDIR)
      t.rmdir("l").fails(ENOTDIR)
      t.rmdir("none").fails(ENOENT)
      t.rmdir("d").fails(ENOTEMPTY)
      t.unlink("d/e").fails(EISDIR)
      try t.rmdir("d/e").ok()
      for kind in 0..<3 {
        let made = kind == 0 ? t.symlink("x", "d/x") : t.mknod("d/x", (kind == 1 ? S_IFIFO : S_IFREG) | 0o600)
        made.gives(0)
        t.rmdir("d").fails(ENOTEMPTY)
        try t.unlink("d/x").ok()
      }
      try t.rmdir("d").ok()
      t.expect(!t.exists("d"), "d is gone")
    },
    YardstickCase("directories", "a removed directory that is open has no entries, and nothing is made in it") { t in
      try t.mkdir("d").ok()
      let directory = try t.open("d", O_RDONLY | O_DIRECTORY).file()
      try t.rmdir("d").ok()
      t.equal(try directory.stat().links, 0)
      directory.listing().fails(ENOENT)
      t.open("f", O_CREAT | O_RDWR, in: directory).fails(ENOENT)
      t.mkdir("e", in: directory).fails(ENOENT)
      try t.make("f")
      t.link("f", "g", to: directory).fails(ENOENT)
      t.rename("f", "g", to: directory).fails(ENOENT)
      t.expect(!t.exists("d"), "it has no name")
      try t.mkdir("d").ok()
      t.expect(try t.stat("d").links != 0, "a new one of the name is another")
      t.open("f", O_CREAT | O_RDWR, in: directory).fails(ENOENT)
      directory.close().gives(0)
    },
    YardstickCase("directories", "the working directory can be removed; its path leads on up") { t in
      try t.mkdir("d").ok()
      try t.mkdir("d/e").ok()
      try t.chdir("d/e").ok()
      try t.rmdir("../e").ok()
      t.open("f", O_CREAT | O_RDWR).fails(ENOENT)
      t.equal(try t.stat(".").links, 0)
      t.rmdir("../e").fails(ENOENT)
      try t.chdir("..").ok()
      t.equal(try t.list("."), [])
      try t.chdir("..").ok()
    },
    YardstickCase("directories", "in a sticky directory only owners remove and rename", needs: [.root]) { t in
      try t.mkdir("d").ok()
      try t.chmod("d", 0o1777).ok()
      try t.chown("d", User.carol, -1).ok()
      let reset: @Sendable () throws -> Void = {
        try t.make("d/f", [], 0o666)
        try t.mkdir("d/e", 0o777).ok()
        for name: Name in ["d/f", "d/e"] { try t.chown(name, User.alice, -1).ok() }
      }
      try reset()
      try t.asUser(User.bob) {
        t.unlink("d/f").fails(EPERM)
        t.rmdir("d/e").fails(EPERM)
        t.rename("d/f", "d/g").fails(EPERM)
        t.rename("d/e", "d/g").fails(EPERM)
        try t.make("d/own")
        t.rename("d/own", "d/f").fails(EPERM)
        try t.unlink("d/own").ok()
      }
      try t.asUser(User.alice) {
        try t.rename("d/f", "d/g").ok()
        try t.unlink("d/g").ok()
        try t.rmdir("d/e").ok()
      }
      try reset()
      try t.asUser(User.carol) {
        try t.unlink("d/f").ok()
        try t.rmdir("d/e").ok()
      }
      try reset()
      try t.chmod("d", 0o777).ok()
      try t.asUser(User.bob) {
        try t.unlink("d/f").ok()
        try t.rmdir("d/e").ok()
      }
    },
    YardstickCase("directories", "removing needs write and search above only", needs: [.root]) { t in
      try t.mkdir("d", 0o755).ok()
      try t.make("d/f", [], 0o666)
      try t.mkdir("d/e", 0o777).ok()
      try t.asUser(User.bob) {
        t.unlink("d/f").fails(EACCES)
        t.rmdir("d/e").fails(EACCES)
        t.rename("d/f", "d/g").fails(EACCES)
        t.unlink("d/none").fails(ENOENT)
      }
      try t.chmod("d", 0o766).ok()
      try t.asUser(User.bob) { t.unlink("d/f").fails(EACCES) }
      try t.chmod("d", 0o777).ok()
      try t.chmod("d/f", 0).ok()
      try t.asUser(User.bob) { try t.unlink("d/f").ok() }
    },
  ]

  private static let groups: [YardstickCase] = [
    YardstickCase("directories", "what is made in a set-group-ID directory has its group", needs: [.root]) { t in
      try t.mkdir("d").ok()
      try t.chown("d", -1, User.staff).ok()
      try t.chmod("d", 0o2777).ok()
      try t.asUser(User.alice, group: User.guests) {
        try t.make("d/f")
        try t.mkdir("d/e", 0o755).ok()
        try t.symlink("x", "d/l").ok()
        try t.mknod("d/p", S_IFIFO | 0o600).ok()
        for name: Name in ["d/f", "d/e", "d/l", "d/p"] {
          t.equal(Int(try t.lstat(name).group), User.staff, "group of \(name)")
          t.equal(Int(try t.lstat(name).user), User.alice, "owner of \(name)")
        }
        t.equal(try t.stat("d/e").permissions, 0o2755, "a directory inherits the bit")
        t.equal(try t.stat("d/f").permissions, 0o644, "a file does not")
        try t.mkdir("d/e/deep").ok()
        t.equal(Int(try t.stat("d/e/deep").group), User.staff)
      }
      try t.chmod("d", 0o777).ok()
      try t.asUser(User.alice, group: User.guests) {
        try t.make("d/g")
        t.equal(Int(try t.lstat("d/g").group), User.guests, "group without the bit")
      }
    },
    YardstickCase("directories", "a stranger makes no set-group-ID program of a directory's group", needs: [.root]) {
      t in
      try t.mkdir("d").ok()
      try t.chown("d", -1, User.staff).ok()
      try t.chmod("d", 0o2777).ok()
      try t.asUser(User.alice, group: User.guests) {
        try t.open("d/f", O_CREAT | O_RDWR, 0o2755).file().close().gives(0)
        t.equal(try t.stat("d/f").permissions, 0o755)
        try t.open("d/g", O_CREAT | O_RDWR, 0o2745).file().close().gives(0)
        t.equal(try t.stat("d/g").permissions, 0o2745, "without execution for the group it means nothing")
      }
      try t.asUser(User.alice, group: User.guests, groups: [User.staff]) {
        try t.open("d/h", O_CREAT | O_RDWR, 0o2755).file().close().gives(0)
        t.equal(try t.stat("d/h").permissions, 0o2755)
      }
    },
  ]

  private static let sizes: [YardstickCase] = [
    YardstickCase("directories", "5,000 files in one directory are listed, found and removed") { t in
      let names = (0..<5000).map { Name("file with a longer name \($0 &* 7919 % 5000)") }
      try t.mkdir("d").ok()
      for name in names { try t.open("d/\(name)", O_CREAT | O_EXCL | O_WRONLY).file().close().gives(0) }
      t.equal(try t.list("d"), names.sorted())
      t.open("d/\(names[17])", O_CREAT | O_EXCL | O_WRONLY).fails(EEXIST)
      for name in names { t.equal(try t.lstat("d/\(name)").type, S_IFREG) }
      for name in names.prefix(4990) { try t.unlink("d/\(name)").ok() }
      t.equal(try t.list("d"), names.suffix(10).sorted())
      t.rmdir("d").fails(ENOTEMPTY)
      for name in names.suffix(10) { try t.unlink("d/\(name)").ok() }
      try t.rmdir("d").ok()
    },
    YardstickCase("directories", "a tree is deeper than a path can be long") { t in
      let name = Name(long: 200)
      for level in 0..<60 {
        try t.mkdir(name).ok()
        try t.make("f", bytes("\(level)"))
        try t.chdir(name).ok()
      }
      try t.make("bottom", bytes("deep"))
      for level in (0..<60).reversed() {
        try t.chdir("..").ok()
        try t.holds("f", bytes("\(level)"))
      }
      // 19 names of 200 bytes and slashes are 3,819 bytes, 21 are more than 4,096.
      let paths = [19, 21].map { Name(Array(repeating: name.bytes, count: $0).joined(separator: [0x2f]).map { $0 }) }
      t.equal(try t.stat(paths[0]).type, S_IFDIR)
      t.stating(paths[1]).fails(ENAMETOOLONG)
    },
    YardstickCase("directories", "500 levels are made and climbed") { t in
      for _ in 0..<500 {
        try t.mkdir("d").ok()
        try t.chdir("d").ok()
      }
      let bottom = try t.stat(".")
      for _ in 0..<500 {
        try t.chdir("..").ok()
      }
      let path = Name(Array(repeating: "d", count: 500).joined(separator: "/"))
      t.equal(try t.stat(path).inode, bottom.inode)
    },
  ]
}
