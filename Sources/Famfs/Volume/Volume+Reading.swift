import Platform

extension Volume {
  /// How many node numbers are in use: all below it, but for those of bad entries.
  public var nodeCount: UInt32 { replayed.withLock { UInt32($0.namespace.nodes.count) } }

  /// Whether the device holds another volume by now; then every question about this one is answered ESTALE.
  public var isLost: Bool { lost.load(ordering: .relaxed) }

  private func checkNotLost() throws(Errno) { if isLost { throw .stale } }

  /// A file or directory by number.
  /// - Throws: ENOENT when nothing has this number.
  public func node(_ number: NodeNumber) throws(Errno) -> Node {
    try checkNotLost()
    guard let node = replayed.withLock({ $0.node(number) }) else { throw .noEntry }
    return node
  }

  /// A file or directory by number, and its name; nil when nothing has this number.
  public func named(_ number: NodeNumber) -> (Node, name: [UInt8])? {
    replayed.withLock { replayed in
      replayed.namespace[number].map { node in (node, replayed.namespace.withName(of: number) { Array($0) }) }
    }
  }

  /// The child of a directory that has this name.
  /// - Throws: ENOENT, and ENOTDIR when the parent is a file.
  public func lookUp(_ name: UnsafeRawBufferPointer, in parent: NodeNumber) throws(Errno) -> (NodeNumber, Node) {
    try checkNotLost()
    return try replayed.withLock { (replayed) throws(Errno) in
      guard let directory = replayed.namespace[parent] else { throw .noEntry }
      guard directory.kind == .directory else { throw .notDirectory }
      guard let number = replayed.namespace.lookUp(name, in: parent), let node = replayed.namespace[number] else {
        throw .noEntry
      }
      return (number, node)
    }
  }

  /// The file or directory at a path; nil when there is none.
  public func find(_ path: EntryPath) -> NodeNumber? { replayed.withLock { $0.namespace.find(path) } }

  /// Hands what the log says of each file and directory to `body`, in order, with the attributes that it has by now.
  /// Bad entries are left out.
  /// - Throws: the first thing that `body` threw; it is not called again.
  public func forEachEntry(_ body: (NodeNumber, LogEntry) throws -> Void) throws {
    let count = replayed.withLock { $0.namespace.entryCount }
    var failure: (any Error)?
    LogReader(device: device, start: superblock.logOffset).read(0..<count) { index, entry, _ in
      let number = NodeNumber.entry(index)
      guard failure == nil, let node = replayed.withLock({ $0.namespace[number] }), case .success(var entry) = entry
      else {
        return
      }
      entry.payload.setAttributes(of: node)
      do { try body(number, entry) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// A node's path from the root; empty for the root.
  public func path(of number: NodeNumber) -> String { replayed.withLock { $0.namespace.path(of: number) } }

  /// Hands a directory's children to `body`, in the order of the log, beginning after one of them or at the first;
  /// `body` says whether to go on, and must be quick: the replayed log is locked meanwhile.
  /// - Throws: ENOENT, ENOTDIR, and EINVAL when `previous` is not in the directory.
  public func children(
    of directory: NodeNumber, after previous: NodeNumber?,
    _ body: (NodeNumber, Node, UnsafeRawBufferPointer) -> Bool
  ) throws(Errno) {
    try checkNotLost()
    try replayed.withLock { (replayed) throws(Errno) in
      guard let node = replayed.namespace[directory] else { throw .noEntry }
      guard node.kind == .directory else { throw .notDirectory }
      if let previous, !replayed.namespace.wasChild(previous, of: directory) { throw .invalidArgument }
      var next = replayed.namespace.child(of: directory, after: previous)
      while let number = next, let child = replayed.namespace[number] {
        guard replayed.namespace.withName(of: number, { body(number, child, $0) }) else { return }
        next = replayed.namespace.child(of: directory, after: number)
      }
    }
  }

  /// Where a file's bytes lie; nothing for a directory, and for a number that is not in use.
  public func layout(of number: NodeNumber) -> FileLayout {
    replayed.withLock { replayed in
      replayed.namespace[number].map { replayed.namespace.layout(of: $0) } ?? FileLayout(ExtentList())
    }
  }

  /// A file's extents, or strips.
  public func extents(of number: NodeNumber) -> [Extent] { layout(of: number).extents.array }

  /// The numbers of all files and directories that log entries made, in the order of the log.
  public var entryNumbers: [NodeNumber] {
    replayed.withLock { replayed in
      (NodeNumber.firstEntry..<UInt64(replayed.namespace.nodes.count)).map { NodeNumber(UInt32($0)) }
        .filter { replayed.namespace[$0] != nil }
    }
  }

  /// Finds where a range of a file lies on the device.
  /// - Parameter ranges: takes the pieces, in file order.
  /// - Returns: how many pieces, and how many bytes: fewer than `count` where the file ends or `ranges` is full.
  /// - Throws: ENOENT, and EISDIR.
  public func resolve(
    _ number: NodeNumber, offset: UInt64, count: UInt64, into ranges: UnsafeMutableBufferPointer<Extent>
  ) throws(Errno) -> (pieces: Int, bytes: UInt64) {
    try checkNotLost()
    return try replayed.withLock { (replayed) throws(Errno) in
      guard let node = replayed.node(number) else { throw .noEntry }
      guard node.kind == .file else { throw .isDirectory }
      guard offset < node.size else { return (0, 0) }
      var pieces = 0
      var bytes: UInt64 = 0
      do throws(Full) {
        try Famfs.resolve(
          replayed.namespace.extents(of: node), chunkSize: node.chunkSize, offset: offset,
          count: min(count, node.size - offset)
        ) { (device, offset, length) throws(Full) in
          guard pieces < ranges.count else { throw Full() }
          ranges.initializeElement(at: pieces, to: Extent(device: device, offset: offset, length: length))
          pieces += 1
          bytes += length
        }
      } catch {}
      return (pieces, bytes)
    }
  }

  private struct Full: Error {}

  /// Changes a node's mode, owner and times: in this mount's memory, until `saveAttributes`.
  /// - Throws: ENOENT.
  public func update(_ number: NodeNumber, _ change: (inout NodeAttributes) -> Void) throws(Errno) -> Node {
    try checkNotLost()
    return try replayed.withLock { (replayed) throws(Errno) in
      guard let node = replayed.node(number) else { throw .noEntry }
      var attributes = NodeAttributes(node)
      change(&attributes)
      replayed.namespace.update(number) { attributes.store(into: &$0) }
      return replayed.node(number) ?? node
    }
  }
}

/// The part of a node that a mount may change for itself.
public struct NodeAttributes: Sendable {
  /// The low 12 bits of a mode.
  public var permissions: UInt32
  /// Owner.
  public var userID: UInt32
  /// Group.
  public var groupID: UInt32
  /// Nanoseconds since 1970, negative before, as the other times.
  public var accessed: Int64
  /// Last change of the contents.
  public var modified: Int64
  /// Last change of attributes or contents.
  public var changed: Int64
  /// See `Node.inode`.
  public var inode: UInt64

  init(_ node: Node) {
    permissions = UInt32(node.permissions)
    userID = node.userID
    groupID = node.groupID
    accessed = node.accessed
    modified = node.modified
    changed = node.changed
    inode = node.inode
  }

  func store(into node: inout Node) {
    node.permissions = UInt16(permissions & 0o7777)
    node.userID = userID
    node.groupID = groupID
    node.accessed = accessed
    node.modified = modified
    node.changed = changed
    node.inode = inode
  }
}
