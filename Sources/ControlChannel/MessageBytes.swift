import Platform

/// Numbers are 8 bytes, little-endian; texts are their length in bytes and UTF-8.
package struct MessageWriter {
  package var bytes: [UInt8] = []

  /// A message that says so far of which version it is.
  package init() { put(ControlVersion.word) }

  package mutating func put(_ number: UInt64) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  package mutating func put(_ text: String) {
    put(UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }
}

package struct MessageReader {
  private var rest: Slice<UnsafeRawBufferPointer>

  package init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

  package mutating func number() throws(Errno) -> UInt64 {
    guard rest.count >= 8 else { throw .protocolError }
    defer { rest = rest.dropFirst(8) }
    return UnsafeRawBufferPointer(rebasing: rest).bytes.u64(0)
  }

  package mutating func numbers() throws(Errno) -> [UInt64] {
    guard let count = Int(exactly: try number()), count <= rest.count / 8 else { throw .protocolError }
    var numbers: [UInt64] = []
    for _ in 0..<count { numbers.append(try number()) }
    return numbers
  }

  package mutating func number32() throws(Errno) -> UInt32 {
    guard let number = UInt32(exactly: try number()) else { throw .protocolError }
    return number
  }

  package mutating func text() throws(Errno) -> String {
    guard let count = Int(exactly: try number()), count <= rest.count else { throw .protocolError }
    defer { rest = rest.dropFirst(count) }
    guard let text = String(validating: rest.prefix(count), as: UTF8.self) else { throw .protocolError }
    return text
  }

  /// A number with a word before it that says whether there is one.
  package mutating func optionalNumber() throws(Errno) -> UInt64? {
    let (isThere, number) = (try number() != 0, try number())
    return isThere ? number : nil
  }

  package mutating func uuid() throws(Errno) -> UUID {
    guard let uuid = UUID(try text()) else { throw .protocolError }
    return uuid
  }
}

/// The longest control message, in bytes: as many devices as can be, each with the longest path.
package let controlMessageLimit = 128 << 10
