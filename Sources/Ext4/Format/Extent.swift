import Platform

/// struct ext4_extent_header: what each node of an extent tree begins with.
public struct ExtentHeader: Equatable, Sendable {
  /// Bytes on media: also of each extent and index.
  public static let size = 12
  /// What `magic` must be.
  public static let magic: UInt16 = 0xf30a
  /// Levels below the root are at most this many.
  public static let deepest: UInt16 = 5

  /// F30Ah.
  public var magic = ExtentHeader.magic
  /// Extents or indexes in this node.
  public var entries: UInt16
  /// Extents or indexes that it has room for.
  public var max: UInt16
  /// Levels below; 0 for a leaf.
  public var depth: UInt16
  /// Not used.
  public var generation: UInt32 = 0

  /// A header.
  public init(entries: UInt16 = 0, max: UInt16, depth: UInt16 = 0) {
    (self.entries, self.max, self.depth) = (entries, max, depth)
  }

  /// Reads the node's first 12 bytes.
  public init(parsing bytes: RawSpan) {
    magic = bytes.u16(0)
    entries = bytes.u16(2)
    max = bytes.u16(4)
    depth = bytes.u16(6)
    generation = bytes.u32(8)
  }

  /// Writes the node's first 12 bytes.
  public func encode(into bytes: inout MutableRawSpan) {
    bytes.set(0, magic)
    bytes.set(2, entries)
    bytes.set(4, max)
    bytes.set(6, depth)
    bytes.set(8, generation)
  }

  /// The extents or indexes that a node of this many bytes has room for: 60 in an inode, else the block size.
  public static func capacity(of byteCount: Int) -> Int { (byteCount - size) / size }
}

/// struct ext4_extent: a run of a file's blocks.
public struct Extent: Equatable, Sendable {
  /// The longest written run, in blocks; unwritten ones have one less.
  public static let longest: UInt32 = 32768

  /// The first block within the file.
  public var block: UInt32
  /// How many: 1 to 32,768. From media it may be 0.
  public var length: UInt32
  /// Whether the blocks are allocated but read as zeros.
  public var isUnwritten: Bool
  /// The first block on the device: 48 bits.
  public var start: UInt64

  /// A run.
  public init(block: UInt32, length: UInt32, start: UInt64, isUnwritten: Bool = false) {
    (self.block, self.length, self.start, self.isUnwritten) = (block, length, start, isUnwritten)
  }

  /// Reads entry `index` of a leaf.
  public init(parsing bytes: RawSpan, _ index: Int) {
    let at = ExtentHeader.size * (index + 1)
    block = bytes.u32(at)
    let stored = UInt32(bytes.u16(at + 4))
    isUnwritten = stored > Extent.longest
    length = isUnwritten ? stored - Extent.longest : stored
    start = UInt64(bytes.u32(at + 8)) | UInt64(bytes.u16(at + 6)) << 32
  }

  /// Writes entry `index` of a leaf.
  public func encode(into bytes: inout MutableRawSpan, _ index: Int) {
    let at = ExtentHeader.size * (index + 1)
    bytes.set(at, block)
    bytes.set(at + 4, UInt16(truncatingIfNeeded: isUnwritten ? length + Extent.longest : length))
    bytes.set(at + 6, UInt16(truncatingIfNeeded: start >> 32))
    bytes.set(at + 8, UInt32(truncatingIfNeeded: start))
  }

  /// The block behind it within the file.
  public var end: UInt64 { UInt64(block) + UInt64(length) }
}

/// struct ext4_extent_idx: a node of the level below.
public struct ExtentIndex: Equatable, Sendable {
  /// The first block within the file that the node maps.
  public var block: UInt32
  /// The node's block on the device: 48 bits.
  public var leaf: UInt64
  /// Not used.
  public var unused: UInt16 = 0

  /// An index.
  public init(block: UInt32, leaf: UInt64) { (self.block, self.leaf) = (block, leaf) }

  /// Reads entry `index` of a node.
  public init(parsing bytes: RawSpan, _ index: Int) {
    let at = ExtentHeader.size * (index + 1)
    block = bytes.u32(at)
    leaf = UInt64(bytes.u32(at + 4)) | UInt64(bytes.u16(at + 8)) << 32
    unused = bytes.u16(at + 10)
  }

  /// Writes entry `index` of a node.
  public func encode(into bytes: inout MutableRawSpan, _ index: Int) {
    let at = ExtentHeader.size * (index + 1)
    bytes.set(at, block)
    bytes.set(at + 4, UInt32(truncatingIfNeeded: leaf))
    bytes.set(at + 8, UInt16(truncatingIfNeeded: leaf >> 32))
    bytes.set(at + 10, unused)
  }
}

/// struct ext4_extent_tail: the checksum of a node that has a block of its own. It stands right behind the last entry that
/// there is room for.
public enum ExtentTail {
  /// Where the checksum stands.
  public static func offset(max: UInt16) -> Int { ExtentHeader.size * (Int(max) + 1) }

  /// What the checksum of a block must be.
  /// - Parameters:
  ///   - max: of the node's header; there is room for it in the block.
  ///   - seed: `ChecksumSeed.inode` of the file.
  public static func checksum(of block: RawSpan, max: UInt16, seed: UInt32) -> UInt32 {
    crc32c(seed, block.extracting(0..<offset(max: max)))
  }
}
