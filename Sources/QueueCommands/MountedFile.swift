import Famfs
import FamfsControl
import Memory
import Platform
import Queue

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
