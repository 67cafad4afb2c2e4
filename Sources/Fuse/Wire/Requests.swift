import CFuse
import Platform

// The bodies of requests, one struct for each with the fields that matter here. `bytes` starts behind the request's
// header.

/// `struct fuse_getattr_in`.
struct GetattrRequest {
  let handle: FileHandle?

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_getattr_in.self)
    handle = body.getattr_flags & UInt32(FUSE_GETATTR_FH) != 0 ? FileHandle(rawValue: body.fh) : nil
  }
}

/// `struct fuse_statx_in`. What the caller asked for is not needed: what is known is told.
struct StatxRequest {
  let handle: FileHandle?

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_statx_in.self)
    handle = body.getattr_flags & UInt32(FUSE_GETATTR_FH) != 0 ? FileHandle(rawValue: body.fh) : nil
  }
}

/// `struct fuse_setattr_in`.
struct SetattrRequest {
  let handle: FileHandle?
  let changes: AttributeChanges

  /// FATTR_* in linux/fuse.h.
  private struct Valid: OptionSet {
    let rawValue: UInt32
    static let mode = Valid(rawValue: UInt32(FATTR_MODE))
    static let userID = Valid(rawValue: UInt32(FATTR_UID))
    static let groupID = Valid(rawValue: UInt32(FATTR_GID))
    static let size = Valid(rawValue: UInt32(FATTR_SIZE))
    static let accessTime = Valid(rawValue: UInt32(FATTR_ATIME))
    static let modificationTime = Valid(rawValue: UInt32(FATTR_MTIME))
    static let handle = Valid(rawValue: UInt32(FATTR_FH))
    static let accessTimeNow = Valid(rawValue: UInt32(FATTR_ATIME_NOW))
    static let modificationTimeNow = Valid(rawValue: UInt32(FATTR_MTIME_NOW))
    static let changeTime = Valid(rawValue: UInt32(FATTR_CTIME))
    static let killSetID = Valid(rawValue: UInt32(FATTR_KILL_SUIDGID))
  }

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_setattr_in.self)
    let valid = Valid(rawValue: body.valid)
    handle = valid.contains(.handle) ? FileHandle(rawValue: body.fh) : nil
    var changes = AttributeChanges()
    if valid.contains(.size) {
      changes.size = body.size
      try checkRange(at: body.size, count: 0)
    }
    if valid.contains(.accessTimeNow) {
      changes.accessTime = .now
    } else if valid.contains(.accessTime) {
      changes.accessTime = .at(try timestamp(seconds: body.atime, nanoseconds: body.atimensec))
    }
    if valid.contains(.modificationTimeNow) {
      changes.modificationTime = .now
    } else if valid.contains(.modificationTime) {
      changes.modificationTime = .at(try timestamp(seconds: body.mtime, nanoseconds: body.mtimensec))
    }
    if valid.contains(.changeTime) {
      changes.changeTime = try timestamp(seconds: body.ctime, nanoseconds: body.ctimensec)
    }
    if valid.contains(.mode) { changes.mode = body.mode }
    if valid.contains(.userID) { changes.userID = body.uid }
    if valid.contains(.groupID) { changes.groupID = body.gid }
    changes.killsSetID = valid.contains(.killSetID)
    self.changes = changes
  }
}

/// `struct fuse_mknod_in`; the name follows it.
struct MknodRequest {
  let node: NewNode
  let name: Range<Int>

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_mknod_in.self)
    var node = NewNode(mode: body.mode, umask: body.umask)
    node.specialDevice = body.rdev
    self.node = node
    name = try bytes.entryName(from: fuse_mknod_in.byteCount)
  }
}

/// `struct fuse_mkdir_in`; the name follows it.
struct MkdirRequest {
  let node: NewNode
  let name: Range<Int>

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_mkdir_in.self)
    node = NewNode(mode: body.mode, umask: body.umask)
    name = try bytes.entryName(from: fuse_mkdir_in.byteCount)
  }
}

/// `struct fuse_create_in`; the name follows it.
struct CreateRequest {
  let intent: OpenIntent
  let node: NewNode
  let name: Range<Int>

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_create_in.self)
    intent = OpenIntent(flags: body.flags, killsSetID: body.open_flags & UInt32(FUSE_OPEN_KILL_SUIDGID) != 0)
    node = NewNode(mode: body.mode, umask: body.umask)
    name = try bytes.entryName(from: fuse_create_in.byteCount)
  }
}

/// `struct fuse_rename_in` or `struct fuse_rename2_in`; the old name follows it, and then the new one.
struct RenameRequest {
  let newDirectory: NodeID
  let flags: RenameFlags
  let name: Range<Int>
  let newName: Range<Int>

  init(parsing bytes: RawSpan, hasFlags: Bool) throws(Errno) {
    let start: Int
    if hasFlags {
      let body = try bytes.load(fuse_rename2_in.self)
      (newDirectory, flags) = (NodeID(rawValue: body.newdir), RenameFlags(rawValue: body.flags))
      start = fuse_rename2_in.byteCount
    } else {
      (newDirectory, flags) = (NodeID(rawValue: try bytes.load(fuse_rename_in.self).newdir), [])
      start = fuse_rename_in.byteCount
    }
    name = try bytes.entryName(from: start, isLast: false)
    newName = try bytes.entryName(from: name.upperBound + 1)
    guard flags.isSubset(of: [.noReplace, .exchange]), flags != [.noReplace, .exchange] else { throw .invalidArgument }
  }
}

