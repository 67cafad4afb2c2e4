import Blocks
import Platform

// Blocks of directories: each is checked once, and its entries can then be gone through without looking at lengths.
extension Volume {
  /// Whether a node is a directory whose names can be told, and not larger than can be.
  func checkDirectory(_ node: Node) throws(Ext4Error) {
    guard node.inode.kind == .directory else { throw .errno(.notDirectory) }
    try checkReadable(node)
    if node.inode.flags.contains(.inlineData) { return }
    // No two blocks of a directory are one block of the device, so a larger one is damaged. This bounds all walks.
    let size = UInt64(geometry.blockSize)
    guard node.inode.size % size == 0, node.inode.size / size <= geometry.blocksCount else {
      throw .corrupted(.directory(node.number), "its size is \(node.inode.size)")
    }
  }

  /// Blocks of a directory.
  func blockCount(of node: Node) -> UInt64 { node.inode.size / UInt64(geometry.blockSize) }

  /// A block of a directory that holds entries.
  /// - Returns: nil for a hole, which a directory should not have.
  func entryBlock(_ index: UInt64, of node: Node) throws(Ext4Error) -> PinnedBuffer? {
    let run = try run(of: node, at: index)
    guard case .blocks(let number) = run.place else { return nil }
    let structure = Structure.directoryBlock(inode: node.number, index)
    let isIndexed = node.inode.flags.contains(.index)
    let level = isIndexed ? (index == 0 ? 2 : 1) : 0
    return try block(number, .directory, owner: node.owner, level: level, of: structure) { (bytes) throws(Ext4Error) in
      if hasChecksums {
        // Roots and nodes of an htree, which look like a block without entries, have another tail.
        let covers = bytes.u32(0) == 0 && Int(bytes.u16(4)) == geometry.blockSize & 0xffff
        if isIndexed && (index == 0 || covers) {
          try checkHashTreeSum(bytes, isRoot: index == 0, node, structure)
        } else {
          guard DirectoryTail.isPresent(in: bytes),
            DirectoryTail.checksum(in: bytes) == DirectoryTail.checksum(of: bytes, seed: inodeSeed(node))
          else { throw .badChecksum(structure) }
        }
      }
      try checkEntries(bytes, structure)
    }
  }

  /// Whether the entries of an area cover it without a gap.
  func checkEntries(_ bytes: RawSpan, _ structure: Structure) throws(Ext4Error) {
    var at = 0
    while at < bytes.byteCount {
      guard bytes.byteCount - at >= DirectoryEntry.headSize else {
        throw .corrupted(structure, "its last entry is too short")
      }
      let entry = DirectoryEntry(parsing: bytes, at: at, blockSize: geometry.blockSize)
      if let problem = entry.problem(at: at, end: bytes.byteCount) { throw .corrupted(structure, problem) }
      at += entry.recLen
    }
  }

  /// Calls `body` with the place, entry and name of each entry in use in an area that was checked, until it returns false.
  func forEachEntry<Failure: Error>(
    in bytes: RawSpan, _ body: (Int, DirectoryEntry, RawSpan) throws(Failure) -> Bool
  ) throws(Failure) {
    var at = 0
    while at < bytes.byteCount {
      let entry = DirectoryEntry(parsing: bytes, at: at, blockSize: geometry.blockSize)
      if entry.inode != 0 {
        let name = at + DirectoryEntry.headSize
        guard try body(at, entry, bytes.extracting(name..<(name + Int(entry.nameLen)))) else { return }
      }
      at += entry.recLen
    }
  }

  /// Calls `body` with the areas of entries in the inode of a small directory: behind the parent's number, and in the xattr
  /// system.data.
  func forEachInlineArea(
    of node: Node, _ body: (_ start: Int, RawSpan) throws(Ext4Error) -> Bool
  ) throws(Ext4Error) {
    try withInlineData(of: node) { (head, rest) throws(Ext4Error) in
      let head = head.extracting(4...)
      for (start, area) in [4, InodeBlock.size].enumerated() {
        let bytes = start == 0 ? head : rest
        try checkEntries(bytes, .inlineData(node.number))
        guard try body(area, bytes) else { return }
      }
    }
  }

  /// The directory that holds a directory.
  public func parent(of node: Node) throws(Ext4Error) -> UInt32 {
    try checkDirectory(node)
    let parent: UInt32
    if node.inode.flags.contains(.inlineData) {
      parent = node.inode.block.words[0]
    } else {
      guard let block = try entryBlock(0, of: node) else {
        throw .corrupted(.directory(node.number), "its first block is a hole")
      }
      parent = try block.withBytes { (bytes) throws(Ext4Error) in
        let (dot, dots) = (bytes.isEntry(".", at: 0), bytes.isEntry("..", at: 12))
        guard dot, dots, DirectoryEntry(parsing: bytes, at: 0, blockSize: geometry.blockSize).recLen == 12 else {
          throw .corrupted(.directoryBlock(inode: node.number, 0), "it does not begin with . and ..")
        }
        return bytes.u32(12)
      }
    }
    guard geometry.place(ofInode: parent) != nil else {
      throw .corrupted(.directory(node.number), "its parent would be inode \(parent)")
    }
    return parent
  }
}

extension RawSpan {
  /// Whether the entry at `offset` has this name.
  fileprivate func isEntry(_ name: StaticString, at offset: Int) -> Bool {
    u8(offset + 6) == UInt8(name.utf8CodeUnitCount)
      && extracting((offset + 8)..<(offset + 8 + name.utf8CodeUnitCount)).isEqual(to: name)
  }

  /// Whether this is "." or "..".
  var isDotOrDots: Bool { (byteCount == 1 || byteCount == 2) && u8(0) == 0x2e && u8(byteCount - 1) == 0x2e }
}
