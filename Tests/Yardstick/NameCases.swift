import CYardstick
import Glibc

/// Names: how long they can be, which bytes they can have, and what a slash or dots at their end mean.
enum NameCases {
  static let all: [YardstickCase] = fitting + tooLong + bytesOfNames + ends

  /// A call that takes a name: on one that must be a file, a directory, or must not be there.
  private struct NameCall: Sendable {
    enum Object { case file, directory, nothing }
    let label: String
    let object: Object
    let call: @Sendable (Trial, Name) -> Answer
  }

  /// Every call that takes a name of what exists. They leave it there.
  private static let onExisting: [NameCall] = [
    NameCall(label: "open", object: .file) { t, n in closing(t, t.open(n, O_RDONLY)) },
    NameCall(label: "stat", object: .file) { t, n in t.stating(n) },
    NameCall(label: "lstat", object: .file) { t, n in t.stating(n, follow: false) },
    NameCall(label: "access", object: .file) { t, n in t.access(n, R_OK) },
    NameCall(label: "chmod", object: .file) { t, n in t.chmod(n, 0o644) },
    NameCall(label: "chown", object: .file) { t, n in t.chown(n, -1, -1) },
    NameCall(label: "lchown", object: .file) { t, n in t.chown(n, -1, -1, follow: false) },
    NameCall(label: "truncate", object: .file) { t, n in t.truncate(n, 0) },
    NameCall(label: "utimensat", object: .file) { t, n in t.utimens(n, access: .now, modification: .now) },
    NameCall(label: "getxattr", object: .file) { t, n in t.getxattr(n, "user.none").answer },
    NameCall(label: "listxattr", object: .file) { t, n in t.listxattr(n).answer },
    NameCall(label: "setxattr", object: .file) { t, n in t.setxattr(n, "user.a", [1]) },
    NameCall(label: "removexattr", object: .file) { t, n in t.removexattr(n, "user.a") },
    NameCall(label: "statfs", object: .file) { t, n in t.statingFileSystem(n) },
    NameCall(label: "link from", object: .file) { t, n in
      _ = t.unlink("linked")
      return t.link(n, "linked")
    },
    NameCall(label: "rename from", object: .file) { t, n in
      let answer = t.rename(n, "renamed")
      _ = t.rename("renamed", n)
      return answer
    },
    NameCall(label: "chdir", object: .directory) { t, n in
      let answer = t.chdir(n)
      if answer.value == 0 { _ = t.chdir("..") }
      return answer
    },
    NameCall(label: "open of a directory", object: .directory) { t, n in closing(t, t.open(n, O_RDONLY | O_DIRECTORY))
    },
  ]

  /// Every call that makes a name. They leave nothing there.
  private static let onNew: [NameCall] = [
    NameCall(label: "open O_CREAT", object: .nothing) { t, n in
      removing(t, n, closing(t, t.open(n, O_CREAT | O_RDWR)))
    },
    NameCall(label: "mkdir", object: .nothing) { t, n in
      let answer = t.mkdir(n)
      if answer.value == 0 { t.rmdir(n).gives(0) }
      return answer
    },
    NameCall(label: "mknod", object: .nothing) { t, n in removing(t, n, t.mknod(n, S_IFIFO | 0o600)) },
    NameCall(label: "symlink", object: .nothing) { t, n in removing(t, n, t.symlink("x", n)) },
    NameCall(label: "link to", object: .nothing) { t, n in removing(t, n, t.link("here", n)) },
    NameCall(label: "rename to", object: .nothing) { t, n in
      let answer = t.rename("here", n)
      _ = t.rename(n, "here")
      return answer
    },
  ]

  /// Every call that takes a name away.
  private static let removals: [NameCall] = [
    NameCall(label: "unlink", object: .file) { t, n in t.unlink(n) },
    NameCall(label: "rmdir", object: .directory) { t, n in t.rmdir(n) },
  ]

  private static func closing(_ t: Trial, _ answer: Answer) -> Answer {
    if answer.value >= 0 { File(Int32(answer.value), t).close() }
    return answer
  }

  private static func removing(_ t: Trial, _ name: Name, _ answer: Answer) -> Answer {
    if answer.value >= 0 { t.unlink(name).gives(0) }
    return answer
  }

