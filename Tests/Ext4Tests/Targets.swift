import Blocks
import Ext4TestSupport
import Platform

@testable import Ext4

/// A structure in an image: where it is, and how its checksum is made right after its bytes were changed.
struct Target {
  let structure: Structure
  let offset: UInt64
  let count: Int
  /// Where bytes matter most: those that are in use.
  let used: Int
  let seal: (inout MutableRawSpan) -> Void

  /// All structures of an image, and the names of their kinds.
  static func all(in volume: Volume) throws -> [Target] {
    var targets = [superblock(volume)]
    for group in 0..<volume.geometry.groupCount { targets.append(descriptor(group, volume)) }
    for number in 1...volume.geometry.inodesCount {
      guard let node = try? volume.node(number), node.inode.linksCount > 0 else { continue }
      targets.append(try inode(node, volume))
      if node.inode.fileAcl != 0 { targets.append(xattrs(node, volume)) }
      if node.inode.flags.contains(.inlineData) { continue }
      if node.inode.flags.contains(.extents) { targets += try extents(node, volume) }
      if node.inode.kind == .directory { targets += try directory(node, volume) }
      if !node.inode.flags.contains(.extents) { targets += indirect(node, volume) }
    }
    return targets
  }

  private static func superblock(_ volume: Volume) -> Target {
    Target(structure: .superblock, offset: 1024, count: 1024, used: 0x280) { bytes in
      if volume.hasChecksums { bytes.set(0x3fc, Superblock.checksum(of: bytes.bytes)) }
    }
  }

  private static func descriptor(_ group: UInt32, _ volume: Volume) -> Target {
    let (geometry, superblock, seed) = (volume.geometry, volume.superblock, volume.seed)
    let block = geometry.descriptorBlock(group / geometry.descriptorsPerBlock)
    let place = UInt64(group % geometry.descriptorsPerBlock) * UInt64(geometry.descriptorSize)
    return Target(
      structure: .groupDescriptor(group), offset: block * UInt64(geometry.blockSize) + place,
      count: geometry.descriptorSize, used: geometry.descriptorSize
    ) { bytes in
      let sum = GroupDescriptor.checksum(
        of: bytes.bytes, group: group, seed: seed, uuid: superblock.uuid, features: superblock.featureRoCompat)
      if let sum { bytes.set(0x1e, sum) }
    }
  }

  private static func inode(_ node: Node, _ volume: Volume) throws -> Target {
    let geometry = volume.geometry
    guard let place = geometry.place(ofInode: node.number) else { throw SentenceError("no place") }
    let table = try volume.descriptor(of: place.group).inodeTable * UInt64(geometry.blockSize)
    return Target(
      structure: .inode(node.number), offset: table + UInt64(place.index) * UInt64(geometry.inodeSize),
      count: geometry.inodeSize, used: geometry.inodeSize
    ) { bytes in
      guard volume.hasChecksums else { return }
      let generation = bytes.bytes.u32(0x64)
      let sum = Inode.checksum(of: bytes.bytes, seed: volume.seed.inode(node.number, generation: generation))
      bytes.set(0x7c, UInt16(truncatingIfNeeded: sum))
      if bytes.byteCount > 128, bytes.bytes.u16(0x80) >= 4 { bytes.set(0x82, UInt16(truncatingIfNeeded: sum >> 16)) }
    }
  }

  private static func block(
    _ structure: Structure, _ number: UInt64, _ volume: Volume, used: Int? = nil,
    seal: @escaping (inout MutableRawSpan) -> Void
  ) -> Target {
    let size = volume.geometry.blockSize
    return Target(structure: structure, offset: number * UInt64(size), count: size, used: used ?? size) { bytes in
      if volume.hasChecksums { seal(&bytes) }
    }
  }

  private static func xattrs(_ node: Node, _ volume: Volume) -> Target {
    let number = node.inode.fileAcl
    return block(.xattrBlock(inode: node.number, number), number, volume) { bytes in
      bytes.set(0x10, XattrBlockHeader.checksum(of: bytes.bytes, number: number, seed: volume.seed))
    }
  }

  private static func extents(_ node: Node, _ volume: Volume) throws -> [Target] {
    var targets: [Target] = []
    var blocks = node.inode.block.withBytes { bytes in children(bytes) }
    while let number = blocks.popLast() {
      let block = try volume.cache.block(number, for: BlockUse(kind: 999), failed: Ext4Error.device) {
        (_) throws(Ext4Error) in
      }
      blocks += block.withBytes { children($0) }
      targets.append(
        self.block(.extentBlock(inode: node.number, number), number, volume, used: 200) { bytes in
          let max = min(bytes.bytes.u16(4), UInt16(ExtentHeader.capacity(of: bytes.byteCount)))
          let sum = ExtentTail.checksum(of: bytes.bytes, max: max, seed: volume.inodeSeed(node))
          bytes.set(ExtentTail.offset(max: max), sum)
        })
    }
    return targets
  }

  private static func children(_ bytes: RawSpan) -> [UInt64] {
    let header = ExtentHeader(parsing: bytes)
    return header.depth == 0 ? [] : (0..<Int(header.entries)).map { ExtentIndex(parsing: bytes, $0).leaf }
  }

  private static func directory(_ node: Node, _ volume: Volume) throws -> [Target] {
    var targets: [Target] = []
    let isIndexed = node.inode.flags.contains(.index)
    for index in 0..<volume.blockCount(of: node) {
      guard case .blocks(let number) = try volume.run(of: node, at: index).place else { continue }
      let raw = try volume.entryBlock(index, of: node)
      let covers = raw?.withBytes { $0.u32(0) == 0 && Int($0.u16(4)) == volume.geometry.blockSize } ?? false
      let (isRoot, seed) = (index == 0, volume.inodeSeed(node))
      if isIndexed && (isRoot || covers) {
        let structure = Structure.hashTreeBlock(inode: node.number, index)
        targets.append(
          block(structure, number, volume, used: 100) { bytes in
            let offset = isRoot ? HashTreeNode.rootOffset : HashTreeNode.nodeOffset
            let tree = HashTreeNode(parsing: bytes.bytes, at: offset)
            let limit = HashTreeNode.limit(blockSize: bytes.byteCount, offset: offset, hasChecksum: true)
            guard tree.limit == limit, tree.count <= limit else { return }
            let sum = HashTreeTail.checksum(of: bytes.bytes, tree, seed: seed)
            bytes.set(HashTreeTail.offset(tree), sum)
          })
      } else {
        targets.append(
          block(.directoryBlock(inode: node.number, index), number, volume, used: 200) { bytes in
            let sum = DirectoryTail.checksum(of: bytes.bytes, seed: seed)
            bytes.set(bytes.byteCount - 4, sum)
          })
      }
    }
    return targets
  }

  private static func indirect(_ node: Node, _ volume: Volume) -> [Target] {
    (12..<15).map { UInt64(node.inode.block.words[$0]) }.filter { $0 != 0 && $0 < volume.geometry.blocksCount }.map {
      block(.indirectBlock(inode: node.number, $0), $0, volume, used: 64) { _ in }
    }
  }
}
