import Blocks
import Ext4TestSupport
import Platform
import Testing

@testable import Ext4

/// Reads each structure of an image, writes it again over rubbish, and expects the same bytes, checksums computed anew among
/// them.
struct RoundTrip {
  let volume: Volume
  /// How many of each were gone through.
  private(set) var counts: [String: Int] = [:]

  init(_ volume: Volume) { self.volume = volume }

  private var blockSize: Int { volume.geometry.blockSize }

  private func bytes(_ block: UInt64) throws -> [UInt8] {
    var failure: BlockDeviceError?
    let bytes = [UInt8](unsafeUninitializedCapacity: blockSize) { buffer, count in
      do throws(BlockDeviceError) {
        try volume.device.read(at: block * UInt64(blockSize), into: UnsafeMutableRawBufferPointer(buffer))
        count = blockSize
      } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  private mutating func expect(_ what: String, _ again: [UInt8], _ bytes: [UInt8], _ place: String) {
    counts[what, default: 0] += 1
    #expect(again == bytes, "\(what) \(place)")
  }

  mutating func run() throws {
    for group in 0..<volume.geometry.groupCount {
      let descriptor = try volume.descriptor(of: group)
      try bitmaps(group, descriptor)
      guard !volume.hasGroupChecksums || !descriptor.flags.contains(.inodeUninit) else { continue }
      let used = volume.geometry.inodesPerGroup - (volume.hasGroupChecksums ? descriptor.itableUnused : 0)
      for index in 0..<used {
        let node = try volume.node(group * volume.geometry.inodesPerGroup + index + 1)
        if node.inode.linksCount > 0 || node.number < 11 && node.inode.mode != 0 { try inode(node) }
      }
    }
  }

  private mutating func bitmaps(_ group: UInt32, _ descriptor: GroupDescriptor) throws {
    let (geometry, size) = (volume.geometry, volume.geometry.descriptorSize)
    guard volume.hasChecksums else { return }
    if !descriptor.flags.contains(.blockUninit) {
      let computed = try bytes(descriptor.blockBitmap).withRawSpan {
        #expect(Bitmap.free(among: Int(geometry.clustersPerGroup), in: $0) == Int(descriptor.freeBlocksCount))
        return Bitmap.checksum(of: $0, count: geometry.clustersPerGroup, seed: volume.seed)
      }
      #expect(GroupDescriptor.matches(descriptor.blockBitmapCsum, computed, descriptorSize: size), "group \(group)")
    }
    if !descriptor.flags.contains(.inodeUninit) {
      let computed = try bytes(descriptor.inodeBitmap).withRawSpan {
        #expect(Bitmap.free(among: Int(geometry.inodesPerGroup), in: $0) == Int(descriptor.freeInodesCount))
        return Bitmap.checksum(of: $0, count: geometry.inodesPerGroup, seed: volume.seed)
      }
      #expect(GroupDescriptor.matches(descriptor.inodeBitmapCsum, computed, descriptorSize: size), "group \(group)")
    }
  }

  private mutating func inode(_ node: Node) throws {
    let raw = try volume.withInode(node.number) { bytes in bytes.withUnsafeBytes { Array($0) } }
    var again = raw
    let known = Inode.oldSize + min(Inode.knownExtra, Int(node.inode.extraIsize))
    for place in 0..<min(known, raw.count) { again[place] = 0xa5 }
    var inode = node.inode
    inode.checksum = 0
    again.withMutableRawSpan { inode.encode(into: &$0) }
    if volume.hasChecksums {
      inode.checksum = again.withRawSpan { Inode.checksum(of: $0, seed: volume.inodeSeed(node)) }
      again.withMutableRawSpan { inode.encode(into: &$0) }
    }
    expect("inode", again, raw, "\(node.number)")
    try xattrs(node, raw)
    let flags = inode.flags
    if flags.contains(.inlineData) { return }
    if flags.contains(.extents) {
      let root = node.inode.block.withBytes { bytes in bytes.withUnsafeBytes { Array($0) } }
      try extents(root, of: node, isRoot: true)
    }
    if inode.kind == .directory { try directory(node) }
  }

  private mutating func extents(_ raw: [UInt8], of node: Node, isRoot: Bool) throws {
    let header = raw.withRawSpan { ExtentHeader(parsing: $0) }
    var again = raw
    // Behind the last entry there may be old ones.
    for place in 0..<(12 * (Int(header.entries) + 1)) { again[place] = 0xa5 }
    again.withMutableRawSpan { header.encode(into: &$0) }
    for entry in 0..<Int(header.entries) {
      if header.depth == 0 {
        let extent = raw.withRawSpan { Extent(parsing: $0, entry) }
        again.withMutableRawSpan { extent.encode(into: &$0, entry) }
      } else {
        let index = raw.withRawSpan { ExtentIndex(parsing: $0, entry) }
        again.withMutableRawSpan { index.encode(into: &$0, entry) }
        try extents(bytes(index.leaf), of: node, isRoot: false)
      }
    }
    if !isRoot && volume.hasChecksums {
      let sum = again.withRawSpan { ExtentTail.checksum(of: $0, max: header.max, seed: volume.inodeSeed(node)) }
      again.withMutableRawSpan { $0.set(ExtentTail.offset(max: header.max), sum) }
    }
    expect(isRoot ? "extent root" : "extent block", again, raw, "of inode \(node.number)")
  }

  private mutating func directory(_ node: Node) throws {
    let (tree, seed) = (try volume.hashTree(of: node), volume.inodeSeed(node))
    for index in 0..<volume.blockCount(of: node) {
      guard case .blocks(let number) = try volume.run(of: node, at: index).place else { continue }
      let raw = try bytes(number)
      let covers = raw.withRawSpan { $0.u32(0) == 0 && Int($0.u16(4)) == blockSize }
      if tree != nil && (index == 0 || covers) {
        try hashTree(raw, node, isRoot: index == 0)
        continue
      }
      var again = raw
      var entries: [(Int, DirectoryEntry, [UInt8])] = []
      raw.withRawSpan { bytes in
        var at = 0
        while at < bytes.byteCount {
          let entry = DirectoryEntry(parsing: bytes, at: at, blockSize: blockSize)
          let name = bytes.extracting((at + 8)..<(at + 8 + Int(entry.nameLen))).withUnsafeBytes { Array($0) }
          entries.append((at, entry, name))
          at += entry.recLen
        }
      }
      for (at, entry, name) in entries {
        for place in at..<(at + 8 + name.count) { again[place] = 0xa5 }
        again.withMutableRawSpan { bytes in
          name.withRawSpan { entry.encode(into: &bytes, at: at, name: $0, blockSize: blockSize) }
        }
      }
      if volume.hasChecksums {
        let sum = again.withRawSpan { DirectoryTail.checksum(of: $0, seed: seed) }
        again.withMutableRawSpan { DirectoryTail.encode(into: &$0, checksum: sum) }
      }
      expect("directory block", again, raw, "\(index) of inode \(node.number)")
    }
  }

  private mutating func hashTree(_ raw: [UInt8], _ node: Node, isRoot: Bool) throws {
    var again = raw
    let offset = isRoot ? HashTreeNode.rootOffset : HashTreeNode.nodeOffset
    let tree = raw.withRawSpan { HashTreeNode(parsing: $0, at: offset) }
    for place in offset..<(offset + 8 * Int(tree.count)) { again[place] = 0xa5 }
    if isRoot {
      let info = raw.withRawSpan { HashTreeInfo(parsing: $0) }
      for place in HashTreeInfo.offset..<(HashTreeInfo.offset + HashTreeInfo.size) { again[place] = 0xa5 }
      again.withMutableRawSpan { info.encode(into: &$0) }
    }
    for entry in 0..<Int(tree.count) {
      let (hash, block) = raw.withRawSpan { (tree.hash(entry, in: $0), tree.block(entry, in: $0)) }
      again.withMutableRawSpan { tree.encode(entry: entry, hash: hash, block: block, into: &$0) }
    }
    again.withMutableRawSpan { tree.encode(into: &$0) }
    if volume.hasChecksums {
      let sum = again.withRawSpan { HashTreeTail.checksum(of: $0, tree, seed: volume.inodeSeed(node)) }
      again.withMutableRawSpan { $0.set(HashTreeTail.offset(tree), sum) }
    }
    expect(isRoot ? "htree root" : "htree node", again, raw, "of inode \(node.number)")
  }

  private mutating func xattrs(_ node: Node, _ inode: [UInt8]) throws {
    if let area = try inode.withRawSpan({ try volume.inodeXattrs($0, node.number) }) {
      try xattrs("inode xattr", inode, area, node, isBlock: false)
    }
    guard node.inode.fileAcl != 0 else { return }
    let raw = try bytes(node.inode.fileAcl)
    try xattrs("block xattr", raw, XattrArea(first: 32, base: 0, end: blockSize), node, isBlock: true)
    var again = raw
    for place in 0..<32 { again[place] = 0xa5 }
    var header = raw.withRawSpan { XattrBlockHeader(parsing: $0) }
    again.withMutableRawSpan { header.encode(into: &$0) }
    if volume.hasChecksums {
      header.checksum = again.withRawSpan {
        XattrBlockHeader.checksum(of: $0, number: node.inode.fileAcl, seed: volume.seed)
      }
    }
    var hash: UInt32? = 0
    raw.withRawSpan { bytes in
      XattrArea(first: 32, base: 0, end: blockSize).forEach(in: bytes) { entry, _ in
        hash = XattrBlockHeader.hash(hash, adding: entry.hash)
        return true
      }
    }
    header.hash = hash ?? 0
    again.withMutableRawSpan { header.encode(into: &$0) }
    expect("xattr block", again, raw, "of inode \(node.number)")
  }

  private mutating func xattrs(
    _ what: String, _ raw: [UInt8], _ area: XattrArea, _ node: Node, isBlock: Bool
  ) throws {
    var again = raw
    var at = area.first
    var entries: [(XattrEntry, UInt32)] = []
    try raw.withRawSpan { bytes in
      try area.forEach(in: bytes) { entry, name in
        var hash = XattrEntry.hash(name: name, value: bytes.extracting(area.value(of: entry)))
        if entry.valueInum != 0 {
          let owner = try volume.node(entry.valueInum)
          hash = XattrEntry.hash(name: name, valueHash: owner.inode.atime.low)
        }
        entries.append((entry, hash))
        return true
      }
    }
    for (entry, hash) in entries {
      for place in at..<(at + XattrEntry.headSize) { again[place] = 0xa5 }
      var entry = entry
      if entry.hash != 0 || isBlock { entry.hash = hash }
      again.withMutableRawSpan { entry.encode(into: &$0, at: at) }
      at += entry.size
    }
    expect(what, again, raw, "of inode \(node.number)")
  }
}
