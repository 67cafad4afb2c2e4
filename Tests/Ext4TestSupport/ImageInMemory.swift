import Blocks
import Platform
import Synchronization

/// A block device in memory that a test can change, and that counts what is read of it.
public final class ImageInMemory: BlockDevice, @unchecked Sendable {
  // Unchecked: a test changes the bytes only while nothing reads them.

  /// A name for errors.
  public let name = "image"
  /// Bytes.
  public var size: UInt64 { UInt64(memory.count) }
  /// Always.
  public var isReadOnly: Bool { true }
  /// None.
  public var file: BackingFile? { nil }
  private let memory: UnsafeMutableRawBufferPointer
  private let count = Atomic(0)

  /// A copy of a file.
  public init(of path: String) throws {
    let file = try FileDescriptor(opening: path, .readOnly)
    memory = .allocate(byteCount: Int(try file.status().size), alignment: 4096)
    guard try file.read(at: 0, into: memory) == memory.count else { throw Errno.inputOutput }
  }

  deinit { memory.deallocate() }

  /// How often something was read.
  public var reads: Int { count.load(ordering: .relaxed) }

  /// A copy of bytes.
  public func bytes(at offset: UInt64, count: Int) -> [UInt8] {
    Array(memory[Int(offset)..<(Int(offset) + count)])
  }

  /// Replaces bytes.
  public func set(at offset: UInt64, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: memory[Int(offset)...]).copyMemory(from: $0) }
  }

  /// A copy.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(BlockDeviceError) {
    count.add(1, ordering: .relaxed)
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw .outside(name, offset: offset, count: UInt64(buffer.count), size: size)
    }
    buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[Int(offset)..<(Int(offset) + buffer.count)]))
  }

  /// Refused.
  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(BlockDeviceError) {
    throw .readOnly(name)
  }

  /// Nothing.
  public func flush() throws(BlockDeviceError) {}

  /// Refused.
  public func discard(at offset: UInt64, count: UInt64) throws(BlockDeviceError) { throw .readOnly(name) }
}
