import Famfs
import FamfsMount
import Memory
import Platform
import Queue

/// Why a command fails, where no other error says it: a sentence.
struct CommandError: Error, CustomStringConvertible {
  let description: String
  init(_ sentence: String) { description = sentence }
}

/// The two files of a queue, by name, and the way to their memory.
struct QueueFiles {
  static let suffix = ".consumer"

  enum Part { case producer, consumer }

  private let path: String

  init(_ path: String) { self.path = path }

  func path(of part: Part) -> String { part == .producer ? path : path + QueueFiles.suffix }

  /// Opens both and checks them.
  /// - Parameters:
  ///   - writing: the files that this process writes; the others are mapped for reading only.
  ///   - note: takes what a verbose command says.
  func open(writing: Set<Part>, note: (String) -> Void) throws -> SharedQueue {
    let files = try [Part.producer, .consumer].map { part in
      QueueFile(
        path: path(of: part),
        memory: try QueueFiles.memory(of: path(of: part), writable: writing.contains(part), note: note))
    }
    return try SharedQueue(producer: files[0], consumer: files[1])
  }

  /// The memory of a file. In a famfs mount it is that of the device: a mapping of the file would be the mount's page
  /// cache, and another mount has another.
  private static func memory(of path: String, writable: Bool, note: (String) -> Void) throws -> any QueueMemory {
    let kind: FileStatus.Kind
    do throws(Errno) {
      kind = try FileStatus(path: path).kind
      // The file's mode decides, also where the device could be written.
      if kind == .regular { _ = try FileDescriptor(opening: path, writable ? .readWrite : .readOnly) }
    } catch {
      throw explain(error, path, writable: writable)
    }
    guard kind == .regular else {
      throw CommandError("\(path) is no plain file, and so no queue; name one made with pcq --create")
    }
    guard (try? realPath(path)).flatMap({ MountedVolume.containing($0) }) != nil else {
      return try MappedDevice(path: path, writable: writable)
    }
    do {
      return try FamfsFile(VolumePath(path), writable: writable)
    } catch {
      note("\(path) is read and written through its mount, which is slow, for its device cannot be mapped: \(error)")
    }
    do throws(Errno) { return try UncachedFile(path: path, writable: writable) } catch {
      throw explain(error, path, writable: writable)
    }
  }

  private static func explain(_ error: Errno, _ path: String, writable: Bool) -> CommandError {
    switch error {
    case .noEntry where path.hasSuffix(suffix):
      CommandError("\(path), the second of a queue's files, is missing; make a new queue with pcq --create")
    case .noEntry: CommandError("\(path): there is no such queue; make it with pcq --create")
    case .accessDenied, .notPermitted, .readOnlyFileSystem:
      CommandError(
        "\(path): \(error); this user may not \(writable ? "write" : "read") it, see pcq --setperm and its owner")
    default: CommandError("\(path): \(error)")
    }
  }
}

/// A file of a mounted volume as the device's own memory: no kernel and no page cache between.
final class FamfsFile: QueueMemory {
  let size: UInt64
  private let devices: MountedDevices
  private let extents: [Extent]
  private let chunkSize: UInt64
  /// While it is open its space stays its own, should it be removed.
  private let file: FileDescriptor

  /// Asks the mount's daemon where the file lies, and maps the devices.
  init(_ path: VolumePath, writable: Bool) throws {
    let client = try ControlClient(to: path.mount)
    file = try FileDescriptor(opening: path.absolute, .readOnly)
    guard case .mapped(let layout, let size) = try client.ask(.map(path.path)) else { throw ControlClient.nonsense }
    guard try file.status().inode == FileStatus(path: path.absolute).inode else {
      throw FamfsError.other("\(path.absolute) was removed and made anew at this moment; try again")
    }
    devices = try client.devices(writable: writable)
    (extents, chunkSize, self.size) = (layout.extents.array, layout.chunkSize, size)
    // What the daemon says was checked when it played the log; this is against another daemon than ours.
    var total: UInt64 = 0
    for extent in extents {
      try devices.memory(of: extent).check(extent.offset, extent.length)
      guard extent.offset % 4096 == 0, extent.length % 4096 == 0 else { throw Errno.protocolError }
      total += extent.length  // at most 16 times what can be mapped
    }
    let isChunk = chunkSize == 0 || chunkSize >= 4096 && chunkSize & (chunkSize - 1) == 0
    guard extents.count <= ExtentList.capacity, isChunk, size <= total else { throw Errno.protocolError }
  }

  /// Hands on each piece of a range: the device, where it is there, and where in the range.
  private func forEach(
    _ offset: UInt64, _ count: Int,
    _ body: (_ device: MappedDevice, _ start: UInt64, _ place: Int, _ count: Int) throws(Errno) -> Void
  ) throws(Errno) {
    let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
    if overflow || end > size { throw .noSuchAddress }
    var place = 0
    try resolve(extents[...], chunkSize: chunkSize, offset: offset, count: UInt64(count)) {
      (index, start, length) throws(Errno) in
      guard let device = try? devices[index] else { throw .inputOutput }
      try body(device, start, place, Int(length))
      place += Int(length)
    }
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try forEach(offset, buffer.count) { (device, start, place, count) throws(Errno) in
      try device.read(at: start, into: UnsafeMutableRawBufferPointer(rebasing: buffer[place..<place + count]))
    }
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try forEach(offset, buffer.count) { (device, start, place, count) throws(Errno) in
      try device.write(at: start, from: UnsafeRawBufferPointer(rebasing: buffer[place..<place + count]))
    }
  }

  func load64(at offset: UInt64) throws(Errno) -> UInt64 {
    var value: UInt64 = 0
    try forEach(offset, 8) { (device, start, _, _) throws(Errno) in value = try device.load64(at: start) }
    return value
  }

  func store64(at offset: UInt64, _ value: UInt64) throws(Errno) {
    try forEach(offset, 8) { (device, start, _, _) throws(Errno) in try device.store64(at: start, value) }
  }

  func writeBack(at offset: UInt64, count: UInt64) throws(Errno) {
    try forEach(offset, Int(count)) { (device, start, _, count) throws(Errno) in
      try device.writeBack(at: start, count: UInt64(count))
    }
  }

  func invalidate(at offset: UInt64, count: UInt64) throws(Errno) {
    try forEach(offset, Int(count)) { (device, start, _, count) throws(Errno) in
      try device.invalidate(at: start, count: UInt64(count))
    }
  }

  func fence() { try? devices[0].fence() }
}
