import Memory
import Platform

/// Appends to the log. Order is all that it is about: the entry reaches the memory before the index that admits it.
struct LogWriter {
  let device: any MemoryDevice
  /// Byte offset of the log on the device.
  let start: UInt64

  /// Writes an entry to its slot and makes it count. When it throws, nobody knows whether any host sees the entry, so
  /// the slot must not be written again.
  /// - Parameter isOurs: whether the log still is this host's to write, and as long as it was. Asked right before the
  ///   slot is written and right before the entry counts, for a process can be stopped anywhere, and for long.
  /// - Returns: true when every host sees the entry; false when the log was another's by then: it does not count.
  func append(
    _ entry: LogEntry, while isOurs: () throws(Errno) -> Bool = { () throws(Errno) in true }
  ) throws(Errno) -> Bool {
    let index = entry.sequence
    var slot = InlineArray<544, UInt8>(repeating: 0)
    var span = slot.mutableSpan
    var bytes = span.mutableBytes
    entry.encode(into: &bytes)
    let offset = start + UInt64(LogHeader.size) + index * UInt64(LogEntry.size)
    guard try isOurs() else { return false }
    try slot.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try device.write(at: offset, from: bytes) }
    device.fence()
    // One cache line holds both; the index is the commit record, and never goes back: it counts on from what it is.
    let (sequencePlace, indexPlace) = (start + LogHeader.nextSequenceOffset, start + LogHeader.nextIndexOffset)
    let sequence = try device.load64(at: sequencePlace)
    guard try isOurs(), try device.replace64(at: sequencePlace, sequence, with: index + 1),
      try device.replace64(at: indexPlace, index, with: index + 1)
    else { return false }
    try device.writeBack(at: sequencePlace, count: 16)
    device.fence()
    return true
  }
}
