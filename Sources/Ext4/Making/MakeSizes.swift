import Platform

/// The numbers of a new file system that follow from its size: blocks, groups, inodes, and room for growth. They are those
/// that mke2fs chooses.
struct MakeSizes {
  private let options: MakeOptions
  private let blockSize: Int
  private var superblock = Superblock()

  /// A superblock with these numbers, and all that the options say of it.
  static func superblock(size: UInt64, _ options: MakeOptions) throws(SentenceError) -> Superblock {
    var sizes = try MakeSizes(size, options)
    try sizes.fit()
    sizes.describe()
    return sizes.superblock
  }

  private init(_ size: UInt64, _ options: MakeOptions) throws(SentenceError) {
    self.options = options
    let mebibyte: UInt64 = 1 << 20
    blockSize = options.blockSize ?? (size < 512 * mebibyte ? 1024 : 4096)
    guard [1024, 2048, 4096].contains(blockSize) else {
      throw SentenceError("a block of \(blockSize) bytes cannot be had; give 1024, 2048 or 4096")
    }
    let inodeSize = options.inodeSize
    guard (128...blockSize).contains(inodeSize), inodeSize & (inodeSize - 1) == 0 else {
      throw SentenceError("an inode of \(inodeSize) bytes cannot be had; give a power of two from 128 to \(blockSize)")
    }
    // Programs that map the device see whole pages only.
    let blocks = size / 4096 * 4096 / UInt64(blockSize)
    guard blocks <= UInt64(UInt32.max) else {
      throw SentenceError("\(size) bytes are too many for blocks of \(blockSize) bytes; the most is 2^32 - 1 blocks")
    }
    superblock.logBlockSize = UInt32(blockSize.trailingZeroBitCount - 10)
    superblock.logClusterSize = superblock.logBlockSize
    superblock.firstDataBlock = blockSize == 1024 ? 1 : 0
    superblock.blocksCount = blocks
    superblock.rBlocksCount = UInt64(options.reservedPercent * Double(blocks) / 100)
    superblock.blocksPerGroup = UInt32(blockSize) * 8
    superblock.clustersPerGroup = superblock.blocksPerGroup
    superblock.inodeSize = UInt16(inodeSize)
    (superblock.featureCompat, superblock.featureIncompat) = (
      options.features.compatible, options.features.incompatible
    )
    superblock.featureRoCompat = options.features.readOnlyCompatible
    if superblock.featureIncompat.contains(.has64bit) { superblock.descSize = 64 }
    let ratio: UInt64 =
      switch size {
      case ..<(3 * mebibyte): 8192
      case ..<(512 * mebibyte): 4096
      case ..<(4 << 40): 16384
      default: 32768
      }
    let inodes = options.inodeCount ?? size / max(options.inodeRatio ?? ratio, UInt64(blockSize))
    guard inodes <= UInt64(UInt32.max), inodes * UInt64(inodeSize) < blocks * UInt64(blockSize) else {
      throw SentenceError(
        "\(inodes) inodes of \(inodeSize) bytes do not fit into \(size) bytes; ask for fewer with -N or -i")
    }
    superblock.inodesCount = max(UInt32(inodes), superblock.firstIno + 1)
  }

  /// Finds how many groups and inodes there are. A last group that would hold little but its own metadata is left out.
  private mutating func fit() throws(SentenceError) {
    let wanted = superblock.inodesCount
    let first = UInt64(superblock.firstDataBlock)
    let perGroup = UInt64(superblock.blocksPerGroup)
    while true {
      guard superblock.blocksCount > first else { throw MakeSizes.tooSmall }
      let groups = (superblock.blocksCount - first + perGroup - 1) / perGroup
      try setInodes(wanted, groups)
      setReservedDescriptors(groups)
      let geometry = try Geometry(superblock)
      guard UInt64(geometry.descriptorBlocks + geometry.reservedGdtBlocks) <= perGroup * 3 / 4 else {
        throw SentenceError(
          "blocks of \(blockSize) bytes are too small for a device of this size; use larger ones with -b")
      }
      let last = geometry.groupCount - 1
      let overhead = UInt64(2 + geometry.inodeTableBlocks + geometry.baseBlocks(of: last))
      guard overhead <= perGroup else {
        throw SentenceError("the groups have no room for this number of inodes; ask for fewer with -N or -i")
      }
      let rest = (superblock.blocksCount - first) % perGroup
      if rest == 0 || rest >= overhead + 50 { return }
      let ratio = Double(superblock.rBlocksCount) / Double(superblock.blocksCount)
      superblock.blocksCount -= rest
      superblock.rBlocksCount = UInt64(ratio * Double(superblock.blocksCount))
    }
  }

  private static let tooSmall = SentenceError(
    "the device is too small for a file system; give it more, or -N fewer inodes")

  /// Inodes of a group fill the blocks of its table.
  private mutating func setInodes(_ wanted: UInt32, _ groups: UInt64) throws(SentenceError) {
    let (bits, size) = (UInt64(blockSize) * 8, UInt64(superblock.inodeSize))
    let perBlock = UInt64(blockSize) / size
    var count = (UInt64(wanted) + groups - 1) / groups
    guard count <= bits else {
      throw SentenceError(
        "\(count) inodes in each group are too many; the most is \(bits): ask for fewer with -N or -i")
    }
    count = min(count, 65536 - perBlock)
    while true {
      let whole = max(8, (count + perBlock - 1) / perBlock * perBlock) & ~7
      if whole * groups <= UInt64(UInt32.max) {
        superblock.inodesPerGroup = UInt32(whole)
        superblock.inodesCount = UInt32(whole * groups)
        return
      }
      count -= 1
    }
  }

  /// With resize_inode there is room for the descriptors of a file system of 1,024 times the size.
  private mutating func setReservedDescriptors(_ groups: UInt64) {
    guard superblock.featureCompat.contains(.resizeInode) else { return }
    let largest = min(superblock.blocksCount * 1024, UInt64(UInt32.max)) - UInt64(superblock.firstDataBlock)
    let perBlock = UInt64(blockSize) / (superblock.descSize == 0 ? 32 : 64)
    let perGroup = UInt64(superblock.blocksPerGroup)
    let most = ((largest + perGroup - 1) / perGroup + perBlock - 1) / perBlock
    let now = (groups + perBlock - 1) / perBlock
    superblock.reservedGdtBlocks = UInt16(min(most - min(now, most), UInt64(blockSize) / 4))
  }

  /// What does not depend on sizes.
  private mutating func describe() {
    superblock.wtime = options.time
    superblock.lastcheck = options.time
    superblock.mkfsTime = options.time
    superblock.uuid = options.uuid
    superblock.volumeName = InlineBytes(options.label)
    var seed = InlineArray<16, UInt8>(repeating: 0)
    var span = seed.mutableSpan
    var raw = span.mutableBytes
    options.hashSeed.store(into: &raw, at: 0)
    let words = seed.span.bytes
    superblock.hashSeed = (words.u32(0), words.u32(4), words.u32(8), words.u32(12))
    superblock.defaultMountOpts = 0xc  // user_xattr, acl
    superblock.flags = 1  // signed directory hashes
    if superblock.featureIncompat.contains(.flexBg) { superblock.logGroupsPerFlex = 4 }
    if superblock.featureRoCompat.contains(.metadataCsum) { superblock.checksumType = 1 }
    if superblock.inodeSize > Inode.oldSize {
      (superblock.minExtraIsize, superblock.wantExtraIsize) = (UInt16(Inode.knownExtra), UInt16(Inode.knownExtra))
    }
  }
}
