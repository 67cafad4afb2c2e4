import Blocks
import Platform

/// Writes a new file system to a device.
public struct FileSystemMaker {
  private let device: any BlockDevice
  private let options: MakeOptions
  private let layout: MakeLayout
  private let inodes: MakeInodes
  private let seed: ChecksumSeed
  private var written: UInt64 = 0
  private var geometry: Geometry { layout.geometry }

  /// Makes a file system. A power cut in the middle leaves none: the superblock is written last.
  /// - Returns: its superblock.
  /// - Throws: `Ext4Error.refused` when the options cannot be had on a device of this size; the device is as it was. An
  ///   error of the device.
  public static func make(on device: any BlockDevice, _ options: MakeOptions) throws(Ext4Error) -> Superblock {
    var options = options
    // Before anything is changed.
    _ = try layout(size: device.size, options, name: device.name)
    do throws(BlockDeviceError) {
      try wipe(device)
      if !options.isZeroed && options.discards { options.isZeroed = try device.zeroQuickly(at: 0, count: device.size) }
    } catch { throw .device(error) }
    var maker = FileSystemMaker(device, options, try layout(size: device.size, options, name: device.name))
    do throws(BlockDeviceError) { return try maker.writeAll() } catch { throw .device(error) }
  }

  /// The superblock that a file system on a device of `size` bytes would have.
  /// - Parameter name: what the device is called.
  public static func plan(size: UInt64, _ options: MakeOptions, name: String) throws(Ext4Error) -> Superblock {
    try layout(size: size, options, name: name).superblock
  }

  private static func layout(size: UInt64, _ options: MakeOptions, name: String) throws(Ext4Error) -> MakeLayout {
    do throws(SentenceError) { return try MakeLayout(size: size, options) } catch {
      throw .refused("\(name): \(error)")
    }
  }

  private init(_ device: any BlockDevice, _ options: MakeOptions, _ layout: MakeLayout) {
    (self.device, self.options, self.layout) = (device, options, layout)
    inodes = MakeInodes(layout, options)
    seed = ChecksumSeed(options.uuid)
  }

  /// Takes away what tells other programs what is on the device: at its start, the superblock first, and at its end.
  private static func wipe(_ device: any BlockDevice) throws(BlockDeviceError) {
    let area: UInt64 = 128 << 10
    let start = min(device.size, area)
    try device.zero(at: Superblock.offset, count: UInt64(Superblock.size))
    try device.flush()
    try device.zero(at: 0, count: start)
    try device.zero(at: max(start, device.size - start), count: device.size - max(start, device.size - start))
  }

  private mutating func writeAll() throws(BlockDeviceError) -> Superblock {
    try writeTables()
    let descriptors = try writeBitmaps()
    for (block, bytes) in inodes.directoryBlocks() + inodes.resizeBlocks() { try write(bytes, at: block) }
    try writeJournal()
    return try writeSuperblocks(descriptors)
  }

  private mutating func write(_ bytes: [UInt8], at block: UInt64) throws(BlockDeviceError) {
    try write(bytes, atByte: block * UInt64(geometry.blockSize))
  }

  private mutating func write(_ bytes: [UInt8], atByte offset: UInt64) throws(BlockDeviceError) {
    written += UInt64(bytes.count)
    try device.write(bytes, at: offset)
  }

  private func zero(_ blocks: Range<UInt64>) throws(BlockDeviceError) {
    let size = UInt64(geometry.blockSize)
    try device.zero(at: blocks.lowerBound * size, count: UInt64(blocks.count) * size)
  }

  private mutating func writeTables() throws(BlockDeviceError) {
    if !options.isZeroed && !(options.leavesTables && layout.hasChecksums) {
      for group in layout.groups {
        try zero(group.inodeTable..<(group.inodeTable + UInt64(geometry.inodeTableBlocks)))
      }
    }
    try write(inodes.table(), at: layout.groups[0].inodeTable)
  }

