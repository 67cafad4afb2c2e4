import Platform

/// struct ext4_group_desc: 32 bytes, or 64 and more where block numbers have 64 bits. Low and high halves are one field.
public struct GroupDescriptor: Equatable, Sendable {
  /// bg_flags. They mean something only where descriptors have checksums.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt16
    /// Flags of these bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The inode bitmap was never written: all inodes are free.
    public static let inodeUninit = Flags(rawValue: 1)
    /// The block bitmap was never written: it follows from the layout.
    public static let blockUninit = Flags(rawValue: 2)
    /// The inode table holds no rubbish.
    public static let inodeZeroed = Flags(rawValue: 4)
  }

  /// The block of the block bitmap.
  public var blockBitmap: UInt64 = 0
  /// The block of the inode bitmap.
  public var inodeBitmap: UInt64 = 0
  /// The first block of the inode table.
  public var inodeTable: UInt64 = 0
  /// Free clusters.
  public var freeBlocksCount: UInt32 = 0
  /// Free inodes.
  public var freeInodesCount: UInt32 = 0
  /// Directories.
  public var usedDirsCount: UInt32 = 0
  /// Flags.
  public var flags: Flags = []
  /// Of snapshots that were never merged.
  public var excludeBitmap: UInt64 = 0
  /// The block bitmap's checksum; only 16 bits of it in descriptors of 32 bytes.
  public var blockBitmapCsum: UInt32 = 0
  /// The inode bitmap's checksum.
  public var inodeBitmapCsum: UInt32 = 0
  /// Inodes at the table's end that were never used.
  public var itableUnused: UInt32 = 0
  /// This descriptor's checksum.
  public var checksum: UInt16 = 0
  /// Reserved; only in descriptors of 64 bytes.
  public var reserved: UInt32 = 0

  /// Where `checksum` stands.
  static let checksumOffset = 0x1e

  /// A descriptor of zeros.
  public init() {}

  /// Reads a descriptor; `bytes` has the size that the superblock says, 32 bytes or at least 64.
  public init(parsing bytes: RawSpan) {
    let isWide = bytes.byteCount >= 64
    func wide(_ low: Int, _ high: Int) -> UInt64 {
      UInt64(bytes.u32(low)) | (isWide ? UInt64(bytes.u32(high)) << 32 : 0)
    }
    func half(_ low: Int, _ high: Int) -> UInt32 {
      UInt32(bytes.u16(low)) | (isWide ? UInt32(bytes.u16(high)) << 16 : 0)
    }
    blockBitmap = wide(0x00, 0x20)
    inodeBitmap = wide(0x04, 0x24)
    inodeTable = wide(0x08, 0x28)
    freeBlocksCount = half(0x0c, 0x2c)
    freeInodesCount = half(0x0e, 0x2e)
    usedDirsCount = half(0x10, 0x30)
    flags = Flags(rawValue: bytes.u16(0x12))
    excludeBitmap = wide(0x14, 0x34)
    blockBitmapCsum = half(0x18, 0x38)
    inodeBitmapCsum = half(0x1a, 0x3a)
    itableUnused = half(0x1c, 0x32)
    checksum = bytes.u16(0x1e)
    reserved = isWide ? bytes.u32(0x3c) : 0
  }

  /// Writes a descriptor over `bytes`, which has 32 bytes or at least 64; `checksum` as it is: see `checksum(of:)`.
  public func encode(into bytes: inout MutableRawSpan) {
    let isWide = bytes.byteCount >= 64
    for place in stride(from: 0, to: bytes.byteCount, by: 8) { bytes.set(place, UInt64(0)) }
    func wide(_ low: Int, _ high: Int, _ value: UInt64) {
      bytes.set(low, UInt32(truncatingIfNeeded: value))
      if isWide { bytes.set(high, UInt32(truncatingIfNeeded: value >> 32)) }
    }
    func half(_ low: Int, _ high: Int, _ value: UInt32) {
      bytes.set(low, UInt16(truncatingIfNeeded: value))
      if isWide { bytes.set(high, UInt16(truncatingIfNeeded: value >> 16)) }
    }
    wide(0x00, 0x20, blockBitmap)
    wide(0x04, 0x24, inodeBitmap)
    wide(0x08, 0x28, inodeTable)
    half(0x0c, 0x2c, freeBlocksCount)
    half(0x0e, 0x2e, freeInodesCount)
    half(0x10, 0x30, usedDirsCount)
    bytes.set(0x12, flags.rawValue)
    wide(0x14, 0x34, excludeBitmap)
    half(0x18, 0x38, blockBitmapCsum)
    half(0x1a, 0x3a, inodeBitmapCsum)
    half(0x1c, 0x32, itableUnused)
    bytes.set(0x1e, checksum)
    if isWide { bytes.set(0x3c, reserved) }
  }

  /// What the checksum of a descriptor's bytes must be.
  /// - Returns: nil where descriptors have none.
  public static func checksum(
    of bytes: RawSpan, group: UInt32, seed: ChecksumSeed, uuid: UUID, features: ReadOnlyCompatibleFeatures
  ) -> UInt16? {
    let (before, after) = (bytes.extracting(0..<checksumOffset), bytes.extracting((checksumOffset + 2)...))
    if features.contains(.metadataCsum) {
      let start = crc32c(crc32c(crc32c(seed.value, group), before), UInt16(0))
      return UInt16(truncatingIfNeeded: crc32c(start, after))
    }
    guard features.contains(.gdtCsum) else { return nil }
    var head = InlineArray<20, UInt8>(repeating: 0)
    var span = head.mutableSpan
    var raw = span.mutableBytes
    uuid.store(into: &raw, at: 0)
    raw.set(16, group)
    return crc16(crc16(crc16(~0, head.span.bytes), before), after)
  }

  /// Whether a bitmap's checksum is the one that this descriptor holds, as far as it has room for it.
  public static func matches(_ stored: UInt32, _ computed: UInt32, descriptorSize: Int) -> Bool {
    descriptorSize >= 64 ? stored == computed : stored == computed & 0xffff
  }
}
