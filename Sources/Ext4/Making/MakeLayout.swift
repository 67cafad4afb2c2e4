import Platform

/// Where everything lies in a new file system, found without a device. The places are those that mke2fs chooses.
struct MakeLayout {
  /// The lost+found directory's inode, the first that is not reserved.
  static let lostFoundInode: UInt32 = 11
  /// The inode that keeps blocks for more group descriptors.
  static let resizeInode: UInt32 = 7
  /// The journal's inode.
  static let journalInode: UInt32 = 8
  /// The root directory's inode.
  static let rootInode: UInt32 = 2

  /// The superblock; the journal inode's copy is not in it yet.
  private(set) var superblock: Superblock
  /// What follows from the superblock.
  let geometry: Geometry
  /// The descriptors, without checksums.
  private(set) var groups: [GroupDescriptor]
  /// Blocks in use.
  private(set) var used = UsedBlocks()
  /// Groups in which a block is in use that does not follow from the layout; their bitmaps must be written.
  private(set) var touched: [Bool]
  /// The block of the root directory.
  private(set) var rootBlock: UInt64 = 0
  /// The blocks of lost+found.
  private(set) var lostFound: [Extent] = []
  /// The double-indirect block of the resize inode; nil without resize_inode.
  private(set) var resizeBlock: UInt64?
  /// The journal's blocks; none without a journal.
  private(set) var journal: [Extent] = []
  /// The block of the journal's extents, where the inode has no room for them.
  private(set) var journalIndex: UInt64?

  /// The layout of a file system on a device of `size` bytes.
  init(size: UInt64, _ options: MakeOptions) throws(SentenceError) {
    superblock = try MakeSizes.superblock(size: size, options)
    geometry = try Geometry(superblock)
    groups = Array(repeating: GroupDescriptor(), count: Int(geometry.groupCount))
    touched = Array(repeating: false, count: groups.count)
    reserveBases()
    for group in groups.indices { try placeTables(of: UInt32(group)) }
    let journalBlocks = try journalBlocks(options.journalMebibytes)
    superblock.overheadClusters = UInt32(
      truncatingIfNeeded: geometry.blocksCount - free + journalBlocks)
    try placeDirectories()
    if superblock.featureCompat.contains(.resizeInode) {
      // The place after the tables, if groups had their own.
      let bases = UInt64(3 + geometry.reservedGdtBlocks + geometry.descriptorBlocks + geometry.inodeTableBlocks)
      resizeBlock = try take(1, from: bases)
    }
    if journalBlocks > 0 { try placeJournal(journalBlocks) } else { superblock.featureCompat.remove(.hasJournal) }
    finish(options.isZeroed || !options.leavesTables || !hasChecksums)
  }

  /// Whether groups have checksums, and with them flags that say what was never written.
  var hasChecksums: Bool { superblock.featureRoCompat.contains(.metadataCsum) }
  private var free: UInt64 { groups.reduce(0) { $0 + UInt64($1.freeBlocksCount) } }
  private var groupsPerFlex: UInt32 {
    superblock.featureIncompat.contains(.flexBg) ? 1 << UInt32(superblock.logGroupsPerFlex) : 1
  }

  private mutating func reserveBases() {
    for group in groups.indices {
      let (first, base) = (geometry.firstBlock(of: UInt32(group)), geometry.baseBlocks(of: UInt32(group)))
      if base > 0 { used.take(first..<(first + UInt64(base))) }
      groups[group].freeBlocksCount = geometry.blocks(of: UInt32(group)) - base
    }
  }

  /// Marks blocks as used, and counts them in their groups.
  private mutating func take(_ range: Range<UInt64>, touching: Bool = true) {
    used.take(range)
    var block = range.lowerBound
    while block < range.upperBound {
      let group = geometry.group(ofBlock: block)
      let end = min(range.upperBound, geometry.firstBlock(of: group + 1))
      groups[Int(group)].freeBlocksCount -= UInt32(end - block)
      if touching { touched[Int(group)] = true }
      block = end
    }
  }

  private mutating func take(_ count: UInt64, from start: UInt64) throws(SentenceError) -> UInt64 {
    let (first, end) = (geometry.firstDataBlock, geometry.blocksCount)
    guard
      let block = used.firstFree(count, from: max(start, first), before: end)
        ?? used.firstFree(count, from: first, before: end)
    else { throw MakeLayout.full }
    take(block..<(block + count))
    return block
  }

  private static let full = SentenceError("the device is too small for a file system; give it more, or -N fewer inodes")

  /// Places a group's bitmaps and its inode table: side by side with those of its flex group, in that one's first group.
  private mutating func placeTables(of group: UInt32) throws(SentenceError) {
    let flex = groupsPerFlex
    let table = UInt64(geometry.inodeTableBlocks)
    let (place, before) = (Int(group), Int(group) - 1)
    let last = min(group | (flex - 1), geometry.groupCount - 1)
    let rest = UInt64(last - group + 1)
    // A flex group of a single group has room between for those that may be added.
    let step = flex > 1 && rest == 1 ? UInt64(flex) : rest
    let isFirst = group % flex == 0
    let isFlex = flex > 1
    groups[place].blockBitmap = try placeTable(
      1, of: group, last, after: isFirst ? nil : groups[before].blockBitmap + 1, rest, isFlex)
    groups[place].inodeBitmap = try placeTable(
      1, of: group, last,
      after: !isFlex ? nil : isFirst ? groups[place].blockBitmap + step : groups[before].inodeBitmap + 1, rest, isFlex)
    groups[place].inodeTable = try placeTable(
      table, of: group, last,
      after: !isFlex ? nil : isFirst ? groups[place].inodeBitmap + step : groups[before].inodeTable + table, rest,
      isFlex)
  }

