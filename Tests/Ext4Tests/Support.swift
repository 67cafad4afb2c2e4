import Platform

extension Array where Element == UInt8 {
  /// Calls `body` with the array's bytes.
  func withRawSpan<Result, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result) throws(Failure) -> Result {
    try body(span.bytes)
  }

  /// Has `body` change the array's bytes.
  mutating func withMutableRawSpan<Failure: Error>(
    _ body: (inout MutableRawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    var span = mutableSpan
    var raw = span.mutableBytes
    try body(&raw)
  }

  /// The bytes of hexadecimal digits.
  init(hex: String) {
    let digits = hex.compactMap(\.hexDigitValue)
    self = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }
}
