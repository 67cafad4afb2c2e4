import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

/// Hands everything on.
private struct Wrapper: ForwardingFileSystem {
  let base: RecordingFileSystem
}

@Suite("A file system before another one") struct ForwardingTests {
  /// A well-formed request of each kind; those that the file system is not asked are not among them.
  private static let requests: [(Opcode, Message)] = [
    (.lookup, Message().name("a")), (.forget, Message().u64(1)), (.getattr, Message().zeros(16)),
    (.setattr, Message().zeros(88)), (.readlink, Message()), (.symlink, Message().name("a").name("b")),
    (.mknod, Message.mknod("a")), (.mkdir, Message.mkdir("a")), (.unlink, Message().name("a")),
    (.rmdir, Message().name("a")), (.rename, Message().u64(1).name("a").name("b")),
    (.link, Message().u64(2).name("a")), (.open, Message().zeros(8)), (.read, Message.read(at: 0, 10)),
    (.write, Message.write(at: 0, [1])), (.statfs, Message()), (.release, Message().zeros(24)),
    (.fsync, Message().zeros(16)), (.setxattr, Message().u32(1).u32(0).u32(0).u32(0).name("user.a").data([1])),
    (.getxattr, Message().u32(9).u32(0).name("user.a")), (.listxattr, Message().u32(9).u32(0)),
    (.removexattr, Message().name("user.a")), (.flush, Message().zeros(24)), (.opendir, Message().zeros(8)),
    (.readdir, Message.read(at: 0, 4096)), (.releasedir, Message().zeros(24)), (.fsyncdir, Message().zeros(16)),
    (.getlk, lock), (.setlk, lock), (.setlkw, lock), (.access, Message().zeros(8)), (.create, Message.create("a")),
    (.interrupt, Message().u64(4)), (.ioctl, ioctl(0x1234, 0)),
    (.batchForget, Message().u32(1).u32(0).u64(2).u64(1)), (.fallocate, Message.fallocate(at: 0, 1)),
    (.readdirplus, Message.read(at: 0, 4096)), (.rename2, Message.rename2("a", to: "b")),
    (.lseek, Message().u64(0).u64(3).u32(4).u32(0)), (.copyFileRange, copy), (.syncfs, Message().zeros(8)),
    (.tmpfile, Message().u32(2).u32(0o100600).u32(0).u32(0).name("/")), (.statx, Message().zeros(24)),
    (.copyFileRange64, copy), (.getFmap, Message()), (.getDaxdev, Message().u32(0)),
    (.ioctl, ioctl(IoctlCommand.getFlags, 4)),
    (.ioctl, Message().u64(1).u32(0).u32(IoctlCommand.setFlags).u64(0).u32(4).u32(0).u32(16)),
  ]

  private static let lock = Message().u64(1).u64(1).u64(0).u64(9).u32(1).u32(7).u32(0).u32(0)
  private static let copy = Message().u64(1).u64(0).u64(3).u64(1).u64(0).u64(10).u64(0)

  private static func ioctl(_ command: UInt32, _ output: UInt32) -> Message {
    Message().u64(1).u32(0).u32(command).u64(0).u32(0).u32(output)
  }

  /// What the file system is not asked: INIT, DESTROY, and what a session answers or drops by itself.
  private static let own: Set<Opcode> = [
    .initialize, .destroy, .poll, .bmap, .notifyReply, .setupMapping, .removeMapping,
  ]

  private func ask(_ files: some FileSystem, _ opcode: Opcode, _ body: Message) throws {
    _ = try replies(of: files, to: [Message.request(opcode, unique: 2, node: 2, body)])
  }

  @Test("every kind of request reaches the one behind it, by the same methods")
  func all() throws {
    #expect(Set(Self.requests.map(\.0)).union(Self.own) == Set(Opcode.allCases))
    for (opcode, body) in Self.requests {
      let (direct, behind) = (RecordingFileSystem(), RecordingFileSystem())
      try ask(direct, opcode, body)
      try ask(Wrapper(base: behind), opcode, body)
      #expect(direct.names == behind.names, "\(opcode)")
      // A famfs kernel's are asked only where that was agreed: the refusal has no name.
      let isAsked = direct.names.count > 3 || opcode == .getFmap || opcode == .getDaxdev
      #expect(isAsked, "\(opcode) does not reach the file system: \(direct.names)")
    }
  }
}
