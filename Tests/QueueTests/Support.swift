import Glibc
import Platform
import Synchronization

@testable import Queue

/// A file of this process's own memory.
final class RamFile: QueueMemory, @unchecked Sendable {
  let size: UInt64
  let bytes: UnsafeMutableRawBufferPointer

  init(size: UInt64) {
    self.size = size
    bytes = UnsafeMutableRawBufferPointer(start: calloc(1, Int(size)), count: Int(size))
  }

  deinit { free(bytes.baseAddress) }

  private func range(_ offset: UInt64, _ count: Int) throws(Errno) -> UnsafeMutableRawBufferPointer {
    guard offset <= size, UInt64(count) <= size - offset else { throw .noSuchAddress }
    return UnsafeMutableRawBufferPointer(rebasing: bytes[Int(offset)..<Int(offset) + count])
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    buffer.copyMemory(from: UnsafeRawBufferPointer(try range(offset, buffer.count)))
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try range(offset, buffer.count).copyMemory(from: buffer)
  }

  func load64(at offset: UInt64) throws(Errno) -> UInt64 {
    UInt64(littleEndian: try range(offset, 8).loadUnaligned(as: UInt64.self))
  }

  func store64(at offset: UInt64, _ value: UInt64) throws(Errno) {
    try range(offset, 8).storeBytes(of: value.littleEndian, as: UInt64.self)
  }

  func writeBack(at offset: UInt64, count: UInt64) throws(Errno) { _ = try range(offset, Int(count)) }
  func invalidate(at offset: UInt64, count: UInt64) throws(Errno) { _ = try range(offset, Int(count)) }
  func fence() {}

  /// Stores a number, little-endian.
  func put(_ offset: Int, _ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) {
      UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + $0.count]).copyMemory(from: $0)
    }
  }

  func get(_ offset: Int) -> UInt64 { bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
}

/// Memory that a host sees through its caches: what it once read it goes on seeing until it invalidates, and what it stores
/// nobody sees before a write-back and a fence. It notes the order of what it is asked for.
final class HostView: QueueMemory, @unchecked Sendable {
  let size: UInt64
  private let memory: RamFile
  private var lines: [UInt64: [UInt8]] = [:]
  private var changed: Set<UInt64> = []
  private var leaving: [UInt64: [UInt8]] = [:]
  private(set) var steps: [String] = []

  init(of memory: RamFile) {
    self.memory = memory
    size = memory.size
  }

  private func line(_ number: UInt64) -> [UInt8] {
    if let line = lines[number] { return line }
    let start = Int(number * 64)
    let line = Array(memory.bytes[start..<min(start + 64, memory.bytes.count)])
    lines[number] = line
    return line
  }

  private func numbers(_ offset: UInt64, _ count: UInt64) throws(Errno) -> ClosedRange<UInt64> {
    guard count > 0, offset <= size, count <= size - offset else { throw .noSuchAddress }
    return offset / 64...(offset + count - 1) / 64
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    steps.append("read \(offset)")
    for number in try numbers(offset, UInt64(buffer.count)) {
      let line = line(number)
      let (first, last) = (max(offset, number * 64), min(offset + UInt64(buffer.count), number * 64 + 64))
      for place in first..<last { buffer[Int(place - offset)] = line[Int(place - number * 64)] }
    }
  }

  private func store(_ offset: UInt64, _ bytes: some Collection<UInt8>) throws(Errno) {
    for number in try numbers(offset, UInt64(bytes.count)) {
      _ = line(number)
      changed.insert(number)
    }
    for (place, byte) in bytes.enumerated() {
      let at = offset + UInt64(place)
      lines[at / 64]?[Int(at % 64)] = byte
    }
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    steps.append("write \(offset)")
    try store(offset, buffer)
    try writeBack(offset, UInt64(buffer.count))
  }

  func load64(at offset: UInt64) throws(Errno) -> UInt64 {
    steps.append("load \(offset)")
    _ = try numbers(offset, 8)
    let line = line(offset / 64)
    return (0..<8).reduce(0) { $0 | UInt64(line[Int(offset % 64) + $1]) << UInt64(8 * $1) }
  }

  func store64(at offset: UInt64, _ value: UInt64) throws(Errno) {
    steps.append("store \(offset)")
    try store(offset, withUnsafeBytes(of: value.littleEndian) { Array($0) })
  }

  func writeBack(at offset: UInt64, count: UInt64) throws(Errno) {
    steps.append("write back \(offset)")
    try writeBack(offset, count)
  }

  private func writeBack(_ offset: UInt64, _ count: UInt64) throws(Errno) {
    for number in try numbers(offset, count) where changed.remove(number) != nil { leaving[number] = lines[number] }
  }

  func invalidate(at offset: UInt64, count: UInt64) throws(Errno) {
    steps.append("invalidate \(offset)")
    for number in try numbers(offset, count) {
      if changed.remove(number) != nil, let line = lines[number] { put(number, line) }
      lines[number] = nil
    }
  }

  func fence() {
    steps.append("fence")
    for (number, line) in leaving { put(number, line) }
    leaving = [:]
  }

  private func put(_ number: UInt64, _ line: [UInt8]) {
    for (place, byte) in line.enumerated() { memory.bytes[Int(number * 64) + place] = byte }
  }

  func forgetSteps() { steps = [] }
}

/// A new queue in this process's memory.
struct TestQueue {
  let shape: QueueShape
  let producer: RamFile
  let consumer: RamFile

  init(buckets: UInt64 = 4, bucketSize: UInt64 = 64) throws {
    shape = try QueueShape(bucketCount: buckets, bucketSize: bucketSize)
    producer = RamFile(size: shape.fileSize)
    consumer = RamFile(size: QueueShape.consumerFileSize)
    for word in shape.producerWords { producer.put(Int(word.offset), word.value) }
    for word in QueueShape.consumerWords { consumer.put(Int(word.offset), word.value) }
  }

  func open() throws -> SharedQueue { try SharedQueue(producer: producer, consumer: consumer) }
}

extension SharedQueue {
  init(producer: any QueueMemory, consumer: any QueueMemory) throws {
    try self.init(
      producer: QueueFile(path: "q", memory: producer), consumer: QueueFile(path: "q.consumer", memory: consumer))
  }
}

extension QueueProducer {
  /// Sends a message of one repeated byte.
  func send(_ byte: UInt8) throws -> Bool {
    try send { payload, _ in payload.initializeMemory(as: UInt8.self, repeating: byte) }
  }
}

extension QueueConsumer {
  /// Takes a message and gives its first byte.
  func receive() throws -> UInt8? {
    guard let message = try peek() else { return nil }
    let byte = message.payload.first
    try advance()
    return byte
  }
}

/// CRC-32 as zlib has it, from its definition.
func crc(_ bytes: some Sequence<UInt8>) -> UInt64 {
  var value = UInt32.max
  for byte in bytes {
    value ^= UInt32(byte)
    for _ in 0..<8 { value = value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1 }
  }
  return UInt64(~value)
}
