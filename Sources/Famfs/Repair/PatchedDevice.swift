import Memory
import Platform
import Synchronization

/// A device as it would be with some of its words changed: what a repair is tried on before anything is stored.
final class PatchedDevice: MemoryDevice {
  private let device: any MemoryDevice
  private let words: Mutex<[UInt64: UInt64]>

  init(_ device: any MemoryDevice, _ words: [UInt64: UInt64] = [:]) {
    self.device = device
    self.words = Mutex(words)
  }

  /// A copy that can be patched further.
  func copy() -> PatchedDevice { PatchedDevice(device, words.withLock { $0 }) }

  /// Changes 8 bytes at a multiple of 8.
  func patch(_ stores: [WordStore]) {
    words.withLock { words in for store in stores { words[store.offset] = store.value } }
  }

  var path: String { device.path }
  var size: UInt64 { device.size }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try device.read(at: offset, into: buffer)
    let range = offset..<offset + UInt64(buffer.count)  // read has checked it
    for (place, value) in words.withLock({ $0 }) where place < range.upperBound && range.lowerBound < place + 8 {
      withUnsafeBytes(of: value.littleEndian) { bytes in
        for (number, byte) in bytes.enumerated() where range.contains(place + UInt64(number)) {
          buffer[Int(place + UInt64(number) - offset)] = byte
        }
      }
    }
  }

  func load64(at offset: UInt64) throws(Errno) -> UInt64 {
    if let value = words.withLock({ $0[offset] }) { return value }
    return try device.load64(at: offset)
  }

  func invalidate(at offset: UInt64, count: UInt64) throws(Errno) {
    try device.invalidate(at: offset, count: count)
  }

  /// Contents, which no repair touches.
  func bytes(at offset: UInt64, count: Int) throws(Errno) -> UnsafeRawBufferPointer {
    try device.bytes(at: offset, count: count)
  }

  func fence() {}

  // MARK: Nothing is stored

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) { throw .readOnlyFileSystem }
  func zero(at offset: UInt64, count: UInt64) throws(Errno) { throw .readOnlyFileSystem }
  func store64(at offset: UInt64, _ value: UInt64) throws(Errno) { throw .readOnlyFileSystem }
  func writeBack(at offset: UInt64, count: UInt64) throws(Errno) { throw .readOnlyFileSystem }
}

/// One 8-byte store: no reader and no power cut sees half of it. The offset is a multiple of 8.
struct WordStore: Equatable, Sendable {
  let offset: UInt64
  let value: UInt64
}

extension [UInt8] {
  /// The words in which `new`, of the same length, differs from this, which stands at `offset` of a device.
  func stores(to new: [UInt8], at offset: UInt64) -> [WordStore] {
    stride(from: 0, to: count - 7, by: 8).compactMap { place in
      let value = new.span.bytes.u64(place)
      return span.bytes.u64(place) == value ? nil : WordStore(offset: offset + UInt64(place), value: value)
    }
  }

  /// These bytes with one bit turned so that the checksum of the first `count`, which stands behind them at `count`,
  /// is right; nil when there is no such bit.
  ///
  /// CRC-32 keeps any two messages of this length at least four bits apart. So the bit is the only one, and what has
  /// two wrong bits is never taken for something that has one.
  func withOneBitMended(checked count: Int) -> [UInt8]? {
    var bytes = self
    for bit in 0..<(count + 8) * 8 {
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      let bytesAreGood = bytes.span.bytes.u64(count) == checksum(bytes.span.bytes.extracting(0..<count))
      if bytesAreGood { return bytes }
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    }
    return nil
  }
}
