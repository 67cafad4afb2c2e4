import CLinux
import Glibc
import Platform

/// An image file, a part of one, or a block device, through the kernel's page cache.
///
/// While it is open no other program that asks can use it: an image is locked by flock(2), a device opened with O_EXCL.
/// Readers of an image let other readers in.
public final class FileDevice: BlockDevice {
  /// The path.
  public let name: String
  /// Bytes.
  public let size: UInt64
  /// Whether it was opened for reading.
  public let isReadOnly: Bool
  /// Always there.
  public var file: BackingFile? { backing }
  private let backing: BackingFile
  private let isBlockDevice: Bool

  /// Opens the image or device at a path.
  /// - Parameters:
  ///   - isWritable: for reading and writing; else for reading.
  ///   - offset: where the device's bytes begin in the file, in bytes; nonzero for a partition in an image.
  ///   - length: how many bytes it has; nil for all to the file's end.
  public init(
    opening path: String, isWritable: Bool, offset: UInt64 = 0, length: UInt64? = nil
  ) throws(BlockDeviceError) {
    let kind: FileStatus.Kind
    do throws(Errno) { kind = try FileStatus(path: path).kind } catch { throw .open(path, error) }
    guard kind == .regular || kind == .blockDevice else { throw .wrongKind(path) }
    isBlockDevice = kind == .blockDevice
    var options: OpenOptions = isWritable ? .readWrite : .readOnly
    if isBlockDevice { options.insert(.exclusive) }
    let opened: FileDescriptor
    do throws(Errno) { opened = try FileDescriptor(opening: path, options) } catch {
      throw error == .busy ? .inUse(path) : .open(path, error)
    }
    let end: UInt64
    do throws(Errno) { end = try FileDevice.size(of: opened, isBlockDevice) } catch { throw .open(path, error) }
    guard offset < end else { throw .noPartition(path, offset) }
    if !isBlockDevice { try FileDevice.lock(opened, path, isWritable) }
    (name, isReadOnly) = (path, !isWritable)
    size = min(length ?? .max, end - offset)
    backing = BackingFile(opened, start: offset)
  }

  private static func size(of file: borrowing FileDescriptor, _ isBlockDevice: Bool) throws(Errno) -> UInt64 {
    guard isBlockDevice else { return try file.status().size }
    var bytes: UInt64 = 0
    let number = file.rawValue
    try retrying { weft_block_size(number, &bytes) }
    return bytes
  }

  private static func lock(
    _ file: borrowing FileDescriptor, _ path: String, _ isWritable: Bool
  ) throws(BlockDeviceError) {
    let number = file.rawValue
    do throws(Errno) { try retrying { flock(number, (isWritable ? LOCK_EX : LOCK_SH) | LOCK_NB) } } catch {
      throw error == .tryAgain ? .inUse(path) : .open(path, error)
    }
    guard let status = try? file.status() else { return }
    for loop in LoopDevice.all() where loop.device == status.device && loop.inode == status.inode {
      if isWritable || !loop.isReadOnly { throw .behindLoop(path, loop.name) }
    }
  }

  private func place(_ offset: UInt64, _ count: UInt64) throws(BlockDeviceError) -> UInt64 {
    guard offset <= size, count <= size - offset else {
      throw .outside(name, offset: offset, count: count, size: size)
    }
    return backing.start + offset
  }

  /// By pread(2).
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(BlockDeviceError) {
    let place = try place(offset, UInt64(buffer.count))
    let done: Int
    do throws(Errno) { done = try backing.descriptor.read(at: place, into: buffer) } catch {
      throw .failed(name, .read, at: offset, error)
    }
    // The file was cut short under us.
    if done < buffer.count { throw .failed(name, .read, at: offset + UInt64(done), .inputOutput) }
  }

  /// By pwrite(2).
  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(BlockDeviceError) {
    if isReadOnly { throw .readOnly(name) }
    let place = try place(offset, UInt64(buffer.count))
    do throws(Errno) { try backing.descriptor.write(at: place, all: buffer) } catch {
      throw .failed(name, .write, at: offset, error)
    }
  }

  /// By fdatasync(2).
  public func flush() throws(BlockDeviceError) {
    let number = backing.descriptor.rawValue
    do throws(Errno) { try retrying { fdatasync(number) } } catch { throw .failed(name, .flush, at: 0, error) }
  }

  /// By fallocate(2), which makes a hole in a file, and on a device discards, or zeroes where it cannot.
  public func discard(at offset: UInt64, count: UInt64) throws(BlockDeviceError) {
    _ = try punch(at: offset, count: count)
  }

  /// By a hole in a file. A device can take very long for it.
  public func zeroQuickly(at offset: UInt64, count: UInt64) throws(BlockDeviceError) -> Bool {
    if isBlockDevice { return false }
    return try punch(at: offset, count: count)
  }

  private func punch(at offset: UInt64, count: UInt64) throws(BlockDeviceError) -> Bool {
    if isReadOnly { throw .readOnly(name) }
    let place = try place(offset, count)
    guard count > 0, let start = Int64(exactly: place), let length = Int64(exactly: count) else { return count == 0 }
    let number = backing.descriptor.rawValue
    do throws(Errno) { try retrying { weft_punch_hole(number, start, length) } } catch {
      if error != .notSupported { throw .failed(name, .discard, at: offset, error) }
      return false
    }
    return true
  }
}

/// A loop device, and the file behind it.
struct LoopDevice {
  let name: String
  let device: UInt64
  let inode: UInt64
  let isReadOnly: Bool

  /// Those that are in use, and whose file this process can find.
  static func all() -> [LoopDevice] {
    directoryNames("/sys/block").filter { $0.hasPrefix("loop") }.compactMap { name in
      guard let path = firstLine(of: "/sys/block/\(name)/loop/backing_file"), let file = try? FileStatus(path: path)
      else { return nil }
      return LoopDevice(
        name: name, device: file.device, inode: file.inode, isReadOnly: firstLine(of: "/sys/block/\(name)/ro") == "1")
    }
  }
}
