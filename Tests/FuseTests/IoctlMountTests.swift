import CYardstick
import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

@Suite(
  "ioctl(2) with commands of the file system's own", .serialized, .enabled(if: canMount, "needs root and /dev/fuse"))
struct IoctlMountTests {
  /// Calls with 8 bytes, and gives what stands there afterwards.
  private func call(
    _ file: borrowing FileDescriptor, _ command: UInt32, _ bytes: [UInt8] = [UInt8](repeating: 0, count: 8)
  ) -> (result: Int, bytes: [UInt8]) {
    var bytes = bytes
    let result = bytes.withUnsafeMutableBytes {
      file.call(SYS_ioctl, Int(command), Int(bitPattern: $0.baseAddress))
    }
    return (result, bytes)
  }

  @Test("what a command reads comes in, and what it writes goes out, of files and directories")
  func commands() throws {
    try withWatched { mount in
      try mount.make("f")
      for (path, options) in [(mount.path("f"), .readOnly), (mount.path, .directory)] as [(String, OpenOptions)] {
        let file = try FileDescriptor(opening: path, options)
        let inode = call(file, MemoryFileSystem.inodeCommand)
        let expected = try file.status().inode
        #expect(inode.result == 0 && inode.bytes.span.bytes.u64(0) == expected)
        let turned = call(file, MemoryFileSystem.turnCommand, [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(turned.result == 0 && turned.bytes == [8, 7, 6, 5, 4, 3, 2, 1])
      }
      // The sizes are those that the numbers of the commands state: nothing in for _IOR, 8 bytes for _IOWR.
      #expect(mount.device.seen(.ioctl).map { $0.u32(24) } == [0, 8, 0, 8])
      #expect(mount.device.seen(.ioctl).map { $0.u32(28) } == [8, 8, 8, 8])
    }
  }

  @Test("a command that there is not, and memory that there is not")
  func refused() throws {
    try withWatched { mount in
      let file = try FileDescriptor(opening: mount.path("f"), [.readWrite, .create])
      let unknown: UInt32 = 0x8008_7709
      let outcome = call(file, unknown, [1, 2, 3, 4, 5, 6, 7, 8])
      #expect(outcome.result == -Int(ENOTTY) && outcome.bytes == [1, 2, 3, 4, 5, 6, 7, 8])
      for command in [MemoryFileSystem.inodeCommand, MemoryFileSystem.turnCommand] {
        #expect(file.call(SYS_ioctl, Int(command), 1) == -Int(EFAULT))
      }
    }
  }
}
