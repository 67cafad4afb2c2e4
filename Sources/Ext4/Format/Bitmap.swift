import Platform

/// A block or inode bitmap: bit 0 of byte 0 is a group's first cluster or inode, and is set when that is taken. Bits behind
/// the last one are set.
public enum Bitmap {
  /// Whether a bit is set.
  public static func isSet(_ bit: Int, in block: RawSpan) -> Bool { block.u8(bit >> 3) & 1 << UInt8(bit & 7) != 0 }

  /// Sets or clears a bit.
  public static func set(_ bit: Int, _ isTaken: Bool = true, in block: inout MutableRawSpan) {
    let mask = 1 << UInt8(bit & 7) as UInt8
    let byte = block.bytes.u8(bit >> 3)
    block.set(bit >> 3, isTaken ? byte | mask : byte & ~mask)
  }

  /// Sets the bits of a range.
  public static func set(_ bits: Range<Int>, in block: inout MutableRawSpan) {
    var bit = bits.lowerBound
    while bit < bits.upperBound {
      if bit & 7 == 0 && bits.upperBound - bit >= 8 {
        block.set(bit >> 3, UInt8(0xff))
        bit += 8
      } else {
        set(bit, in: &block)
        bit += 1
      }
    }
  }

  /// Clear bits among the first `count`.
  public static func free(among count: Int, in block: RawSpan) -> Int {
    var free = 0
    for byte in 0..<(count >> 3) { free += 8 - block.u8(byte).nonzeroBitCount }
    for bit in (count & ~7)..<count where !isSet(bit, in: block) { free += 1 }
    return free
  }

  /// What a bitmap's checksum must be. Descriptors of 32 bytes keep its low 16 bits.
  /// - Parameter count: clusters or inodes of a group, as the superblock says, also for the last group.
  public static func checksum(of block: RawSpan, count: UInt32, seed: ChecksumSeed) -> UInt32 {
    crc32c(seed.value, block.extracting(0..<Int(count / 8)))
  }
}