  /// Writes the bitmaps that are not marked as never written.
  /// - Returns: the descriptors' blocks.
  private mutating func writeBitmaps() throws(BlockDeviceError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(geometry.descriptorBlocks) * geometry.blockSize)
    for number in 0..<geometry.groupCount {
      var group = layout.groups[Int(number)]
      if !group.flags.contains(.blockUninit) {
        let bitmap = blockBitmap(of: number)
        try write(bitmap, at: group.blockBitmap)
        if layout.hasChecksums {
          group.blockBitmapCsum = Bitmap.checksum(of: bitmap.span.bytes, count: geometry.clustersPerGroup, seed: seed)
        }
      }
      if !group.flags.contains(.inodeUninit) {
        let bitmap = inodeBitmap(of: number)
        try write(bitmap, at: group.inodeBitmap)
        if layout.hasChecksums {
          group.inodeBitmapCsum = Bitmap.checksum(of: bitmap.span.bytes, count: geometry.inodesPerGroup, seed: seed)
        }
      }
      let place =
        Int(number / geometry.descriptorsPerBlock) * geometry.blockSize
        + Int(number % geometry.descriptorsPerBlock) * geometry.descriptorSize
      put(group, number, in: &bytes, at: place)
    }
    return bytes
  }

  private func put(_ group: GroupDescriptor, _ number: UInt32, in bytes: inout [UInt8], at place: Int) {
    var group = group
    var one = [UInt8](repeating: 0, count: geometry.descriptorSize)
    var span = one.mutableSpan
    var raw = span.mutableBytes
    group.encode(into: &raw)
    let checksum = GroupDescriptor.checksum(
      of: raw.bytes, group: number, seed: seed, uuid: options.uuid, features: layout.superblock.featureRoCompat)
    group.checksum = checksum ?? 0
    group.encode(into: &raw)
    bytes.replaceSubrange(place..<(place + one.count), with: one)
  }

  private func blockBitmap(of group: UInt32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: geometry.blockSize)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    let (first, count) = (geometry.firstBlock(of: group), UInt64(geometry.blocks(of: group)))
    for range in layout.used.within(first..<(first + count)) {
      Bitmap.set(Int(range.lowerBound - first)..<Int(range.upperBound - first), in: &raw)
    }
    Bitmap.set(Int(count)..<(geometry.blockSize * 8), in: &raw)
    return bytes
  }

  private func inodeBitmap(of group: UInt32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: geometry.blockSize)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    if group == 0 { Bitmap.set(0..<Int(MakeLayout.lostFoundInode), in: &raw) }
    Bitmap.set(Int(geometry.inodesPerGroup)..<(geometry.blockSize * 8), in: &raw)
    return bytes
  }

  private mutating func writeJournal() throws(BlockDeviceError) {
    if !options.isZeroed && !options.leavesJournal {
      for run in layout.journal { try zero(run.start..<(run.start + UInt64(run.length))) }
    }
    for (block, bytes) in inodes.journalBlocks() { try write(bytes, at: block) }
  }

  /// Writes the copies, and, when everything else is on the medium, the superblock.
  private mutating func writeSuperblocks(_ descriptors: [UInt8]) throws(BlockDeviceError) -> Superblock {
    var superblock = layout.superblock
    if !layout.journal.isEmpty {
      let journal = inodes.journal()
      for place in 0..<15 { superblock.jnlBlocks[place] = journal.block.words[place] }
      superblock.jnlBlocks[15] = UInt32(truncatingIfNeeded: journal.size >> 32)
      superblock.jnlBlocks[16] = UInt32(truncatingIfNeeded: journal.size)
    }
    for group in inodes.backups {
      let first = geometry.firstBlock(of: group)
      try write(descriptors, at: first + 1)
      var copy = superblock
      copy.blockGroupNr = UInt16(truncatingIfNeeded: group)
      copy.state = 0
      try write(encoded(copy), at: first)
    }
    try write(descriptors, at: geometry.superblockBlock + 1)
    try device.flush()
    superblock.kbytesWritten = (written + UInt64(Superblock.size)) / 1024
    try write(encoded(superblock), atByte: Superblock.offset)
    try device.flush()
    return superblock
  }

  private func encoded(_ superblock: Superblock) -> [UInt8] {
    var superblock = superblock
    if layout.hasChecksums { superblock.checksum = Superblock.checksum(of: superblock.encoded().span.bytes) }
    return superblock.encoded()
  }
}
