import CFuse
import Testing

@testable import Fuse

@Suite("The kernel's header") struct ProtocolHeaderTests {
  private static let opcodes: [(Opcode, fuse_opcode)] = [
    (.lookup, FUSE_LOOKUP), (.forget, FUSE_FORGET), (.getattr, FUSE_GETATTR), (.setattr, FUSE_SETATTR),
    (.readlink, FUSE_READLINK), (.symlink, FUSE_SYMLINK), (.mknod, FUSE_MKNOD), (.mkdir, FUSE_MKDIR),
    (.unlink, FUSE_UNLINK), (.rmdir, FUSE_RMDIR), (.rename, FUSE_RENAME), (.link, FUSE_LINK), (.open, FUSE_OPEN),
    (.read, FUSE_READ), (.write, FUSE_WRITE), (.statfs, FUSE_STATFS), (.release, FUSE_RELEASE),
    (.fsync, FUSE_FSYNC), (.setxattr, FUSE_SETXATTR), (.getxattr, FUSE_GETXATTR), (.listxattr, FUSE_LISTXATTR),
    (.removexattr, FUSE_REMOVEXATTR), (.flush, FUSE_FLUSH), (.initialize, FUSE_INIT), (.opendir, FUSE_OPENDIR),
    (.readdir, FUSE_READDIR), (.releasedir, FUSE_RELEASEDIR), (.fsyncdir, FUSE_FSYNCDIR), (.getlk, FUSE_GETLK),
    (.setlk, FUSE_SETLK), (.setlkw, FUSE_SETLKW), (.access, FUSE_ACCESS), (.create, FUSE_CREATE),
    (.interrupt, FUSE_INTERRUPT), (.bmap, FUSE_BMAP), (.destroy, FUSE_DESTROY), (.ioctl, FUSE_IOCTL),
    (.poll, FUSE_POLL), (.notifyReply, FUSE_NOTIFY_REPLY), (.batchForget, FUSE_BATCH_FORGET),
    (.fallocate, FUSE_FALLOCATE), (.readdirplus, FUSE_READDIRPLUS), (.rename2, FUSE_RENAME2), (.lseek, FUSE_LSEEK),
    (.copyFileRange, FUSE_COPY_FILE_RANGE), (.setupMapping, FUSE_SETUPMAPPING),
    (.removeMapping, FUSE_REMOVEMAPPING), (.syncfs, FUSE_SYNCFS), (.tmpfile, FUSE_TMPFILE), (.statx, FUSE_STATX),
    (.copyFileRange64, FUSE_COPY_FILE_RANGE_64),
  ]
  private static let famfs: [(Opcode, weft_famfs_opcode)] = [
    (.getFmap, WEFT_FUSE_GET_FMAP), (.getDaxdev, WEFT_FUSE_GET_DAXDEV),
  ]

  @Test("each opcode has the header's number")
  func opcodes() {
    for (opcode, number) in Self.opcodes { #expect(opcode.rawValue == number.rawValue, "\(opcode)") }
    for (opcode, number) in Self.famfs { #expect(opcode.rawValue == number.rawValue, "\(opcode)") }
    #expect(Set(Self.opcodes.map(\.0)).union(Self.famfs.map(\.0)) == Set(Opcode.allCases))
  }

  @Test("bits of both halves of INIT are the header's")
  func bits() {
    #expect(InitFlags.asyncRead.rawValue == 1)
    #expect(InitFlags.initExtension.rawValue == 1 << 30)
    #expect(InitFlags.expireOnly.rawValue == 1 << 35)
    #expect(InitFlags.daxFileMaps.rawValue == 1 << 43)
    #expect(InitFlags.syncFileSystem.rawValue == 1 << 44)
    #expect(Negotiation.newestMinor == UInt32(FUSE_KERNEL_MINOR_VERSION))
  }
}
