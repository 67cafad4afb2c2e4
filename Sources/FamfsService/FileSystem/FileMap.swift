import Famfs
import Memory
import Platform

/// Where a file's bytes lie, for programs that map the device itself (libfamfs, `famfs exec`): an extended attribute, so
/// that whoever may read it may open the file, and no socket is needed. The device they open by their own rights.
enum FileMap {
  /// The attribute's name.
  static let attribute = "user.famfs.map"

  /// Whether files of a volume can be mapped directly at all.
  static func isOffered(by volume: Volume) -> Bool {
    guard !volume.isReclaiming, let device = volume.device as? MappedDevice else { return false }
    return isMemory(device) && volume.superblock.allocationUnit % device.mappingUnit == 0
  }

  /// Whether a device's mapping is memory that other hosts see, and no host's own cache.
  private static func isMemory(_ device: MappedDevice) -> Bool {
    device.kind == .dax || device.kind == .file
  }

  /// The attribute's value: a line `volume UUID`, a line `entry INDEX`: which of the log's entries says so, a line
  /// `device INDEX UUID PATH` for device 0 and each other device that the file has bytes on, a line `size BYTES chunk BYTES` (a chunk of 0: the extents follow each other), and a line
  /// `extent DEVICE OFFSET LENGTH` for each extent or strip, all in bytes.
  /// - Throws: ENODATA when the file cannot be mapped directly: it is a directory, empty, or one of the volume's own;
  ///   it lies on memory that each host has cached for itself, or that is mapped in whole huge pages, of which it has only
  ///   parts; or it can be removed, and then nobody would know that somebody still has its memory.
  static func text(of number: NodeNumber, in volume: Volume) throws(Errno) -> [UInt8] {
    let node = try volume.node(number)
    let layout = volume.layout(of: number)
    guard node.kind == .file, node.size > 0, let entry = number.logIndex, !volume.isReclaiming else { throw .noData }
    var text = "volume \(volume.superblock.uuid)\nentry \(entry)\n"
    let devices = volume.devices()
    for index in Set([0] + layout.extents.array.map(\.device)).sorted() {
      guard let usage = devices.first(where: { $0.index == index }),
        let device = try volume.memory(index) as? MappedDevice, isMemory(device),
        !device.path.utf8.contains(UInt8(ascii: "\n")),
        layout.extents.array.allSatisfy({ $0.device != index || ($0.offset | $0.length) % device.mappingUnit == 0 })
      else { throw .noData }
      text += "device \(index) \(usage.uuid) \(device.path)\n"
    }
    text += "size \(node.size) chunk \(layout.chunkSize)\n"
    for extent in layout.extents.array { text += "extent \(extent.device) \(extent.offset) \(extent.length)\n" }
    return text.fileNameBytes
  }
}
