import Platform

/// What follows from a superblock about where things are, its numbers checked: arithmetic on them does not overflow.
public struct Geometry: Equatable, Sendable {
  /// Bytes of a block: a power of two from 1,024 to 65,536.
  public let blockSize: Int
  /// Blocks of a cluster; 1 without bigalloc.
  public let clusterRatio: UInt32
  /// Blocks of the file system, at most 2^48.
  public let blocksCount: UInt64
  /// The block where group 0 begins.
  public let firstDataBlock: UInt64
  /// Blocks of a group.
  public let blocksPerGroup: UInt32
  /// Clusters of a group: at most the bits of a block.
  public let clustersPerGroup: UInt32
  /// Inodes of a group: at most the bits of a block.
  public let inodesPerGroup: UInt32
  /// Inodes of the file system.
  public let inodesCount: UInt32
  /// Bytes of an inode.
  public let inodeSize: Int
  /// Groups.
  public let groupCount: UInt32
  /// Bytes of a group descriptor: 32, or 64 and more.
  public let descriptorSize: Int
  /// The block of the superblock.
  public let superblockBlock: UInt64
  /// Blocks kept for more group descriptors.
  public let reservedGdtBlocks: UInt32
  private let firstMetaBlock: UInt32
  private let backups: Backups

  /// Which groups have a copy of superblock and descriptors.
  private enum Backups: Equatable {
    case all, sparse
    case two(UInt32, UInt32)
  }

  /// The geometry that a superblock tells.
  /// - Throws: a sentence that says which of its numbers cannot be, to follow the device's name.
  public init(_ superblock: Superblock) throws(SentenceError) {
    guard superblock.revLevel <= 1 else {
      throw SentenceError("has revision \(superblock.revLevel) of the format, and only 0 and 1 are known")
    }
    guard superblock.logBlockSize <= 6 else { throw .number("log_block_size", UInt64(superblock.logBlockSize)) }
    blockSize = 1024 << Int(superblock.logBlockSize)
    let bits = UInt32(blockSize) * 8
    clusterRatio = try Geometry.clusterRatio(superblock)
    (clustersPerGroup, blocksPerGroup) = (superblock.clustersPerGroup, superblock.blocksPerGroup)
    guard clustersPerGroup >= 8, clustersPerGroup <= bits, clustersPerGroup % 8 == 0 else {
      throw .number("clusters_per_group", UInt64(clustersPerGroup))
    }
    guard UInt64(clustersPerGroup) * UInt64(clusterRatio) == UInt64(blocksPerGroup) else {
      throw .number("blocks_per_group", UInt64(blocksPerGroup))
    }
    let isOld = superblock.revLevel == 0
    inodeSize = isOld ? Inode.oldSize : Int(superblock.inodeSize)
    guard inodeSize >= Inode.oldSize, inodeSize <= blockSize, inodeSize & (inodeSize - 1) == 0 else {
      throw .number("inode_size", UInt64(inodeSize))
    }
    inodesPerGroup = superblock.inodesPerGroup
    let perBlock = UInt32(blockSize / inodeSize)
    guard inodesPerGroup >= perBlock, inodesPerGroup <= bits, inodesPerGroup % 8 == 0 else {
      throw .number("inodes_per_group", UInt64(inodesPerGroup))
    }
    let is64bit = superblock.featureIncompat.contains(.has64bit)
    descriptorSize = is64bit ? Int(superblock.descSize) : 32
    guard !is64bit || (64...1024).contains(descriptorSize) && descriptorSize & (descriptorSize - 1) == 0 else {
      throw .number("desc_size", UInt64(descriptorSize))
    }
    firstDataBlock = UInt64(superblock.firstDataBlock)
    guard firstDataBlock == (blockSize == 1024 && clusterRatio == 1 ? 1 : 0) else {
      throw .number("first_data_block", firstDataBlock)
    }
    blocksCount = is64bit ? superblock.blocksCount : superblock.blocksCount & 0xffff_ffff
    guard blocksCount > firstDataBlock, blocksCount <= 1 << 48 else { throw .number("blocks_count", blocksCount) }
    let perGroup = UInt64(blocksPerGroup)
    let groups = (blocksCount - firstDataBlock + perGroup - 1) / perGroup
    let inodes = groups.multipliedReportingOverflow(by: UInt64(inodesPerGroup))
    guard !inodes.overflow, inodes.partialValue == UInt64(superblock.inodesCount) else {
      throw .number("inodes_count", UInt64(superblock.inodesCount))
    }
    (groupCount, inodesCount) = (UInt32(groups), superblock.inodesCount)
    superblockBlock = blockSize == 1024 ? 1 : 0
    reservedGdtBlocks = UInt32(superblock.reservedGdtBlocks)
    guard Int(reservedGdtBlocks) <= blockSize / 4 else {
      throw .number("reserved_gdt_blocks", UInt64(reservedGdtBlocks))
    }
    firstMetaBlock = superblock.featureIncompat.contains(.metaBg) ? superblock.firstMetaBg : .max
    backups =
      superblock.featureCompat.contains(.sparseSuper2)
      ? .two(superblock.backupBgs[0], superblock.backupBgs[1])
      : superblock.featureRoCompat.contains(.sparseSuper) ? .sparse : .all
  }

