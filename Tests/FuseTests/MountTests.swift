import Glibc
import Platform
import Synchronization
import Testing

@testable import Fuse

/// Whether a real mount can be made here.
let canMount = geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0
/// Whether fusermount3 is installed, too.
let canUseHelper = canMount && access("/usr/bin/fusermount3", X_OK) == 0
/// Whether other users may open /dev/fuse, as is usual.
let canMountAsUser =
  canUseHelper && (try? FileStatus(path: "/dev/fuse")).map { $0.permissions & 0o006 == 0o006 } == true

@Suite("A mount, by the real kernel", .serialized, .timeLimit(.minutes(15))) struct MountTests {
  @Test("what statfs, stat, readdir, read and xattrs say", .enabled(if: canMount, "needs root and /dev/fuse"))
  func everything() throws {
    let files = SmallFileSystem()
    let counts = try withMount(files) { (directory: String) throws in
      #expect(try names(directory) == [".", "..", "big", "empty", "hello"])
      #expect(try read("\(directory)/hello") == Array("Hello, world\n".utf8))
      #expect(try read("\(directory)/big") == SmallFileSystem.pattern)
      #expect(try read("\(directory)/big", directIO: true) == SmallFileSystem.pattern)
      let status = try FileStatus(path: "\(directory)/big")
      #expect(status.size == UInt64(SmallFileSystem.pattern.count))
      #expect(status.inode == 4)
      #expect(status.permissions == 0o644)
      #expect(throws: Errno.noEntry) { try FileStatus(path: "\(directory)/nothing") }
      #expect(mkdir("\(directory)/new", 0o755) == -1 && errno == EROFS)
      #expect(attribute("user.color", of: "\(directory)/hello") == "green")
      var space = statvfs()
      #expect(statvfs(directory, &space) == 0 && space.f_blocks == 1000 && space.f_bavail == 500)
      #expect(birthSecond(of: "\(directory)/hello") == 1_600_000_000)
      // Nobody waits for a release, and an unmount would overtake it.
      #expect(seconds(until: { files.record.withLock { $0.opened == $0.released } }) != nil)
    }
    let faultless = counts.filter { $0.errors == 0 }.map(\.opcode)
    #expect(faultless.contains("read") && faultless.contains("statx"))
    #expect(files.record.withLock { $0.opened > 0 && $0.destroyed == 1 })
  }

  @Test("a mapped file reads as its memory, in several threads too", .enabled(if: canMount, "needs root and /dev/fuse"))
  func mapped() throws {
    try withMount(SmallFileSystem(rangeSize: 4096 - 16)) { (directory: String) throws in
      let readers = try (0..<4).map { number in
        try Thread(named: "reader") {
          let isSame = (try? isPattern("\(directory)/big")) == true
          #expect(isSame, "reader \(number)")
        }
      }
      for reader in readers { reader.join() }
    }
  }

  @Test("a write changes the memory, and what is cached", .enabled(if: canMount, "needs root and /dev/fuse"))
  func write() throws {
    let files = SmallFileSystem()
    try withMount(files) { (directory: String) throws in
      _ = try read("\(directory)/hello")
      let file = try FileDescriptor(opening: "\(directory)/hello", .writeOnly)
      try Array("HELLO".utf8).withUnsafeBytes { try file.write(all: $0) }
      #expect(files.contents(SmallFileSystem.hello) == Array("HELLO, world\n".utf8))
      #expect(try read("\(directory)/hello") == Array("HELLO, world\n".utf8))
    }
  }

  @Test("a change behind the kernel's back is seen after a notification", .enabled(if: canMount, "needs root"))
  func notification() throws {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { bytes.deallocate() }
    bytes.initializeMemory(as: UInt8.self, repeating: 1)
    try withMount(SmallFileSystem(given: UnsafeRawBufferPointer(bytes))) { (directory: String, door: DevFuse) throws in
      #expect(try read("\(directory)/given").first == 1)
      bytes.initializeMemory(as: UInt8.self, repeating: 2)
      #expect(try read("\(directory)/given").first == 1)
      try Notifier(door).invalidate(SmallFileSystem.given)
      try Notifier(door).invalidate("given".utf8Span.span.bytes, in: .root)
      try Notifier(door).invalidate("unknown".utf8Span.span.bytes, in: .root, expireOnly: true)
      #expect(try read("\(directory)/given").first == 2)
    }
  }

  @Test("files and directories need no opening", .enabled(if: canMount, "needs root and /dev/fuse"))
  func withoutOpen() throws {
    let files = SmallFileSystem(traits: [.withoutOpen, .withoutOpendir])
    let counts = try withMount(files) { (directory: String) throws in
      for _ in 0..<5 {
        #expect(try read("\(directory)/hello") == Array("Hello, world\n".utf8))
        #expect(try names(directory).count == 5)
      }
    }
    #expect(counts.first { $0.opcode == "open" }?.requests == 1)
    #expect(counts.first { $0.opcode == "opendir" }?.requests == 1)
    #expect(!counts.contains { $0.opcode == "release" || $0.opcode == "releasedir" })
  }

  @Test("memory that the kernel cannot pin is copied", .enabled(if: canMount, "needs root and /dev/fuse"))
  func unpinnable() throws {
    // The clock's page, which the kernel shares with every process, has no struct page that could be pinned.
    let clock = try #require(clockPage())
    let files = SmallFileSystem(given: clock)
    try withMount(files) { (directory: String) throws in
      #expect(try read("\(directory)/given").count == 4096)
      #expect(try read("\(directory)/hello") == Array("Hello, world\n".utf8))
    }
  }

  @Test("one request fails until unpinnable memory is known", .enabled(if: canMount, "needs root and /dev/fuse"))
  func unpinnableLater() throws {
    let clock = try #require(clockPage())
    let counts = try withMount(SmallFileSystem(given: clock)) { (directory: String) throws in
      #expect(try read("\(directory)/hello") == Array("Hello, world\n".utf8))
      // The page cache would ask a second time by itself, and hide what this is about.
      #expect(throws: Errno.inputOutput) { _ = try read("\(directory)/given", directIO: true).count }
      // The kernel answers before the thread that failed has told the others.
      #expect(seconds(until: { (try? read("\(directory)/given", directIO: true).count) == 4096 }) != nil)
      #expect(try read("\(directory)/given", directIO: true).count == 4096)
    }
    #expect(counts.contains { $0.opcode == "read" && $0.errors > 0 })
  }

  @Test("memory that is gone is EIO, and the daemon lives", .enabled(if: canMount, "needs root and /dev/fuse"))
  func gone() throws {
    let memory = try VanishedMemory()
    try withMount(SmallFileSystem(given: memory.bytes)) { (directory: String) throws in
      #expect(throws: Errno.inputOutput) { _ = try read("\(directory)/given").count }
      #expect(try read("\(directory)/hello") == Array("Hello, world\n".utf8))
      #expect(throws: Errno.inputOutput) { _ = try read("\(directory)/given").count }
      #expect(try read("\(directory)/big") == SmallFileSystem.pattern)
    }
  }

  @Test("the mount table tells source and type, and read-ahead is set", .enabled(if: canMount, "needs root"))
  func options() throws {
    let source = "/dev/some, thing\\else"
    try withMount(SmallFileSystem(), source: source) { (directory: String) throws in
      let mount = try #require(try Mount.all().last { $0.mountPoint == directory })
      #expect(mount.type == "fuse.small")
      #expect(mount.source == source)
      let readAhead = "/sys/class/bdi/\(mount.device.major):\(mount.device.minor)/read_ahead_kb"
      if access(readAhead, R_OK) == 0 { #expect(firstLine(of: readAhead) == "1024") }
    }
  }

  @Test("a mount in use is not unmounted, unless lazily", .enabled(if: canMount, "needs root and /dev/fuse"))
  func busy() throws {
    try withMount(SmallFileSystem()) { (directory: String) throws in
      let file = try FileDescriptor(opening: "\(directory)/hello", .readOnly)
      #expect(throws: MountError.unmount(directory, .busy)) { try Mounting.unmount(directory) }
      try Mounting.unmount(directory, lazily: true)
      #expect(throws: MountError.unmount(directory, .invalidArgument)) { try Mounting.unmount(directory) }
      var byte: UInt8 = 0
      let count = withUnsafeMutableBytes(of: &byte) { try? file.read(at: 0, into: $0) }
      #expect(count == 1)
      #expect(byte == UInt8(ascii: "H"))
    }
  }

  @Test("an aborted connection ends the session as aborted", .enabled(if: canMount, "needs root and /dev/fuse"))
  func aborted() throws {
    let directory = try TemporaryDirectory()
    let control = try TemporaryDirectory()
    let door = try Mounting.mount(on: directory.path, MountOptions(source: "small", subtype: "small"))
    defer { umount2(directory.path, 2) }
    let number = try #require(try Mount.all().last { $0.mountPoint == directory.path }).device.minor
    try #require(mount("none", control.path, "fusectl", 0, nil) == 0)
    defer { umount2(control.path, 2) }
    let ending = Mutex<Ending?>(nil)
    let session = Session(SmallFileSystem(), over: door)
    let server = try Thread(named: "session") {
      let reason = try? session.run(threads: 2)
      ending.withLock { $0 = reason }
    }
    #expect(try read("\(directory.path)/hello").count == 13)
    let abort = try FileDescriptor(opening: "\(control.path)/\(number)/abort", .writeOnly)
    try Array("1".utf8).withUnsafeBytes { try abort.write(all: $0) }
    server.join()
    #expect(ending.withLock { $0 } == .aborted)
    #expect(throws: MountError.mountPoint(directory.path, Errno(rawValue: ENOTCONN))) {
      _ = try Mounting.mount(on: directory.path, MountOptions(source: "small", subtype: "small"))
    }
    try Mounting.unmount(directory.path)
  }

  @Test(
    "fusermount3 mounts and unmounts for another user",
    .enabled(if: canMountAsUser, "needs root, fusermount3 and /dev/fuse for all"))
  func fusermount() throws {
    let directory = try TemporaryDirectory()
    #expect(chown(directory.path, 65534, 65534) == 0)
    let outcome = Mutex<String>("nothing happened")
    let path = directory.path
    // One thread becomes another user; the rest of the process stays.
    try Thread(named: "nobody") {
      let words: String
      do {
        try becomeNobody()
        try asUser(path)
        words = ""
      } catch {
        words = "\(error)"
      }
      outcome.withLock { $0 = words }
    }.join()
    umount2(path, 2)
    #expect(outcome.withLock { $0 } == "")
  }

  @Test("fusermount3 sends the descriptor of its mount", .enabled(if: canUseHelper, "needs root and fusermount3"))
  func helper() throws {
    let directory = try TemporaryDirectory()
    let door = DevFuse(try Fusermount.mount(directory.path, MountOptions(source: "a, b", subtype: "small")))
    try serve(SmallFileSystem(), over: door, on: directory.path) {
      let mount = try Mount.all().last { $0.mountPoint == directory.path }
      #expect(mount?.source == "a, b")
      #expect(mount?.type == "fuse.small")
      #expect(try read("\(directory.path)/big") == SmallFileSystem.pattern)
      try Fusermount.unmount(directory.path, lazily: false)
    }
  }

  @Test("fusermount3's refusal is told in its own words", .enabled(if: canUseHelper, "needs root and fusermount3"))
  func refusal() throws {
    do {
      try Fusermount.unmount("/", lazily: false)
      Issue.record("/ was unmounted")
    } catch {
      #expect(error.description.contains("fusermount3"))
    }
  }

  @Test("a bad mount point is named, with a remedy")
  func badMountPoint() throws {
    let options = MountOptions(source: "x", subtype: "small")
    #expect(throws: MountError.mountPoint("/nowhere/at/all", .noEntry)) {
      _ = try Mounting.mount(on: "/nowhere/at/all", options)
    }
    #expect(throws: MountError.mountPoint("/proc/self/status", .notDirectory)) {
      _ = try Mounting.mount(on: "/proc/self/status", options)
    }
    #expect(MountError.mountPoint("/a", .noEntry).description.contains("mkdir -p /a"))
    #expect(MountError.helperMissing.description.contains("apt install fuse3"))
    #expect(MountError.deviceMissing.description.contains("modprobe fuse"))
  }

  @Test("options are spelled as mount(2) and fusermount3 want them")
  func spelling() {
    var options = MountOptions(source: "/dev/a,b\\c", subtype: "famfs")
    options.allowOther = true
    #expect(
      Fusermount.mountOptions(options) == "fsname=/dev/a\\,b\\\\c,subtype=famfs,default_permissions,allow_other")
    options.isReadOnly = true
    options.defaultPermissions = false
    options.allowOther = false
    #expect(Fusermount.mountOptions(options) == "fsname=/dev/a\\,b\\\\c,subtype=famfs,ro")
    #expect(Mounting.rootOptions(7, options) == "fd=7,rootmode=40000,user_id=\(geteuid()),group_id=\(getegid())")
  }
}
