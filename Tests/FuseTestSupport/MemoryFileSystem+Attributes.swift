import Fuse
import Glibc
import Platform

// Attributes, xattrs, flags, and ioctls of its own.
extension MemoryFileSystem {
  package func setattr(
    _ id: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes {
    try tree.withLock { (tree) throws(Errno) in
      let node = try tree.node(id)
      try checkMutable(node, changes)
      node.changed()
      if let size = changes.size { try resize(node, to: size, changes, &tree) }
      if changes.userID != nil || changes.groupID != nil {
        node.clearSetID()
        node.attributes.userID = changes.userID ?? node.attributes.userID
        node.attributes.groupID = changes.groupID ?? node.attributes.groupID
      }
      if let mode = changes.mode { changeMode(of: node, to: mode) }
      if let time = changes.accessTime { node.attributes.accessTime = time.timestamp }
      if let time = changes.modificationTime { node.attributes.modificationTime = time.timestamp }
      if let time = changes.changeTime { node.attributes.changeTime = time }
      return CachedAttributes(node.allAttributes, lifetime: 0)
    }
  }

  /// What is append-only can be touched. The times that the kernel kept while the node was not immutable yet are taken.
  private func checkMutable(_ node: MemoryNode, _ changes: AttributeChanges) throws(Errno) {
    let isOfTimes = changes.size == nil && changes.mode == nil && changes.userID == nil && changes.groupID == nil
    // With write-back the kernel says when "now" is. What it kept are never times of access.
    if isOfTimes && changes.changeTime != nil && changes.accessTime == nil { return }
    let now = changes.changeTime.map { TimeChange.at($0) } ?? .now
    let isTouch = { (time: TimeChange?) in time == nil || time == .now || time == now }
    let mayTouch = isOfTimes && isTouch(changes.accessTime) && isTouch(changes.modificationTime)
    try node.checkMutable(mayTouch ? [] : .appendOnly)
  }

  private func resize(
    _ node: MemoryNode, to size: UInt64, _ changes: AttributeChanges, _ tree: inout MemoryTree
  ) throws(Errno) {
    guard node.attributes.isRegular else { throw .invalidArgument }
    tree.change(node) { $0.resize(to: size) }
    node.modified()
    if changes.killsSetID { node.clearSetID() } else { node.clearCapabilities() }
  }

  private func changeMode(of node: MemoryNode, to mode: UInt32) {
    node.attributes.mode = node.attributes.mode & S_IFMT | mode & 0o7777
    guard var acl = node.acl(MemoryNode.accessACL) else { return }
    acl.follow(mode: mode)
    node.setXattr(MemoryNode.accessACL, acl.encoded)
  }

  // MARK: xattrs

  package func getxattr(
    _ id: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    let name = name.bytes
    try checkNamespace(name)
    let value = try tree.withLock { (tree) throws(Errno) in try tree.node(id).xattr(name) }
    guard let value else { throw .noData }
    if value.count <= buffer.count { buffer.copyBytes(from: value) }
    return value.count
  }

  /// Those of `trusted.` are told to root only.
  package func listxattr(
    _ id: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    let names = try tree.withLock { (tree) throws(Errno) in try tree.node(id).xattrs.map(\.name) }
    var list: [UInt8] = []
    for name in names where caller.userID == 0 || !name.starts(with: "trusted.".utf8) { list += name + [0] }
    if list.count <= buffer.count { buffer.copyBytes(from: list) }
    return list.count
  }

  package func setxattr(
    _ id: NodeID, _ name: RawSpan, _ value: RawSpan, _ mode: XattrMode, clearsSetGID: Bool, _ caller: Caller
  ) throws(Errno) {
    let (name, value) = (name.bytes, value.bytes)
    try checkNamespace(name)
    try tree.withLock { (tree) throws(Errno) in
      let node = try tree.node(id)
      try node.checkMutable(.appendOnly)
      let old = node.xattr(name)
      if mode == .create && old != nil { throw .exists }
      if mode == .replace && old == nil { throw .noData }
      let others = node.xattrs.reduce(0) { $0 + ($1.name == name ? 0 : $1.name.count + $1.value.count) }
      guard others + name.count + value.count <= tree.limits.xattrBytes else { throw .noSpace }
      if isACL(name) { try setACL(of: node, name, value) } else { node.setXattr(name, value) }
      if clearsSetGID { node.attributes.mode &= ~UInt32(S_ISGID) }
      node.changed()
    }
  }

  /// An access ACL that says no more than the mode is not kept.
  private func setACL(of node: MemoryNode, _ name: [UInt8], _ value: [UInt8]) throws(Errno) {
    let acl = try AccessControlList(parsing: value)
    if name == MemoryNode.accessACL {
      node.attributes.mode = node.attributes.mode & ~0o777 | acl.modeBits
      return node.setXattr(name, acl.isMinimal ? nil : acl.encoded)
    }
    guard node.isDirectory else { throw .accessDenied }
    node.setXattr(name, acl.entries.isEmpty ? nil : acl.encoded)
  }

  package func removexattr(_ id: NodeID, _ name: RawSpan, _ caller: Caller) throws(Errno) {
    let name = name.bytes
    try checkNamespace(name)
    try tree.withLock { (tree) throws(Errno) in
      let node = try tree.node(id)
      try node.checkMutable(.appendOnly)
      guard node.xattr(name) != nil else {
        // An ACL that is as good as none is removed, too.
        if isACL(name) { return }
        throw .noData
      }
      node.setXattr(name, nil)
      node.changed()
    }
  }

  private func isACL(_ name: [UInt8]) -> Bool { name == MemoryNode.accessACL || name == MemoryNode.defaultACL }

  /// - Throws: EOPNOTSUPP for names of other namespaces, EINVAL for one without a name in it.
  private func checkNamespace(_ name: [UInt8]) throws(Errno) {
    if isACL(name) {
      if traits.contains(.posixACL) { return }
      throw .notSupported
    }
    for prefix in ["user.", "trusted.", "security."] where name.starts(with: prefix.utf8) {
      if name.count == prefix.utf8.count { throw .invalidArgument }
      return
    }
    throw .notSupported
  }

  // MARK: flags and ioctls

  package func fileFlags(_ id: NodeID, _ caller: Caller) throws(Errno) -> FileFlags {
    try tree.withLock { (tree) throws(Errno) in try tree.node(id).flags }
  }

  package func setFileFlags(_ id: NodeID, _ flags: FileFlags, _ caller: Caller) throws(Errno) {
    let known: FileFlags = [
      .synchronous, .immutable, .appendOnly, .noDump, .noAccessTime, .directorySynchronous, .topDirectory,
    ]
    guard flags.isSubset(of: known) else { throw .notSupported }
    try tree.withLock { (tree) throws(Errno) in
      let node = try tree.node(id)
      node.flags = flags
      node.changed()
    }
  }

  /// An ioctl of its own: writes the inode number of the file, 8 bytes. `_IOR('w', 1, uint64_t)`.
  package static let inodeCommand: UInt32 = 0x8008_7701
  /// An ioctl of its own: gives back the 8 bytes that it is given, the other way round. `_IOWR('w', 2, uint64_t)`.
  package static let turnCommand: UInt32 = 0xC008_7702

  package func ioctl(
    _ id: NodeID, _ handle: FileHandle, _ command: UInt32, _ input: RawSpan,
    into output: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    switch command {
    case Self.inodeCommand where output.count == 8:
      let inode = try tree.withLock { (tree) throws(Errno) in try tree.openNode(id, handle).attributes.inode }
      output.storeBytes(of: inode, as: UInt64.self)
      return 8
    case Self.turnCommand where output.count == 8 && input.byteCount == 8:
      output.copyBytes(from: input.bytes.reversed())
      return 8
    default: throw .notTerminal
    }
  }
}

extension TimeChange {
  var timestamp: Timestamp {
    switch self {
    case .now: MemoryNode.now
    case .at(let time): time
    }
  }
}
