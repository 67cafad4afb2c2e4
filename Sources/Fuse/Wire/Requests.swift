import Platform

// The bodies of requests, one struct for each with the fields that matter here, read at the offsets of linux/fuse.h.
// `bytes` starts behind the request's header.

/// `struct fuse_getattr_in`.
struct GetattrRequest {
  let handle: FileHandle?

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(16)
    handle = bytes.u32(0) & 1 != 0 ? FileHandle(rawValue: bytes.u64(8)) : nil  // FUSE_GETATTR_FH
  }
}

/// `struct fuse_statx_in`. What the caller asked for is not needed: what is known is told.
struct StatxRequest {
  let handle: FileHandle?

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(24)
    handle = bytes.u32(0) & 1 != 0 ? FileHandle(rawValue: bytes.u64(8)) : nil  // FUSE_GETATTR_FH
  }
}

/// `struct fuse_setattr_in`.
struct SetattrRequest {
  let handle: FileHandle?
  let changes: AttributeChanges

  /// FATTR_* in linux/fuse.h.
  private struct Valid: OptionSet {
    let rawValue: UInt32
    static let mode = Valid(rawValue: 1 << 0)
    static let userID = Valid(rawValue: 1 << 1)
    static let groupID = Valid(rawValue: 1 << 2)
    static let size = Valid(rawValue: 1 << 3)
    static let accessTime = Valid(rawValue: 1 << 4)
    static let modificationTime = Valid(rawValue: 1 << 5)
    static let handle = Valid(rawValue: 1 << 6)
    static let accessTimeNow = Valid(rawValue: 1 << 7)
    static let modificationTimeNow = Valid(rawValue: 1 << 8)
    static let killSetID = Valid(rawValue: 1 << 11)
  }

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(88)
    let valid = Valid(rawValue: bytes.u32(0))
    handle = valid.contains(.handle) ? FileHandle(rawValue: bytes.u64(8)) : nil
    var changes = AttributeChanges()
    if valid.contains(.size) {
      changes.size = bytes.u64(16)
      try checkRange(at: bytes.u64(16), count: 0)
    }
    if valid.contains(.accessTimeNow) {
      changes.accessTime = .now
    } else if valid.contains(.accessTime) {
      changes.accessTime = .at(try nanoseconds(seconds: bytes.u64(32), nanoseconds: bytes.u32(56)))
    }
    if valid.contains(.modificationTimeNow) {
      changes.modificationTime = .now
    } else if valid.contains(.modificationTime) {
      changes.modificationTime = .at(try nanoseconds(seconds: bytes.u64(40), nanoseconds: bytes.u32(60)))
    }
    if valid.contains(.mode) { changes.mode = bytes.u32(68) }
    if valid.contains(.userID) { changes.userID = bytes.u32(76) }
    if valid.contains(.groupID) { changes.groupID = bytes.u32(80) }
    changes.killsSetID = valid.contains(.killSetID)
    self.changes = changes
  }
}

/// `struct fuse_mknod_in`; the name follows it.
struct MknodRequest {
  let mode: UInt32
  let specialDevice: UInt32
  let umask: UInt32
  let name: Range<Int>

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(16)
    mode = bytes.u32(0)
    specialDevice = bytes.u32(4)
    umask = bytes.u32(8)
    name = try bytes.entryName(from: 16)
  }
}

/// `struct fuse_mkdir_in`; the name follows it.
struct MkdirRequest {
  let mode: UInt32
  let umask: UInt32
  let name: Range<Int>

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(8)
    mode = bytes.u32(0)
    umask = bytes.u32(4)
    name = try bytes.entryName(from: 8)
  }
}

/// `struct fuse_create_in`; the name follows it.
struct CreateRequest {
  let intent: OpenIntent
  let mode: UInt32
  let umask: UInt32
  let name: Range<Int>

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(16)
    intent = OpenIntent(flags: bytes.u32(0), killsSetID: bytes.u32(12) & 1 != 0)  // FUSE_OPEN_KILL_SUIDGID
    mode = bytes.u32(4)
    umask = bytes.u32(8)
    name = try bytes.entryName(from: 16)
  }
}

/// `struct fuse_rename_in` or `struct fuse_rename2_in`; the old name follows it, and then the new one.
struct RenameRequest {
  let newDirectory: NodeID
  let flags: RenameFlags
  let name: Range<Int>
  let newName: Range<Int>

  init(parsing bytes: RawSpan, hasFlags: Bool) throws(Errno) {
    let start = hasFlags ? 16 : 8
    try bytes.require(start)
    newDirectory = NodeID(rawValue: bytes.u64(0))
    flags = hasFlags ? RenameFlags(rawValue: bytes.u32(8)) : []
    name = try bytes.entryName(from: start, isLast: false)
    newName = try bytes.entryName(from: name.upperBound + 1)
    guard flags.isSubset(of: [.noReplace, .exchange]), flags != [.noReplace, .exchange] else { throw .invalidArgument }
  }
}

