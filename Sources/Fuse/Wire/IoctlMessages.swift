import CFuse
import Platform

/// Numbers of the ioctls that the kernel itself sends for lsattr(1), chattr(1) and FS_IOC_FSGETXATTR.
enum IoctlCommand {
  /// FS_IOC_GETFLAGS. Its number says 8 bytes; the kernel wants 4.
  static let getFlags = UInt32(WEFT_FS_IOC_GETFLAGS)
  /// FS_IOC_SETFLAGS. Its number says 8 bytes; the kernel sends 4.
  static let setFlags = UInt32(WEFT_FS_IOC_SETFLAGS)
  /// FS_IOC_FSGETXATTR, whose reply is `ExtendedFileFlags`.
  static let getExtendedFlags = UInt32(WEFT_FS_IOC_FSGETXATTR)
  /// FS_IOC_FSSETXATTR, whose input is `ExtendedFileFlags`.
  static let setExtendedFlags = UInt32(WEFT_FS_IOC_FSSETXATTR)
}

/// `struct fuse_ioctl_in`; the input follows it. Only the restricted form, in which the command's number says how many
/// bytes go in and out: the other one is for character devices.
struct IoctlRequest {
  let handle: FileHandle
  let command: UInt32
  /// The third argument of ioctl(2): an address in the process, or a number.
  let argument: UInt64
  let input: Range<Int>
  /// Bytes that the output may have.
  let outputCount: Int
  let isDirectory: Bool
  /// Whether a 32-bit process asks.
  let is32Bit: Bool

  /// - Throws: ENOTTY for the unrestricted form, EINVAL for more output than a reply can have.
  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_ioctl_in.self)
    guard body.flags & UInt32(FUSE_IOCTL_UNRESTRICTED) == 0 else { throw .notTerminal }
    handle = FileHandle(rawValue: body.fh)
    command = body.cmd
    argument = body.arg
    isDirectory = body.flags & UInt32(FUSE_IOCTL_DIR) != 0
    is32Bit = body.flags & UInt32(FUSE_IOCTL_32BIT) != 0
    input = fuse_ioctl_in.byteCount..<bytes.byteCount
    guard input.count == Int(body.in_size) else { throw .protocolError }
    outputCount = Int(body.out_size)
    guard outputCount <= SessionSettings.maxTransfer - IoctlReply.byteCount else { throw .invalidArgument }
  }
}

/// `struct fuse_ioctl_out`, which the output follows.
struct IoctlReply {
  static var byteCount: Int { fuse_ioctl_out.byteCount }

  /// What ioctl(2) returns; not negative.
  var result: Int32 = 0

  func encode(into bytes: inout MutableRawSpan) {
    bytes.store(fuse_ioctl_out(result: result, flags: 0, in_iovs: 0, out_iovs: 0))
  }
}

/// `struct fsxattr` of linux/fs.h.
struct ExtendedFileFlags: Equatable {
  static var byteCount: Int { weft_fsxattr.byteCount }

  /// FS_XFLAG_*.
  var flags: UInt32 = 0
  /// The extent size hint, in bytes.
  var extentSize: UInt32 = 0
  /// Extents that the file has. Only told, never set.
  var extentCount: UInt32 = 0
  /// The project that the file belongs to, for quotas.
  var projectID: UInt32 = 0
  /// The extent size hint for copies on write, in bytes.
  var copyOnWriteExtentSize: UInt32 = 0

  init() {}

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(weft_fsxattr.self)
    flags = body.fsx_xflags
    extentSize = body.fsx_extsize
    extentCount = body.fsx_nextents
    projectID = body.fsx_projid
    copyOnWriteExtentSize = body.fsx_cowextsize
  }

  func encode(into bytes: inout MutableRawSpan, at start: Int = 0) {
    var out = weft_fsxattr()
    out.fsx_xflags = flags
    out.fsx_extsize = extentSize
    out.fsx_nextents = extentCount
    out.fsx_projid = projectID
    out.fsx_cowextsize = copyOnWriteExtentSize
    bytes.store(out, at: start)
  }
}
