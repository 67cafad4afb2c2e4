import Glibc

/// Directories and files by number and by name, as the log's entries make them.
struct Namespace: Sendable {
  private(set) var nodes: [Node]
  private var names: [UInt8] = []
  private var extents: [Extent] = []
  private var index: NameIndex
  private(set) var fileCount: UInt64 = 0
  private(set) var directoryCount: UInt64 = 0
  /// Sum of all files' sizes, in bytes.
  private(set) var totalSize: UInt64 = 0
  /// The directory of the entry played last: most entries follow one of the same directory.
  private var recent: (path: EntryPath, parent: NodeNumber)?

  /// A name space with the volume's own files: `.meta`, its superblock and its log.
  init(logLength: UInt64, isMaster: Bool, time: Int64) {
    nodes = []
    index = NameIndex(capacity: 3)
    nodes.append(Node(kind: .directory, permissions: 0o755, time: time))
    add(Node(kind: .directory, permissions: 0o700, time: time), named: ".meta", in: .root)
    let areas: [(StaticString, UInt32, Extent)] = [
      (".superblock", 0o444, Extent(offset: 0, length: Superblock.area)),
      (".log", isMaster ? 0o644 : 0o444, Extent(offset: Superblock.area, length: logLength)),
    ]
    for (name, permissions, extent) in areas {
      var node = Node(kind: .file, permissions: permissions, time: time)
      node.size = extent.length
      setLayout(of: &node, FileLayout(ExtentList([extent])))
      add(node, named: name, in: .meta)
    }
  }

  private mutating func add(_ node: Node, named name: StaticString, in parent: NodeNumber) {
    let name = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    add(node, name: name, hash: NameIndex.hash(parent, name), in: parent, time: node.modified)
  }

  /// Log entries taken in, good and bad.
  var entryCount: UInt64 { UInt64(nodes.count) - NodeNumber.firstEntry }

  // MARK: Asking

  subscript(number: NodeNumber) -> Node? {
    guard number.rawValue < nodes.count else { return nil }
    let node = nodes[Int(number.rawValue)]
    return node.kind == .file || node.kind == .directory ? node : nil
  }

  /// A file that was removed.
  func removed(_ number: NodeNumber) -> Node? {
    guard number.rawValue < nodes.count, nodes[Int(number.rawValue)].kind == .removed else { return nil }
    return nodes[Int(number.rawValue)]
  }

  /// The child of this name, if there is one.
  func lookUp(_ name: UnsafeRawBufferPointer, in parent: NodeNumber) -> NodeNumber? {
    find(name, in: parent, hash: NameIndex.hash(parent, name))
  }

  private func find(_ name: UnsafeRawBufferPointer, in parent: NodeNumber, hash: UInt32) -> NodeNumber? {
    names.withUnsafeBytes { arena in
      index.find(hash) { number in
        let node = nodes[Int(number.rawValue)]
        return node.parent == parent && Int(node.nameLength) == name.count
          && sameBytes(arena[Int(node.nameStart)..<Int(node.nameStart) + name.count], name[...])
      }
    }
  }

  /// Lends a node's name.
  func withName<Result, Failure: Error>(
    of number: NodeNumber, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let node = nodes[Int(number.rawValue)]
    return try names.span.bytes.withUnsafeBytes { (arena) throws(Failure) in
      try body(
        UnsafeRawBufferPointer(rebasing: arena[Int(node.nameStart)..<Int(node.nameStart) + Int(node.nameLength)]))
    }
  }

  /// A node's path from the root, without a slash in front; empty for the root.
  func path(of number: NodeNumber) -> String { String(fileName: pathBytes(of: number)) }

  /// The same, byte for byte.
  func pathBytes(of number: NodeNumber) -> [UInt8] {
    var components: [[UInt8]] = []
    var place = number
    while place != .root {
      components.append(withName(of: place) { Array($0) })
      place = nodes[Int(place.rawValue)].parent
    }
    return Array(components.reversed().joined(separator: [UInt8(ascii: "/")]))
  }

