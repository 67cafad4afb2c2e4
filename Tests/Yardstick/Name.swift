/// A path or a part of one, of any bytes but NUL, as system calls take it.
struct Name: Sendable, Hashable, Comparable, ExpressibleByStringInterpolation, CustomStringConvertible {
  let bytes: [UInt8]
  private let storage: Storage

  private final class Storage: @unchecked Sendable {
    let start: UnsafeMutablePointer<CChar>
    init(_ bytes: [UInt8]) {
      start = .allocate(capacity: bytes.count + 1)
      let raw = UnsafeMutableRawBufferPointer(start: start, count: bytes.count)
      raw.copyBytes(from: bytes)
      start[bytes.count] = 0
    }
    deinit { start.deallocate() }
  }

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    storage = Storage(bytes)
  }

  init(_ text: String) { self.init(Array(text.utf8)) }

  /// A name of `count` bytes.
  init(long count: Int, _ byte: Character = "n") { self.init(String(repeating: byte, count: count)) }

  init(stringLiteral value: String) { self.init(value) }

  init(stringInterpolation parts: Parts) { self.init(parts.bytes) }

  /// What `\( )` in a literal adds: a name's bytes, or what describes the value.
  struct Parts: StringInterpolationProtocol {
    var bytes: [UInt8] = []
    init(literalCapacity: Int, interpolationCount: Int) {}
    mutating func appendLiteral(_ literal: String) { bytes += literal.utf8 }
    mutating func appendInterpolation(_ name: Name) { bytes += name.bytes }
    mutating func appendInterpolation(_ value: some CustomStringConvertible) { bytes += value.description.utf8 }
  }

  /// Valid as long as the name.
  var pointer: UnsafePointer<CChar> { UnsafePointer(storage.start) }

  static func == (a: Name, b: Name) -> Bool { a.bytes == b.bytes }
  static func < (a: Name, b: Name) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
  func hash(into hasher: inout Hasher) { hasher.combine(bytes) }

  /// For reports, as $'...' of a shell has it, but that a byte 20 times and more is as `n{255}`.
  var description: String {
    var text = ""
    var place = bytes.startIndex
    while place < bytes.endIndex {
      let byte = bytes[place]
      let run = bytes[place...].prefix { $0 == byte }.count
      let isPlain = (0x20..<0x7f).contains(byte) && byte != 0x27 && byte != 0x5c
      let hex = String(byte, radix: 16)
      text += isPlain ? String(UnicodeScalar(byte)) : "\\x" + (hex.count == 1 ? "0" : "") + hex
      if run >= 20 { text += "{\(run)}" }
      place += run >= 20 ? run : 1
    }
    return "'\(text)'"
  }
}

/// The bytes of a text.
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Bytes that differ from each other and from those of other seeds.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
    for i in 0..<count { buffer[i] = UInt8(truncatingIfNeeded: (i &* 31) ^ (i >> 8) &+ seed &* 7 &+ 1) }
    filled = count
  }
}
