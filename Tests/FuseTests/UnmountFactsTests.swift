import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

@Suite("The end of a mount", .serialized, .enabled(if: canWatch, "needs root and Linux 6.18"), .timeLimit(.minutes(15)))
struct UnmountFactsTests {
  /// A file system whose end takes until it is let go.
  private struct SlowEnd: ForwardingFileSystem {
    let base = MemoryFileSystem()
    /// Whether the end has begun, may go on, is over.
    let state = Monitor((begun: false, mayEnd: false, isOver: false))

    func destroy() {
      state.change { $0.begun = true }
      state.wait { $0.mayEnd ? () : nil }
      base.destroy()
      state.change { $0.isOver = true }
    }
  }

  /// A file system that remembers what the kernel had not given back at the end.
  private struct CountingEnd: ForwardingFileSystem {
    let base = MemoryFileSystem()
    let lookups = Monitor<UInt64>(0)

    func destroy() {
      lookups.change { $0 = base.lookupCount }
      base.destroy()
    }
  }

  @Test("umount(2) returns before the server has finished, and sends no DESTROY")
  func unmount() throws {
    let files = SlowEnd()
    let directory = try TemporaryDirectory()
    let mounted = try Mounting.mount(on: directory.path, MountOptions(source: "memory", subtype: "memory"))
    let device = WatchedDevice(mounted)
    try serve(files, over: device, on: directory.path) {
      defer { files.state.change { $0.mayEnd = true } }
      _ = try FileStatus(path: directory.path)
      try Mounting.unmount(directory.path)
      #expect(!files.state.wait { $0.isOver })
      #expect(seconds(until: { files.state.wait { $0.begun } }) != nil)
    }
    #expect(files.state.wait { $0.isOver })
    #expect(device.seen(.destroy).isEmpty)
  }

  @Test("an unmount forgets nothing, and behind it the file system knows names only")
  func names() throws {
    let files = CountingEnd()
    try withMount(files) { (directory: String) throws in
      #expect(try shell("mkdir d && touch d/f g && cat d/f g", in: directory) == 0)
      // No process waits for releases, and an unmount would overtake them.
      #expect(seconds(until: { files.base.openCount == 0 }) != nil)
    }
    #expect(files.lookups.wait { $0 } >= 3)
    #expect(files.base.lookupCount == 0 && files.base.openCount == 0 && files.base.nodeCount == 4)
    try withMount(files) { (directory: String) throws in
      #expect(try shell("test -f d/f && rm -r d g", in: directory) == 0)
      // What has no name is forgotten at once.
      #expect(seconds(until: { files.base.nodeCount == 1 && files.base.lookupCount == 0 }) != nil)
    }
    #expect(files.base.nodeCount == 1)
    #expect(files.base.mistakes == [])
  }

  @Test("a file without a name that is open goes when the connection is cut")
  func cut() throws {
    let files = MemoryFileSystem()
    var file: Int32 = -1
    defer { close(file) }
    try withMount(files) { (directory: String) throws in
      file = try FileDescriptor(opening: directory + "/f", [.readWrite, .create]).release()
      #expect(unlink(directory + "/f") == 0)
      #expect(files.nodeCount == 2)
      let force: Int32 = 1
      #expect(umount2(directory, force) == -1 && errno == EBUSY)
    }
    #expect(files.nodeCount == 1 && files.openCount == 0 && files.mistakes == [])
    #expect(write(file, "x", 1) == -1 && errno == ENOTCONN)
  }

  @Test("with fuseblk SYNCFS and DESTROY come, and umount(2) waits for the answer")
  func blockDevice() throws {
    let directory = try TemporaryDirectory()
    guard let loop = LoopDevice() else { try Test.cancel("needs losetup and a loop device") }
    let descriptor = try FileDescriptor(opening: DevFuse.path, .readWrite)
    let options = "fd=\(descriptor.rawValue),rootmode=40000,user_id=0,group_id=0"
    try retrying { mount(loop.path, directory.path, "fuseblk.memory", 0, options) }
    let device = WatchedDevice(DevFuse(descriptor), holding: .destroy)
    let files = MemoryFileSystem()
    try serve(files, over: device, on: directory.path) { () throws in
      defer { device.letGo() }
      #expect(try shell("mkdir d && touch f && sync -f f", in: directory.path) == 0)
      #expect(!device.seen(.syncfs).isEmpty)
      device.hold()
      let path = directory.path
      let isOver = Monitor(false)
      let unmounting = try Thread(named: "umount") {
        umount2(path, 0)
        isOver.change { $0 = true }
      }
      #expect(seconds(until: { device.heldCount == 1 || isOver.wait { $0 } }) != nil)
      #expect(!isOver.wait { $0 } && files.lookupCount > 0)
      device.letGo()
      unmounting.join()
      #expect(files.lookupCount == 0 && files.nodeCount == 3, "the session ended before umount(2) did")
    }
    #expect(device.seen(.destroy).count == 1)
  }
}

/// A block device of 1 MiB in memory.
private struct LoopDevice: ~Copyable {
  let path: String

  init?() {
    let script = "f=$(mktemp -p /dev/shm weft-fuse-XXXXXX) && truncate -s 1M $f && losetup -f --show $f; rm -f $f"
    guard let pipe = popen(script, "r") else { return nil }
    defer { pclose(pipe) }
    var line = [CChar](repeating: 0, count: 100)
    guard fgets(&line, 100, pipe) != nil else { return nil }
    path = String(decoding: line.prefix { $0 > 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { _ = system("losetup -d \(path)") }
}