/// `struct fuse_open_in`, of files and directories.
struct OpenRequest {
  let intent: OpenIntent

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_open_in.self)
    intent = OpenIntent(flags: body.flags, killsSetID: body.open_flags & UInt32(FUSE_OPEN_KILL_SUIDGID) != 0)
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
    let body = try bytes.load(fuse_read_in.self)
    handle = FileHandle(rawValue: body.fh)
    offset = body.offset
    count = Int(body.size)
    guard count <= SessionSettings.maxTransfer else { throw .invalidArgument }
  }
}

/// `struct fuse_write_in`; the data follows it.
struct WriteRequest {
  static var byteCount: Int { fuse_write_in.byteCount }

  let handle: FileHandle
  let offset: UInt64
  let count: Int
  let intent: WriteIntent

  /// - Parameter dataElsewhere: bytes of the data that do not follow, because they lie in pieces of their own.
  init(parsing bytes: RawSpan, dataElsewhere: Int = 0) throws(Errno) {
    let body = try bytes.load(fuse_write_in.self)
    handle = FileHandle(rawValue: body.fh)
    offset = body.offset
    count = Int(body.size)
    intent = WriteIntent(
      flags: body.flags, killsSetID: body.write_flags & UInt32(FUSE_WRITE_KILL_SUIDGID) != 0,
      isWriteBack: body.write_flags & UInt32(FUSE_WRITE_CACHE) != 0)
    guard bytes.byteCount - WriteRequest.byteCount + dataElsewhere == count, count <= SessionSettings.maxTransfer else {
      throw .protocolError
    }
    try checkRange(at: offset, count: count)
  }
}

/// `struct fuse_release_in`, of files and directories.
struct ReleaseRequest {
  let handle: FileHandle
  /// Whose flock(2) locks are dropped; nil if there are none.
  let flockOwner: LockOwner?

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_release_in.self)
    handle = FileHandle(rawValue: body.fh)
    let unlocks = body.release_flags & UInt32(FUSE_RELEASE_FLOCK_UNLOCK) != 0
    flockOwner = unlocks ? LockOwner(rawValue: body.lock_owner) : nil
  }
}

/// `struct fuse_flush_in`.
struct FlushRequest {
  let handle: FileHandle
  /// Whose fcntl(2) locks are dropped.
  let lockOwner: LockOwner

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_flush_in.self)
    handle = FileHandle(rawValue: body.fh)
    lockOwner = LockOwner(rawValue: body.lock_owner)
  }
}

/// `struct fuse_fsync_in`, of files and directories.
struct FsyncRequest {
  let handle: FileHandle
  let dataOnly: Bool

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_fsync_in.self)
    handle = FileHandle(rawValue: body.fh)
    dataOnly = body.fsync_flags & UInt32(FUSE_FSYNC_FDATASYNC) != 0
  }
}

/// `struct fuse_fallocate_in`. The combinations that fallocate(2) refuses, it refuses here, too.
struct FallocateRequest {
  let handle: FileHandle
  let offset: UInt64
  let length: UInt64
  let mode: FallocateMode

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_fallocate_in.self)
    handle = FileHandle(rawValue: body.fh)
    offset = body.offset
    length = body.length
    mode = FallocateMode(rawValue: body.mode)
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
  init(parsing bytes: RawSpan) throws(Errno) { _ = try bytes.load(fuse_syncfs_in.self) }
}

/// `struct fuse_getxattr_in`, of GETXATTR (a name follows) and LISTXATTR.
struct GetxattrRequest {
  static var byteCount: Int { fuse_getxattr_in.byteCount }

  /// Bytes that the caller has room for; zero asks for the size alone.
  let count: Int

  init(parsing bytes: RawSpan) throws(Errno) {
    count = Int(try bytes.load(fuse_getxattr_in.self).size)
    guard count <= SessionSettings.maxTransfer else { throw .invalidArgument }
  }
}

/// `struct fuse_access_in`.
struct AccessRequest {
  let mask: UInt32

  init(parsing bytes: RawSpan) throws(Errno) {
    mask = try bytes.load(fuse_access_in.self).mask
  }
}

/// `struct fuse_lseek_in`.
struct LseekRequest {
  let handle: FileHandle
  let offset: UInt64
  let whence: UInt32

  /// What is looked for; nil for a whence that the kernel answers itself.
  var target: SeekTarget? {
    switch whence {
    case UInt32(WEFT_SEEK_DATA): .data
    case UInt32(WEFT_SEEK_HOLE): .hole
    default: nil
    }
  }

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_lseek_in.self)
    handle = FileHandle(rawValue: body.fh)
    offset = body.offset
    whence = body.whence
    try checkRange(at: offset, count: 0)
  }
}

/// `struct fuse_forget_in`.
struct ForgetRequest {
  let count: UInt64

  init(parsing bytes: RawSpan) throws(Errno) {
    count = try bytes.load(fuse_forget_in.self).nlookup
  }
}

/// `struct fuse_batch_forget_in`, which `count` pairs of node and lookup count follow: `struct fuse_forget_one`.
struct BatchForgetRequest {
  static var byteCount: Int { fuse_batch_forget_in.byteCount }

  let count: Int

  init(parsing bytes: RawSpan) throws(Errno) {
    count = Int(try bytes.load(fuse_batch_forget_in.self).count)
    let (size, overflow) = count.multipliedReportingOverflow(by: fuse_forget_one.byteCount)
    guard !overflow, size <= bytes.byteCount - BatchForgetRequest.byteCount else { throw .protocolError }
  }
}
