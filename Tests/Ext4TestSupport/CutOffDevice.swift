import Blocks
import Platform
import Synchronization

/// A block device in memory that remembers each write and flush, and fails behind as many writes as it is told: the image
/// then is what a power cut there leaves.
public final class CutOffDevice: BlockDevice, @unchecked Sendable {
  // Unchecked: the bytes are changed by writes only, and tests write from one thread.

  /// What was done.
  public enum Event: Equatable, Sendable {
    /// So many bytes were written.
    case write(at: UInt64, count: Int)
    /// All before was made durable.
    case flush
  }

  /// A name for errors.
  public let name = "recorded"
  /// Bytes.
  public var size: UInt64 { UInt64(memory.count) }
  /// Never.
  public var isReadOnly: Bool { false }
  /// None.
  public var file: BackingFile? { nil }
  /// All of it.
  public private(set) var memory: [UInt8]
  /// What was done, in order.
  public private(set) var events: [Event] = []
  private var writesLeft: Int

  /// A device with these bytes.
  /// - Parameter writes: how many succeed.
  public init(_ memory: [UInt8], failingBehind writes: Int = .max) { (self.memory, writesLeft) = (memory, writes) }

  /// A copy.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(BlockDeviceError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw .outside(name, offset: offset, count: UInt64(buffer.count), size: size)
    }
    memory.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)...].prefix(buffer.count)))
    }
  }

  /// Recorded.
  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(BlockDeviceError) {
    guard writesLeft > 0 else { throw .failed(name, .write, at: offset, .inputOutput) }
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw .outside(name, offset: offset, count: UInt64(buffer.count), size: size)
    }
    writesLeft -= 1
    events.append(.write(at: offset, count: buffer.count))
    memory.withUnsafeMutableBytes {
      UnsafeMutableRawBufferPointer(rebasing: $0[Int(offset)...]).copyMemory(from: buffer)
    }
  }

  /// Recorded.
  public func flush() throws(BlockDeviceError) {
    guard writesLeft > 0 else { throw .failed(name, .flush, at: 0, .inputOutput) }
    events.append(.flush)
  }

  /// Nothing.
  public func discard(at offset: UInt64, count: UInt64) throws(BlockDeviceError) {}
}