  private static let fitting: [YardstickCase] =
    [1, 254, 255].map { count -> YardstickCase in
      YardstickCase("names", "a name of \(count) bytes goes into every call", needs: [.hardLinks]) { t in
        let name = Name(long: count)
        try t.make("here")
        for call in onNew {
          let value = call.call(t, name).value
          t.expect(value >= 0, "\(call.label) takes \(count) bytes: \(value)")
        }
        for (object, calls) in [(NameCall.Object.file, onExisting), (.directory, onExisting), (.file, removals)] {
          let chosen = calls.filter { $0.object == object }
          if object == .file { try t.make(name) } else { try t.mkdir(name).ok() }
          for call in chosen {
            let value = call.call(t, name).value
            let isFine = value >= 0 || call.label == "getxattr" && value == -Int(ENODATA)
            let isRefused = call.label.contains("xattr") && !t.has(.userAttributes)
            t.expect(isFine || isRefused, "\(call.label) takes \(count) bytes: \(value)")
          }
          if t.exists(name) { (object == .file ? t.unlink(name) : t.rmdir(name)).gives(0) }
        }
        try t.mkdir(name).ok()
        t.rmdir(name).gives(0)
      }
    }

  private static let tooLong: [YardstickCase] =
    [256, 1023, 3000].map { count -> YardstickCase in
      YardstickCase("names", "a name of \(count) bytes is ENAMETOOLONG in every call") { t in
        let name = Name(long: count)
        try t.make("here")
        for call in onNew + onExisting + removals {
          for path: Name in [name, "./\(name)", "\(name)/inner"] {
            let value = call.call(t, path).value
            t.equal(value, -Int(ENAMETOOLONG), "\(call.label) of \(path)")
          }
        }
        t.symlink(name, "link").gives(0)  // What a link contains is no name.
        t.stating("link").fails(ENAMETOOLONG)
        t.equal(try t.list("."), ["here", "link"])
      }
    } + [
      YardstickCase("names", "a path of 4,095 bytes is followed, one of 4,096 is ENAMETOOLONG") { t in
        try t.make("f")
        let slashes = Name(String(repeating: "/", count: 4093))
        try t.open(".\(slashes)f", O_RDONLY).file().close().gives(0)
        t.open("./\(slashes)f", O_RDONLY).fails(ENAMETOOLONG)
      }
    ]

  private static let bytesOfNames: [YardstickCase] = [
    YardstickCase("names", "every byte but slash and NUL can be in a name") { t in
      let allowed = (1...255).filter { $0 != 0x2f }.map { UInt8($0) }
      let names = allowed.map { Name([0x61, $0, 0x7a]) } + allowed.filter { $0 != 0x2e }.map { Name([$0]) }
      for name in names { try t.make(name, name.bytes) }
      t.equal(try t.list("."), names.sorted())
      for name in names { try t.holds(name, name.bytes) }
      for name in names {
        try t.rename(name, "in between").ok()
        try t.rename("in between", "\(name)-").ok()
      }
      t.equal(try t.list("."), names.map { "\($0)-" }.sorted())
      for name in names { try t.unlink("\(name)-").ok() }
    },
    YardstickCase("names", "names are bytes: neither case nor the form of an accent is the same") { t in
      let names: [Name] = ["a", "A", "\u{e9}", "e\u{301}", Name([0xe9]), "...", "..a", " ", "-", "~", "*"]
      for name in names { try t.make(name) }
      t.equal(try t.list("."), names.sorted())
      t.equal(Set(try names.map { try t.stat($0).inode }).count, names.count)
    },
    YardstickCase("names", "255 bytes of other than ASCII are one name, in a listing too") { t in
      let name = Name(Array(String(repeating: "\u{20ac}", count: 85).utf8))
      t.equal(name.bytes.count, 255)
      try t.mkdir(name).ok()
      try t.make("\(name)/\(name)")
      t.equal(try t.list(name), [name])
      t.open("\(name)x", O_CREAT | O_RDWR).fails(ENAMETOOLONG)
    },
    YardstickCase("names", "an empty name is ENOENT in every call") { t in
      try t.make("here")
      for call in onNew + onExisting + removals { t.equal(call.call(t, "").value, -Int(ENOENT), call.label) }
      t.symlink("", "l").fails(ENOENT)
    },
    YardstickCase("names", "a name that is not there is ENOENT in every call, and ENOTDIR through a file") { t in
      try t.make("here")
      for call in onExisting + removals {
        t.equal(call.call(t, "none").value, -Int(ENOENT), call.label)
        t.equal(call.call(t, "none/inner").value, -Int(ENOENT), call.label + " inside")
        t.equal(call.call(t, "here/inner").value, -Int(ENOTDIR), call.label + " through a file")
      }
      for call in onNew {
        t.equal(call.call(t, "none/inner").value, -Int(ENOENT), call.label + " inside")
        t.equal(call.call(t, "here/inner").value, -Int(ENOTDIR), call.label + " through a file")
      }
    },
  ]

