import Memory
import Platform

/// Appends to the log. Order is all that it is about: the entry reaches the memory before the index that admits it.
struct LogWriter {
  let device: any MemoryDevice
  /// Byte offset of the log on the device.
  let start: UInt64

  /// Writes an entry to its slot and makes it count. When this returns, every host sees it; when it throws, nobody
  /// knows whether any host does, so the slot must not be written again.
  func append(_ entry: LogEntry) throws(Errno) {
    try put(entry)
    try admit(entry.sequence)
  }

  /// Writes an entry to its slot, where it does not count yet.
  func put(_ entry: LogEntry) throws(Errno) {
    let index = entry.sequence
    var slot = InlineArray<544, UInt8>(repeating: 0)
    var span = slot.mutableSpan
    var bytes = span.mutableBytes
    entry.encode(into: &bytes)
    let offset = start + UInt64(LogHeader.size) + index * UInt64(LogEntry.size)
    try slot.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try device.write(at: offset, from: bytes) }
    device.fence()
  }

  /// Makes the entry of this index count.
  func admit(_ index: UInt64) throws(Errno) {
    // One cache line holds both; the index is the commit record.
    try device.store64(at: start + LogHeader.nextSequenceOffset, index + 1)
    try device.store64(at: start + LogHeader.nextIndexOffset, index + 1)
    try device.writeBack(at: start + LogHeader.nextSequenceOffset, count: 16)
    device.fence()
  }
}
