import CFuse
import Platform

// The bodies of replies. Each is stored whole: the buffers are used again and again, and nothing of an earlier reply may
// leak into a later one.

extension Attributes {
  /// `struct fuse_attr`.
  var encoded: fuse_attr {
    let (access, modification, change) = (accessTime, modificationTime, changeTime)
    var attr = fuse_attr()
    attr.ino = inode
    attr.size = size
    attr.blocks = blocks
    attr.atime = UInt64(bitPattern: access.seconds)
    attr.mtime = UInt64(bitPattern: modification.seconds)
    attr.ctime = UInt64(bitPattern: change.seconds)
    attr.atimensec = access.nanoseconds
    attr.mtimensec = modification.nanoseconds
    attr.ctimensec = change.nanoseconds
    attr.mode = mode
    attr.nlink = linkCount
    attr.uid = userID
    attr.gid = groupID
    attr.rdev = specialDevice
    attr.blksize = blockSize
    return attr
  }
}

/// A cache lifetime in the protocol's two parts. "For good" becomes 584 years.
struct WireLifetime: Equatable {
  let seconds: UInt64
  let nanoseconds: UInt32

  init(_ lifetime: UInt64) {
    seconds = lifetime / 1_000_000_000
    nanoseconds = UInt32(lifetime % 1_000_000_000)
  }
}

extension Entry {
  /// Bytes of `struct fuse_entry_out`.
  static var byteCount: Int { fuse_entry_out.byteCount }

  /// - Parameter node: what to say instead of the entry's own node: zero for one that is not looked up.
  func encode(node: NodeID, into bytes: inout MutableRawSpan, at start: Int = 0) {
    let (name, rest) = (WireLifetime(nameLifetime), WireLifetime(attributeLifetime))
    var out = fuse_entry_out()
    out.nodeid = node.rawValue
    out.generation = generation
    out.entry_valid = name.seconds
    out.entry_valid_nsec = name.nanoseconds
    out.attr_valid = rest.seconds
    out.attr_valid_nsec = rest.nanoseconds
    out.attr = attributes.encoded
    bytes.store(out, at: start)
  }
}

extension CachedAttributes {
  /// Bytes of `struct fuse_attr_out`.
  static var byteCount: Int { fuse_attr_out.byteCount }
  /// Bytes of `struct fuse_statx_out`.
  static var statxByteCount: Int { fuse_statx_out.byteCount }

  func encode(into bytes: inout MutableRawSpan) {
    let valid = WireLifetime(lifetime)
    var out = fuse_attr_out()
    out.attr_valid = valid.seconds
    out.attr_valid_nsec = valid.nanoseconds
    out.attr = attributes.encoded
    bytes.store(out)
  }

  func encodeStatx(into bytes: inout MutableRawSpan) {
    let valid = WireLifetime(lifetime)
    var out = fuse_statx_out()
    out.attr_valid = valid.seconds
    out.attr_valid_nsec = valid.nanoseconds
    out.stat = attributes.encodedStatx
    bytes.store(out)
  }
}

extension Attributes {
  /// `struct fuse_statx`.
  fileprivate var encodedStatx: fuse_statx {
    var stat = fuse_statx()
    stat.mask = UInt32(WEFT_STATX_BASIC_STATS) | (birthTime == nil ? 0 : UInt32(WEFT_STATX_BTIME))
    stat.blksize = blockSize
    stat.nlink = linkCount
    stat.uid = userID
    stat.gid = groupID
    stat.mode = UInt16(truncatingIfNeeded: mode)
    stat.ino = inode
    stat.size = size
    stat.blocks = blocks
    stat.atime = accessTime.statx
    stat.btime = (birthTime ?? .epoch).statx
    stat.ctime = changeTime.statx
    stat.mtime = modificationTime.statx
    // The protocol's rdev is the kernel's new_encode_dev: 8 low bits of minor, 12 of major, 12 more of minor.
    stat.rdev_major = specialDevice >> 8 & 0xfff
    stat.rdev_minor = specialDevice & 0xff | specialDevice >> 12 & 0xfff00
    return stat
  }
}

extension Timestamp {
  fileprivate var statx: fuse_sx_time { fuse_sx_time(tv_sec: seconds, tv_nsec: nanoseconds, __reserved: 0) }
}

extension Opened {
  /// Bytes of `struct fuse_open_out`.
  static var byteCount: Int { fuse_open_out.byteCount }

  func encode(into bytes: inout MutableRawSpan, at start: Int = 0) {
    bytes.store(fuse_open_out(fh: handle.rawValue, open_flags: flags.rawValue, backing_id: 0), at: start)
  }
}

extension FileSystemStatus {
  /// Bytes of `struct fuse_statfs_out`.
  static var byteCount: Int { fuse_statfs_out.byteCount }

  func encode(into bytes: inout MutableRawSpan) {
    var out = fuse_statfs_out()
    out.st.blocks = blocks
    out.st.bfree = freeBlocks
    out.st.bavail = availableBlocks
    out.st.files = files
    out.st.ffree = freeFiles
    out.st.bsize = blockSize
    out.st.namelen = longestName
    out.st.frsize = blockSize  // the unit of the counts above
    bytes.store(out)
  }
}
