import Platform

/// A block of the orphan file: numbers of inodes, 0 where there is none, and struct ext4_orphan_block_tail at its end.
public enum OrphanBlock {
  /// What the tail begins with.
  public static let magic: UInt32 = 0x0b10_ca04
  /// Bytes of the tail.
  public static let tailSize = 8

  /// Inodes that a block has room for.
  public static func capacity(blockSize: Int) -> Int { (blockSize - tailSize) / 4 }

  /// Inode number `index` of a block.
  public static func inode(_ index: Int, in block: RawSpan) -> UInt32 { block.u32(4 * index) }

  /// Writes inode number `index`.
  public static func set(_ index: Int, _ inode: UInt32, in block: inout MutableRawSpan) { block.set(4 * index, inode) }

  /// Whether a block has the magic.
  public static func hasMagic(_ block: RawSpan) -> Bool { block.u32(block.byteCount - 8) == magic }

  /// The checksum that stands in a block.
  public static func checksum(in block: RawSpan) -> UInt32 { block.u32(block.byteCount - 4) }

  /// What the checksum of a block must be.
  /// - Parameters:
  ///   - number: the block's number on the device.
  ///   - seed: `ChecksumSeed.inode` of the orphan file.
  public static func checksum(of block: RawSpan, number: UInt64, seed: UInt32) -> UInt32 {
    crc32c(crc32c(seed, number), block.extracting(0..<(block.byteCount - tailSize)))
  }

  /// Writes a block's tail.
  public static func encodeTail(into block: inout MutableRawSpan, checksum: UInt32) {
    block.set(block.byteCount - 8, magic)
    block.set(block.byteCount - 4, checksum)
  }
}
