import Glibc

/// A 128-bit identifier, its bytes in the order of its text (RFC 9562).
public struct UUID: Equatable, Hashable, Sendable, CustomStringConvertible {
  private let high: UInt64
  private let low: UInt64

  /// The identifier whose 16 bytes stand at `offset` in `bytes`.
  public init(_ bytes: RawSpan, at offset: Int = 0) {
    high = bytes.u64(offset).byteSwapped
    low = bytes.u64(offset + 8).byteSwapped
  }

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// All zeros: no identifier.
  public static let zero = UUID(high: 0, low: 0)

  /// A new random identifier, version 4.
  public static func random() -> UUID {
    UUID(high: .random(in: .min ... .max), low: .random(in: .min ... .max)).marked(version: 4)
  }

  /// The identifier in a text such as `2e1bc9d6-e4f9-4fa2-a1fb-4d4943a44e21`, any case; the dashes may be left out,
  /// as in /etc/machine-id. Nil when it is anything else.
  public init?(_ text: some StringProtocol) {
    let dashed = text.utf8.count == 36
    guard dashed || text.utf8.count == 32 else { return nil }
    var halves: (UInt64, UInt64) = (0, 0)
    for (place, byte) in text.utf8.enumerated() {
      if dashed && [8, 13, 18, 23].contains(place) {
        guard byte == UInt8(ascii: "-") else { return nil }
        continue
      }
      guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
      halves = (halves.0 << 4 | halves.1 >> 60, halves.1 << 4 | UInt64(digit))
    }
    self.init(high: halves.0, low: halves.1)
  }

  /// The same bits marked with a version and the RFC's variant.
  func marked(version: UInt64) -> UUID {
    UUID(high: high & ~0xf000 | version << 12, low: low & ~(3 << 62) | 2 << 62)
  }

  /// Writes the 16 bytes at `offset`.
  public func store(into bytes: inout MutableRawSpan, at offset: Int) {
    bytes.set(offset, high.byteSwapped)
    bytes.set(offset + 8, low.byteSwapped)
  }

  /// Lower case, with dashes.
  public var description: String {
    let digits = Array("0123456789abcdef")
    var text = ""
    for place in 0..<32 {
      if [8, 12, 16, 20].contains(place) { text.append("-") }
      let half = place < 16 ? high : low
      text.append(digits[Int(half >> UInt64(60 - place % 16 * 4) & 15)])
    }
    return text
  }
}