  /// The first child of a directory, or the one after `previous`, in the order of the log.
  func child(of directory: NodeNumber, after previous: NodeNumber?) -> NodeNumber? {
    var next =
      if let previous { nodes[Int(previous.rawValue)].nextSibling } else {
        nodes[Int(directory.rawValue)].firstChild
      }
    // What was removed stays in the row, for who is reading it.
    while next != .root && self[next] == nil { next = nodes[Int(next.rawValue)].nextSibling }
    return next == .root ? nil : next
  }

  /// Whether something is in a directory, or was before it was removed.
  func wasChild(_ number: NodeNumber, of directory: NodeNumber) -> Bool {
    guard number != .root, number.rawValue < nodes.count else { return false }
    let node = nodes[Int(number.rawValue)]
    return node.nameLength > 0 && node.parent == directory
  }

  /// A file's extents.
  func extents(of node: Node) -> ArraySlice<Extent> {
    node.kind == .file || node.kind == .removed
      ? extents[node.firstExtent..<node.firstExtent + Int(node.extentCount)] : []
  }

  /// Where a file's bytes lie.
  func layout(of node: Node) -> FileLayout {
    FileLayout(ExtentList(Array(extents(of: node))), chunkSize: node.chunkSize)
  }

  /// The node at a path; nil when there is none.
  func find(_ path: EntryPath) -> NodeNumber? {
    guard let parent = try? parent(of: path) else { return nil }
    return path.withName { lookUp($0, in: parent) }
  }

  /// Bytes of memory in use, the room for growth among them.
  var memoryUse: Int {
    nodes.capacity * MemoryLayout<Node>.stride + names.capacity + extents.capacity * MemoryLayout<Extent>.stride
      + index.memoryUse
  }

  // MARK: Growing

  /// Makes room for this many entries in all, so that it need not be found bit by bit.
  mutating func makeRoom(entries: Int) {
    nodes.reserveCapacity(entries + Int(NodeNumber.firstEntry))
    extents.reserveCapacity(entries)
    index.makeRoom(for: entries + 3)
  }

  /// The directory that a new path would be in.
  func parent(of path: EntryPath) throws(EntryProblem) -> NodeNumber {
    if path.nameStart == 0 { return .root }
    if let recent, recent.path.nameStart == path.nameStart, samePrefix(recent.path, path) { return recent.parent }
    let found: NodeNumber? = path.withBytes { bytes in
      var place = NodeNumber.root
      for name in bytes[..<(path.nameStart - 1)].split(separator: UInt8(ascii: "/")) {
        guard let next = lookUp(UnsafeRawBufferPointer(rebasing: name), in: place) else { return nil }
        place = next
      }
      return place
    }
    guard let found else { throw .missingParent }
    guard nodes[Int(found.rawValue)].kind == .directory else { throw .parentIsFile }
    return found
  }

  private func samePrefix(_ a: EntryPath, _ b: EntryPath) -> Bool {
    a.withBytes { x in b.withBytes { y in sameBytes(x[..<a.nameStart], y[..<a.nameStart]) } }
  }

  /// Checks that a path can be given to something new.
  func checkFree(_ path: EntryPath) throws(EntryProblem) { _ = try place(for: path) }

  private func place(for path: EntryPath) throws(EntryProblem) -> (parent: NodeNumber, hash: UInt32) {
    let parent = try parent(of: path)
    if parent == .meta { throw .reservedPath }
    let (hash, exists) = path.withName { name in
      let hash = NameIndex.hash(parent, name)
      return (hash, find(name, in: parent, hash: hash) != nil)
    }
    if exists { throw .pathExists }
    return (parent, hash)
  }

