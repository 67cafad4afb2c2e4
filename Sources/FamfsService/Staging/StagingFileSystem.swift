import Famfs
import Fuse
import Glibc
import Platform

/// The master's mount: a famfs volume on which programs make files and directories the usual way. What they make is
/// staged until it is committed; for what the log has this hands on to `FamfsFileSystem`.
final class StagingFileSystem: FileSystem {
  let base: FamfsFileSystem
  let staging: Staging
  var volume: Volume { staging.volume }

  init(over base: FamfsFileSystem, _ staging: Staging) {
    self.base = base
    self.staging = staging
  }

  var traits: FileSystemTraits { base.traits }

  func began(_ agreement: Agreement) { base.began(agreement) }

  func refusal(of opcode: Opcode) -> Errno { base.refusal(of: opcode) }

  /// A node of the log under the number that it has there, or one that is staged.
  enum Target {
    case logged(NodeID)
    case staged(StagedNode)
  }

  func target(_ id: NodeID) throws(Errno) -> Target {
    guard StagedTree.isStaged(id) else { return .logged(id) }
    guard let node = staging.withTree({ $0[id] }) else { throw .stale }
    return node.committed.map { .logged(NodeID($0)) } ?? .staged(node)
  }

  /// The number in the log of a node that was staged a moment ago.
  func logged(_ id: NodeID) throws(Errno) -> NodeID {
    guard case .logged(let id) = try target(id) else { throw .stale }
    return id
  }

  // MARK: Attributes
  /// What the kernel is told of a staged node, which counts.
  func entry(_ id: NodeID, _ tree: inout StagedTree) -> Entry? {
    guard let node = tree[id] else { return nil }
    tree.count(id)
    return entry(id, node, tree)
  }

  func entry(_ id: NodeID, _ node: StagedNode, _ tree: borrowing StagedTree) -> Entry {
    Entry(id, attributes(id, node, tree), nameLifetime: base.nameLifetime, attributeLifetime: base.lifetime)
  }

  func attributes(_ id: NodeID, _ node: StagedNode, _ tree: borrowing StagedTree) -> Attributes {
    var attributes = Attributes(
      inode: id.rawValue, mode: node.permissions | (node.isDirectory ? S_IFDIR : S_IFREG))
    attributes.size = node.isDirectory ? 4096 : node.shape.size
    attributes.blocks = node.shape.allocated / 512
    (attributes.userID, attributes.groupID) = (node.userID, node.groupID)
    attributes.linkCount = node.link == nil ? 0 : node.isDirectory ? 2 + tree.subdirectories(of: .staged(id)) : 1
    attributes.blockSize = node.isDirectory ? 4096 : 1 << 20
    attributes.accessTime = Timestamp(nanosecondsSince1970: node.accessed)
    attributes.modificationTime = Timestamp(nanosecondsSince1970: node.modified)
    attributes.changeTime = Timestamp(nanosecondsSince1970: node.changed)
    return attributes
  }

  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    if staging.isIdle { return try base.getattr(node, handle, caller) }
    let (staged, logged, subdirectories) = try staging.withTree { (tree) throws(Errno) in
      if !StagedTree.isStaged(node) {
        let place = (try? NodeNumber(node)).map { DirectoryID.number($0) }
        return (nil as Attributes?, node, place.map { tree.subdirectories(of: $0) } ?? 0)
      }
      guard let found = tree[node] else { throw .stale }
      guard let number = found.committed else { return (attributes(node, found, tree), node, 0) }
      return (nil, NodeID(number), tree.subdirectories(of: .number(number)))
    }
    if let staged { return CachedAttributes(staged, lifetime: base.lifetime) }
    var found = try base.getattr(logged, handle, caller)
    if found.attributes.isDirectory { found.attributes.linkCount += subdirectories }
    return found
  }

  func setattr(
    _ node: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes {
    guard case .staged(let found) = try target(node) else {
      return try setLogged(node, handle, changes, caller)
    }
    if let size = changes.size {
      let resized = try contents(of: found).withState { (state) throws(Errno) in
        try state.resize(to: size, on: volume)
      }
      guard let (_, shape) = resized else { return try setLogged(node, handle, changes, caller) }
      staging.withTree { $0.note(shape, of: node) }
    }
    let attributes: Attributes? = staging.withTree { tree in
      guard var staged = tree[node], staged.committed == nil else { return nil }
      staged.apply(changes)
      tree[node] = staged
      if changes.modificationTime != nil { tree.note(hasSetTime: true, of: .staged(node)) }
      // Whoever opens it with O_TRUNC cuts it first.
      if staged.opens == 0 { tree.set(due: Clock.monotonic() + staging.delay, of: node) }
      return self.attributes(node, staged, tree)
    }
    guard let attributes else { return try setLogged(node, handle, changes, caller) }
    return CachedAttributes(attributes, lifetime: base.lifetime)
  }

  /// Changes what the log has.
  private func setLogged(
    _ node: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes {
    let id = try logged(node)
    let result = try base.setattr(id, handle, changes, caller)
    if changes.modificationTime != nil, !staging.isIdle, let number = try? NodeNumber(id) {
      staging.withTree { $0.note(hasSetTime: true, of: .number(number)) }
    }
    return result
  }

  func getxattr(
    _ node: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    if case .logged(let id) = try target(node) { return try base.getxattr(id, name, into: buffer, caller) }
    // What is staged has no map that holds; the mount's own attributes are the root's too.
    return try base.getxattr(.root, name, into: buffer, caller)
  }

  func listxattr(
    _ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    try base.listxattr(node, into: buffer, caller)
  }

  func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus {
    var status = try base.statfs(node, caller)
    if !staging.isIdle {
      let staged = UInt64(staging.withTree { $0.stagedCount })
      status.freeFiles -= min(status.freeFiles, staged)
    }
    return status
  }

  func forget(_ lookups: Span<LookupCount>) {
    if staging.isIdle { return }
    lookups.withUnsafeBufferPointer { lookups in
      staging.withTree { tree in
        for lookup in lookups where StagedTree.isStaged(lookup.node) { tree.forget(lookup.node, lookup.count) }
      }
    }
  }

  /// Unmounted: what is closed by now is there, not a second later.
  func destroy() {
    staging.commitRest(evenOpen: false)
    base.destroy()
  }
}

extension NodeID {
  /// The directory `.meta`, in which nothing is staged.
  static let meta = NodeID(NodeNumber.meta)
}