  private static let ends: [YardstickCase] = [
    YardstickCase("names", "dots cannot be made, removed or renamed") { t in
      try t.mkdir("d").ok()
      try t.make("f")
      t.mkdir(".").fails(EEXIST)
      t.mkdir("d/..").fails(EEXIST)
      t.rmdir("d/.").fails(EINVAL)
      t.rmdir("d/..").fails(ENOTEMPTY)
      t.unlink("d/.").fails(EISDIR)
      t.unlink("d/..").fails(EISDIR)
      t.rename("d/.", "e").fails(EBUSY)
      t.rename("d/..", "e").fails(EBUSY)
      t.rename("f", "d/.").fails(EBUSY)
      t.rename("f", "d/..").fails(EBUSY)
      t.link("f", "d/.").fails(EEXIST)
      t.symlink("f", "d/..").fails(EEXIST)
      t.mknod("d/.", S_IFIFO | 0o600).fails(EEXIST)
      t.open("d/.", O_CREAT | O_RDWR).fails(EISDIR)
      t.equal(try t.list("."), ["d", "f"])
    },
    YardstickCase("names", "dots in a path lead to the directory and the one above") { t in
      try t.mkdir("d").ok()
      try t.mkdir("d/e").ok()
      t.equal(try t.stat("d/.").inode, try t.stat("d").inode)
      t.equal(try t.stat("d/e/..").inode, try t.stat("d").inode)
      t.equal(try t.stat("d/e/../..").inode, try t.stat(".").inode)
      try t.symlink("d/e", "l").ok()
      t.equal(try t.stat("l/..").inode, try t.stat("d").inode, "above what a link leads to")
    },
    YardstickCase("names", "a slash at the end is for directories only") { t in
      try t.make("f", bytes("x"))
      try t.mkdir("d").ok()
      try t.symlink("d", "dl").ok()
      try t.symlink("f", "fl").ok()
      t.open("f/", O_RDONLY).fails(ENOTDIR)
      t.stating("f/").fails(ENOTDIR)
      t.stating("fl/").fails(ENOTDIR)
      t.unlink("f/").fails(ENOTDIR)
      t.unlink("d/").fails(EISDIR)
      t.unlink("dl/").fails(ENOTDIR)
      t.rmdir("dl/").fails(ENOTDIR)
      t.truncate("f/", 0).fails(ENOTDIR)
      t.chmod("f/", 0o600).fails(ENOTDIR)
      t.link("f/", "g").fails(ENOTDIR)
      t.rename("f/", "g").fails(ENOTDIR)
      t.equal(try t.lstat("dl/").type, S_IFDIR)
      t.equal(try t.stat("d//").inode, try t.stat("d").inode)
      t.equal(try t.list("."), ["d", "dl", "f", "fl"])
    },
    YardstickCase("names", "a slash at the end makes directories only") { t in
      try t.make("f")
      t.open("n/", O_CREAT | O_RDWR).fails(EISDIR)
      t.mknod("n/", S_IFIFO | 0o600).fails(ENOENT)
      t.symlink("x", "n/").fails(ENOENT)
      t.link("f", "n/").fails(ENOENT)
      t.rename("f", "n/").fails(ENOTDIR)
      try t.mkdir("n/").ok()
      try t.rename("n/", "m/").ok()
      t.mkdir("f/").fails(EEXIST)
      t.equal(try t.list("."), ["f", "m"])
      try t.rmdir("m/").ok()
    },
  ]
}
