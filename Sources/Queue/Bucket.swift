import CZlib
import Glibc
import Platform

/// A bucket's bytes in this process's own memory: payload, then its number, then the checksum of both.
final class Bucket {
  /// All of it.
  let bytes: UnsafeMutableRawBufferPointer
  private let payloadSize: Int

  /// Room for one bucket of a shape whose sizes were checked.
  init(_ shape: QueueShape) throws(Errno) {
    let size = Int(shape.bucketSize)
    // Not Swift's allocate, which ends the process where there is no memory.
    guard let room = calloc(1, size) else { throw .noMemory }
    bytes = UnsafeMutableRawBufferPointer(start: room, count: size)
    payloadSize = Int(shape.payloadSize)
  }

  deinit { free(bytes.baseAddress) }

  var payload: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(rebasing: bytes[..<payloadSize]) }

  /// The message's number, as it stands there.
  var sequence: UInt64 { UnsafeRawBufferPointer(bytes).bytes.u64(payloadSize) }

  /// Whether the checksum fits.
  var isWhole: Bool { UnsafeRawBufferPointer(bytes).bytes.u64(payloadSize + 8) == checksum }

  /// Numbers the message and seals it with its checksum.
  func seal(sequence: UInt64) {
    bytes.storeBytes(of: sequence.littleEndian, toByteOffset: payloadSize, as: UInt64.self)
    bytes.storeBytes(of: checksum.littleEndian, toByteOffset: payloadSize + 8, as: UInt64.self)
  }

  /// zlib's CRC-32 of payload and number, zero-extended.
  private var checksum: UInt64 {
    UInt64(crc32(0, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), uInt(payloadSize + 8)))
  }
}
