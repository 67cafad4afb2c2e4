import Blocks
import Glibc
import Platform

extension Volume {
  /// The inode that a name in a directory stands for.
  /// - Returns: nil when there is no such name.
  public func lookup(_ name: RawSpan, in directory: Node) throws(Ext4Error) -> UInt32? {
    try checkDirectory(directory)
    guard name.byteCount <= DirectoryEntry.longestName else { throw .errno(.nameTooLong) }
    let found = try find(name, in: directory)
    guard found == nil || found.map({ geometry.place(ofInode: $0) != nil }) == true else {
      throw .corrupted(.directory(directory.number), "a name of it stands for inode \(found ?? 0)")
    }
    return found
  }

  private func find(_ name: RawSpan, in directory: Node) throws(Ext4Error) -> UInt32? {
    if directory.inode.flags.contains(.inlineData) {
      var found: UInt32?
      try forEachInlineArea(of: directory) { (_, bytes) throws(Ext4Error) in
        found = search(bytes, for: name)
        return found == nil
      }
      return found
    }
    // "." and ".." are in the root's block, and in no leaf.
    if !name.isDotOrDots, let tree = try hashTree(of: directory) { return try find(name, in: tree, of: directory) }
    var found: UInt32?
    try forEachEntryBlock(of: directory) { (_, bytes) throws(Ext4Error) in
      found = search(bytes, for: name)
      return found == nil
    }
    return found
  }

  private func find(_ name: RawSpan, in tree: HashTree, of directory: Node) throws(Ext4Error) -> UInt32? {
    let hash = tree.hasher(name).major
    var place = try place(of: hash, in: tree, of: directory)
    for _ in 0..<blockCount(of: directory) {
      let leaf = try self.leaf(place, of: directory)
      if let found = leaf.withBytes({ search($0, for: name) }) { return found }
      guard let next = try advance(&place, of: directory), next == hash | 1 else { return nil }
    }
    throw .corrupted(.directory(directory.number), "its htree has more leaves than it has blocks")
  }

  /// The leaf at a place of an htree.
  func leaf(_ place: HashTreePlace, of directory: Node) throws(Ext4Error) -> PinnedBuffer {
    guard let leaf = try entryBlock(place.leaf, of: directory) else {
      throw .corrupted(.directoryBlock(inode: directory.number, place.leaf), "it is a hole, and the htree refers to it")
    }
    return leaf
  }

  /// Calls `body` with each block of entries of a directory and its number, until it returns false. Holes are left out.
  func forEachEntryBlock(
    of directory: Node, from first: UInt64 = 0, _ body: (UInt64, RawSpan) throws(Ext4Error) -> Bool
  ) throws(Ext4Error) {
    var index = first
    while index < blockCount(of: directory) {
      if let block = try entryBlock(index, of: directory) {
        guard try block.withBytes({ (bytes) throws(Ext4Error) in try body(index, bytes) }) else { return }
        index += 1
      } else {
        index = try run(of: directory, at: index).end
      }
    }
  }

  /// The inode of the entry with a name, in an area that was checked.
  private func search(_ bytes: RawSpan, for name: RawSpan) -> UInt32? {
    let (end, length) = (bytes.byteCount, UInt8(truncatingIfNeeded: name.byteCount))
    return bytes.withUnsafeBytes { area in
      name.withUnsafeBytes { name in
        guard let start = area.baseAddress, let wanted = name.baseAddress else { return nil }
        var at = 0
        while at < end {
          let entry = start + at
          if entry.load(fromByteOffset: 6, as: UInt8.self) == length {
            let inode = UInt32(littleEndian: entry.loadUnaligned(as: UInt32.self))
            if inode != 0, memcmp(entry + DirectoryEntry.headSize, wanted, name.count) == 0 { return inode }
          }
          let stored = UInt16(littleEndian: entry.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
          at += DirectoryEntry.recLen(stored: stored, blockSize: geometry.blockSize)
        }
        return nil
      }
    }
  }
}
