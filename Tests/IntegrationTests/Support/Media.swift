import Foundation
import Platform

/// A device's bytes, changed behind everybody's back. Offsets are those of the facts page.
struct Media {
  private let path: String
  static let log = 2 << 20
  /// Entries that fit in the smallest log.
  static let capacity = 15_420

  init(_ path: String) { self.path = path }

  static func entry(_ index: Int) -> Int { log + 48 + 544 * index }

  func get(_ offset: Int, _ count: Int) throws -> [UInt8] {
    try FileDescriptor(opening: path, .readOnly).bytes(at: offset, count: count)
  }

  func put(_ offset: Int, _ bytes: [UInt8]) throws {
    try FileDescriptor(opening: path, .writeOnly).put(bytes, at: offset)
  }

  func put(_ offset: Int, _ value: UInt64) throws { try put(offset, littleEndian(value)) }

  /// Turns one bit.
  func flip(_ offset: Int) throws { try put(offset, get(offset, 1).map { $0 ^ 1 }) }

  /// Stores the checksum of so many bytes at `start`.
  func seal(_ start: Int, _ count: Int, at place: Int) throws {
    try put(place, UInt64(checksum(get(start, count))))
  }

  /// Fills the log with directories `d0`, `d1`, ... up to so many entries.
  func fillLog(_ count: Int) throws {
    var slots: [UInt8] = []
    slots.reserveCapacity(count * 544)
    for index in 0..<count {
      var slot = [UInt8](repeating: 0, count: 536)
      slot.replaceSubrange(0..<8, with: littleEndian(UInt64(index)))
      slot[8] = 1
      slot.replaceSubrange(24..<28, with: [0xed, 0x41, 0, 0])  // 040755
      let name = Array("d\(index)".utf8)
      slot.replaceSubrange(28..<28 + name.count, with: name)
      slots += slot
      slots += littleEndian(UInt64(checksum(slot)))
    }
    try put(Media.entry(0), slots)
    try put(Media.log + 32, UInt64(count))
    try put(Media.log + 40, UInt64(count))
  }
}

private func littleEndian(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

/// CRC-32 as zlib has it, from its definition.
private func checksum(_ bytes: [UInt8]) -> UInt32 {
  var value = UInt32.max
  for byte in bytes { value = table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ value >> 8 }
  return ~value
}

private let table: [UInt32] = (0..<256).map { byte in
  (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1 }
}
