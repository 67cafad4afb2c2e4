import Blocks
import Platform

// Extent trees: from block numbers of a file to those of the device.
extension Volume {
  /// What a node of a tree tells about a block.
  private enum Step {
    case run(FileRun)
    /// Its child in this block tells, which maps blocks before this one.
    case child(UInt64, end: UInt64)
  }

  /// The extent or hole that holds a block, from there on.
  func extentRun(of node: Node, at block: UInt32) throws(Ext4Error) -> FileRun {
    let root = Structure.extents(inode: node.number)
    var (depth, step) = try node.inode.block.withBytes { (bytes) throws(Ext4Error) in
      let header = ExtentHeader(parsing: bytes)
      guard header.depth <= ExtentHeader.deepest else { throw .corrupted(root, "it is \(header.depth) levels deep") }
      try checkExtents(bytes, header, root)
      return (header.depth, self.step(bytes, header, to: block, end: Volume.mostBlocks))
    }
    while true {
      guard case .child(let number, let end) = step else { break }
      depth -= 1  // a node with children is not at depth 0
      let (expected, structure) = (depth, Structure.extentBlock(inode: node.number, number))
      let child = try self.block(number, .extents, owner: node.owner, level: Int(expected), of: structure) {
        (bytes) throws(Ext4Error) in
        try checkExtentBlock(bytes, of: node, depth: expected, structure)
      }
      step = child.withBytes { self.step($0, ExtentHeader(parsing: $0), to: block, end: end) }
    }
    guard case .run(let run) = step else { preconditionFailure("a walk down an extent tree ends with a run") }
    return run
  }

  /// Finds the entry for a block in a node that was checked.
  /// - Parameter end: the key of the node behind it, greater than the block.
  private func step(_ bytes: RawSpan, _ header: ExtentHeader, to block: UInt32, end: UInt64) -> Step {
    // The last entry whose key is at most the block.
    var (low, high) = (0, Int(header.entries))
    while low < high {
      let middle = (low + high) / 2
      if bytes.u32(ExtentHeader.size * (middle + 1)) <= block { low = middle + 1 } else { high = middle }
    }
    let next = low < Int(header.entries) ? min(end, UInt64(bytes.u32(ExtentHeader.size * (low + 1)))) : end
    let hole = FileRun(start: UInt64(block), count: next - UInt64(block), .hole)
    guard low > 0 else { return .run(hole) }
    if header.depth > 0 { return .child(ExtentIndex(parsing: bytes, low - 1).leaf, end: next) }
    let extent = Extent(parsing: bytes, low - 1)
    guard UInt64(block) < extent.end else { return .run(hole) }
    let whole = FileRun(
      start: UInt64(extent.block), count: min(extent.end, next) - UInt64(extent.block),
      extent.isUnwritten ? .unwritten(extent.start) : .blocks(extent.start))
    return .run(whole.from(UInt64(block)))
  }

  private func checkExtentBlock(
    _ bytes: RawSpan, of node: Node, depth: UInt16, _ structure: Structure
  ) throws(Ext4Error) {
    let header = ExtentHeader(parsing: bytes)
    guard header.magic == ExtentHeader.magic else { throw .corrupted(structure, "its magic is wrong") }
    guard Int(header.max) <= ExtentHeader.capacity(of: bytes.byteCount) else {
      throw .corrupted(structure, "it says that it has room for \(header.max) entries")
    }
    if hasChecksums {
      let computed = ExtentTail.checksum(of: bytes, max: header.max, seed: inodeSeed(node))
      guard computed == bytes.u32(ExtentTail.offset(max: header.max)) else { throw .badChecksum(structure) }
    }
    guard header.depth == depth else {
      throw .corrupted(structure, "its depth is \(header.depth) in place of \(depth)")
    }
    try checkExtents(bytes, header, structure)
  }

  /// Whether a node's entries are in order and do not overlap.
  private func checkExtents(_ bytes: RawSpan, _ header: ExtentHeader, _ structure: Structure) throws(Ext4Error) {
    guard header.magic == ExtentHeader.magic else { throw .corrupted(structure, "its magic is wrong") }
    guard Int(header.max) <= ExtentHeader.capacity(of: bytes.byteCount), header.entries <= header.max else {
      throw .corrupted(structure, "it has \(header.entries) entries, and room for \(header.max)")
    }
    guard header.depth == 0 || header.entries > 0 else { throw .corrupted(structure, "it has no entries") }
    var least: UInt64 = 0
    for place in 0..<Int(header.entries) {
      let key = bytes.u32(ExtentHeader.size * (place + 1))
      guard UInt64(key) >= least else { throw .corrupted(structure, "its entries overlap, or are not in order") }
      least = UInt64(key) + 1
      guard header.depth == 0 else { continue }
      let extent = Extent(parsing: bytes, place)
      guard extent.length > 0, extent.end <= Volume.mostBlocks else {
        throw .corrupted(structure, "an extent of it has \(extent.length) blocks from block \(extent.block) on")
      }
      least = extent.end
    }
  }

  /// What checksums of an inode's blocks start with.
  func inodeSeed(_ node: Node) -> UInt32 { seed.inode(node.number, generation: node.inode.generation) }
}