  private static func clusterRatio(_ superblock: Superblock) throws(SentenceError) -> UInt32 {
    let (block, cluster) = (superblock.logBlockSize, superblock.logClusterSize)
    if !superblock.featureRoCompat.contains(.bigalloc) {
      // In revision 0 this was the size of a fragment, which nothing uses.
      guard cluster == block || superblock.revLevel == 0 else { throw .number("log_cluster_size", UInt64(cluster)) }
      return 1
    }
    guard cluster >= block, cluster <= 20 else { throw .number("log_cluster_size", UInt64(cluster)) }
    return 1 << (cluster - block)
  }
}

extension SentenceError {
  fileprivate static func number(_ field: String, _ value: UInt64) -> SentenceError {
    SentenceError("has a superblock whose \(field), \(value), cannot be; run e2fsck on it")
  }
}

// Groups, and what stands at their start.
extension Geometry {
  /// Descriptors in a block.
  public var descriptorsPerBlock: UInt32 { UInt32(blockSize / descriptorSize) }
  /// Blocks of all descriptors.
  public var descriptorBlocks: UInt32 { (groupCount - 1) / descriptorsPerBlock + 1 }
  /// Blocks of a group's inode table.
  public var inodeTableBlocks: UInt32 {
    UInt32((UInt64(inodesPerGroup) * UInt64(inodeSize) + UInt64(blockSize) - 1) / UInt64(blockSize))
  }

  /// The first block of a group.
  public func firstBlock(of group: UInt32) -> UInt64 { firstDataBlock + UInt64(group) * UInt64(blocksPerGroup) }

  /// Blocks of a group; the last one may have fewer than the others.
  public func blocks(of group: UInt32) -> UInt32 {
    UInt32(min(UInt64(blocksPerGroup), blocksCount - firstBlock(of: group)))
  }

  /// The group that a block lies in; the block is at least `firstDataBlock` and less than `blocksCount`.
  public func group(ofBlock block: UInt64) -> UInt32 { UInt32((block - firstDataBlock) / UInt64(blocksPerGroup)) }

  /// Where an inode is: its group and its place in the group's table; nil for a number that no inode has.
  public func place(ofInode number: UInt32) -> (group: UInt32, index: UInt32)? {
    guard number >= 1, number <= inodesCount else { return nil }
    let (group, index) = (number - 1).quotientAndRemainder(dividingBy: inodesPerGroup)
    return (group, index)
  }

  /// Whether a group has a copy of the superblock; group 0 has the superblock itself.
  public func hasSuperblock(_ group: UInt32) -> Bool {
    if group == 0 { return true }
    switch backups {
    case .all: return true
    case .two(let one, let other): return group == one || group == other
    case .sparse: return group == 1 || [3, 5, 7].contains { isPower(group, of: $0) }
    }
  }

  private func isPower(_ number: UInt32, of base: UInt32) -> Bool {
    var number = number
    while number > 1 && number % base == 0 { number /= base }
    return number == 1
  }

  /// The block with block `index` of the group descriptors; that of the backups with meta_bg lie elsewhere.
  public func descriptorBlock(_ index: UInt32) -> UInt64 {
    guard index >= firstMetaBlock else { return superblockBlock + 1 + UInt64(index) }
    let group = index * descriptorsPerBlock
    // Where group 0 begins with block 0, blocks of 1 KiB have the superblock in block 1.
    let shift: UInt64 = group == 0 && superblockBlock > firstDataBlock ? 1 : 0
    return firstBlock(of: group) + (hasSuperblock(group) ? 1 : 0) + shift
  }

  /// Descriptors' blocks, without those that are kept for more, that stand at a group's start behind the superblock.
  public func descriptorBlocks(in group: UInt32) -> UInt32 {
    let meta = group / descriptorsPerBlock
    if meta < firstMetaBlock { return hasSuperblock(group) ? min(descriptorBlocks, firstMetaBlock) : 0 }
    let place = group % descriptorsPerBlock
    return place == 0 || place == 1 || place == descriptorsPerBlock - 1 ? 1 : 0
  }

  /// Blocks at a group's start that are in use by superblock and descriptors, those that are kept for more included.
  public func baseBlocks(of group: UInt32) -> UInt32 {
    let meta = group / descriptorsPerBlock
    let copy: UInt32 = hasSuperblock(group) ? 1 : 0
    let kept = copy == 1 && meta < firstMetaBlock ? reservedGdtBlocks : 0
    let shift: UInt32 = group == 0 && superblockBlock > firstDataBlock ? 1 : 0
    return shift + copy + descriptorBlocks(in: group) + kept
  }
}
