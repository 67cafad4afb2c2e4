import Glibc
import Platform

/// The bytes that a `FileSystem.read` answers, as ranges of memory: the transport hands them to the kernel without a copy
/// of our own.
///
/// A range is read after `read` has returned, when the reply is sent. Its owner keeps it until then. Memory that vanishes
/// *under* its mapping (a device file cut short, a poisoned page) does no harm: the reader gets EIO.
public struct ReadReply: ~Copyable, @unchecked Sendable {
  /// Ranges that one reply can have. More are allowed: they cost a copy.
  public static let maxRanges = 1000

  /// Bytes that the kernel asks for; at most 1 MiB.
  public let wanted: Int
  /// Bytes appended so far.
  public private(set) var count = 0
  private(set) var rangeCount = 0
  private let memory: ReplyMemory
  /// The slot outlives the reply.
  private let slot: Unmanaged<RequestSlot>

  /// An empty reply.
  /// - Parameters:
  ///   - wanted: bytes asked for; cut to 1 MiB.
  ///   - buffers: must live, and not be used for anything else, while the reply does.
  public init(wanted: Int, in buffers: ReplyBuffers) { self.init(wanted: wanted, slot: buffers) }

  init(wanted: Int, slot: RequestSlot) {
    memory = slot.replies
    self.slot = Unmanaged.passUnretained(slot)
    self.wanted = min(max(wanted, 0), memory.body.count)
  }

  /// Bytes that are still wanted.
  public var missing: Int { wanted - count }

  /// Appends bytes that are not copied; what exceeds `missing` is cut off.
  /// - Parameter owner: released when the transport has taken the bytes; nil for memory that stays mapped until the session
  ///   is over.
  /// - Throws: EIO when, beyond `maxRanges`, the ranges had to be copied and their memory could not be read.
  public mutating func append(
    _ range: UnsafeRawBufferPointer, keeping owner: (any AnyObject & Sendable)?
  ) throws(Errno) {
    if let owner { slot._withUnsafeGuaranteedRef { $0.owners.append(owner) } }
    try append(range)
  }

  private mutating func append(_ range: UnsafeRawBufferPointer) throws(Errno) {
    let length = min(range.count, missing)
    guard length > 0, let start = range.baseAddress else { return }
    if rangeCount > 0 {
      let last = memory.range(rangeCount - 1)
      if last.baseAddress.map({ $0 + last.count }) == start {
        memory.parts[rangeCount].iov_len += length
        count += length
        return
      }
    }
    if rangeCount == ReadReply.maxRanges {
      guard memory.gather(rangeCount: rangeCount) else { throw .inputOutput }
      rangeCount = 1
    }
    rangeCount += 1
    memory.parts[rangeCount] = iovec(iov_base: UnsafeMutableRawPointer(mutating: start), iov_len: length)
    count += length
  }

  /// Appends bytes that `fill` puts into the buffer it gets, for contents that are not in mapped memory.
  /// - Parameters:
  ///   - most: the size of that buffer; cut to `missing`.
  ///   - fill: returns how many bytes it put there, from the start.
  public mutating func append(
    upTo most: Int, filledBy fill: (UnsafeMutableRawBufferPointer) throws(Errno) -> Int
  ) throws(Errno) {
    let space = min(most, missing)
    guard space > 0 else { return }
    // At the very place that the bytes have in the whole reply, so that gathering leaves them there.
    let buffer = UnsafeMutableRawBufferPointer(rebasing: memory.body[count..<(count + space)])
    let filled = min(max(try fill(buffer), 0), space)
    try append(UnsafeRawBufferPointer(rebasing: buffer[..<filled]))
  }

  /// Appends bytes of an open file, as pread(2) finds them; fewer where the file ends.
  /// - Parameter count: cut to `missing`.
  /// - Throws: what pread(2) fails with.
  public mutating func append(
    file: borrowing FileDescriptor, at offset: UInt64, count: Int
  ) throws(Errno) {
    let number = file.rawValue
    try append(upTo: count) { (buffer) throws(Errno) in
      var done = 0
      while done < buffer.count {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        guard let place = off_t(exactly: offset + UInt64(done)) else { throw .invalidArgument }
        let count = try retrying { pread(number, rest.baseAddress, rest.count, place) }
        if count == 0 { break }
        done += count
      }
      return done
    }
  }

  /// Appends a copy of bytes; what exceeds `missing` is cut off.
  public mutating func append(copying bytes: RawSpan) throws(Errno) {
    let length = min(bytes.byteCount, missing)
    guard length > 0, let base = memory.body.baseAddress else { return }
    let to = base + count
    bytes.withUnsafeBytes { from in
      if let start = from.baseAddress { to.copyMemory(from: start, byteCount: length) }
    }
    try append(UnsafeRawBufferPointer(start: to, count: length))
  }

  /// Appends zeros: a hole. What exceeds `missing` is cut off.
  public mutating func append(zeros length: Int) throws(Errno) {
    try append(upTo: length) { buffer in
      buffer.initializeMemory(as: UInt8.self, repeating: 0)
      return buffer.count
    }
  }

  /// A copy of all bytes appended; for tests of file systems.
  /// - Throws: EIO when memory of a range could not be read.
  public mutating func contents() throws(Errno) -> [UInt8] {
    if rangeCount == 0 { return [] }
    guard memory.gather(rangeCount: rangeCount) else { throw .inputOutput }
    rangeCount = 1
    return Array(memory.body[..<count])
  }
}
