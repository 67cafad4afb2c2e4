import Blocks
import Platform

/// A place in a directory's htree: the way from the root to a leaf.
struct HashTreePlace {
  /// Nodes between root and leaves.
  let levels: Int
  private(set) var nodes = InlineArray<4, UInt64>(repeating: 0)
  private(set) var indexes = InlineArray<4, Int>(repeating: 0)
  private(set) var counts = InlineArray<4, Int>(repeating: 0)
  /// The leaf's block within the directory.
  fileprivate(set) var leaf: UInt64 = 0

  fileprivate init(levels: Int) { self.levels = levels }

  fileprivate mutating func set(_ level: Int, node: UInt64, index: Int, count: Int) {
    (nodes[level], indexes[level], counts[level]) = (node, index, count)
  }
}

// Htrees: leaves of entries in the order of their names' hashes.
extension Volume {
  /// What an htree's root says.
  struct HashTree {
    let hasher: NameHasher
    let levels: Int
  }

  /// The most levels of nodes below the root.
  private var mostLevels: Int { superblock.featureIncompat.contains(.largedir) ? 2 : 1 }

  /// A hasher of names as a version number on media says; nil where the version is not known.
  func hasher(_ version: UInt8) -> NameHasher? {
    // From 3 on it is the version of unsigned chars, which should never be on media.
    let isSigned = version < 3 && superblock.flags & 2 == 0
    return HashVersion(rawValue: version < 3 ? version : version - 3).map {
      NameHasher($0, isSigned: isSigned, seed: superblock.hashSeed)
    }
  }

  /// The htree of a directory; nil when it has none, or one of a hash that is not known: then it is read block by block.
  func hashTree(of node: Node) throws(Ext4Error) -> HashTree? {
    guard superblock.featureCompat.contains(.dirIndex), node.inode.flags.contains(.index) else { return nil }
    let info = try hashTreeBlock(0, level: 0, of: node).withBytes { HashTreeInfo(parsing: $0) }
    guard let hasher = hasher(info.hashVersion), info.unusedFlags & 1 == 0 else { return nil }
    guard Int(info.indirectLevels) <= mostLevels, info.infoLength == 8 else {
      throw .corrupted(.hashTreeBlock(inode: node.number, 0), "it says that it has \(info.indirectLevels) levels")
    }
    return HashTree(hasher: hasher, levels: Int(info.indirectLevels))
  }

  /// The root (level 0) or a node of a directory's htree, checked.
  private func hashTreeBlock(_ index: UInt64, level: Int, of node: Node) throws(Ext4Error) -> PinnedBuffer {
    let structure = Structure.hashTreeBlock(inode: node.number, index)
    guard index < blockCount(of: node), case .blocks(let number) = try run(of: node, at: index).place else {
      throw .corrupted(structure, "it is outside of the directory")
    }
    return try block(number, .hashTree, owner: node.owner, level: level, of: structure) { (bytes) throws(Ext4Error) in
      let isRoot = level == 0
      if hasChecksums { try checkHashTreeSum(bytes, isRoot: isRoot, node, structure) }
      let entries = HashTreeNode(parsing: bytes, at: isRoot ? HashTreeNode.rootOffset : HashTreeNode.nodeOffset)
      let limit = HashTreeNode.limit(blockSize: geometry.blockSize, offset: entries.offset, hasChecksum: hasChecksums)
      guard entries.limit == limit, entries.count > 0, entries.count <= limit else {
        throw .corrupted(structure, "it has \(entries.count) entries, and room for \(entries.limit)")
      }
      for place in 1..<max(1, Int(entries.count)) {
        guard entries.hash(place, in: bytes) >= entries.hash(place - 1, in: bytes) else {
          throw .corrupted(structure, "its entries are not in order")
        }
      }
    }
  }

  func checkHashTreeSum(
    _ bytes: RawSpan, isRoot: Bool, _ node: Node, _ structure: Structure
  ) throws(Ext4Error) {
    let entries = HashTreeNode(parsing: bytes, at: isRoot ? HashTreeNode.rootOffset : HashTreeNode.nodeOffset)
    let limit = HashTreeNode.limit(blockSize: geometry.blockSize, offset: entries.offset, hasChecksum: true)
    guard entries.limit == limit, entries.count <= limit else {
      throw .corrupted(structure, "it has \(entries.count) entries, and room for \(entries.limit)")
    }
    let computed = HashTreeTail.checksum(of: bytes, entries, seed: inodeSeed(node))
    guard computed == bytes.u32(HashTreeTail.offset(entries)) else { throw .badChecksum(structure) }
  }

  /// The first leaf in which a hash can be.
  func place(of hash: UInt32, in tree: HashTree, of node: Node) throws(Ext4Error) -> HashTreePlace {
    var place = HashTreePlace(levels: tree.levels)
    var index: UInt64 = 0
    for level in 0...tree.levels {
      index = try descend(to: index, level: level, &place, of: node) { entries, bytes in
        // The last entry whose hash is at most the one looked for. Where names of one hash fill several leaves, the later
        // ones have it with bit 0 set, which is greater.
        var (low, high) = (1, Int(entries.count))
        while low < high {
          let middle = (low + high) / 2
          if entries.hash(middle, in: bytes) <= hash { low = middle + 1 } else { high = middle }
        }
        return low - 1
      }
    }
    place.leaf = index
    return place
  }

  /// Chooses an entry of a node.
  /// - Returns: the block that the entry stands for.
  private func descend(
    to index: UInt64, level: Int, _ place: inout HashTreePlace, of node: Node,
    choosing: (HashTreeNode, RawSpan) -> Int
  ) throws(Ext4Error) -> UInt64 {
    let block = try hashTreeBlock(index, level: level, of: node)
    let (chosen, count, child) = block.withBytes { bytes in
      let offset = level == 0 ? HashTreeNode.rootOffset : HashTreeNode.nodeOffset
      let entries = HashTreeNode(parsing: bytes, at: offset)
      let chosen = choosing(entries, bytes)
      return (chosen, Int(entries.count), UInt64(entries.block(chosen, in: bytes)))
    }
    place.set(level, node: index, index: chosen, count: count)
    guard child > 0, child < blockCount(of: node) else {
      throw .corrupted(
        .hashTreeBlock(inode: node.number, index), "it refers to block \(child), outside of the directory")
    }
    return child
  }

  /// Moves to the next leaf.
  /// - Returns: the hash from which it counts, with bit 0 set when names of that hash lie in the leaf before, too; nil when
  ///   there is no other leaf.
  func advance(_ place: inout HashTreePlace, of node: Node) throws(Ext4Error) -> UInt32? {
    var level = place.levels
    while place.indexes[level] + 1 >= place.counts[level] {
      if level == 0 { return nil }
      level -= 1
    }
    let next = place.indexes[level] + 1
    var hash: UInt32 = 0
    var index = try descend(to: place.nodes[level], level: level, &place, of: node) { entries, bytes in
      hash = entries.hash(next, in: bytes)
      return next
    }
    while level < place.levels {
      level += 1
      index = try descend(to: index, level: level, &place, of: node) { _, _ in 0 }
    }
    place.leaf = index
    return hash
  }
}
