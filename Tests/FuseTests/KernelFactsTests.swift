import CYardstick
import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

// What the kernel sends over /dev/fuse and what it does by itself, as file systems on the engine count on.

@Suite(
  "What the kernel never sends", .serialized, .enabled(if: canWatch, "needs root and Linux 6.18"),
  .timeLimit(.minutes(15)))
struct NeverSentTests {
  @Test("FIEMAP and FIFREEZE are refused by the kernel, unlike FS_IOC_GETFLAGS")
  func ioctls() throws {
    try withWatched { mount in
      let file = try FileDescriptor(opening: mount.path("f"), [.readWrite, .create])
      var room = [UInt8](repeating: 0, count: 64)
      let came = room.withUnsafeMutableBytes { room in
        mount.during {
          for command in [0xc020_660b, 0xc004_5877] {  // FS_IOC_FIEMAP, FIFREEZE
            #expect(file.call(SYS_ioctl, command, Int(bitPattern: room.baseAddress)) == -Int(EOPNOTSUPP))
          }
          #expect(file.call(SYS_ioctl, Int(yard_ioc_getflags), Int(bitPattern: room.baseAddress)) == 0)
        }
      }
      // It has a handle of its own.
      #expect(came.operations == [.open, .ioctl])
    }
  }

  @Test("fallocate(2) that collapses or inserts is refused by the kernel, unlike one that punches")
  func fallocate() throws {
    try withWatched { mount in
      let file = try FileDescriptor(opening: mount.path("f"), [.readWrite, .create])
      try file.write(all: [UInt8](repeating: 1, count: 12_288))
      let came = mount.during {
        for mode in [YARD_FALLOC_COLLAPSE, YARD_FALLOC_INSERT] {
          #expect(file.call(SYS_fallocate, mode, 0, 4096) == -Int(EOPNOTSUPP))
        }
        #expect(file.call(SYS_fallocate, YARD_FALLOC_PUNCH_HOLE | YARD_FALLOC_KEEP_SIZE, 0, 4096) == 0)
      }
      #expect(came.operations == [.fallocate])
    }
  }

