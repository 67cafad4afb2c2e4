import Fuse
import Glibc
import Platform

/// The nodes of `MemoryFileSystem`, and what is open.
struct MemoryTree {
  struct OpenFile {
    let node: NodeID
    let isDirectory: Bool
  }

  private(set) var nodes: [NodeID: MemoryNode]
  /// What should not have come.
  private(set) var mistakes: [String] = []
  private(set) var opened: [FileHandle: OpenFile] = [:]
  private(set) var usedPages: UInt64 = 0
  private var lastNumber = NodeID.root.rawValue
  private var lastHandle: UInt64 = 0
  let limits: MemoryFileSystem.Limits
  /// Whether there are no handles: the trait `withoutOpen`.
  private let isWithoutOpen: Bool

  init(_ options: MemoryFileSystem.Options) {
    limits = options.limits
    isWithoutOpen = options.traits.contains(.withoutOpen)
    let root = MemoryNode(.root, mode: S_IFDIR | 0o755, parent: .root)
    root.links = 1
    nodes = [.root: root]
  }

  var freePages: UInt64 { limits.pages - min(usedPages, limits.pages) }

  mutating func node(_ id: NodeID) throws(Errno) -> MemoryNode {
    guard let node = nodes[id] else {
      mistakes.append("unknown node \(id.rawValue)")
      throw .stale
    }
    return node
  }

  mutating func directory(_ id: NodeID) throws(Errno) -> MemoryNode {
    let node = try node(id)
    guard node.isDirectory else { throw .notDirectory }
    return node
  }

  /// A directory where a name is made or moved to.
  mutating func directoryForNames(_ id: NodeID) throws(Errno) -> MemoryNode {
    let directory = try directory(id)
    guard directory.links > 0 else { throw .noEntry }
    try directory.checkMutable()
    return directory
  }

  // MARK: lookups and opens

  mutating func lookUp(_ node: MemoryNode) -> Entry {
    node.lookups += 1
    return entry(node)
  }

  func entry(_ node: MemoryNode) -> Entry {
    Entry(node.id, node.allAttributes, nameLifetime: .max, attributeLifetime: 0)
  }

  mutating func forget(_ id: NodeID, _ count: UInt64) {
    guard let node = nodes[id], node.lookups >= count || id == .root else {
      return mistakes.append("\(count) lookups of node \(id.rawValue) forgotten that were not there")
    }
    node.lookups -= min(count, node.lookups)
    collect(node)
  }

  mutating func open(_ node: MemoryNode) -> FileHandle {
    if isWithoutOpen && !node.isDirectory { return .none }
    lastHandle += 1
    let handle = FileHandle(rawValue: lastHandle)
    opened[handle] = OpenFile(node: node.id, isDirectory: node.isDirectory)
    node.opens += 1
    return handle
  }

  mutating func close(_ id: NodeID, _ handle: FileHandle, isDirectory: Bool) {
    // The kernel may release what was made.
    if isWithoutOpen && handle == .none { return }
    guard let file = opened[handle], file.node == id, file.isDirectory == isDirectory, let node = nodes[id] else {
      return mistakes.append("handle \(handle.rawValue) of node \(id.rawValue) released that was not there")
    }
    opened[handle] = nil
    node.opens -= 1
    collect(node)
  }

  /// A handle that a request names must be open, and that of its node.
  mutating func openNode(_ id: NodeID, _ handle: FileHandle) throws(Errno) -> MemoryNode {
    let isRight = opened[handle]?.node == id || isWithoutOpen && handle == .none
    if !isRight { mistakes.append("handle \(handle.rawValue) is not of node \(id.rawValue)") }
    return try node(id)
  }

  /// Takes back all lookups and opens: the session is over.
  mutating func forgetAll() {
    opened = [:]
    for node in nodes.values {
      (node.lookups, node.opens) = (0, 0)
      collect(node)
    }
  }

  /// Removes a node that has no name and is not known to the kernel.
  private mutating func collect(_ node: MemoryNode) {
    guard node.links == 0, node.lookups == 0, node.opens == 0 else { return }
    usedPages -= UInt64(node.contents.pageCount)
    nodes[node.id] = nil
  }

  /// Changes the contents of a node, and counts the pages that it takes.
  mutating func change(_ node: MemoryNode, _ body: (inout SparseContents) -> Void) {
    let before = node.contents.pageCount
    body(&node.contents)
    usedPages = usedPages + UInt64(node.contents.pageCount) - UInt64(before)
  }

  // MARK: making

  mutating func add(
    _ name: [UInt8], in id: NodeID, _ new: NewNode, type: UInt32, masks: Bool, _ caller: Caller
  ) throws(Errno) -> MemoryNode {
    let directory = try directoryForNames(id)
    guard directory.directory.node(name) == nil else { throw .exists }
    let node = try make(in: directory, new, type: type, masks: masks, caller)
    link(node, name, in: directory)
    directory.modified()
    return node
  }

