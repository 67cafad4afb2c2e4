import Blocks
import Platform

// Group descriptors, and what they add up to.
extension Volume {
  /// The descriptor of a group.
  public func descriptor(of group: UInt32) throws(Ext4Error) -> GroupDescriptor {
    try GroupDescriptor(of: group, superblock, geometry, cache, seed)
  }

  /// Whether descriptors have checksums; else their flags mean nothing.
  var hasGroupChecksums: Bool { !superblock.featureRoCompat.isDisjoint(with: [.metadataCsum, .gdtCsum]) }

  /// What statfs(2) tells of a file system, in blocks.
  public struct Status: Equatable, Sendable {
    /// Blocks for files.
    public var blocks: UInt64
    /// Free blocks.
    public var freeBlocks: UInt64
    /// Free blocks that are not reserved.
    public var availableBlocks: UInt64
    /// Inodes.
    public var inodes: UInt64
    /// Free inodes.
    public var freeInodes: UInt64
  }

  /// How much there is, and how much is free.
  public var status: Status {
    let ratio = UInt64(geometry.clusterRatio)
    let free = space.freeClusters &* ratio
    // Linux keeps one block of fifty, and at most 4,096 clusters, for what it cannot foresee.
    let hasExtents = superblock.featureIncompat.contains(.extents)
    let kept = hasExtents ? min(geometry.blocksCount / ratio / 50, 4096) * ratio : 0
    let reserved = superblock.rBlocksCount.addingReportingOverflow(kept)
    let available = reserved.overflow || reserved.partialValue > free ? 0 : free - reserved.partialValue
    let overhead = space.overheadClusters &* ratio
    return Status(
      blocks: overhead < geometry.blocksCount ? geometry.blocksCount - overhead : geometry.blocksCount,
      freeBlocks: free, availableBlocks: available, inodes: UInt64(geometry.inodesCount),
      freeInodes: space.freeInodes)
  }
}

extension GroupDescriptor {
  /// Reads and checks a group's descriptor.
  init(
    of group: UInt32, _ superblock: Superblock, _ geometry: Geometry, _ cache: BufferCache, _ seed: ChecksumSeed
  ) throws(Ext4Error) {
    let perBlock = geometry.descriptorsPerBlock
    let number = geometry.descriptorBlock(group / perBlock)
    guard number < geometry.blocksCount else {
      throw .corrupted(.groupDescriptor(group), "its block \(number) is outside of the file system")
    }
    let use = BlockUse(kind: BlockKind.descriptors.rawValue)
    let block = try cache.block(number, for: use, failed: Ext4Error.device) { (_) throws(Ext4Error) in }
    let (part, size) = (Int(group % perBlock), geometry.descriptorSize)
    self = try block.withBytes { (bytes) throws(Ext4Error) in
      let bytes = bytes.extracting((part * size)..<((part + 1) * size))
      let descriptor = GroupDescriptor(parsing: bytes)
      if block.buffer.isChecked(part: part) { return descriptor }
      let checksum = GroupDescriptor.checksum(
        of: bytes, group: group, seed: seed, uuid: superblock.uuid, features: superblock.featureRoCompat)
      guard checksum == nil || checksum == descriptor.checksum else { throw .badChecksum(.groupDescriptor(group)) }
      try descriptor.check(group, geometry)
      block.buffer.noteChecked(part: part)
      return descriptor
    }
  }

  /// Whether its blocks are on the device, and its counts possible.
  private func check(_ group: UInt32, _ geometry: Geometry) throws(Ext4Error) {
    let blocks = geometry.firstDataBlock..<geometry.blocksCount
    let lastOfTable = inodeTable.addingReportingOverflow(UInt64(geometry.inodeTableBlocks) - 1)
    guard blocks.contains(blockBitmap), blocks.contains(inodeBitmap), blocks.contains(inodeTable),
      !lastOfTable.overflow, blocks.contains(lastOfTable.partialValue)
    else { throw .corrupted(.groupDescriptor(group), "a bitmap or the inode table is outside of the file system") }
    guard freeInodesCount <= geometry.inodesPerGroup, itableUnused <= geometry.inodesPerGroup else {
      throw .corrupted(.groupDescriptor(group), "it counts more inodes than a group has")
    }
    guard freeBlocksCount <= geometry.clustersPerGroup else {
      throw .corrupted(.groupDescriptor(group), "it counts more free clusters than a group has")
    }
  }
}

/// Free clusters and inodes, summed over all groups: the superblock's own counts are right only after an unmount.
struct SpaceCounts: Sendable {
  private(set) var freeClusters: UInt64 = 0
  private(set) var freeInodes: UInt64 = 0
  /// Clusters of metadata that statfs(2) does not count.
  private(set) var overheadClusters: UInt64 = 0

  init() {}

  init(
    summing superblock: Superblock, _ geometry: Geometry, _ cache: BufferCache, _ seed: ChecksumSeed
  ) throws(Ext4Error) {
    overheadClusters = UInt64(superblock.overheadClusters)
    for group in 0..<geometry.groupCount {
      let descriptor = try GroupDescriptor(of: group, superblock, geometry, cache, seed)
      freeClusters += UInt64(descriptor.freeBlocksCount)
      freeInodes += UInt64(descriptor.freeInodesCount)
    }
    if overheadClusters == 0 { overheadClusters = SpaceCounts.overhead(superblock, geometry) }
  }

  /// As Linux counts it, where the superblock does not say: what stands at the groups' starts, bitmaps, tables and the
  /// journal.
  private static func overhead(_ superblock: Superblock, _ geometry: Geometry) -> UInt64 {
    var blocks = UInt64(geometry.firstDataBlock)
    for group in 0..<geometry.groupCount {
      let copy: UInt64 = geometry.hasSuperblock(group) ? 1 : 0
      blocks += copy + UInt64(geometry.descriptorBlocks(in: group)) + UInt64(geometry.inodeTableBlocks) + 2
    }
    if superblock.featureCompat.contains(.hasJournal), superblock.jnlBackupType == 1 {
      let size = UInt64(superblock.jnlBlocks[15]) << 32 | UInt64(superblock.jnlBlocks[16])
      blocks += size / UInt64(geometry.blockSize)
    }
    return blocks / UInt64(geometry.clusterRatio)
  }
}