/// `struct fuse_open_in`, of files and directories.
struct OpenRequest {
  let intent: OpenIntent

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(8)
    intent = OpenIntent(flags: bytes.u32(0), killsSetID: bytes.u32(4) & 1 != 0)  // FUSE_OPEN_KILL_SUIDGID
  }
}

/// `struct fuse_read_in`, of READ, READDIR and READDIRPLUS.
struct ReadRequest {
  let handle: FileHandle
  /// A position in the file, or a directory's cookie.
  let offset: UInt64
  /// Bytes that the reply may have.
  let count: Int

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(40)
    handle = FileHandle(rawValue: bytes.u64(0))
    offset = bytes.u64(8)
    count = Int(bytes.u32(16))
    guard count <= SessionSettings.maxTransfer else { throw .invalidArgument }
  }
}

/// `struct fuse_write_in`; the data follows it.
struct WriteRequest {
  static let byteCount = 40

  let handle: FileHandle
  let offset: UInt64
  let count: Int
  let intent: WriteIntent

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(WriteRequest.byteCount)
    handle = FileHandle(rawValue: bytes.u64(0))
    offset = bytes.u64(8)
    count = Int(bytes.u32(16))
    let flags = bytes.u32(20)
    intent = WriteIntent(
      flags: bytes.u32(32), killsSetID: flags & 4 != 0,  // FUSE_WRITE_KILL_SUIDGID
      isWriteBack: flags & 1 != 0)  // FUSE_WRITE_CACHE
    guard bytes.byteCount - WriteRequest.byteCount == count else { throw .protocolError }
    try checkRange(at: offset, count: count)
  }
}

/// `struct fuse_release_in`, of files and directories.
struct ReleaseRequest {
  let handle: FileHandle

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(24)
    handle = FileHandle(rawValue: bytes.u64(0))
  }
}

/// `struct fuse_flush_in`.
struct FlushRequest {
  let handle: FileHandle

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(24)
    handle = FileHandle(rawValue: bytes.u64(0))
  }
}

/// `struct fuse_fsync_in`, of files and directories.
struct FsyncRequest {
  let handle: FileHandle
  let dataOnly: Bool

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(16)
    handle = FileHandle(rawValue: bytes.u64(0))
    dataOnly = bytes.u32(8) & 1 != 0  // FUSE_FSYNC_FDATASYNC
  }
}

/// `struct fuse_fallocate_in`. The combinations that fallocate(2) refuses, it refuses here, too.
struct FallocateRequest {
  let handle: FileHandle
  let offset: UInt64
  let length: UInt64
  let mode: FallocateMode

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(32)
    handle = FileHandle(rawValue: bytes.u64(0))
    offset = bytes.u64(8)
    length = bytes.u64(16)
    mode = FallocateMode(rawValue: bytes.u32(24))
    guard mode.isSubset(of: [.keepSize, .punchHole, .zeroRange]) else { throw .notSupported }
    if mode.contains(.punchHole) {
      guard mode == [.punchHole, .keepSize] else { throw .notSupported }
    }
    guard length > 0, let count = Int(exactly: length) else { throw .invalidArgument }
    try checkRange(at: offset, count: count)
  }
}

/// `struct fuse_syncfs_in`, which says nothing.
struct SyncfsRequest {
  init(parsing bytes: RawSpan) throws(Errno) { try bytes.require(8) }
}

/// `struct fuse_getxattr_in`, of GETXATTR (a name follows) and LISTXATTR.
struct GetxattrRequest {
  static let byteCount = 8

  /// Bytes that the caller has room for; zero asks for the size alone.
  let count: Int

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(GetxattrRequest.byteCount)
    count = Int(bytes.u32(0))
    guard count <= SessionSettings.maxTransfer else { throw .invalidArgument }
  }
}

/// `struct fuse_access_in`.
struct AccessRequest {
  let mask: UInt32

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(8)
    mask = bytes.u32(0)
  }
}

/// `struct fuse_lseek_in`.
struct LseekRequest {
  let handle: FileHandle
  let offset: UInt64
  let whence: UInt32

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(24)
    handle = FileHandle(rawValue: bytes.u64(0))
    offset = bytes.u64(8)
    whence = bytes.u32(16)
    try checkRange(at: offset, count: 0)
  }
}

/// `struct fuse_forget_in`.
struct ForgetRequest {
  let count: UInt64

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(8)
    count = bytes.u64(0)
  }
}

/// `struct fuse_batch_forget_in`, which `count` pairs of node and lookup count follow: `struct fuse_forget_one`.
struct BatchForgetRequest {
  let count: Int

  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(8)
    count = Int(bytes.u32(0))
    let (size, overflow) = count.multipliedReportingOverflow(by: 16)
    guard !overflow, size <= bytes.byteCount - 8 else { throw .protocolError }
  }

  /// The pair at `index`, which is less than `count`.
  func pair(_ index: Int, in bytes: RawSpan) -> (node: NodeID, count: UInt64) {
    let offset = 8 + index * 16
    return (NodeID(rawValue: bytes.u64(offset)), bytes.u64(offset + 8))
  }
}
