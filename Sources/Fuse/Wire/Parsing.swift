import Glibc
import Platform

extension RawSpan {
  /// Refuses bytes that are too few for a structure.
  /// - Throws: EPROTO.
  func require(_ count: Int) throws(Errno) {
    guard byteCount >= count else { throw .protocolError }
  }

  /// Where the bytes from `start` up to a NUL stand. The NUL must be the last byte, unless something else follows.
  /// - Throws: EPROTO without a NUL or with bytes behind the last.
  func string(from start: Int = 0, isLast: Bool = true) throws(Errno) -> Range<Int> {
    try require(start)
    guard let end = firstIndex(of: 0, from: start), !isLast || end + 1 == byteCount else { throw .protocolError }
    return start..<end
  }

  /// The length of the name that these bytes are, from `start` up to the NUL that must be their last, unless something
  /// else follows.
  /// - Throws: EPROTO without a NUL or with bytes behind the last, EINVAL for an empty name, ENAMETOOLONG beyond 255
  ///   bytes.
  func nameLength(from start: Int = 0, isLast: Bool = true) throws(Errno) -> Int {
    let length = try string(from: start, isLast: isLast).count
    guard length > 0 else { throw .invalidArgument }
    guard length <= DirectoryReply.longestName else { throw .nameTooLong }
    return length
  }

  /// Where the name of a directory's entry stands, as `nameLength` finds it.
  /// - Parameter isChanged: whether the name is to be made, moved or removed, which "." and ".." cannot be.
  /// - Throws: what `nameLength` does, and EINVAL for a name that cannot be an entry's.
  func entryName(from start: Int = 0, isLast: Bool = true, isChanged: Bool = true) throws(Errno) -> Range<Int> {
    let range = start..<(start + (try nameLength(from: start, isLast: isLast)))
    let name = extracting(range)
    guard !name.contains(UInt8(ascii: "/")), !(isChanged && name.isDots) else { throw .invalidArgument }
    return range
  }

  /// Whether this is "." or "..".
  var isDots: Bool {
    let dot = UInt8(ascii: ".")
    return byteCount == 1 && u8(0) == dot || byteCount == 2 && u8(0) == dot && u8(1) == dot
  }

  /// Whether a byte stands anywhere in the span.
  func contains(_ byte: UInt8) -> Bool { firstIndex(of: byte, from: 0) != nil }

  /// Where a byte stands first, from `start` on, which is within the span.
  private func firstIndex(of byte: UInt8, from start: Int) -> Int? {
    withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress, let found = memchr(base + start, Int32(byte), bytes.count - start) else {
        return nil
      }
      return UnsafeRawPointer(found) - base
    }
  }
}

/// Checks a position and a length of a file from outside against what off_t can hold.
/// - Throws: EINVAL.
func checkRange(at offset: UInt64, count: Int) throws(Errno) {
  let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
  guard !overflow, end <= UInt64(Int64.max) else { throw .invalidArgument }
}

/// The protocol's seconds, which are signed, and nanoseconds.
/// - Throws: EINVAL when the nanoseconds are a second or more.
func timestamp(seconds: UInt64, nanoseconds: UInt32) throws(Errno) -> Timestamp {
  guard nanoseconds < 1_000_000_000 else { throw .invalidArgument }
  return Timestamp(seconds: Int64(bitPattern: seconds), nanoseconds: nanoseconds)
}
