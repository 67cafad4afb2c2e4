import Platform

/// An extended EROFS inode (SPEC-erofs-view, "Inode").
struct Inode {
  /// Bytes on media, without what follows it.
  static let size = 64
  /// Inodes are numbered by where they stand, in so many bytes.
  static let slot = 32

  /// Where a file's or directory's contents lie.
  enum Contents {
    /// In blocks one after the other, from this one on.
    case plain(block: UInt32)
    /// Right behind the inode, in the same block.
    case inline
    /// In chunks of 4096 << bits bytes, whose places stand behind the inode: 8 bytes each if `isWide`, else 4.
    case chunks(bits: UInt8, isWide: Bool)
  }

  var mode: UInt16
  var size: UInt64
  var contents: Contents
  /// What stat(2) shows where numbers have 32 bits.
  var number: UInt32
  var userID: UInt32
  var groupID: UInt32
  /// Nanoseconds since 1970, negative before.
  var modified: Int64
  var linkCount: UInt32

  /// Writes the `size` bytes over `bytes`, which are zeros.
  func encode(into bytes: inout MutableRawSpan) {
    let (layout, place): (UInt16, UInt32) =
      switch contents {
      case .plain(let block): (0, block)
      case .inline: (2, 0)
      case .chunks(let bits, let isWide): (4, UInt32(bits) | (isWide ? 0x20 : 0))
      }
    bytes.set(0, 1 | layout << 1)
    bytes.set(4, mode)
    bytes.set(8, size)
    bytes.set(16, place)
    bytes.set(20, number)
    bytes.set(24, userID)
    bytes.set(28, groupID)
    // Nanoseconds count upwards also before 1970.
    let second: Int64 = 1_000_000_000
    let (quotient, remainder) = modified.quotientAndRemainder(dividingBy: second)
    bytes.set(32, remainder < 0 ? quotient - 1 : quotient)
    bytes.set(40, UInt32(remainder < 0 ? remainder + second : remainder))
    bytes.set(44, linkCount)
  }
}
