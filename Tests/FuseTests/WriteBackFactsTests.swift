import CYardstick
import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

// Seen on Linux 6.18; see `FileSystemTraits.writeBack`.

@Suite(
  "What the kernel sends with write-back", .serialized, .enabled(if: canWatch, "needs root and Linux 6.18"),
  .timeLimit(.minutes(15)))
struct WriteBackFactsTests {
  private let caller = Caller(userID: 0, groupID: 0, processID: 0)
  private let page = [UInt8](repeating: 1, count: 4096)

  /// A write sets another time then. In the same tick of the clock it would be none, and no SETATTR would come.
  private func setOldTime(_ path: String) throws(Errno) {
    let times = [timespec(tv_sec: 1000, tv_nsec: 0), timespec(tv_sec: 1000, tv_nsec: 0)]
    try retrying { utimensat(AT_FDCWD, path, times, 0) }
  }

  @Test("close(2) sends WRITE up to the size, SETATTR of both times, and FLUSH, which has none")
  func close() throws {
    try withWatched(.writeBack) { mount in
      #expect(chmod(mount.path, 0o777) == 0)
      let path = mount.path("f")
      try asNobody {
        let file = try FileDescriptor(opening: path, [.writeOnly, .create])
        try setOldTime(path)
        try file.write(all: [UInt8](repeating: 1, count: 5000))
        try file.closed()
      }
      let came = mount.device.seen.filter { [.write, .setattr, .flush].contains($0.opcode) }.suffix(3)
      try #require(came.map(\.opcode) == [.write, .setattr, .flush])
      let (write, setattr, flush) = (came[came.startIndex], came[came.startIndex + 1], came[came.startIndex + 2])
      let handle = flush.u64(0)
      #expect(write.u64(0) == handle && write.u64(8) == 0 && write.u32(16) == 5000)
      let isWriteBack: UInt32 = 1
      #expect(write.u32(20) & isWriteBack == isWriteBack)
      #expect(write.header.caller == caller)
      #expect(mount.device.seen(.create).map(\.header.caller.userID) == [65534])
      // FATTR_MTIME, FATTR_FH, FATTR_CTIME.
      #expect(setattr.u32(0) == 0x460 && setattr.u64(8) == handle)
      var about = stat()
      #expect(stat(path, &about) == 0)
      #expect(setattr.u64(40) == UInt64(about.st_mtim.tv_sec) && setattr.u32(60) == UInt32(about.st_mtim.tv_nsec))
      #expect(setattr.u64(48) == UInt64(about.st_ctim.tv_sec) && setattr.u32(64) == UInt32(about.st_ctim.tv_nsec))
      #expect(flush.body.count == 24)
    }
  }

