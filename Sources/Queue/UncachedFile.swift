import Platform

/// A file of a mount whose device cannot be mapped here: each access is a system call past the mount's page cache, which
/// is not coherent with that of another mount. Slow, and needs no right but to the file.
public final class UncachedFile: QueueMemory {
  /// Bytes, when it was opened.
  public let size: UInt64
  private let file: FileDescriptor

  /// Opens a file.
  public init(path: String, writable: Bool) throws(Errno) {
    file = try FileDescriptor(opening: path, [writable ? .readWrite : .readOnly, .direct])
    size = try file.status().size
  }

  /// By pread(2).
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    guard try file.read(at: offset, into: buffer) == buffer.count else { throw .noSuchAddress }
  }

  /// By pwrite(2).
  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try file.write(at: offset, all: buffer)
  }

  /// Reads until two agree, for a system call's copy may be torn by a store of the other host; but not for ever where
  /// it changes each time, and so is most likely whole.
  public func load64(at offset: UInt64) throws(Errno) -> UInt64 {
    var last = try loadOnce(offset)
    for _ in 0..<4 {
      let value = try loadOnce(offset)
      if value == last { break }
      last = value
    }
    return last
  }

  private func loadOnce(_ offset: UInt64) throws(Errno) -> UInt64 {
    var value: UInt64 = 0
    let outcome = withUnsafeMutableBytes(of: &value) { bytes in
      Result { () throws(Errno) in try read(at: offset, into: bytes) }
    }
    try outcome.get()
    return UInt64(littleEndian: value)
  }

  /// By pwrite(2) of 8 bytes, which the mount's daemon stores at once.
  public func store64(at offset: UInt64, _ value: UInt64) throws(Errno) {
    let outcome = withUnsafeBytes(of: value.littleEndian) { bytes in
      Result { () throws(Errno) in try write(at: offset, from: bytes) }
    }
    try outcome.get()
  }

  /// Nothing: a write is in the memory when it returns.
  public func writeBack(at offset: UInt64, count: UInt64) throws(Errno) {}

  /// Nothing: nothing is cached.
  public func invalidate(at offset: UInt64, count: UInt64) throws(Errno) {}

  /// Nothing.
  public func fence() {}
}
