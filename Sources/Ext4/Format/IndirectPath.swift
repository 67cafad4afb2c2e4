import Platform

/// The way to a block of a file that is mapped by pointers, as ext2 has it: an index into the fifteen words of i_block,
/// then into up to three blocks of pointers.
public struct IndirectPath: Equatable, Sendable {
  /// Words of i_block that are blocks themselves.
  public static let direct: UInt64 = 12

  /// The indexes, of which `count` count.
  public let indexes: InlineArray<4, UInt32>
  /// How many indexes: 1 to 4.
  public let count: Int
  /// Blocks that come right behind this one in the last block of pointers, this one included.
  public let run: UInt64

  /// The way to block `block`.
  /// - Parameter pointers: pointers that a block holds: a quarter of the block size.
  /// - Returns: nil when no map reaches so far.
  public init?(to block: UInt64, pointers: UInt64) {
    var indexes = InlineArray<4, UInt32>(repeating: 0)
    var rest = block
    if rest < Self.direct {
      indexes[0] = UInt32(rest)
      (self.indexes, count, run) = (indexes, 1, Self.direct - rest)
      return
    }
    rest -= Self.direct
    var reach = pointers
    for level in 1...3 {
      if rest < reach {
        indexes[0] = UInt32(Self.direct) + UInt32(level) - 1
        for step in stride(from: level, to: 0, by: -1) {
          indexes[step] = UInt32(rest % pointers)
          rest /= pointers
        }
        (self.indexes, count, run) = (indexes, level + 1, pointers - UInt64(indexes[level]))
        return
      }
      rest -= reach
      reach *= pointers
    }
    return nil
  }

  /// Blocks that a pointer at step `step` of the way stands for: a hole there is this long, from the block that has zeros
  /// in all later indexes.
  public func span(at step: Int, pointers: UInt64) -> UInt64 {
    var span: UInt64 = 1
    for _ in step..<(count - 1) { span *= pointers }
    return span
  }

  /// Whether two ways have the same length and the same indexes.
  public static func == (one: IndirectPath, other: IndirectPath) -> Bool {
    one.count == other.count && (0..<4).allSatisfy { one.indexes[$0] == other.indexes[$0] }
  }
}