  /// - Parameter masks: whether the umask is the file system's to apply.
  mutating func make(
    in directory: MemoryNode, _ new: NewNode, type: UInt32, masks: Bool, _ caller: Caller
  ) throws(Errno) -> MemoryNode {
    guard UInt64(nodes.count) < limits.nodes else { throw .noSpace }
    lastNumber += 1
    var mode = type | new.mode & 0o7777
    let inherited = type == S_IFLNK ? nil : directory.acl(MemoryNode.defaultACL)
    var access = inherited
    if access != nil { access?.restrict(by: &mode) } else if masks { mode &= ~(new.umask & 0o777) }
    let node = MemoryNode(NodeID(rawValue: lastNumber), mode: mode, parent: directory.id)
    (node.attributes.userID, node.attributes.groupID) = (caller.userID, caller.groupID)
    if directory.attributes.mode & UInt32(S_ISGID) != 0 {
      node.attributes.groupID = directory.attributes.groupID
      if type == S_IFDIR { node.attributes.mode |= UInt32(S_ISGID) }
    }
    node.attributes.specialDevice = new.specialDevice
    for label in new.labels { node.setXattr(label.name, label.value) }
    if let access, !access.isMinimal { node.setXattr(MemoryNode.accessACL, access.encoded) }
    if let inherited, type == S_IFDIR { node.setXattr(MemoryNode.defaultACL, inherited.encoded) }
    nodes[node.id] = node
    return node
  }

  /// Gives a node a name that is not there.
  mutating func link(_ node: MemoryNode, _ name: [UInt8], in directory: MemoryNode) {
    directory.directory.set(name, node.id)
    node.links += 1
    if node.isDirectory { enter(node, directory) }
  }

  private func enter(_ node: MemoryNode, _ directory: MemoryNode) {
    node.parent = directory.id
    directory.directory.subdirectories += 1
  }

  // MARK: removing and moving

  /// The node of a name that is to be removed or moved.
  private mutating func victim(_ name: [UInt8], in directory: MemoryNode) throws(Errno) -> MemoryNode {
    guard let id = directory.directory.node(name) else { throw .noEntry }
    let node = try node(id)
    try directory.checkMutable(.appendOnly)
    try node.checkMutable(.appendOnly)
    return node
  }

  private func checkReplaceable(_ node: MemoryNode, isDirectory: Bool) throws(Errno) {
    guard node.isDirectory == isDirectory else { throw isDirectory ? .notDirectory : .isDirectory }
    guard node.directory.count == 0 else { throw .notEmpty }
  }

  mutating func remove(_ name: [UInt8], in id: NodeID, isDirectory: Bool) throws(Errno) {
    let directory = try directory(id)
    let node = try victim(name, in: directory)
    try checkReplaceable(node, isDirectory: isDirectory)
    directory.directory.remove(name)
    lost(node, in: directory)
    directory.modified()
  }

  /// A node has lost a name.
  private mutating func lost(_ node: MemoryNode, in directory: MemoryNode) {
    node.links -= 1
    if node.isDirectory { directory.directory.subdirectories -= 1 }
    node.changed()
    collect(node)
  }

  mutating func rename(
    _ name: [UInt8], in oldID: NodeID, to newName: [UInt8], in newID: NodeID, _ flags: RenameFlags
  ) throws(Errno) {
    let old = try directory(oldID)
    let new = try directoryForNames(newID)
    let node = try victim(name, in: old)
    let isThere = new.directory.node(newName) != nil
    if flags.contains(.noReplace), isThere { throw .exists }
    if flags.contains(.exchange), !isThere { throw .noEntry }
    let other = isThere ? try victim(newName, in: new) : nil
    if other === node { return }
    guard !isBelow(new, node) else { throw .invalidArgument }
    if flags.contains(.exchange), let other {
      guard !isBelow(old, other) else { throw .invalidArgument }
      old.directory.set(name, other.id)
      move(other, from: new, to: old)
    } else {
      if let other { try checkReplaceable(other, isDirectory: node.isDirectory) }
      old.directory.remove(name)
    }
    new.directory.set(newName, node.id)
    move(node, from: old, to: new)
    if !flags.contains(.exchange), let other { lost(other, in: new) }
    old.modified()
    new.modified()
  }

  private func move(_ node: MemoryNode, from old: MemoryNode, to new: MemoryNode) {
    node.changed()
    guard node.isDirectory else { return }
    old.directory.subdirectories -= 1
    enter(node, new)
  }

  private func isBelow(_ directory: MemoryNode, _ top: MemoryNode) -> Bool {
    var id = directory.id
    while id != top.id {
      guard id != .root, let parent = nodes[id]?.parent else { return false }
      id = parent
    }
    return true
  }
}
