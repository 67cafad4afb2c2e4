import Blocks
import Platform

/// An inode, and its number.
public struct Node: Equatable, Sendable {
  /// The number, from 1 on.
  public let number: UInt32
  /// What is on media.
  public var inode: Inode

  /// What checks of its blocks depend on.
  var owner: UInt64 { UInt64(number) << 32 | UInt64(inode.generation) }
}

extension Volume {
  /// An inode by its number. It may be one that is not in use.
  /// - Throws: EUCLEAN for a number that no inode has.
  public func node(_ number: UInt32) throws(Ext4Error) -> Node {
    try withInode(number) { (bytes) throws(Ext4Error) in Node(number: number, inode: Inode(parsing: bytes)) }
  }

  /// An inode that is in use: that a name, or a program, refers to.
  /// - Parameter generation: which file it was when the program learned the number; nil for any.
  /// - Throws: ESTALE when it is not that file any more.
  public func node(inUse number: UInt32, generation: UInt32? = nil) throws(Ext4Error) -> Node {
    guard number == Volume.root || number >= max(firstInode, Volume.root) else {
      throw .corrupted(.inode(number), "it is one of the file system's own, and a name refers to it")
    }
    let node = try node(number)
    guard generation == nil || node.inode.generation == generation else { throw .errno(.stale) }
    guard node.inode.linksCount > 0 else { throw .errno(.stale) }
    guard node.inode.kind != nil else { throw .corrupted(.inode(number), "its mode says no type") }
    guard node.inode.size <= UInt64(Int64.max) else { throw .corrupted(.inode(number), "its size is negative") }
    return node
  }

  /// What a node takes on the device in units of 512 bytes: st_blocks. A file's contents in its inode count as if they were
  /// outside, or programs would take the file for a hole.
  public func sectors(of node: Node) -> UInt64 {
    let inode = node.inode
    if inode.flags.contains(.hugeFile) { return inode.blocks * UInt64(geometry.blockSize / 512) }
    guard inode.flags.contains(.inlineData), inode.kind == .regular else { return inode.blocks }
    return inode.blocks + inode.size / 512 + (inode.size % 512 > 0 ? 1 : 0)
  }

  /// The first inode that is not reserved.
  var firstInode: UInt32 { superblock.revLevel == 0 ? 11 : superblock.firstIno }

  /// Calls `body` with an inode's bytes, checked.
  func withInode<Result>(
    _ number: UInt32, _ body: (RawSpan) throws(Ext4Error) -> Result
  ) throws(Ext4Error) -> Result {
    guard let place = geometry.place(ofInode: number) else {
      throw .corrupted(.inode(number), "the file system has \(geometry.inodesCount) inodes")
    }
    let descriptor = try descriptor(of: place.group)
    if hasGroupChecksums {
      let used = descriptor.flags.contains(.inodeUninit) ? 0 : geometry.inodesPerGroup - descriptor.itableUnused
      guard place.index < used else { throw .corrupted(.inode(number), "it lies where its group has never used one") }
    }
    let (perBlock, size) = (UInt32(geometry.blockSize / geometry.inodeSize), geometry.inodeSize)
    let number64 = descriptor.inodeTable + UInt64(place.index / perBlock)
    let table = try block(number64, .inodeTable, of: .inode(number)) { (_) throws(Ext4Error) in }
    let part = Int(place.index % perBlock)
    return try table.withBytes { (bytes) throws(Ext4Error) in
      let bytes = bytes.extracting((part * size)..<((part + 1) * size))
      if !table.buffer.isChecked(part: part) {
        try check(bytes, number)
        table.buffer.noteChecked(part: part)
      }
      return try body(bytes)
    }
  }

  private func check(_ bytes: RawSpan, _ number: UInt32) throws(Ext4Error) {
    let inode = Inode(parsing: bytes)
    if hasChecksums {
      let computed = Inode.checksum(of: bytes, seed: seed.inode(number, generation: inode.generation))
      guard computed == inode.checksum || bytes.isZero else { throw .badChecksum(.inode(number)) }
    }
    let extra = Int(inode.extraIsize)
    guard extra <= bytes.byteCount - Inode.oldSize, extra % 4 == 0 else {
      throw .corrupted(.inode(number), "its extra size, \(extra), cannot be")
    }
  }
}

extension RawSpan {
  /// Whether all bytes are zeros.
  var isZero: Bool {
    withUnsafeBytes { $0.allSatisfy { $0 == 0 } }
  }
}
