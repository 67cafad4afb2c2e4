import Counts
import FuseTestSupport
import Glibc
import Platform
import Synchronization
import Testing

@testable import Fuse

/// A file system in memory where CREATE is not implemented.
private struct WithoutCreate: ForwardingFileSystem {
  let base = MemoryFileSystem()

  func create(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened) {
    throw .noSystemCall
  }
}

/// A file system in memory that has regular files only.
private struct RegularOnly: ForwardingFileSystem {
  let base = MemoryFileSystem()
  /// What the others are refused with.
  let refusal: Errno

  func mknod(_ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller) throws(Errno) -> Entry {
    guard new.mode & S_IFMT == S_IFREG else { throw refusal }
    return try base.mknod(name, in: directory, new, caller)
  }
}

@Suite("Changes on a mount, by the real kernel", .serialized, .timeLimit(.minutes(15))) struct ChangeMountTests {
  /// The first bytes of an open file.
  private func start(of file: borrowing FileDescriptor) throws(Errno) -> String {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 16)
    defer { bytes.deallocate() }
    return String(decoding: bytes[..<(try file.read(at: 0, into: bytes))], as: UTF8.self)
  }

  /// Mounts a file system in memory, and checks at the end that nothing came that should not have.
  @discardableResult
  private func withTree(
    _ traits: FileSystemTraits = [], _ body: (MemoryFileSystem, String, DevFuse) throws -> Void
  ) throws -> [OperationCount] {
    let files = MemoryFileSystem(MemoryFileSystem.Options(traits: traits))
    let counts = try withMount(files) { (directory: String, door: DevFuse) in
      try body(files, directory, door)
      // Nobody waits for a release, and an unmount would overtake it.
      #expect(seconds(until: { files.openCount == 0 }) != nil)
    }
    #expect(files.mistakes == [])
    return counts
  }

  private func count(_ opcode: Opcode, _ counts: [OperationCount]) -> UInt64 {
    counts.first { $0.opcode == opcode.name }?.requests ?? 0
  }

  private func write(_ text: String, _ path: String, _ options: OpenOptions) throws(Errno) {
    let file = try FileDescriptor(opening: path, options, mode: 0o644)
    try file.write(text)
  }

  private func text(_ path: String) throws -> String { String(decoding: try read(path), as: UTF8.self) }

  @Test("shell commands do what they do elsewhere", .enabled(if: canMount, "needs root and /dev/fuse"))
  func commands() throws {
    try withTree { (files, directory, _) throws in
      for script in [
        "mkdir -p a/b/c && test -d a/b/c",
        "mkdir a 2> /dev/null; test $? = 1",
        "mkdir tree && echo one > tree/one && mkdir tree/sub && seq 100000 > tree/sub/two && touch tree/three",
        "cp -r tree copy && diff -r tree copy",
        "tar cf t.tar tree && mkdir x && tar xf t.tar -C x && diff -r tree x/tree",
        "mv copy/sub/two a/b/c/ && ! test -e copy/sub/two && cmp tree/sub/two a/b/c/two",
        "mv x moved && diff -r tree moved/tree",
        "echo new > tree/new && mv tree/new tree/one && test \"$(cat tree/one)\" = new && ! test -e tree/new",
        "rmdir tree 2> /dev/null; test $? = 1",
        "dd if=/dev/zero of=zeros bs=4096 count=300 conv=fsync 2> /dev/null && test $(stat -c %s zeros) = 1228800",
        "truncate -s 10 zeros && test $(wc -c < zeros) = 10 && truncate -s 100 zeros && test $(wc -c < zeros) = 100",
        "touch -d @1234567890 zeros && test $(stat -c %Y zeros) = 1234567890",
        "chmod 600 zeros && test $(stat -c %a zeros) = 600",
        "mkfifo fifo && { echo through > fifo & test \"$(cat fifo)\" = through; }",
        "test $(stat -c %h a) = 3 && rm -r a/b && test $(stat -c %h a) = 2",
        "for i in $(seq 300); do echo $i > many-$i; done; test $(ls | grep -c many) = 300",
        "rm -rf * && test -z \"$(ls -A)\"",
      ] {
        #expect(try shell(script, in: directory) == 0, "\(script)")
      }
      #expect(files.calls.fsync > 0)
      // The kernel forgets what is removed, and nothing is left.
      #expect(seconds(until: { files.nodeCount == 1 && files.lookupCount == 0 }) != nil)
    }
  }

  @Test("O_CREAT makes and opens at once, and O_EXCL once only", .enabled(if: canMount, "needs root and /dev/fuse"))
  func exclusive() throws {
    try withWatched { (mount) throws in
      let path = mount.path("new")
      try write("first", path, [.readWrite, .create, .exclusive])
      #expect(throws: Errno.exists) { try write("second", path, [.readWrite, .create, .exclusive]) }
      try write("1st", path, [.readWrite, .create])
      #expect(try text(path) == "1stst")
      try write("x", path, [.writeOnly, .create, .truncate])
      #expect(try text(path) == "x")
      // The kernel answered the second time by itself.
      #expect(mount.device.seen(.create).count == 1)
      let create = try #require(mount.device.seen(.create).first)
      let intent = try CreateRequest(parsing: create.body.span.bytes).intent
      #expect(intent.isExclusive && intent.isReading && intent.isWriting && !intent.isTruncating)
      #expect(mount.device.seen(.mknod).isEmpty)
    }
  }

  @Test("without CREATE the kernel uses MKNOD and OPEN", .enabled(if: canMount, "needs root and /dev/fuse"))
  func withoutCreate() throws {
    let files = WithoutCreate()
    let counts = try withMount(files) { (directory: String) throws in
      for name in ["a", "b"] {
        try write("contents", "\(directory)/\(name)", [.writeOnly, .create, .exclusive])
        #expect(try text("\(directory)/\(name)") == "contents")
      }
    }
    #expect(count(.create, counts) == 1)
    #expect(count(.mknod, counts) == 2)
    #expect(files.base.mistakes == [])
  }

  @Test("where files need no opening they are made all the same", .enabled(if: canMount, "needs root and /dev/fuse"))
  func withoutOpen() throws {
    let counts = try withTree(.withoutOpen) { (_, directory, _) throws in
      #expect(try shell("echo a > a; cat a > b; echo c > c; cmp a b", in: directory) == 0)
      #expect(try text(directory + "/b") == "a\n")
    }
    #expect(count(.open, counts) == 1)
    #expect(count(.create, counts) == 3)
  }

  @Test("the umask is applied before the file system is asked", .enabled(if: canMount, "needs root and /dev/fuse"))
  func umask() throws {
    try withWatched { (mount) throws in
      #expect(try shell("umask 027; touch file; mkdir directory; mkfifo fifo", in: mount.path) == 0)
      // Mode and umask, where they stand in the structure of each.
      let made = mount.device.seen(.create).map { [$0.u32(4), $0.u32(8)] }
      #expect(made == [[S_IFREG | 0o640, 0o27]])
      #expect(mount.device.seen(.mkdir).map { [$0.u32(0), $0.u32(4)] } == [[0o750, 0o27]])
      #expect(mount.device.seen(.mknod).map { [$0.u32(0), $0.u32(8)] } == [[S_IFIFO | 0o640, 0o27]])
      #expect(try FileStatus(path: mount.path("file")).permissions == 0o640)
    }
  }

  @Test("a type that the file system does not have", .enabled(if: canMount), arguments: [EPERM, ENOSYS])
  func special(refusal: Int32) throws {
    let files = RegularOnly(refusal: Errno(rawValue: refusal))
    try withMount(files) { (directory: String) throws in
      for name in ["a", "b"] { #expect(mkfifo("\(directory)/\(name)", 0o644) == -1 && errno == refusal) }
      try write("contents", directory + "/c", [.writeOnly, .create])
    }
    #expect(files.base.mistakes == [])
  }

  @Test("a name that appears behind the kernel's back is opened, not made", .enabled(if: canMount, "needs root"))
  func late() throws {
    try withWatched { (mount) throws in
      let path = mount.path("late")
      func appear() throws {
        #expect(access(path, F_OK) == -1 && errno == ENOENT)
        _ = try mount.files.appear("late", with: "other")
        // The kernel may remember that it is absent.
        #expect(access(path, F_OK) == -1 && errno == ENOENT)
      }
      try appear()
      try write("OTH", path, [.writeOnly, .create])
      #expect(try text(path) == "OTHer")
      #expect(unlink(path) == 0)
      try appear()
      try write("x", path, [.writeOnly, .create, .truncate])
      #expect(try text(path) == "x")
      #expect(unlink(path) == 0)
      try appear()
      #expect(throws: Errno.exists) { try write("x", path, [.writeOnly, .create, .exclusive]) }
      #expect(mount.device.seen(.create).count == 2)
    }
  }

  @Test("renameat2 replaces, does not replace, and exchanges", .enabled(if: canMount, "needs root and /dev/fuse"))
  func rename2() throws {
    let (noReplace, exchange, whiteout): (UInt32, UInt32, UInt32) = (1, 2, 4)
    let counts = try withTree { (_, directory, _) throws in
      let (a, b, c) = (directory + "/a", directory + "/b", directory + "/c")
      try write("a", a, [.writeOnly, .create])
      try write("b", b, [.writeOnly, .create])
      #expect(throws: Errno.exists) { try rename(a, to: b, noReplace) }
      try rename(a, to: c, noReplace)
      #expect(try names(directory) == [".", "..", "b", "c"])
      try rename(b, to: c, exchange)
      #expect(try text(b) == "a" && text(c) == "b")
      #expect(throws: Errno.noEntry) { try rename(b, to: a, exchange) }
      #expect(throws: Errno.invalidArgument) { try rename(b, to: c, whiteout) }
      #expect(mkdir(a, 0o755) == 0 && mkdir(a + "/below", 0o755) == 0)
      try rename(a + "/below", to: b, exchange)
      #expect(try text(a + "/below") == "a")
      #expect(try FileStatus(path: b).kind == .directory)
      #expect(throws: Errno.invalidArgument) { try rename(a, to: a + "/itself", 0) }
      #expect(throws: Errno.notEmpty) { try rename(b, to: a, 0) }
      try rename(c, to: a + "/below", 0)
      #expect(try text(a + "/below") == "b")
    }
    #expect(count(.rename2, counts) > 0)
    #expect(count(.rename, counts) > 0)
  }

  @Test("fallocate(1) makes room, holes and zeros", .enabled(if: canMount, "needs root and /dev/fuse"))
  func allocation() throws {
    var options = WatchedMount.Options()
    options.pages = 4096
    try withWatched(options) { (mount) throws in
      for script in [
        "fallocate -l 100000 f && test $(stat -c %s f) = 100000",
        "yes | head -c 100000 > f && fallocate -n -l 200000 f && test $(stat -c %s f) = 100000",
        "fallocate -p -o 4096 -l 4096 f && test $(tr -d '\\0' < f | wc -c) = 95904",
        "fallocate -z -o 8192 -l 4096 f && test $(tr -d '\\0' < f | wc -c) = 91808",
        "! fallocate -c -o 0 -l 4096 f 2> /dev/null",
        "! fallocate -l 17M f 2> /dev/null && test $(stat -c %s f) = 100000",
      ] {
        #expect(try shell(script, in: mount.path) == 0, "\(script)")
      }
      let modes = mount.device.seen(.fallocate).map { FallocateMode(rawValue: $0.u32(24)) }
      #expect(modes == [[], .keepSize, [.punchHole, .keepSize], .zeroRange, []])
    }
  }

  @Test("what is open outlives its name", .enabled(if: canMount, "needs root and /dev/fuse"))
  func unlinked() throws {
    try withTree { (files, directory, _) throws in
      try useUnlinked(directory + "/file", files)
      let script = "mkdir d && cd d && rmdir ../d && ! mkdir e 2>&- && ! touch f 2>&- && test -z \"$(ls -A)\""
      #expect(try shell(script, in: directory) == 0)
      #expect(seconds(until: { files.nodeCount == 1 }) != nil)
    }
  }

  private func useUnlinked(_ path: String, _ files: MemoryFileSystem) throws {
    let file = try FileDescriptor(opening: path, [.readWrite, .create])
    try file.write("before")
    #expect(unlink(path) == 0)
    #expect(throws: Errno.noEntry) { try FileStatus(path: path) }
    try file.write(" after")
    let contents = try start(of: file)
    #expect(contents == "before after")
    #expect(files.nodeCount == 2)
  }

  @Test("many threads make, move and remove at once", .enabled(if: canMount, "needs root and /dev/fuse"))
  func threads() throws {
    try withTree { (files, directory, _) throws in
      let failures = Mutex<[String]>([])
      let workers = try (0..<8).map { number in
        try Thread(named: "worker") {
          do {
            for round in 0..<60 { try work(directory, number, round) }
          } catch {
            failures.withLock { $0.append("worker \(number): \(error)") }
          }
        }
      }
      for worker in workers { worker.join() }
      #expect(failures.withLock { $0 } == [])
      #expect(try names(directory) == [".", ".."])
      #expect(seconds(until: { files.nodeCount == 1 && files.lookupCount == 0 }) != nil)
    }
  }

  /// One worker's round: names of its own, and one that all fight for.
  private func work(_ directory: String, _ number: Int, _ round: Int) throws {
    let (own, moved) = ("\(directory)/\(number)-\(round)", "\(directory)/moved-\(number)")
    let shared = directory + "/shared"
    try retrying { mkdir(own, 0o755) }
    try write("\(number) \(round)", own + "/file", [.writeOnly, .create, .exclusive])
    try rename(own + "/file", to: moved, 0)
    try retrying { rmdir(own) }
    guard try read(moved) == Array("\(number) \(round)".utf8) else { throw Errno.protocolError }
    // Who has got the shared name removes it; nobody else may.
    let hasIt = try takes(shared, from: moved)
    try retrying { unlink(hasIt ? shared : moved) }
  }

  /// Moves a file to a name, unless that is there.
  private func takes(_ name: String, from path: String) throws(Errno) -> Bool {
    do {
      try rename(path, to: name, 1)
      return true
    } catch {
      guard error == .exists else { throw error }
      return false
    }
  }

  @Test("a name that is dropped or expires is looked up again", .enabled(if: canMount), arguments: [false, true])
  func expiry(expireOnly: Bool) throws {
    try withTree { (files, directory, door) throws in
      let (path, name) = (directory + "/name", "name".utf8Span)
      try write("old", path, [.writeOnly, .create])
      let file = try FileDescriptor(opening: path, .readOnly)
      let old = try FileStatus(path: path).inode
      let new = try files.appear("other", with: "new").rawValue + MemoryFileSystem.firstInode
      let other = "other".utf8Span
      let root = Caller(userID: 0, groupID: 0, processID: 0)
      try files.rename(other.span.bytes, in: .root, to: name.span.bytes, in: .root, .exchange, root)
      #expect(try FileStatus(path: path).inode == old)
      try Notifier(door).invalidate(name.span.bytes, in: .root, expireOnly: expireOnly)
      #expect(try FileStatus(path: path).inode == new)
      #expect(try text(path) == "new")
      let contents = try start(of: file)
      #expect(contents == "old")
    }
  }

  @Test("a range of a file's pages is dropped, and no other", .enabled(if: canMount, "needs root and /dev/fuse"))
  func range() throws {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 3 * 4096, alignment: 4096)
    defer { bytes.deallocate() }
    bytes.initializeMemory(as: UInt8.self, repeating: 1)
    try withMount(SmallFileSystem(given: UnsafeRawBufferPointer(bytes))) { (directory: String, door: DevFuse) throws in
      let pages = { try read("\(directory)/given").enumerated().filter { $0.offset % 4096 == 0 }.map(\.element) }
      #expect(try pages() == [1, 1, 1])
      bytes.initializeMemory(as: UInt8.self, repeating: 2)
      try Notifier(door).invalidate(SmallFileSystem.given, from: -1)
      #expect(try pages() == [1, 1, 1])
      try Notifier(door).invalidate(SmallFileSystem.given, from: 4096, count: 4096)
      #expect(try pages() == [1, 2, 1])
      try Notifier(door).invalidate(SmallFileSystem.given, from: 8192)
      #expect(try pages() == [1, 2, 2])
    }
  }
}