  @Test("syncfs(2) asks only where SYNCFS was agreed, which Linux 6.18 does not offer over /dev/fuse")
  func syncfs() throws {
    try withWatched { mount in
      let directory = try FileDescriptor(opening: mount.path, .readOnly)
      let came = mount.during { #expect(directory.call(SYS_syncfs) == 0) }
      #expect(came.operations == (mount.agreement.flags.contains(.syncFileSystem) ? [.syncfs] : []))
    }
  }

  @Test("a remount that is read-only from then on")
  func remount() throws {
    try withWatched { mount in
      try mount.make("f", [1, 2, 3])
      let came = mount.during {
        let remountReadOnly: UInt = 32 | 1
        // EBUSY while a program that another test has just started has copies of all descriptors.
        #expect(seconds(until: { Glibc.mount("memory", mount.path, "fuse.memory", remountReadOnly, nil) == 0 }) != nil)
      }
      #expect(came.operations == [])
      #expect(throws: Errno.readOnlyFileSystem) { _ = try FileDescriptor(opening: mount.path("f"), .writeOnly) }
      #expect(try read(mount.path("f")) == [1, 2, 3])
    }
  }

  @Test("reads do not set the time of access: not those that ask for pages, and not those that find them")
  func accessTime() throws {
    try withWatched { mount in
      try mount.make("f", [UInt8](repeating: 1, count: 8192))
      try mount.make("g")
      // relatime(8): the next read would set a time that is older than the last change.
      #expect(try shell("touch -a -d @1000 f", in: mount.path) == 0)
      for isCached in [false, true] {
        if !isCached { try mount.notifier.invalidate(mount.node("f")) }
        let came = try mount.during { () throws in #expect(try read(mount.path("f")).count == 8192) }
        #expect(came.of(.read).isEmpty == isCached)
        #expect(came.of(.setattr).isEmpty)
      }
      let script = "test $(stat -c %X f) = 1000"
      #expect(try shell(script, in: mount.path) == 0)
    }
  }
}

@Suite(
  "What the kernel checks, and what it leaves to the server", .serialized,
  .enabled(if: canWatch, "needs root and Linux 6.18"), .timeLimit(.minutes(15)))
struct KernelCheckTests {
  @Test(
    "names of 256 bytes and more are sent, and the session answers ENAMETOOLONG; without MAX_PAGES those up to 1,024",
    arguments: [true, false])
  func names(hasMaxPages: Bool) throws {
    var options = WatchedMount.Options()
    options.withheld = hasMaxPages ? [] : .maxPages
    try withWatched(options) { mount in
      for count in [255, 256, 1024, 1025, 4000] {
        let path = mount.path(String(repeating: "n", count: count))
        let came = mount.during {
          #expect(throws: count > 255 ? Errno.nameTooLong : .noEntry) { try FileStatus(path: path) }
        }
        #expect(came.of(.lookup).map { $0.text().utf8.count } == (hasMaxPages || count <= 1024 ? [count] : []))
        // What is to be made is looked up first.
        #expect(mkdir(path, 0o755) == (count > 255 ? -1 : 0))
      }
      #expect(mount.device.seen(.mkdir).map { $0.text(8).utf8.count } == [255])
    }
  }

  @Test("immutable and append-only are flags of the server: the kernel sends what they forbid")
  func flags() throws {
    try withWatched { mount in
      try mount.make("f", [1])
      #expect(try shell("chattr +i f", in: mount.path) == 0)
      let refused = mount.during {
        #expect(throws: Errno.notPermitted) { _ = try FileDescriptor(opening: mount.path("f"), .writeOnly) }
        #expect(chmod(mount.path("f"), 0o600) == -1 && errno == EPERM)
        #expect(unlink(mount.path("f")) == -1 && errno == EPERM)
      }
      #expect(refused.operations([.open, .setattr, .unlink]) == [.open, .setattr, .unlink])
      #expect(try shell("chattr -i +a f", in: mount.path) == 0)
      let came = try mount.during {
        let file = try FileDescriptor(opening: mount.path("f"), OpenOptions(rawValue: O_WRONLY | O_APPEND))
        #expect(throws: Errno.notPermitted) { try file.truncate(to: 0) }
      }
      #expect(came.operations([.open, .setattr]) == [.open, .setattr])
      #expect(try shell("chattr -a f", in: mount.path) == 0)
    }
  }

  @Test("with POSIX_ACL the kernel checks modes, whether the mount says default_permissions or not")
  func forcedPermissions() throws {
    for traits in [[], .posixACL] as [FileSystemTraits] {
      var options = WatchedMount.Options()
      (options.traits, options.defaultPermissions) = (traits, false)
      try withWatched(options) { mount in
        try mount.make("f", [1], 0o600)
        let path = mount.path("f")
        let came = try mount.during {
          try asNobody {
            let opened = try? FileDescriptor(opening: path, .readOnly)
            #expect((opened == nil) == (traits == .posixACL))
          }
        }
        #expect(came.of(.open).count == (traits == .posixACL ? 0 : 1))
      }
    }
  }

  @Test("with POSIX_ACL, but without DONT_MASK, the umask applies though a default ACL is there")
  func mask() throws {
    for withheld in [[], .dontMask] as [InitFlags] {
      var options = WatchedMount.Options()
      (options.traits, options.withheld) = (.posixACL, withheld)
      try withWatched(options) { mount in
        // Version 2; then tag, permissions and id of each entry: all may do all.
        let all = [UInt16(1), 4, 32].reduce(Message().u32(2)) { $0.u16($1).u16(7).u32(.max) }
        try mount.files.setxattr(
          .root, "system.posix_acl_default".utf8Span.span.bytes, all.bytes.span.bytes, .set,
          clearsSetGID: false, Caller(userID: 0, groupID: 0, processID: 0))
        let mode = withheld.isEmpty ? 666 : 600
        #expect(try shell("umask 077; touch f; test $(stat -c %a f) = \(mode)", in: mount.path) == 0)
      }
    }
  }

  @Test(
    "each write asks for security.capability, with HANDLE_KILLPRIV_V2 only the first one after attributes have come",
    arguments: [false, true])
  func capability(isAgreed: Bool) throws {
    var options = WatchedMount.Options()
    options.withheld = isAgreed ? [] : .handleKillPrivilegesV2
    try withWatched(options) { mount in
      let file = try FileDescriptor(opening: mount.path("f"), [.readWrite, .create])
      for _ in 0..<2 {
        let came = try mount.during {
          _ = try FileStatus(path: mount.path("f"))
          for _ in 0..<3 { try file.write("x") }
        }
        let first: [Opcode] = [.getxattr, .write]
        #expect(came.operations([.getxattr, .write]) == first + (isAgreed ? [.write, .write] : first + first))
        #expect(came.of(.getxattr).allSatisfy { $0.text(8) == "security.capability" })
      }
    }
  }

  @Test("the kernel lets a mount have few dirty pages, and root can raise that")
  func dirtyPages() throws {
    try withWatched { mount in
      let device = try #require(try Mount.all().last { $0.mountPoint == mount.path }).device
      let settings = "/sys/class/bdi/\(device.major):\(device.minor)"
      #expect(firstLine(of: settings + "/max_ratio") == "1")
      guard firstLine(of: settings + "/strict_limit") != nil else { try Test.cancel("strict_limit needs Linux 6.2") }
      #expect(firstLine(of: settings + "/strict_limit") == "1")
      for (name, value) in [("max_ratio", "40"), ("strict_limit", "0")] {
        try FileDescriptor(opening: "\(settings)/\(name)", .writeOnly).write(value)
        #expect(firstLine(of: "\(settings)/\(name)") == value)
      }
    }
  }

  @Test("PR_SET_IO_FLUSHER needs CAP_SYS_RESOURCE, which root may lack")
  func flusher() throws {
    let set = { @Sendable (on: Int) in yard_call(Int(SYS_prctl), 57, on, 0, 0, 0, 0) }
    let resource: UInt64 = 1 << 24
    let status = String(decoding: try readSmallFile("/proc/thread-self/status"), as: UTF8.self)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("CapEff:") })
    let capabilities = try #require(UInt64(line.split(separator: "\t").last ?? "", radix: 16))
    #expect(set(1) == (capabilities & resource == 0 ? -Int(EPERM) : 0))
    if capabilities & resource != 0 { #expect(set(0) == 0) }
    try asNobody { () throws in #expect(set(1) == -Int(EPERM)) }
  }
}
