import CFuse
import Platform

// What virtio-fs asks about its DAX window.

/// `struct fuse_setupmapping_in`.
struct SetupMappingRequest {
  let handle: FileHandle
  /// The first byte of the file.
  let offset: UInt64
  /// Bytes to map.
  let count: Int
  /// Where in the window.
  let windowOffset: UInt64
  let isReading: Bool
  let isWriting: Bool

  /// - Throws: EINVAL for an empty range and one that cannot be, and for flags that are not known.
  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_setupmapping_in.self)
    let (read, write) = (UInt64(FUSE_SETUPMAPPING_FLAG_READ), UInt64(FUSE_SETUPMAPPING_FLAG_WRITE))
    handle = FileHandle(rawValue: body.fh)
    offset = body.foffset
    windowOffset = body.moffset
    isReading = body.flags & read != 0
    isWriting = body.flags & write != 0
    guard body.flags & ~(read | write) == 0, body.len > 0, let length = Int(exactly: body.len) else {
      throw .invalidArgument
    }
    count = length
    try checkRange(at: offset, count: count)
    try checkRange(at: windowOffset, count: count)
  }
}

/// `struct fuse_removemapping_in`, which `count` ranges of the window follow: `struct fuse_removemapping_one`.
struct RemoveMappingRequest {
  /// FUSE_REMOVEMAPPING_MAX_ENTRY with pages of 4 KiB.
  static var most: Int { 4096 / fuse_removemapping_one.byteCount }

  let count: Int

  /// - Throws: EINVAL for more ranges than the kernel sends at once, EPROTO where they are not all there.
  init(parsing bytes: RawSpan) throws(Errno) {
    count = Int(try bytes.load(fuse_removemapping_in.self).count)
    guard count <= RemoveMappingRequest.most else { throw .invalidArgument }
    try bytes.require(fuse_removemapping_in.byteCount + count * fuse_removemapping_one.byteCount)
  }

  /// The range at `index`, which is less than `count`.
  /// - Throws: EINVAL for one that cannot be.
  func range(_ index: Int, in bytes: RawSpan) throws(Errno) -> (windowOffset: UInt64, count: Int) {
    let start = fuse_removemapping_in.byteCount + index * fuse_removemapping_one.byteCount
    let one = bytes.unsafeLoadUnaligned(fromByteOffset: start, as: fuse_removemapping_one.self)
    guard let count = Int(exactly: one.len) else { throw .invalidArgument }
    try checkRange(at: one.moffset, count: count)
    return (one.moffset, count)
  }
}
