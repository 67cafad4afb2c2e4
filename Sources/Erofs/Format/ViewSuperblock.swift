import Famfs
import Memory
import Platform

/// The EROFS superblock of a volume's first device, and the table of its further devices (SPEC-erofs-view, "Superblock").
///
/// It has no checksum, so that all that a new view changes is one word: the block where its metadata begins.
struct ViewSuperblock: Equatable {
  /// Where it stands on the device.
  static let offset: UInt64 = 1024
  /// Bytes, the table among them: to the end of the first block.
  static let size = 3072
  /// Where the root's inode stands in the metadata.
  static let rootOffset = 64
  static let magic: UInt64 = 0xE0F5_E1E2
  /// Words that change one at a time, from the superblock's start on.
  static let (inodesWord, timeWord, sizeWord, metadataWord, devicesWord) = (16, 24, 32, 40, 80)
  private static let (chunkedFile, deviceTable): (UInt32, UInt32) = (4, 8)
  /// Where the table begins, and bytes of one of its slots.
  private static let (tableOffset, slotSize) = (128, 128)

  /// A device beside the first.
  struct Device: Equatable {
    var uuid: UUID
    var blocks: UInt32
  }

  var volume: UUID
  /// The block where the metadata begins.
  var metadata: UInt32
  var inodes: UInt64
  /// Seconds since 1970.
  var time: UInt64
  /// Blocks of the first device.
  var blocks: UInt32
  var devices: [Device] = []

  /// Writes the `size` bytes.
  func encode() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: ViewSuperblock.size)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    raw.set(0, ViewSuperblock.magic)
    raw.set(12, UInt8(12))
    raw.set(14, UInt16(ViewSuperblock.rootOffset / Inode.slot))
    raw.set(ViewSuperblock.inodesWord, inodes)
    raw.set(ViewSuperblock.timeWord, time)
    raw.set(36, blocks)
    raw.set(ViewSuperblock.metadataWord, metadata)
    volume.store(into: &raw, at: 48)
    for (place, byte) in "famfs".utf8.enumerated() { raw.set(64 + place, byte) }
    raw.set(80, ViewSuperblock.chunkedFile | (devices.isEmpty ? 0 : ViewSuperblock.deviceTable))
    raw.set(86, UInt16(devices.count))
    raw.set(88, UInt16((Int(ViewSuperblock.offset) + ViewSuperblock.tableOffset) / ViewSuperblock.slotSize))
    var start = UInt64(blocks)
    for (place, device) in devices.enumerated() {
      let slot = ViewSuperblock.tableOffset + place * ViewSuperblock.slotSize
      for (place, byte) in "\(device.uuid)".utf8.prefix(64).enumerated() { raw.set(slot + place, byte) }
      raw.set(slot + 64, device.blocks)
      // Behind all devices before it: a kernel that is given none of them must not look in the first.
      raw.set(slot + 68, UInt32(clamping: start))
      start += UInt64(device.blocks)
    }
    return bytes
  }

  /// The block where the metadata of the view on a device begins; nil when there is none of this volume, or none that can
  /// be believed.
  static func metadata(on device: any MemoryDevice, of volume: UUID) throws(Errno) -> UInt32? {
    let bytes = try read(device)
    let span = bytes.span.bytes
    guard span.u32(0) == UInt32(magic), span.u8(12) == 12, UUID(span, at: 48) == volume else { return nil }
    return span.u32(metadataWord)
  }

  /// What stands there.
  static func read(_ device: any MemoryDevice) throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    try device.invalidate(at: offset, count: UInt64(size))
    var span = bytes.mutableSpan
    try span.withUnsafeMutableBytes { (buffer) throws(Errno) in
      try device.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
    }
    return bytes
  }

  /// Puts this superblock in the place of what stands there. Whoever looks meanwhile, and after a power cut, finds the old
  /// view, none if there was none of this volume, or the new one.
  func store(on device: any MemoryDevice) throws(Errno) {
    let (old, new) = (try ViewSuperblock.read(device), encode())
    let isUpdate = try ViewSuperblock.metadata(on: device, of: volume) != nil
    let last = isUpdate ? ViewSuperblock.metadataWord : 0
    if !isUpdate {
      // What stands there is not this volume's.
      try ViewSuperblock.store(0, at: 0, on: device)
      try ViewSuperblock.sync(device)
    }
    // From the end: the table is there before its length is.
    for place in stride(from: ViewSuperblock.size - 8, through: 0, by: -8) where place != last {
      let value = new.span.bytes.u64(place)
      if value == old.span.bytes.u64(place) { continue }
      if place == ViewSuperblock.devicesWord { try ViewSuperblock.sync(device) }
      try ViewSuperblock.store(value, at: place, on: device)
    }
    try ViewSuperblock.sync(device)
    try ViewSuperblock.store(new.span.bytes.u64(last), at: last, on: device)
    try ViewSuperblock.sync(device)
  }

  private static func sync(_ device: any MemoryDevice) throws(Errno) {
    try device.sync(at: offset, count: UInt64(size))
  }

  private static func store(_ value: UInt64, at place: Int, on device: any MemoryDevice) throws(Errno) {
    try device.store64(at: offset + UInt64(place), value)
    try device.writeBack(at: offset + UInt64(place), count: 8)
  }
}
