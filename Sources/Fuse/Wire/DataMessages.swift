import CFuse
import Platform

// Requests about contents other than READ and WRITE, and the replies to all of them that are a number.

/// `struct fuse_copy_file_range_in`, of COPY_FILE_RANGE and COPY_FILE_RANGE_64. The header's node is copied from.
struct CopyFileRangeRequest {
  let handle: FileHandle
  let offset: UInt64
  let newNode: NodeID
  let newHandle: FileHandle
  let newOffset: UInt64
  /// Bytes to copy, at most.
  let count: Int

  /// - Parameter isWide: whether it is COPY_FILE_RANGE_64. The reply to the other one has 32 bits.
  /// - Throws: EINVAL for flags, which copy_file_range(2) does not have, and for ranges that cannot be.
  init(parsing bytes: RawSpan, isWide: Bool) throws(Errno) {
    let body = try bytes.load(fuse_copy_file_range_in.self)
    handle = FileHandle(rawValue: body.fh_in)
    offset = body.off_in
    newNode = NodeID(rawValue: body.nodeid_out)
    newHandle = FileHandle(rawValue: body.fh_out)
    newOffset = body.off_out
    guard body.flags == 0, let length = Int(exactly: body.len) else { throw .invalidArgument }
    count = isWide ? length : min(length, CopyFileRangeReply.mostNarrow)
    try checkRange(at: offset, count: count)
    try checkRange(at: newOffset, count: count)
  }
}

/// `struct fuse_copy_file_range_out`, or `struct fuse_write_out` for COPY_FILE_RANGE.
struct CopyFileRangeReply {
  /// The most bytes that the reply to COPY_FILE_RANGE can tell, as the kernel rounds it.
  static let mostNarrow = Int(UInt32.max & ~4095)

  let count: Int
  let isWide: Bool

  var byteCount: Int { isWide ? fuse_copy_file_range_out.byteCount : WrittenReply.byteCount }

  func encode(into bytes: inout MutableRawSpan) {
    if isWide {
      bytes.store(fuse_copy_file_range_out(bytes_copied: UInt64(count)))
    } else {
      WrittenReply(count: UInt32(clamping: count)).encode(into: &bytes)
    }
  }
}

/// `struct fuse_write_out`.
struct WrittenReply {
  static var byteCount: Int { fuse_write_out.byteCount }

  let count: UInt32

  func encode(into bytes: inout MutableRawSpan) { bytes.store(fuse_write_out(size: count, padding: 0)) }
}

/// `struct fuse_getxattr_out`: the length of a value, or of a list of names.
struct LengthReply {
  static var byteCount: Int { fuse_getxattr_out.byteCount }

  let length: UInt32

  func encode(into bytes: inout MutableRawSpan) { bytes.store(fuse_getxattr_out(size: length, padding: 0)) }
}

/// `struct fuse_lseek_out`.
struct LseekReply {
  static var byteCount: Int { fuse_lseek_out.byteCount }

  let offset: UInt64

  func encode(into bytes: inout MutableRawSpan) { bytes.store(fuse_lseek_out(offset: offset)) }
}

/// `struct fuse_poll_in`.
struct PollRequest {
  let handle: FileHandle
  /// What a notification names the waiting process by.
  let kernelHandle: UInt64
  /// Whether a notification is wanted when the file is ready.
  let wantsNotification: Bool
  /// POLL* of poll(2).
  let events: UInt32

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_poll_in.self)
    handle = FileHandle(rawValue: body.fh)
    kernelHandle = body.kh
    wantsNotification = body.flags & UInt32(FUSE_POLL_SCHEDULE_NOTIFY) != 0
    events = body.events
  }
}

/// `struct fuse_poll_out`.
struct PollReply {
  static var byteCount: Int { fuse_poll_out.byteCount }

  /// POLL* of poll(2) that are so already.
  let events: UInt32

  func encode(into bytes: inout MutableRawSpan) { bytes.store(fuse_poll_out(revents: events, padding: 0)) }
}
