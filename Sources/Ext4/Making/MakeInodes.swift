import Platform

/// The inodes and blocks of a new file system's files: root, lost+found, the journal, and what is kept for growth.
struct MakeInodes {
  private let layout: MakeLayout
  private let options: MakeOptions
  private let seed: ChecksumSeed
  private var geometry: Geometry { layout.geometry }

  init(_ layout: MakeLayout, _ options: MakeOptions) {
    (self.layout, self.options) = (layout, options)
    seed = ChecksumSeed(options.uuid)
  }

  /// The inode table's first blocks, up to the last inode in use.
  func table() -> [UInt8] {
    let size = geometry.inodeSize
    let used = Int(MakeLayout.lostFoundInode) * size
    var bytes = [UInt8](repeating: 0, count: (used + geometry.blockSize - 1) / geometry.blockSize * geometry.blockSize)
    put(MakeLayout.rootInode, root(), &bytes)
    if layout.resizeBlock != nil { put(MakeLayout.resizeInode, resize(), &bytes) }
    if !layout.journal.isEmpty { put(MakeLayout.journalInode, journal(), &bytes) }
    put(MakeLayout.lostFoundInode, lostFound(), &bytes)
    return bytes
  }

  private func put(_ number: UInt32, _ inode: Inode, _ table: inout [UInt8]) {
    let start = Int(number - 1) * geometry.inodeSize
    var inode = inode
    var bytes = [UInt8](repeating: 0, count: geometry.inodeSize)
    for _ in 0..<2 {  // the second time with the checksum
      var span = bytes.mutableSpan
      var raw = span.mutableBytes
      inode.encode(into: &raw)
      if layout.hasChecksums { inode.checksum = Inode.checksum(of: raw.bytes, seed: seed.inode(number, generation: 0)) }
    }
    table.replaceSubrange(start..<(start + bytes.count), with: bytes)
  }

  private func inode(_ mode: UInt16, links: UInt16, size: UInt64, blocks: UInt64) -> Inode {
    var inode = Inode()
    (inode.mode, inode.linksCount, inode.size) = (mode, links, size)
    inode.blocks = blocks * UInt64(geometry.blockSize / 512)
    let time = InodeTime(seconds: Int64(options.time))
    (inode.atime, inode.ctime, inode.mtime, inode.crtime) = (time, time, time, time)
    if geometry.inodeSize > Inode.oldSize { inode.extraIsize = UInt16(Inode.knownExtra) }
    return inode
  }

  private func mapped(_ inode: Inode, _ extents: [Extent], index: UInt64? = nil) -> Inode {
    var inode = inode
    inode.flags.insert(.extents)
    let room = UInt16(ExtentHeader.capacity(of: InodeBlock.size))
    inode.block.withMutableBytes { bytes in
      if let index {
        ExtentHeader(entries: 1, max: room, depth: 1).encode(into: &bytes)
        ExtentIndex(block: 0, leaf: index).encode(into: &bytes, 0)
      } else {
        ExtentHeader(entries: UInt16(extents.count), max: room).encode(into: &bytes)
        for (place, extent) in extents.enumerated() { extent.encode(into: &bytes, place) }
      }
    }
    return inode
  }

  private func root() -> Inode {
    var root = inode(0o040755, links: 3, size: UInt64(geometry.blockSize), blocks: 1)
    (root.uid, root.gid) = options.rootOwner
    return mapped(root, [Extent(block: 0, length: 1, start: layout.rootBlock)])
  }

  private func lostFound() -> Inode {
    let blocks = layout.lostFound.reduce(0) { $0 + UInt64($1.length) }
    return mapped(
      inode(0o040700, links: 2, size: blocks * UInt64(geometry.blockSize), blocks: blocks), layout.lostFound)
  }

  /// The journal's inode; the superblock has a copy of its map.
  func journal() -> Inode {
    let blocks = layout.journal.reduce(0) { $0 + UInt64($1.length) }
    let all = blocks + (layout.journalIndex == nil ? 0 : 1)
    return mapped(
      inode(0o100600, links: 1, size: blocks * UInt64(geometry.blockSize), blocks: all), layout.journal,
      index: layout.journalIndex)
  }

  /// It has an old map. Each block that is kept for more descriptors is an indirect block that lists its copies.
  private func resize() -> Inode {
    let pointers = UInt64(geometry.blockSize / 4)
    let kept = UInt64(geometry.reservedGdtBlocks)
    var inode = inode(
      0o100600, links: 1, size: (12 + pointers + pointers * pointers) * UInt64(geometry.blockSize),
      blocks: 1 + kept * UInt64(1 + backups.count))
    inode.block.words[13] = UInt32(truncatingIfNeeded: layout.resizeBlock ?? 0)
    return inode
  }

