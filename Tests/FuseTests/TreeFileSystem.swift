import Fuse
import Glibc
import Platform
import Synchronization

/// Files and directories in memory that can be made, moved and removed. It checks what it is told: lookups, handles and
/// nodes that should not come are mistakes of the other side.
///
/// The kernel may remember everything for good; what `State` does by itself is behind its back.
final class TreeFileSystem: FileSystem {
  struct Options {
    var traits: FileSystemTraits = []
    /// Whether CREATE is not implemented.
    var isWithoutCreate = false
    /// What FIFOs and the like are refused with, if they are.
    var specialRefusal: Errno?
    /// Whether the kernel may remember that a name is absent.
    var remembersAbsence = false
    /// Bytes of the largest file.
    var largest = 16 << 20
  }

  let traits: FileSystemTraits
  let state = Mutex(State())
  private let options: Options

  init(_ options: Options = Options()) {
    self.options = options
    traits = options.traits
  }

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    let name = name.array
    return try state.withLock { (state) throws(Errno) in
      guard let node = try state.find(name, in: directory) else {
        if options.remembersAbsence { return .absent(for: .max) }
        throw .noEntry
      }
      return try state.lookUp(node)
    }
  }

  func forget(_ lookups: Span<LookupCount>) {
    for place in lookups.indices {
      let lookup = lookups[place]
      state.withLock { $0.forget(lookup.node, lookup.count) }
    }
  }

  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    try state.withLock { (state) throws(Errno) in
      CachedAttributes(try state.node(node).allAttributes, lifetime: .max)
    }
  }

  func setattr(
    _ id: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes {
    try state.withLock { (state) throws(Errno) in
      var node = try state.node(id)
      if let size = changes.size { try node.resize(to: size, atMost: options.largest) }
      if let mode = changes.mode { node.attributes.mode = node.attributes.mode & S_IFMT | mode & 0o7777 }
      node.attributes.userID = changes.userID ?? node.attributes.userID
      node.attributes.groupID = changes.groupID ?? node.attributes.groupID
      if case .at(let time) = changes.modificationTime { node.attributes.modificationTime = time }
      if case .now = changes.modificationTime { node.touch() }
      state.nodes[id] = node
      return CachedAttributes(node.allAttributes, lifetime: .max)
    }
  }

  func create(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened) {
    if options.isWithoutCreate { throw .noSystemCall }
    let name = name.array
    return try state.withLock { (state) throws(Errno) in
      state.creations.append(Creation(name: name, mode: new.mode, umask: new.umask, intent: intent))
      guard try state.find(name, in: directory) == nil else { throw intent.isExclusive ? .exists : .stale }
      let node = try state.add(name, in: directory, mode: new.mode, caller)
      let handle: FileHandle = traits.contains(.withoutOpen) ? .none : state.open(node)
      return (try state.lookUp(node), Opened(handle, .keepCache))
    }
  }

  func mknod(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    if new.mode & S_IFMT != S_IFREG, let refusal = options.specialRefusal { throw refusal }
    let name = name.array
    return try state.withLock { (state) throws(Errno) in
      state.creations.append(Creation(name: name, mode: new.mode, umask: new.umask, intent: nil))
      let node = try state.add(name, in: directory, mode: new.mode, caller)
      state.nodes[node]?.attributes.specialDevice = new.specialDevice
      return try state.lookUp(node)
    }
  }

  func mkdir(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    let name = name.array
    return try state.withLock { (state) throws(Errno) in
      state.creations.append(Creation(name: name, mode: new.mode, umask: new.umask, intent: nil))
      return try state.lookUp(try state.add(name, in: directory, mode: new.mode & 0o7777 | S_IFDIR, caller))
    }
  }

  func unlink(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    let name = name.array
    try state.withLock { (state) throws(Errno) in try state.remove(name, in: directory, isDirectory: false) }
  }

  func rmdir(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    let name = name.array
    try state.withLock { (state) throws(Errno) in try state.remove(name, in: directory, isDirectory: true) }
  }

  func rename(
    _ name: RawSpan, in directory: NodeID, to newName: RawSpan, in newDirectory: NodeID, _ flags: RenameFlags,
    _ caller: Caller
  ) throws(Errno) {
    let (name, newName) = (name.array, newName.array)
    try state.withLock { (state) throws(Errno) in
      try state.rename(name, in: directory, to: newName, in: newDirectory, flags)
    }
  }

  func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    try state.withLock { (state) throws(Errno) in
      _ = try state.node(node)
      return Opened(state.open(node), .keepCache)
    }
  }

  func release(_ node: NodeID, _ handle: FileHandle, _ flockOwner: LockOwner?) {
    state.withLock { $0.close(node, handle, isDirectory: false) }
  }

  func opendir(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    try open(node, intent, caller)
  }

  func releasedir(_ node: NodeID, _ handle: FileHandle) {
    state.withLock { $0.close(node, handle, isDirectory: true) }
  }

  func read(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {
    let data = try state.withLock { (state) throws(Errno) in try state.node(id).data }
    guard offset < UInt64(data.count) else { return }
    let piece = Array(data[Int(offset)...].prefix(reply.wanted))
    try reply.append(copying: piece.span.bytes)
  }

  func write(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int {
    try state.withLock { (state) throws(Errno) in
      var node = try state.node(id)
      let end = offset + UInt64(data.count)  // checked by the session
      if end > UInt64(node.data.count) { try node.resize(to: end, atMost: options.largest) }
      node.data.replaceSubrange(Int(offset)..<Int(end), with: data)
      node.touch()
      state.nodes[id] = node
      return data.count
    }
  }

  func fallocate(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode, _ caller: Caller
  ) throws(Errno) {
    try state.withLock { (state) throws(Errno) in
      var node = try state.node(id)
      let end = offset + length  // checked by the session
      if !mode.contains(.keepSize), end > UInt64(node.data.count) { try node.resize(to: end, atMost: options.largest) }
      if !mode.isDisjoint(with: [.punchHole, .zeroRange]), offset < UInt64(node.data.count) {
        for index in Int(offset)..<min(Int(end), node.data.count) { node.data[index] = 0 }
      }
      state.nodes[id] = node
      state.allocations.append(mode)
    }
  }

  func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    state.withLock { $0.syncs += 1 }
  }

  func syncfs(_ caller: Caller) throws(Errno) { state.withLock { $0.wholeSyncs += 1 } }

  func readdir(
    _ id: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {
    for place in try state.withLock({ (state) throws(Errno) in try state.places(in: id) }) where place.cookie > cookie {
      let entry = state.withLock { try? $0.entry(place.node) }
      guard let entry else { continue }
      switch reply.add(place.name.span.bytes, entry, next: place.cookie) {
      case .full: return
      case .lookedUp: state.withLock { $0.nodes[place.node]?.lookups += 1 }
      default: continue
      }
    }
  }

  func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus {
    var status = FileSystemStatus()
    (status.blocks, status.freeBlocks, status.availableBlocks) = (1 << 20, 1 << 20, 1 << 20)
    return status
  }
}

extension RawSpan {
  var array: [UInt8] { withUnsafeBytes { Array($0) } }
}

extension TreeFileSystem {
  /// A name in a directory. Later ones have larger cookies.
  struct Place {
    let name: [UInt8]
    var node: NodeID
    let cookie: UInt64
  }

  /// What a file was made with.
  struct Creation {
    let name: [UInt8]
    let mode: UInt32
    let umask: UInt32
    /// For CREATE only.
    let intent: OpenIntent?
  }

  struct Node {
    var attributes: Attributes
    var parent: NodeID
    var data: [UInt8] = []
    var places: [Place] = []
    var subdirectories: UInt32 = 0
    var isLinked = true
    var lookups: UInt64 = 0
    var opens = 0

    var allAttributes: Attributes {
      var all = attributes
      all.size = UInt64(data.count)
      all.blocks = (all.size + 511) / 512
      all.linkCount = !isLinked ? 0 : all.isDirectory ? 2 + subdirectories : 1
      return all
    }

    mutating func touch() {
      attributes.modificationTime = Timestamp(nanosecondsSince1970: Int64(clamping: Clock.realtime()))
    }

    mutating func resize(to size: UInt64, atMost largest: Int) throws(Errno) {
      guard size <= UInt64(largest) else { throw .fileTooLarge }
      if Int(size) < data.count { data.removeLast(data.count - Int(size)) }
      data += [UInt8](repeating: 0, count: Int(size) - data.count)
      touch()
    }
  }

  struct State {
    var nodes: [NodeID: Node] = [.root: Node(attributes: Attributes(inode: 1, mode: S_IFDIR | 0o755), parent: .root)]
    /// What should not have come.
    var mistakes: [String] = []
    var creations: [Creation] = []
    var allocations: [FallocateMode] = []
    var syncs = 0
    var wholeSyncs = 0
    private var handles: [FileHandle: NodeID] = [:]
    private var lastNumber: UInt64 = 1
    private var lastHandle: UInt64 = 0
    private var lastCookie: UInt64 = 2

    /// Lookups that were not taken back, of all nodes.
    var lookups: UInt64 { nodes.values.reduce(0) { $0 + $1.lookups } }
    /// Files and directories that are open.
    var openCount: Int { handles.count }

    mutating func node(_ id: NodeID) throws(Errno) -> Node {
      guard let node = nodes[id] else {
        mistakes.append("unknown node \(id.rawValue)")
        throw .stale
      }
      return node
    }

    mutating func directory(_ id: NodeID) throws(Errno) -> Node {
      let node = try node(id)
      guard node.attributes.isDirectory else { throw .notDirectory }
      return node
    }

    mutating func find(_ name: [UInt8], in id: NodeID) throws(Errno) -> NodeID? {
      try directory(id).places.first { $0.name == name }?.node
    }

    mutating func places(in id: NodeID) throws(Errno) -> [Place] {
      let directory = try directory(id)
      let dots = [("." as StaticString, id), ("..", directory.parent)].enumerated().map { index, dot in
        Place(name: Array(dot.0.description.utf8), node: dot.1, cookie: UInt64(index + 1))
      }
      return dots + directory.places
    }

    mutating func entry(_ id: NodeID) throws(Errno) -> Entry {
      Entry(id, try node(id).allAttributes, nameLifetime: .max, attributeLifetime: .max)
    }

    mutating func lookUp(_ id: NodeID) throws(Errno) -> Entry {
      nodes[id]?.lookups += 1
      return try entry(id)
    }

    mutating func forget(_ id: NodeID, _ count: UInt64) {
      guard let node = nodes[id], node.lookups >= count else {
        return mistakes.append("\(count) lookups of node \(id.rawValue) forgotten that were not there")
      }
      nodes[id]?.lookups -= count
      collect(id)
    }

    mutating func open(_ id: NodeID) -> FileHandle {
      lastHandle += 1
      let handle = FileHandle(rawValue: lastHandle)
      handles[handle] = id
      nodes[id]?.opens += 1
      return handle
    }

    mutating func close(_ id: NodeID, _ handle: FileHandle, isDirectory: Bool) {
      if handle == .none { return }  // under `withoutOpen` the kernel may release what was made
      let isRight = nodes[id]?.attributes.isDirectory == isDirectory
      guard isRight, handles.removeValue(forKey: handle) == id else {
        return mistakes.append("handle \(handle.rawValue) of node \(id.rawValue) released that was not there")
      }
      nodes[id]?.opens -= 1
      collect(id)
    }

    mutating func add(_ name: [UInt8], in id: NodeID, mode: UInt32, _ caller: Caller) throws(Errno) -> NodeID {
      guard try find(name, in: id) == nil else { throw .exists }
      guard try directory(id).isLinked else { throw .noEntry }
      lastNumber += 1
      let made = NodeID(rawValue: lastNumber)
      var node = Node(attributes: Attributes(inode: made.rawValue, mode: mode), parent: id)
      node.attributes.userID = caller.userID
      node.attributes.groupID = caller.groupID
      node.touch()
      nodes[made] = node
      link(made, name, in: id)
      return made
    }

    /// Adds a file at the top, behind the kernel's back.
    mutating func appear(_ name: String, with contents: String) throws(Errno) -> NodeID {
      let caller = Caller(userID: 0, groupID: 0, processID: 0)
      let node = try add(Array(name.utf8), in: .root, mode: S_IFREG | 0o644, caller)
      nodes[node]?.data = Array(contents.utf8)
      return node
    }

    mutating func remove(_ name: [UInt8], in id: NodeID, isDirectory: Bool) throws(Errno) {
      guard let found = try find(name, in: id) else { throw .noEntry }
      let node = try node(found)
      guard node.attributes.isDirectory == isDirectory else { throw isDirectory ? .notDirectory : .isDirectory }
      guard node.places.isEmpty else { throw .notEmpty }
      unlink(found, name, in: id)
      nodes[found]?.isLinked = false
      collect(found)
    }

    mutating func rename(
      _ name: [UInt8], in old: NodeID, to newName: [UInt8], in new: NodeID, _ flags: RenameFlags
    ) throws(Errno) {
      guard let moved = try find(name, in: old) else { throw .noEntry }
      let there = try find(newName, in: new)
      guard there != moved else { return }
      guard !isBelow(new, moved) else { throw .invalidArgument }
      if flags.contains(.exchange) {
        guard let there else { throw .noEntry }
        guard !isBelow(old, there) else { throw .invalidArgument }
        unlink(there, newName, in: new)
        unlink(moved, name, in: old)
        link(there, name, in: old)
      } else {
        if there != nil {
          if flags.contains(.noReplace) { throw .exists }
          try remove(newName, in: new, isDirectory: try node(moved).attributes.isDirectory)
        }
        unlink(moved, name, in: old)
      }
      link(moved, newName, in: new)
    }

    private func isBelow(_ id: NodeID, _ top: NodeID) -> Bool {
      var id = id
      while id != top {
        guard id != .root, let parent = nodes[id]?.parent else { return false }
        id = parent
      }
      return true
    }

    private mutating func link(_ id: NodeID, _ name: [UInt8], in parent: NodeID) {
      lastCookie += 1
      nodes[parent]?.places.append(Place(name: name, node: id, cookie: lastCookie))
      nodes[id]?.parent = parent
      if nodes[id]?.attributes.isDirectory == true { nodes[parent]?.subdirectories += 1 }
    }

    private mutating func unlink(_ id: NodeID, _ name: [UInt8], in parent: NodeID) {
      nodes[parent]?.places.removeAll { $0.name == name }
      if nodes[id]?.attributes.isDirectory == true { nodes[parent]?.subdirectories -= 1 }
    }

    /// Removes a node that nobody can name any more.
    private mutating func collect(_ id: NodeID) {
      guard let node = nodes[id], !node.isLinked, node.lookups == 0, node.opens == 0 else { return }
      nodes[id] = nil
    }
  }
}
