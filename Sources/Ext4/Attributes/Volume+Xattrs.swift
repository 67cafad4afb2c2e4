import Blocks
import Platform

// Xattrs, as processes see them.
extension Volume {
  /// Bytes of the longest value that processes can have.
  static let longestValue = 64 << 10

  /// The value of an xattr, in the form that getxattr(2) gives: ACLs are translated.
  /// - Parameter name: the whole name: "user.mime_type".
  /// - Returns: nil when there is none of that name.
  public func xattr(_ name: RawSpan, of node: Node) throws(Ext4Error) -> [UInt8]? {
    guard let (prefix, length) = XattrPrefix.of(name) else { return nil }
    let suffix = name.extracting(length...)
    guard let value = try value(of: node, prefix, suffix) else { return nil }
    guard prefix.isWholeName else { return value }
    guard let list = AccessControlList(parsing: value.span.bytes) else {
      throw .corrupted(.inode(node.number), "its ACL cannot be read")
    }
    return list.encodedProcessForm()
  }

  /// The whole names of all xattrs that processes see.
  public func xattrNames(of node: Node) throws(Ext4Error) -> [[UInt8]] {
    var names: [[UInt8]] = []
    try forEachXattr(of: node) { (_, entry, name) throws(Ext4Error) in
      guard let prefix = XattrPrefix(rawValue: entry.nameIndex), prefix.isSeen else { return true }
      names.append(Array(prefix.text.utf8) + name.withUnsafeBytes { Array($0) })
      return true
    }
    return names
  }

  private func value(of node: Node, _ prefix: XattrPrefix, _ suffix: RawSpan) throws(Ext4Error) -> [UInt8]? {
    var found: [UInt8]?
    var outside: XattrEntry?
    try forEachXattr(of: node) { (value, entry, name) throws(Ext4Error) in
      guard entry.nameIndex == prefix.rawValue, name.isEqual(to: suffix) else { return true }
      if entry.valueInum != 0 { outside = entry } else { found = value.withUnsafeBytes { Array($0) } }
      return false
    }
    return if let outside { try valueOutside(outside, of: node) } else { found }
  }

  /// The value that has an inode of its own.
  private func valueOutside(_ entry: XattrEntry, of node: Node) throws(Ext4Error) -> [UInt8] {
    let owner = try self.node(entry.valueInum)
    let structure = Structure.xattrInode(entry.valueInum)
    guard owner.inode.flags.contains(.eaInode), owner.inode.kind == .regular, owner.number != node.number else {
      throw .corrupted(structure, "inode \(node.number) refers to it, and it holds no xattr value")
    }
    guard owner.inode.size == UInt64(entry.valueSize) else {
      throw .corrupted(structure, "it has \(owner.inode.size) bytes, and inode \(node.number) wants \(entry.valueSize)")
    }
    guard entry.valueSize <= Volume.longestValue else { throw .errno(.argumentsTooLong) }
    var failure: Ext4Error?
    let value = [UInt8](unsafeUninitializedCapacity: Int(entry.valueSize)) { buffer, count in
      do throws(Ext4Error) { count = try read(owner, at: 0, into: UnsafeMutableRawBufferPointer(buffer)) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    // Where a hash should be, Lustre's older format names the inode that has the value.
    let isOld = owner.inode.mtime.low == node.number && owner.inode.generation == node.inode.generation
    guard isOld || crc32c(seed.value, value.span.bytes) == owner.inode.atime.low else { throw .badChecksum(structure) }
    return value
  }

  /// Calls `body` with the values, entries and names (without prefixes) of all xattrs, until it returns false. The value of
  /// an entry that has an inode for it is empty.
  private func forEachXattr(
    of node: Node, _ body: (RawSpan, XattrEntry, RawSpan) throws(Ext4Error) -> Bool
  ) throws(Ext4Error) {
    var goesOn = true
    try withInode(node.number) { (bytes) throws(Ext4Error) in
      guard let area = try inodeXattrs(bytes, node.number) else { return }
      try area.forEach(in: bytes) { (entry, name) throws(Ext4Error) in
        goesOn = try body(bytes.extracting(area.value(of: entry)), entry, name)
        return goesOn
      }
    }
    guard goesOn, node.inode.fileAcl != 0 else { return }
    let (number, area) = (node.inode.fileAcl, xattrBlockArea)
    let block = try block(number, .xattrs, of: .xattrBlock(inode: node.number, number)) {
      (bytes) throws(Ext4Error) in try checkXattrBlock(bytes, node, number)
    }
    try block.withBytes { (bytes) throws(Ext4Error) in
      try area.forEach(in: bytes) { (entry, name) throws(Ext4Error) in
        try body(bytes.extracting(area.value(of: entry)), entry, name)
      }
    }
  }

  private var xattrBlockArea: XattrArea { XattrArea(first: XattrBlockHeader.size, base: 0, end: geometry.blockSize) }

  private func checkXattrBlock(_ bytes: RawSpan, _ node: Node, _ number: UInt64) throws(Ext4Error) {
    let structure = Structure.xattrBlock(inode: node.number, number)
    let header = XattrBlockHeader(parsing: bytes)
    guard header.magic == XattrInodeHeader.magic, header.blocks == 1 else {
      throw .corrupted(structure, "its magic is wrong")
    }
    if hasChecksums {
      let computed = XattrBlockHeader.checksum(of: bytes, number: number, seed: seed)
      guard computed == header.checksum else { throw .badChecksum(structure) }
    }
    if let problem = xattrBlockArea.problem(in: bytes) { throw .corrupted(structure, problem) }
  }

  /// Where xattrs lie in an inode's bytes, checked; nil when there are none.
  func inodeXattrs(_ bytes: RawSpan, _ number: UInt32) throws(Ext4Error) -> XattrArea? {
    guard bytes.byteCount > Inode.oldSize else { return nil }
    let start = Inode.oldSize + Int(bytes.u16(0x80))
    guard start + XattrInodeHeader.size <= bytes.byteCount, bytes.u32(start) == XattrInodeHeader.magic else {
      return nil
    }
    let first = start + XattrInodeHeader.size
    let area = XattrArea(first: first, base: first, end: bytes.byteCount)
    if let problem = area.problem(in: bytes) { throw .corrupted(.inodeXattrs(number), problem) }
    return area
  }
}

extension XattrPrefix {
  /// Those whose xattrs processes see, as on the kernel's ext4.
  var isSeen: Bool {
    switch self {
    case .user, .trusted, .security, .posixACLAccess, .posixACLDefault: true
    case .none, .system, .richACL, .encryption, .hurd: false
    }
  }

  /// The prefix of a whole name that a process gave, and its length.
  static func of(_ name: RawSpan) -> (XattrPrefix, length: Int)? {
    for prefix in allCases where prefix.isSeen {
      let text = Array(prefix.text.utf8)
      guard prefix.isWholeName ? name.byteCount == text.count : name.byteCount > text.count else { continue }
      if name.extracting(0..<text.count).isEqual(to: text.span.bytes) { return (prefix, text.count) }
    }
    return nil
  }
}