  /// Groups with a copy of superblock and descriptors.
  var backups: [UInt32] { (1..<geometry.groupCount).filter { geometry.hasSuperblock($0) } }
}

// Blocks.
extension MakeInodes {
  /// The blocks of the resize inode's map, by place.
  func resizeBlocks() -> [(block: UInt64, bytes: [UInt8])] {
    guard let double = layout.resizeBlock else { return [] }
    let (size, pointers) = (geometry.blockSize, UInt32(geometry.blockSize / 4))
    let groups = backups.map { geometry.firstBlock(of: $0) }
    var blocks: [(block: UInt64, bytes: [UInt8])] = []
    var list = [UInt8](repeating: 0, count: size)
    for index in 0..<geometry.reservedGdtBlocks {
      let distance = 1 + UInt64(geometry.descriptorBlocks + index)
      let block = geometry.superblockBlock + distance
      store(block, in: &list, Int((geometry.descriptorBlocks + index) % pointers))
      var copies = [UInt8](repeating: 0, count: size)
      for (place, first) in groups.enumerated() { store(first + distance, in: &copies, place) }
      blocks.append((block, copies))
    }
    blocks.append((double, list))
    return blocks
  }

  private func store(_ block: UInt64, in list: inout [UInt8], _ place: Int) {
    var span = list.mutableSpan
    var raw = span.mutableBytes
    raw.set(4 * place, UInt32(truncatingIfNeeded: block))
  }

  /// A block of a directory: `.` and `..`, other names behind them, or nothing.
  private func directoryBlock(_ number: UInt32, _ entries: [(name: String, inode: UInt32)]) -> [UInt8] {
    let size = geometry.blockSize
    let end = layout.hasChecksums ? size - DirectoryTail.size : size
    var bytes = [UInt8](repeating: 0, count: size)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    var place = 0
    for (index, entry) in entries.enumerated() {
      let needed = DirectoryEntry.needed(nameLen: entry.name.utf8.count)
      let length = index == entries.count - 1 ? end - place : needed
      let type = DirectoryEntry.FileType.directory.rawValue
      DirectoryEntry(inode: entry.inode, recLen: length, nameLen: UInt8(entry.name.utf8.count), fileType: type)
        .encode(into: &raw, at: place, name: Array(entry.name.utf8).span.bytes, blockSize: size)
      place += length
    }
    if entries.isEmpty {
      DirectoryEntry(inode: 0, recLen: end, nameLen: 0, fileType: 0).encode(into: &raw, at: 0, blockSize: size)
    }
    if layout.hasChecksums {
      let checksum = DirectoryTail.checksum(of: raw.bytes, seed: seed.inode(number, generation: 0))
      DirectoryTail.encode(into: &raw, checksum: checksum)
    }
    return bytes
  }

  /// The blocks of both directories, by place.
  func directoryBlocks() -> [(block: UInt64, bytes: [UInt8])] {
    let (root, lost) = (MakeLayout.rootInode, MakeLayout.lostFoundInode)
    var blocks = [(layout.rootBlock, directoryBlock(root, [(".", root), ("..", root), ("lost+found", lost)]))]
    for extent in layout.lostFound {
      for index in 0..<extent.length {
        let isFirst = extent.block + index == 0
        let entries: [(name: String, inode: UInt32)] = isFirst ? [(".", lost), ("..", root)] : []
        blocks.append((extent.start + UInt64(index), directoryBlock(lost, entries)))
      }
    }
    return blocks
  }

  /// The journal's first block, which says that it is empty, and the block of its extents; by place.
  func journalBlocks() -> [(block: UInt64, bytes: [UInt8])] {
    guard let first = layout.journal.first else { return [] }
    let size = geometry.blockSize
    let count = layout.journal.reduce(0) { $0 + $1.length }
    var bytes = [UInt8](repeating: 0, count: size)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    JournalSuperblock(blocksize: UInt32(size), maxlen: count, uuid: options.uuid).encode(into: &raw)
    var blocks = [(first.start, bytes)]
    if let index = layout.journalIndex { blocks.append((index, extentBlock())) }
    return blocks
  }

  private func extentBlock() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: geometry.blockSize)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    let room = UInt16(ExtentHeader.capacity(of: geometry.blockSize))
    ExtentHeader(entries: UInt16(layout.journal.count), max: room).encode(into: &raw)
    for (place, extent) in layout.journal.enumerated() { extent.encode(into: &raw, place) }
    if layout.hasChecksums {
      let inode = seed.inode(MakeLayout.journalInode, generation: 0)
      raw.set(ExtentTail.offset(max: room), ExtentTail.checksum(of: raw.bytes, max: room, seed: inode))
    }
    return bytes
  }
}
