import Platform

/// Bytes that last: an image file, a partition in one, or a disk. What is written reaches the medium at any time, in any
/// order, and for certain once `flush` has returned.
///
/// Any method may be called by several threads at a time.
public protocol BlockDevice: AnyObject, Sendable {
  /// What people call it: a path.
  var name: String { get }
  /// Bytes.
  var size: UInt64 { get }
  /// Whether it can only be read.
  var isReadOnly: Bool { get }
  /// The open file that has the bytes, for replies that name a file's bytes and do not copy them; nil where there is none.
  var file: BackingFile? { get }

  /// Fills the buffer with the bytes at `offset`.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(BlockDeviceError)

  /// Writes all of the buffer at `offset`.
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(BlockDeviceError)

  /// Returns when all that was written is on the medium. An error means that some of it may be lost for good: flushing again
  /// does not help.
  func flush() throws(BlockDeviceError)

  /// Gives the space of a range back. Reads of it return zeros or the old bytes afterwards. A device that cannot do that
  /// does nothing, which is not an error.
  func discard(at offset: UInt64, count: UInt64) throws(BlockDeviceError)

  /// Has a range read as zeros afterwards, when that can be done without writing it.
  /// - Returns: whether it was done.
  func zeroQuickly(at offset: UInt64, count: UInt64) throws(BlockDeviceError) -> Bool
}

/// An open file, and where a device's bytes begin in it.
public final class BackingFile: Sendable {
  /// The file; open as long as this object lives.
  public let descriptor: FileDescriptor
  /// The device's first byte.
  public let start: UInt64

  /// A file whose bytes are a device's from `start` on.
  public init(_ descriptor: consuming FileDescriptor, start: UInt64) {
    self.descriptor = descriptor
    self.start = start
  }
}

/// Why a block device could not be opened, read or written.
public enum BlockDeviceError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What a transfer was.
  public enum Transfer: String, Sendable {
    case read, write, flush, discard
  }

  /// The file at this path could not be opened.
  case open(String, Errno)
  /// The file at this path is neither a regular file nor a block device.
  case wrongKind(String)
  /// Another process has the image or device at this path.
  case inUse(String)
  /// The image at this path is behind the loop device of this name.
  case behindLoop(String, String)
  /// The file at this path ends before the partition that should begin at this byte.
  case noPartition(String, UInt64)
  /// A range that is not on the device of this name and size.
  case outside(String, offset: UInt64, count: UInt64, size: UInt64)
  /// The device of this name was opened for reading.
  case readOnly(String)
  /// The device of this name failed at this byte.
  case failed(String, Transfer, at: UInt64, Errno)

  /// The sentence.
  public var description: String {
    switch self {
    case .open(let path, let error): "\(path): \(error)"
    case .wrongKind(let path): "\(path) is neither an image file nor a block device; name one of them"
    case .inUse(let path): "\(path) is in use by another process; unmount it there first"
    case .behindLoop(let path, let loop):
      "\(path) is the image behind /dev/\(loop), which the kernel may change at any time; detach it first: losetup -d "
        + "/dev/\(loop)"
    case .noPartition(let path, let offset):
      "\(path) ends before byte \(offset), where offset= says that a partition begins"
    case .outside(let name, let offset, let count, let size):
      "\(name): \(count) bytes at \(offset) are not on the device, which has \(size)"
    case .readOnly(let name): "\(name) was opened for reading and cannot be changed"
    case .failed(let name, let transfer, let offset, let error):
      "\(name): \(transfer.rawValue) at byte \(offset): \(error)"
    }
  }

  /// What a program is told that asked through the kernel.
  public var errno: Errno {
    switch self {
    case .open(_, let error), .failed(_, _, _, let error): error
    case .wrongKind, .noPartition: .invalidArgument
    case .inUse, .behindLoop: .busy
    case .outside: .inputOutput
    case .readOnly: .readOnlyFileSystem
    }
  }
}
