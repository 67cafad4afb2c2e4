import CLinux
import Platform

/// CRC-32C as ext4 and JBD2 use it: the register is `seed` before, and is not inverted afterwards. The result is the seed
/// of what follows.
@inlinable public func crc32c(_ seed: UInt32, _ bytes: RawSpan) -> UInt32 {
  bytes.withUnsafeBytes { weft_crc32c(seed, $0.baseAddress, $0.count) }
}

/// CRC-32C of a number's little-endian bytes.
@inlinable public func crc32c(_ seed: UInt32, _ number: some FixedWidthInteger & BitwiseCopyable) -> UInt32 {
  var number = number.littleEndian
  return withUnsafeBytes(of: &number) { weft_crc32c(seed, $0.baseAddress, $0.count) }
}

/// CRC-32C of `count` zero bytes: fields that are left out of a structure's checksum count as zeros.
@inlinable public func crc32c(_ seed: UInt32, zeros count: Int) -> UInt32 {
  var seed = seed
  for _ in 0..<count { seed = crc32c(seed, UInt8(0)) }
  return seed
}

/// CRC-16 (ANSI, reflected A001h), with which file systems with `gdt_csum` check group descriptors.
public func crc16(_ seed: UInt16, _ bytes: RawSpan) -> UInt16 {
  var crc = seed
  for place in 0..<bytes.byteCount {
    crc ^= UInt16(bytes.u8(place))
    for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ 0xa001 : crc >> 1 }
  }
  return crc
}

/// What the checksums of a file system's metadata start with, so that a block of another file system is found out.
public struct ChecksumSeed: Equatable, Sendable {
  /// The register.
  public let value: UInt32

  /// The seed of this value.
  public init(_ value: UInt32) { self.value = value }

  /// The seed that follows from a file system's UUID, where `checksumSeed` is not stored.
  public init(_ uuid: UUID) {
    var bytes = InlineArray<16, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    uuid.store(into: &raw, at: 0)
    value = crc32c(~0, bytes.span.bytes)
  }

  /// What the checksums of an inode, and of its extent and directory blocks, start with.
  public func inode(_ number: UInt32, generation: UInt32) -> UInt32 { crc32c(crc32c(value, number), generation) }
}