  @Test("a WRITE carries any writer's handle")
  func handles() throws {
    try withWatched(.writeBack) { mount in
      let file = try FileDescriptor(opening: mount.path("f"), [.writeOnly, .create])
      let other = try FileDescriptor(opening: mount.path("f"), .writeOnly)
      try file.write("one")
      #expect(file.call(SYS_fsync) == 0)
      let write = try #require(mount.device.seen(.write).first)
      // Each close(2) of a descriptor sends a FLUSH with the handle.
      let came = mount.during { #expect(Glibc.close(dup(file.rawValue)) == 0) }
      // Linux 6.18 takes that of the file that was opened last.
      #expect(try write.u64(0) != #require(came.of(.flush).first).u64(0))
      withExtendedLifetime(other) {}
    }
  }

  @Test("an append of a byte reads the page, on a handle that is for writing only")
  func append() throws {
    try withWatched(.writeBack) { mount in
      try mount.make("f", [UInt8](repeating: 1, count: 100))
      try mount.notifier.invalidate(mount.node("f"))
      let came = try mount.during {
        let file = try FileDescriptor(opening: mount.path("f"), OpenOptions(rawValue: O_WRONLY | O_APPEND))
        try file.write("x")
        try file.closed()
      }
      #expect(came.operations([.open, .read, .write]) == [.open, .read, .write])
      let (open, read) = (try #require(came.of(.open).first), try #require(came.of(.read).first))
      #expect(open.u32(0) & UInt32(O_ACCMODE) == UInt32(O_WRONLY))
      #expect(came.of(.flush).contains { $0.u64(0) == read.u64(0) })
    }
  }

  @Test("a size that changed elsewhere is not taken with write-back, and is without", arguments: [true, false])
  func sizes(isWriteBack: Bool) throws {
    try withWatched(isWriteBack ? .writeBack : []) { mount in
      try mount.make("f", [UInt8](repeating: 1, count: 100))
      var changes = AttributeChanges()
      changes.size = 5000
      let node = try mount.node("f")
      _ = try mount.files.setattr(node, nil, changes, caller)
      let expected: UInt64 = isWriteBack ? 100 : 5000
      let came = try mount.during { () throws in #expect(try FileStatus(path: mount.path("f")).size == expected) }
      #expect(!came.operations([.getattr, .statx]).isEmpty)
      try mount.notifier.invalidate(node)
      #expect(try FileStatus(path: mount.path("f")).size == expected)
      // Opened again.
      #expect(try read(mount.path("f")).count == Int(expected))
      #expect(try FileStatus(path: mount.path("f")).size == expected)
    }
  }

  @Test("times that the server sets are not taken: chattr(1) does not change the time of change")
  func times() throws {
    for traits in [.writeBack, []] as [FileSystemTraits] {
      try withWatched(traits) { mount in
        try mount.make("f")
        let before = try mount.files.getattr(mount.node("f"), nil, caller).attributes.changeTime
        // The file system reads a clock that goes on with each tick.
        #expect(seconds(until: { MemoryFileSystem.now != before }) != nil)
        let script =
          "a=$(stat -c %z f); chattr +d f; test \"$a\" \(traits == .writeBack ? "=" : "!=") \"$(stat -c %z f)\""
        #expect(try shell(script, in: mount.path) == 0)
        #expect(try mount.files.getattr(mount.node("f"), nil, caller).attributes.changeTime != before)
      }
    }
  }

  @Test("lseek(2) asks for data before the dirty pages are written, so it misses them")
  func seek() throws {
    // Another process may call sync(2) in between.
    var options = WatchedMount.Options()
    (options.traits, options.holding) = (.writeBack, .write)
    try withWatched(options) { mount in
      let file = try FileDescriptor(opening: mount.path("f"), [.readWrite, .create])
      mount.device.hold()
      try file.write(at: 8192, page)
      let came = mount.during { #expect(file.call(SYS_lseek, 0, YARD_SEEK_DATA) == -Int(ENXIO)) }
      #expect(came.of(.lseek).count == 1)
      mount.device.letGo()
      #expect(file.call(SYS_fsync) == 0)
      #expect(file.call(SYS_lseek, 0, YARD_SEEK_DATA) == 8192)
    }
  }

  @Test("sync(2) and syncfs(2) return while a WRITE is out")
  func sync() throws {
    var options = WatchedMount.Options()
    (options.traits, options.holding) = (.writeBack, .write)
    try withWatched(options) { mount in
      let file = try FileDescriptor(opening: mount.path("f"), [.readWrite, .create])
      try file.write(all: page)
      mount.device.hold()
      let number = Int(file.rawValue)
      for call in [SYS_syncfs, SYS_sync] {
        let isOver = Monitor(false)
        let thread = try Thread(named: "sync") {
          _ = yard_call(Int(call), number, 0, 0, 0, 0, 0)
          isOver.change { $0 = true }
        }
        #expect(seconds(until: { isOver.wait { $0 } }) != nil, "call \(call)")
        if !isOver.wait(until: { $0 }) { mount.device.letGo() }
        thread.join()
      }
      // The flusher thread has begun: it is the answer that is not waited for.
      #expect(seconds(until: { mount.device.heldCount == 1 }) != nil)
      mount.device.letGo()
      #expect(file.call(SYS_fsync) == 0)
      #expect(mount.device.seen(.write).count == 1)
    }
  }

  @Test("the times come by SETATTR right before an FSYNC, also before that of fdatasync(2)")
  func fsync() throws {
    try withWatched(.writeBack) { mount in
      let file = try FileDescriptor(opening: mount.path("f"), [.readWrite, .create])
      for call in [SYS_fsync, SYS_fdatasync] {
        var came: [SeenRequest] = []
        // What flushes the whole machine, or closes an inherited descriptor, may take the times away before: once, not always.
        for _ in 0..<10 where came.of(.setattr).isEmpty {
          try setOldTime(mount.path("f"))
          came = try mount.during {
            try file.write("x")
            #expect(file.call(call) == 0)
          }
        }
        #expect(came.operations([.write, .setattr, .fsync]) == [.write, .setattr, .fsync])
        #expect(came.of(.setattr).first?.u32(0) == 0x460)
        #expect(came.of(.fsync).first?.u32(8) == (call == SYS_fsync ? 0 : 1))
      }
      let came = mount.during { #expect(file.call(SYS_fsync) == 0) }
      #expect(came.operations([.write, .setattr, .fsync]) == [.fsync], "nothing changed, so no times come")
    }
  }
}
