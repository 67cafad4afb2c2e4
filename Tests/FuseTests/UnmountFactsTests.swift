import FuseTestSupport
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
}
