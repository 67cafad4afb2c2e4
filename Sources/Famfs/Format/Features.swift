import Platform

/// What a volume has that the public famfs knows nothing of: 40 bytes in the superblock's area, behind what the public
/// tools look at (SPEC-famfs, "Features").
struct Features: Equatable, Sendable {
  /// Bytes on media.
  static let size = 40
  /// Where they stand on device 0.
  static let offset: UInt64 = 512 << 10
  private static let magic: UInt64 = 0x7461_6566_7466_6577  // "weftfeat"
  private static let checkedSize = 32

  /// The volume that they are of: those of a former one mean nothing.
  var volume: UUID
  /// Whether files can be removed.
  var isReclaiming: Bool

  /// Reads and checks them; nil when there are none.
  /// - Throws: when there are some that cannot be believed.
  static func parse(_ bytes: RawSpan, of volume: UUID) throws(FeaturesError) -> Features? {
    guard bytes.u64(0) == magic else { return nil }
    guard bytes.u64(32) == checksum(bytes.extracting(0..<checkedSize)) else { throw .damaged }
    let found = Features(volume: UUID(bytes, at: 16), isReclaiming: bytes.u64(8) & 1 != 0)
    return found.volume == volume ? found : nil
  }

  /// Writes the `size` bytes, checksum included, over `bytes`.
  func encode(into bytes: inout MutableRawSpan) {
    bytes.set(0, Features.magic)
    bytes.set(8, UInt64(isReclaiming ? 1 : 0))
    volume.store(into: &bytes, at: 16)
    bytes.set(32, checksum(bytes.bytes.extracting(0..<Features.checkedSize)))
  }
}

/// Why features cannot be believed.
enum FeaturesError: Error { case damaged }
