import Platform

/// One of a queue's two files: its memory and its name. All access to it goes through here, and fails with the name.
public struct QueueFile: Sendable {
  /// For people.
  public let path: String
  let memory: any QueueMemory

  /// The file at a path, whose bytes are in this memory.
  public init(path: String, memory: any QueueMemory) {
    self.path = path
    self.memory = memory
  }

  var size: UInt64 { memory.size }

  /// A word as it is in memory now, whoever wrote it.
  func look(at offset: UInt64) throws(QueueError) -> UInt64 {
    do {
      try memory.invalidate(at: offset, count: 8)
      return try memory.load64(at: offset)
    } catch { throw .memory(path, error) }
  }

  /// Stores words and sends them to memory: nothing of them is certain to be there before the fence that ends this.
  func publish(_ first: QueueWord, _ second: QueueWord) throws(QueueError) {
    do {
      try memory.store64(at: first.offset, first.value)
      try memory.store64(at: second.offset, second.value)
      try memory.writeBack(at: first.offset, count: 8)
      try memory.writeBack(at: second.offset, count: 8)
    } catch { throw .memory(path, error) }
    memory.fence()
  }

  /// A range as it is in memory now.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(QueueError) {
    do {
      try memory.invalidate(at: offset, count: UInt64(buffer.count))
      try memory.read(at: offset, into: buffer)
    } catch { throw .memory(path, error) }
  }

  /// Stores a range; it is in memory when this returns.
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(QueueError) {
    do { try memory.write(at: offset, from: buffer) } catch { throw .memory(path, error) }
    memory.fence()
  }
}
