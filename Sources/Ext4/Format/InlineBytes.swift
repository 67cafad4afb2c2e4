import Platform

/// A field of `count` bytes, such as a label, kept as it is on media.
public struct InlineBytes<let count: Int>: Equatable, Sendable {
  /// The bytes.
  public var storage = InlineArray<count, UInt8>(repeating: 0)

  /// Zeros.
  public init() {}

  /// The text's bytes, as many as there is room for, and zeros behind.
  public init(_ text: some StringProtocol) {
    for (place, byte) in text.utf8.prefix(count).enumerated() { storage[place] = byte }
  }

  /// The bytes at `offset`.
  public init(_ bytes: RawSpan, at offset: Int) {
    for place in 0..<count { storage[place] = bytes.u8(offset + place) }
  }

  /// Writes the bytes at `offset`.
  public func store(into bytes: inout MutableRawSpan, at offset: Int) {
    for place in 0..<count { bytes.set(offset + place, storage[place]) }
  }

  /// The bytes before the first NUL.
  public var text: [UInt8] { Array((0..<count).lazy.map { storage[$0] }.prefix { $0 != 0 }) }

  /// Whether all bytes are equal.
  public static func == (one: InlineBytes, other: InlineBytes) -> Bool {
    (0..<count).allSatisfy { one.storage[$0] == other.storage[$0] }
  }
}

// Fields in two parts: the format grew from 32 bits.
extension RawSpan {
  /// A number of 64 bits, whose halves stand apart.
  func u64(low: Int, high: Int) -> UInt64 { UInt64(u32(low)) | UInt64(u32(high)) << 32 }

  /// Seconds since 1970 in 40 bits, the high eight apart.
  func time(_ low: Int, high: Int) -> UInt64 { UInt64(u32(low)) | UInt64(u8(high)) << 32 }
}

extension MutableRawSpan {
  /// Stores both halves of a number.
  mutating func set(low: Int, high: Int, _ value: UInt64) {
    set(low, UInt32(truncatingIfNeeded: value))
    set(high, UInt32(truncatingIfNeeded: value >> 32))
  }

  /// Stores seconds in 40 bits.
  mutating func set(time low: Int, high: Int, _ value: UInt64) {
    set(low, UInt32(truncatingIfNeeded: value))
    set(high, UInt8(truncatingIfNeeded: value >> 32))
  }
}
