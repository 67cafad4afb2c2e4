import Platform

/// struct dx_root_info: what block 0 of an indexed directory says about its htree, at byte 18h, behind "." and "..".
public struct HashTreeInfo: Equatable, Sendable {
  /// Where it stands in block 0.
  public static let offset = 0x18
  /// Bytes on media.
  public static let size = 8

  /// 0.
  public var reservedZero: UInt32 = 0
  /// The version of the hash, as `HashVersion`.
  public var hashVersion: UInt8
  /// 8.
  public var infoLength: UInt8 = 8
  /// Levels of nodes between the root and the leaves.
  public var indirectLevels: UInt8
  /// Unless bit 0 is clear the tree cannot be used.
  public var unusedFlags: UInt8 = 0

  /// The info of a tree.
  public init(hashVersion: UInt8, indirectLevels: UInt8 = 0) {
    (self.hashVersion, self.indirectLevels) = (hashVersion, indirectLevels)
  }

  /// Reads it out of block 0.
  public init(parsing block: RawSpan) {
    reservedZero = block.u32(0x18)
    hashVersion = block.u8(0x1c)
    infoLength = block.u8(0x1d)
    indirectLevels = block.u8(0x1e)
    unusedFlags = block.u8(0x1f)
  }

  /// Writes it into block 0.
  public func encode(into block: inout MutableRawSpan) {
    block.set(0x18, reservedZero)
    block.set(0x1c, hashVersion)
    block.set(0x1d, infoLength)
    block.set(0x1e, indirectLevels)
    block.set(0x1f, unusedFlags)
  }
}

/// The entries of an htree's root or node: struct dx_countlimit and struct dx_entry. Entry 0 has no hash of its own: limit
/// and count stand in its place, and it covers all hashes below that of entry 1.
public struct HashTreeNode: Equatable, Sendable {
  /// Bytes of an entry.
  public static let entrySize = 8
  /// Where the entries of block 0 begin.
  public static let rootOffset = 0x20
  /// Where those of other nodes begin, behind an entry without inode that covers the block.
  public static let nodeOffset = 8
  /// The bits of a block's number within the directory.
  public static let blockMask: UInt32 = 0x0fff_ffff

  /// Where entries begin in the block.
  public let offset: Int
  /// Entries that there is room for.
  public var limit: UInt16
  /// Entries, entry 0 included.
  public var count: UInt16

  /// A node whose entries begin at `offset`.
  public init(offset: Int, limit: UInt16, count: UInt16) {
    (self.offset, self.limit, self.count) = (offset, limit, count)
  }

  /// Reads limit and count.
  public init(parsing block: RawSpan, at offset: Int) {
    self.offset = offset
    limit = block.u16(offset)
    count = block.u16(offset + 2)
  }

  /// Writes limit and count.
  public func encode(into block: inout MutableRawSpan) {
    block.set(offset, limit)
    block.set(offset + 2, count)
  }

  /// What `limit` must be.
  public static func limit(blockSize: Int, offset: Int, hasChecksum: Bool) -> UInt16 {
    UInt16(truncatingIfNeeded: (blockSize - offset - (hasChecksum ? HashTreeTail.size : 0)) / entrySize)
  }

  /// The hash from which entry `index` counts: bit 0 says that names of that hash lie in the block before, too.
  public func hash(_ index: Int, in block: RawSpan) -> UInt32 { index == 0 ? 0 : block.u32(offset + 8 * index) }

  /// The block within the directory that entry `index` stands for.
  public func block(_ index: Int, in block: RawSpan) -> UInt32 {
    block.u32(offset + 8 * index + 4) & HashTreeNode.blockMask
  }

  /// Writes entry `index`; the hash of entry 0 is not written.
  public func encode(entry index: Int, hash: UInt32, block: UInt32, into bytes: inout MutableRawSpan) {
    if index > 0 { bytes.set(offset + 8 * index, hash) }
    bytes.set(offset + 8 * index + 4, block)
  }
}

/// struct dx_tail: the checksum of an htree's root or node, right behind the last entry that there is room for.
public enum HashTreeTail {
  /// Bytes on media: four reserved, and the checksum.
  public static let size = 8

  /// Where the checksum stands.
  public static func offset(_ node: HashTreeNode) -> Int { node.offset + 8 * Int(node.limit) + 4 }

  /// What the checksum of a block must be.
  /// - Parameter seed: `ChecksumSeed.inode` of the directory.
  public static func checksum(of block: RawSpan, _ node: HashTreeNode, seed: UInt32) -> UInt32 {
    let entries = crc32c(seed, block.extracting(0..<(node.offset + 8 * Int(node.count))))
    let tail = node.offset + 8 * Int(node.limit)
    return crc32c(crc32c(entries, block.extracting(tail..<(tail + 4))), UInt32(0))
  }
}