  /// Adds the node of the next entry under its path, which must be new.
  /// - Parameter time: when its directory changes by that, unless it has changed later.
  /// - Returns: the directory that it is in.
  mutating func insert(_ node: Node, at path: EntryPath, time: Int64) throws(EntryProblem) -> NodeNumber {
    let (parent, hash) = try place(for: path)
    path.withName { add(node, name: $0, hash: hash, in: parent, time: time) }
    recent = (path, parent)
    if node.kind == .directory { directoryCount += 1 } else { fileCount += 1 }
    totalSize &+= node.size
    return parent
  }

  /// Takes a name away. A directory is empty by now.
  mutating func remove(_ number: NodeNumber, time: Int64) {
    guard let node = self[number], node.nameLength > 0 else { return }
    let hash = withName(of: number) { NameIndex.hash(node.parent, $0) }
    index.remove(number, hash: hash)
    let parent = Int(node.parent.rawValue)
    if node.kind == .directory {
      directoryCount -= 1
      nodes[parent].subdirectories -= 1
      recent = nil  // it may be the one
    } else {
      fileCount -= 1
      totalSize &-= node.size
    }
    // Of a directory nothing is asked any more: its number in the places that are shared means nothing to another kind.
    nodes[Int(number.rawValue)].kind = node.kind == .directory ? .none : .removed
    nodes[parent].modified = max(nodes[parent].modified, time)
    nodes[parent].changed = max(nodes[parent].changed, time)
  }

  /// Uses up the number of an entry that makes no name.
  mutating func skip() { nodes.append(Node(kind: .none)) }

  /// Takes the last numbers back that `skip` used up.
  mutating func unskip(_ count: Int) {
    precondition(
      nodes.count - Int(NodeNumber.firstEntry) >= count && nodes.suffix(count).allSatisfy { $0.isSkipped },
      "a number is taken back that has a name")
    nodes.removeLast(count)
  }

  /// Stores a file's extents and notes in its node where.
  mutating func setLayout(of node: inout Node, _ layout: FileLayout) {
    node.firstExtent = extents.count
    node.extentCount = UInt8(layout.extents.count)
    node.chunkShift = layout.chunkSize == 0 ? 0 : UInt8(layout.chunkSize.trailingZeroBitCount)
    for place in 0..<layout.extents.count {
      extents.append(layout.extents[place])
      node.allocated += layout.extents[place].length
    }
  }

  private mutating func add(
    _ node: Node, name: UnsafeRawBufferPointer, hash: UInt32, in parent: NodeNumber, time: Int64
  ) {
    var node = node
    let number = NodeNumber(UInt32(nodes.count))
    node.parent = parent
    node.nameStart = UInt32(names.count)
    node.nameLength = UInt8(name.count)
    names.append(contentsOf: name)
    nodes.append(node)
    index.insert(number, hash: hash)
    let last = nodes[Int(parent.rawValue)].lastChild
    if last == .root {
      nodes[Int(parent.rawValue)].firstChild = number
    } else {
      nodes[Int(last.rawValue)].nextSibling = number
    }
    nodes[Int(parent.rawValue)].lastChild = number
    if node.kind == .directory { nodes[Int(parent.rawValue)].subdirectories += 1 }
    nodes[Int(parent.rawValue)].modified = max(nodes[Int(parent.rawValue)].modified, time)
    nodes[Int(parent.rawValue)].changed = max(nodes[Int(parent.rawValue)].changed, time)
  }

  /// Changes a node in place.
  mutating func update(_ number: NodeNumber, _ change: (inout Node) -> Void) { change(&nodes[Int(number.rawValue)]) }
}

private func sameBytes(_ a: Slice<UnsafeRawBufferPointer>, _ b: Slice<UnsafeRawBufferPointer>) -> Bool {
  guard a.count == b.count else { return false }
  guard let x = UnsafeRawBufferPointer(rebasing: a).baseAddress, let y = UnsafeRawBufferPointer(rebasing: b).baseAddress
  else { return true }
  return memcmp(x, y, a.count) == 0
}
