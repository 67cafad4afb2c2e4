import Memory
import Platform

/// Appends to the log. Order is all that it is about: the entry reaches the memory before the index that admits it, and
/// the disk too, where the memory is a disk's page cache.
struct LogWriter {
  let device: any MemoryDevice
  /// Byte offset of the log on the device.
  let start: UInt64

  /// Whether the log still is this host's to write, and as long as it was: asked right before each of the two steps,
  /// for a process can be stopped anywhere, and for long.
  typealias Ownership = () throws(Errno) -> Bool

  /// Writes an entry to its slot and makes it count. When it throws, nobody knows whether any host sees the entry, so
  /// the slot must not be written again.
  /// - Returns: true when every host sees the entry; false when the log was another's by then: it does not count.
  @discardableResult
  func append(
    _ entry: LogEntry, while isOurs: Ownership = { () throws(Errno) in true }
  ) throws(Errno) -> Bool {
    guard try put(entry, while: isOurs) else { return false }
    return try admit(entry.sequence, while: isOurs)
  }

  /// Writes an entry to its slot, where it does not count yet.
  func put(_ entry: LogEntry, while isOurs: Ownership) throws(Errno) -> Bool {
    var slot = InlineArray<544, UInt8>(repeating: 0)
    var span = slot.mutableSpan
    var bytes = span.mutableBytes
    entry.encode(into: &bytes)
    let offset = start + UInt64(LogHeader.size) + entry.sequence * UInt64(LogEntry.size)
    guard try isOurs() else { return false }
    try slot.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try device.write(at: offset, from: bytes) }
    try device.sync(at: offset, count: UInt64(LogEntry.size))
    return true
  }

  /// Makes the entry of this index count.
  func admit(_ index: UInt64, while isOurs: Ownership) throws(Errno) -> Bool {
    // One cache line holds both; the index is the commit record, and never goes back: it counts on from what it is.
    let (sequencePlace, indexPlace) = (start + LogHeader.nextSequenceOffset, start + LogHeader.nextIndexOffset)
    let sequence = try device.load64(at: sequencePlace)
    guard try isOurs(), try device.replace64(at: sequencePlace, sequence, with: index + 1),
      try device.replace64(at: indexPlace, index, with: index + 1)
    else { return false }
    try device.writeBack(at: sequencePlace, count: 16)
    try device.sync(at: sequencePlace, count: 16)
    return true
  }
}