  private mutating func placeTable(
    _ count: UInt64, of group: UInt32, _ last: UInt32, after: UInt64?, _ rest: UInt64, _ isFlex: Bool
  ) throws(SentenceError) -> UInt64 {
    let end = min(geometry.firstBlock(of: last) + UInt64(geometry.blocksPerGroup), geometry.blocksCount)
    let start = geometry.firstBlock(of: group & ~(groupsPerFlex - 1))
    let wanted = min(rest * count, UInt64(geometry.blocksPerGroup / 4))
    var found: UInt64?
    if let after, used.firstFree(count, from: after, before: end) == after { found = after }
    if found == nil && isFlex { found = used.firstFree(max(wanted, count), from: start, before: end) }
    found = found ?? used.firstFree(count, from: start, before: end)
    guard let found else { throw MakeLayout.full }
    take(found..<(found + count), touching: isFlex)
    return found
  }

  /// The root directory has one block. lost+found has enough that a check after a crash allocates none.
  private mutating func placeDirectories() throws(SentenceError) {
    rootBlock = try take(1, from: geometry.firstDataBlock)
    let count = min(12, max(2, 16384 / geometry.blockSize))
    var goal = geometry.firstDataBlock
    for index in 0..<UInt32(count) {
      let block = try take(1, from: goal)
      goal = block + 1
      if let last = lostFound.last, last.start + UInt64(last.length) == block {
        lostFound[lostFound.count - 1].length += 1
      } else {
        lostFound.append(Extent(block: index, length: 1, start: block))
      }
    }
  }
}

// The journal.
extension MakeLayout {
  /// Blocks of the journal; 0 for none.
  private func journalBlocks(_ mebibytes: UInt64?) throws(SentenceError) -> UInt64 {
    guard superblock.featureCompat.contains(.hasJournal) else { return 0 }
    if let mebibytes {
      let blocks = mebibytes.multipliedReportingOverflow(by: UInt64(1 << 20 / geometry.blockSize)).partialValue
      guard (1024...10_240_000).contains(blocks), mebibytes < 1 << 20 else {
        throw SentenceError("a journal of \(mebibytes) MiB cannot be had; it has 1024 to 10240000 blocks")
      }
      guard blocks <= free / 2 else {
        throw SentenceError(
          "a journal of \(mebibytes) MiB takes more than half of the file system; ask for less with -J")
      }
      return blocks
    }
    switch geometry.blocksCount {
    case ..<2048: return 0
    case ..<(32 << 10): return 1024
    case ..<(256 << 10): return 4096
    case ..<(512 << 10): return 8192
    case ..<(4096 << 10): return 16384
    case ..<(8192 << 10): return 32768
    case ..<(16384 << 10): return 65536
    case ..<(32768 << 10): return 131_072
    default: return 262_144
    }
  }

  /// Places the journal in runs near the middle.
  private mutating func placeJournal(_ count: UInt64) throws(SentenceError) {
    var goal = geometry.firstBlock(of: journalGroup())
    var done: UInt64 = 0
    let (first, end) = (geometry.firstDataBlock, geometry.blocksCount)
    while done < count {
      let longest = min(count - done, UInt64(Extent.longest))
      guard
        let run = used.firstRun(atMost: longest, from: goal, before: end)
          ?? used.firstRun(atMost: longest, from: first, before: end)
      else { throw MakeLayout.full }
      if journal.count == 4 && journalIndex == nil { journalIndex = try take(1, from: journal[0].start - 1) }
      take(run)
      journal.append(Extent(block: UInt32(done), length: UInt32(run.count), start: run.lowerBound))
      done += UInt64(run.count)
      goal = run.upperBound
    }
    guard journal.count <= ExtentHeader.capacity(of: geometry.blockSize) else { throw MakeLayout.full }
  }

  /// The group near the middle with the most free blocks.
  private func journalGroup() -> UInt32 {
    let flex = groupsPerFlex
    var middle = geometry.group(ofBlock: (geometry.blocksCount - geometry.firstDataBlock) / 2)
    var start = middle == 0 ? 0 : middle - 1
    if flex > 1 && middle > flex {
      middle &= ~(flex - 1)
      while middle < geometry.groupCount && groups[Int(middle)].freeBlocksCount == 0 { middle += 1 }
      if middle == geometry.groupCount { middle = 0 }
      start = middle
    }
    var best = start
    for group in start...min(middle + 1, geometry.groupCount - 1)
    where groups[Int(group)].freeBlocksCount > groups[Int(best)].freeBlocksCount { best = group }
    return best
  }
}

// Counts and flags.
extension MakeLayout {
  private mutating func finish(_ areTablesZeroed: Bool) {
    let perGroup = geometry.inodesPerGroup
    for group in groups.indices {
      let inUse = group == 0 ? MakeLayout.lostFoundInode : 0
      groups[group].freeInodesCount = perGroup - inUse
      groups[group].usedDirsCount = group == 0 ? 2 : 0
      if group == groups.count - 1 { touched[group] = true }  // its bitmap ends with padding
      guard hasChecksums else { continue }
      groups[group].itableUnused = perGroup - inUse
      if areTablesZeroed { groups[group].flags.insert(.inodeZeroed) }
      if group > 0 { groups[group].flags.insert(.inodeUninit) }
      if !touched[group] { groups[group].flags.insert(.blockUninit) }
    }
    superblock.freeBlocksCount = free
    superblock.freeInodesCount = superblock.inodesCount - MakeLayout.lostFoundInode
    guard !journal.isEmpty else { return }
    superblock.journalInum = MakeLayout.journalInode
    superblock.jnlBackupType = 1
  }
}
