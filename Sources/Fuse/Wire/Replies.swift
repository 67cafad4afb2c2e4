import Platform

// The bodies of replies, written at the offsets of linux/fuse.h. Every byte of a structure is written: the buffers are
// used again and again, and nothing of an earlier reply may leak into a later one.

extension Attributes {
  /// `struct fuse_attr`.
  static let byteCount = 88

  func encode(node: NodeID, into bytes: inout MutableRawSpan, at start: Int) {
    let (access, modification, change) = (WireTime(accessTime), WireTime(modificationTime), WireTime(changeTime))
    bytes.set(start, inode ?? node.rawValue)
    bytes.set(start + 8, size)
    bytes.set(start + 16, blocks)
    bytes.set(start + 24, access.seconds)
    bytes.set(start + 32, modification.seconds)
    bytes.set(start + 40, change.seconds)
    bytes.set(start + 48, access.nanoseconds)
    bytes.set(start + 52, modification.nanoseconds)
    bytes.set(start + 56, change.nanoseconds)
    bytes.set(start + 60, mode)
    bytes.set(start + 64, linkCount)
    bytes.set(start + 68, userID)
    bytes.set(start + 72, groupID)
    bytes.set(start + 76, specialDevice)
    bytes.set(start + 80, blockSize)
    bytes.set(start + 84, UInt32(0))  // flags
  }
}

/// A time since 1970 in the protocol's two parts.
struct WireTime: Equatable {
  let seconds: Int64
  let nanoseconds: UInt32

  /// Nanoseconds count upwards also before 1970.
  init(_ time: Int64) {
    let (quotient, remainder) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
    seconds = remainder < 0 ? quotient - 1 : quotient
    nanoseconds = UInt32(remainder < 0 ? remainder + 1_000_000_000 : remainder)
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
  /// `struct fuse_entry_out`.
  static let byteCount = 128

  /// - Parameter node: what to say instead of the entry's own node: zero for one that is not looked up.
  func encode(node: NodeID, into bytes: inout MutableRawSpan, at start: Int = 0) {
    let (name, rest) = (WireLifetime(nameLifetime), WireLifetime(attributeLifetime))
    bytes.set(start, node.rawValue)
    bytes.set(start + 8, generation)
    bytes.set(start + 16, name.seconds)
    bytes.set(start + 24, rest.seconds)
    bytes.set(start + 32, name.nanoseconds)
    bytes.set(start + 36, rest.nanoseconds)
    attributes.encode(node: self.node, into: &bytes, at: start + 40)
  }
}

extension CachedAttributes {
  /// `struct fuse_attr_out`.
  static let byteCount = 104
  /// `struct fuse_statx_out`: 32 bytes and a `struct fuse_statx`.
  static let statxByteCount = 288

  func encode(node: NodeID, into bytes: inout MutableRawSpan) {
    let valid = WireLifetime(lifetime)
    bytes.set(0, valid.seconds)
    bytes.set(8, valid.nanoseconds)
    bytes.set(12, UInt32(0))
    attributes.encode(node: node, into: &bytes, at: 16)
  }

  func encodeStatx(node: NodeID, into bytes: inout MutableRawSpan) {
    for offset in stride(from: 0, to: CachedAttributes.statxByteCount, by: 8) { bytes.set(offset, UInt64(0)) }
    let valid = WireLifetime(lifetime)
    bytes.set(0, valid.seconds)
    bytes.set(8, valid.nanoseconds)
    let basicStats: UInt32 = 0x7ff
    let birthTime: UInt32 = 0x800
    bytes.set(32, attributes.birthTime == nil ? basicStats : basicStats | birthTime)
    bytes.set(36, attributes.blockSize)
    bytes.set(48, attributes.linkCount)
    bytes.set(52, attributes.userID)
    bytes.set(56, attributes.groupID)
    bytes.set(60, UInt16(truncatingIfNeeded: attributes.mode))
    bytes.set(64, attributes.inode ?? node.rawValue)
    bytes.set(72, attributes.size)
    bytes.set(80, attributes.blocks)
    encode(attributes.accessTime, into: &bytes, at: 96)
    encode(attributes.birthTime ?? 0, into: &bytes, at: 112)
    encode(attributes.changeTime, into: &bytes, at: 128)
    encode(attributes.modificationTime, into: &bytes, at: 144)
    // The protocol's rdev is the kernel's new_encode_dev: 8 low bits of minor, 12 of major, 12 more of minor.
    bytes.set(160, attributes.specialDevice >> 8 & 0xfff)
    bytes.set(164, attributes.specialDevice & 0xff | attributes.specialDevice >> 12 & 0xfff00)
  }

  /// `struct fuse_sx_time`.
  private func encode(_ time: Int64, into bytes: inout MutableRawSpan, at start: Int) {
    let time = WireTime(time)
    bytes.set(start, time.seconds)
    bytes.set(start + 8, time.nanoseconds)
  }
}

extension Opened {
  /// `struct fuse_open_out`.
  static let byteCount = 16

  func encode(into bytes: inout MutableRawSpan, at start: Int = 0) {
    bytes.set(start, handle.rawValue)
    bytes.set(start + 8, flags.rawValue)
    bytes.set(start + 12, UInt32(0))
  }
}

extension FileSystemStatus {
  /// `struct fuse_statfs_out`.
  static let byteCount = 80

  func encode(into bytes: inout MutableRawSpan) {
    bytes.set(0, blocks)
    bytes.set(8, freeBlocks)
    bytes.set(16, availableBlocks)
    bytes.set(24, files)
    bytes.set(32, freeFiles)
    bytes.set(40, blockSize)
    bytes.set(44, longestName)
    bytes.set(48, blockSize)  // frsize: the unit of the counts above
    for offset in stride(from: 52, to: FileSystemStatus.byteCount, by: 4) { bytes.set(offset, UInt32(0)) }
  }
}
