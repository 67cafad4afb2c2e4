import Memory
import Platform

/// The memory that one of a queue's two files is in, by offsets in the file. The rules are those of `MemoryDevice`: stores
/// reach other hosts by store, write-back and fence; memory that cannot be used throws and never ends the process.
public protocol QueueMemory: AnyObject, Sendable {
  /// Bytes of the file.
  var size: UInt64 { get }

  /// Copies out of the file.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno)

  /// Copies into the file, past the caches. Complete, also for other hosts, after `fence`.
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno)

  /// One 8-byte load that other hosts' stores cannot tear. `offset` is a multiple of 8.
  func load64(at offset: UInt64) throws(Errno) -> UInt64

  /// One 8-byte store that no reader sees half of; it needs `writeBack` and `fence`. `offset` is a multiple of 8.
  func store64(at offset: UInt64, _ value: UInt64) throws(Errno)

  /// Starts writing a range's changed cache lines to memory. Complete after `fence`.
  func writeBack(at offset: UInt64, count: UInt64) throws(Errno)

  /// Forgets what this host has cached of a range, so that the next load sees what other hosts wrote.
  func invalidate(at offset: UInt64, count: UInt64) throws(Errno)

  /// Waits until what was written is in memory, and orders later stores behind it.
  func fence()
}

/// A plain file, mapped.
extension MappedDevice: QueueMemory {}
