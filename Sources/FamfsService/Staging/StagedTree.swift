import Famfs
import Fuse
import Glibc
import Platform

/// Where something is found: a directory of the log, or one that is staged.
enum DirectoryID: Hashable {
  case number(NodeNumber)
  case staged(NodeID)
}

/// Names and attributes of what is staged. A value: `Staging` keeps it under its lock.
struct StagedTree {
  /// Numbers of their own, far above those of the log.
  private static let firstID: UInt64 = 1 << 40
  private var lastID = StagedTree.firstID

  private(set) var nodes: [NodeID: StagedNode] = [:]
  private var children: [DirectoryID: Children] = [:]
  /// The log's numbers of what the kernel knows by another one.
  private var aliases: [NodeNumber: NodeID] = [:]
  /// How far open directories are listed, by handle.
  private var listings: [FileHandle: Listing] = [:]
  private var lastHandle: UInt64 = 0
  /// In the order of each directory; none is given twice.
  private var lastPosition: UInt64 = 0
  private let shares: UserShares
  /// When to commit what, by `Clock.monotonic`.
  private(set) var due = CommitSchedule<NodeID>()

  /// Contents of files that nobody can reach any more.
  private var dropped: [StagedContents] = []

  var isEmpty: Bool { nodes.isEmpty }
  /// Files and directories that the log does not have.
  private(set) var stagedCount = 0

  /// What is staged in a directory.
  private struct Children {
    var names: [[UInt8]: NodeID] = [:]
    var directoryCount: UInt32 = 0
    var order = StagedOrder()
    /// How often the directory is open.
    var readers = 0
    /// Whether a program has set the directory's time since something was made in it: that time shall stay.
    var hasSetTime = false

    var isUnused: Bool { names.isEmpty && readers == 0 }
  }

  init(_ shares: UserShares) { self.shares = shares }

  static func isStaged(_ id: NodeID) -> Bool { id.rawValue > firstID }

  // MARK: Asking

  subscript(id: NodeID) -> StagedNode? {
    get { nodes[id] }
    set { nodes[id] = newValue }
  }

  /// Where a directory of this id has its children.
  func place(of id: NodeID) throws(Errno) -> DirectoryID {
    guard StagedTree.isStaged(id) else { return .number(try NodeNumber(id)) }
    guard let node = nodes[id] else { throw .stale }
    guard node.isDirectory else { throw .notDirectory }
    return node.committed.map { .number($0) } ?? .staged(id)
  }

  /// The id by which the kernel knows a node of the log.
  func id(of number: NodeNumber) -> NodeID { aliases[number] ?? NodeID(number) }

  func child(_ name: [UInt8], of place: DirectoryID) -> NodeID? { children[place]?.names[name] }

  func hasChildren(_ place: DirectoryID) -> Bool { children[place]?.names.isEmpty == false }

  /// Whether a directory has staged children, and a program has set its time since the last of them was made.
  func hasSetTime(_ place: DirectoryID) -> Bool { children[place]?.hasSetTime == true }

  /// Notes that a program has set a directory's time, or that the directory has changed since.
  mutating func note(hasSetTime: Bool, of place: DirectoryID) { children[place]?.hasSetTime = hasSetTime }

  func subdirectories(of place: DirectoryID) -> UInt32 { children[place]?.directoryCount ?? 0 }

  /// A directory's path, byte for byte; empty for the root.
  func path(of place: DirectoryID, in volume: Volume) throws(Errno) -> [UInt8] {
    switch place {
    case .number(let number): return volume.pathBytes(of: number)
    case .staged(let id):
      guard let link = nodes[id]?.link else { throw .noEntry }
      return try path(of: link.parent, in: volume).appending(link.name)
    }
  }

  /// How many bytes the longest path below a directory has behind its own.
  func depth(of place: DirectoryID) -> Int {
    (children[place]?.names ?? [:]).map { name, id in
      1 + name.count + (nodes[id]?.isDirectory == true ? depth(of: .staged(id)) : 0)
    }.max() ?? 0
  }

  /// What is staged below a directory of the log, or a staged one, but open files.
  /// - Returns: also whether there are such open files.
  func closed(below place: DirectoryID, in volume: Volume) -> (closed: [NodeID], hasOpen: Bool) {
    var found: [NodeID] = []
    var hasOpen = false
    for (id, node) in nodes {
      guard let parent = node.link?.parent, isBelow(parent, place, volume) else { continue }
      if node.opens == 0 { found.append(id) } else { hasOpen = true }
    }
    return (found, hasOpen)
  }

  private func isBelow(_ place: DirectoryID, _ top: DirectoryID, _ volume: Volume) -> Bool {
    if place == top || top == .number(.root) { return true }
    switch place {
    case .number(.root): return false
    case .number(let number):
      guard let parent = try? volume.node(number).parent else { return false }
      return isBelow(.number(parent), top, volume)
    case .staged(let id):
      guard let parent = nodes[id]?.link?.parent else { return false }
      return isBelow(parent, top, volume)
    }
  }

  /// Whether a place is a directory, or in it.
  func isInside(_ place: DirectoryID, _ directory: NodeID) -> Bool {
    guard case .staged(let id) = place else { return false }
    return id == directory || (nodes[id]?.link).map { isInside($0.parent, directory) } ?? false
  }

  // MARK: Changing

  /// Adds something; the kernel is about to be told.
  /// - Throws: ENOSPC when who makes it has too much staged.
  mutating func add(_ node: StagedNode, _ name: [UInt8], in place: DirectoryID) throws(Errno) -> NodeID {
    try shares.takeName(of: node.maker)
    lastID += 1
    let id = NodeID(rawValue: lastID)
    nodes[id] = node
    link(id, name, in: place)
    touch(place, node.modified)
    return id
  }

  /// Takes a name away; what had it lives on while it is open or known.
  mutating func unlink(_ id: NodeID, _ time: Int64) {
    guard let link = nodes[id]?.link else { return }
    remove(link, of: id)
    nodes[id]?.changed = time
    due[id] = nil
    touch(link.parent, time)
    dropIfUnused(id)
  }

  mutating func move(_ id: NodeID, _ name: [UInt8], in place: DirectoryID, _ time: Int64) {
    guard let link = nodes[id]?.link else { return }
    remove(link, of: id)
    self.link(id, name, in: place)
    nodes[id]?.changed = time
    touch(link.parent, time)
    touch(place, time)
  }

  private mutating func link(_ id: NodeID, _ name: [UInt8], in place: DirectoryID) {
    precondition(nodes[id]?.link == nil, "a staged node has one name")
    precondition(child(name, of: place) == nil, "a name stands for one node")
    lastPosition += 1
    nodes[id]?.link = StagedNode.Link(parent: place, name: name, position: lastPosition)
    children[place, default: Children()].names[name] = id
    children[place]?.order.append(id, at: lastPosition)
    if nodes[id]?.isDirectory == true { children[place]?.directoryCount += 1 }
    stagedCount += 1
  }

  /// - Parameter number: what it is in the log by now, for who has the directory open; nil when it goes.
  private mutating func remove(_ link: StagedNode.Link, of id: NodeID, as number: NodeNumber? = nil) {
    precondition(child(link.name, of: link.parent) == id, "a directory knows what has its name there")
    nodes[id]?.link = nil
    children[link.parent]?.names[link.name] = nil
    if let number, let readers = children[link.parent]?.readers, readers > 0 {
      children[link.parent]?.order.commit(at: link.position, as: NodeID(number))
    } else {
      children[link.parent]?.order.remove(at: link.position)
    }
    if nodes[id]?.isDirectory == true { children[link.parent]?.directoryCount -= 1 }
    if children[link.parent]?.isUnused == true { children[link.parent] = nil }
    stagedCount -= 1
  }

  /// Notes that a staged directory has changed.
  private mutating func touch(_ place: DirectoryID, _ time: Int64) {
    guard case .staged(let id) = place else { return }
    nodes[id]?.modified = time
    nodes[id]?.changed = time
  }

  /// Notes that the log has it now.
  mutating func settle(_ id: NodeID, as number: NodeNumber) {
    guard let node = nodes[id], let link = node.link else { return }
    remove(link, of: id, as: number)
    nodes[id]?.committed = number
    due[id] = nil
    aliases[number] = id
    shares.giveName(of: node.maker)
    if let orphans = children.removeValue(forKey: .staged(id)) {
      precondition(children[.number(number)] == nil, "in a directory that the log has just got nothing is staged yet")
      for child in orphans.names.values { nodes[child]?.link?.parent = .number(number) }
      children[.number(number)] = orphans
      if orphans.readers > 0 {
        for (handle, listing) in listings where listing.place == .staged(id) {
          listings[handle]?.place = .number(number)
        }
      }
    }
    dropIfUnused(id)
  }

  /// Says when to commit something, unless that has happened, or it was removed, or is a placeholder.
  mutating func set(due time: UInt64, of id: NodeID) {
    guard let node = nodes[id], node.link != nil, !node.isPlaceholder else { return }
    due[id] = time
  }

  /// Says when to try again to commit something, unless it was removed.
  /// - Returns: whether that has to be said for the first time.
  mutating func putOff(_ id: NodeID, until time: UInt64) -> Bool {
    guard let node = nodes[id], node.link != nil else { return false }
    nodes[id]?.wasPutOff = true
    due[id] = time
    return !node.wasPutOff
  }

  /// Notes how large a file is by now.
  mutating func note(_ shape: StagedContents.Shape, of id: NodeID) {
    if let known = nodes[id]?.shape.revision, known < shape.revision { nodes[id]?.shape = shape }
  }

  mutating func count(_ id: NodeID) { nodes[id]?.lookups += 1 }

  mutating func forget(_ id: NodeID, _ count: UInt64) {
    guard let lookups = nodes[id]?.lookups else { return }
    nodes[id]?.lookups = lookups - min(count, lookups)
    dropIfUnused(id)
  }

  mutating func open(_ id: NodeID) {
    nodes[id]?.opens += 1
    due[id] = nil
  }

  /// - Returns: whether that was the last open file of it.
  mutating func close(_ id: NodeID) -> Bool {
    guard let opens = nodes[id]?.opens, opens > 0 else { return false }
    nodes[id]?.opens = opens - 1
    dropIfUnused(id)
    return opens == 1
  }

  /// Drops the bytes of a file that has no name and is open no more, without waiting for the kernel to forget it: its
  /// space is there for the next write. Drops the node when the kernel has forgotten it, too.
  private mutating func dropIfUnused(_ id: NodeID) {
    guard let node = nodes[id], node.link == nil, node.opens == 0 else { return }
    if node.committed == nil, let contents = node.contents {
      dropped.append(contents)
      nodes[id]?.contents = nil
    }
    guard node.lookups == 0 else { return }
    nodes[id] = nil
    if let number = node.committed { aliases[number] = nil } else { shares.giveName(of: node.maker) }
  }

  // MARK: Listing

  /// How far a directory is listed. What it held when the reader began is listed once, also when it is committed
  /// meanwhile; what came later may be left out.
  struct Listing {
    /// The directory.
    fileprivate(set) var place: DirectoryID
    /// Who has it open.
    fileprivate let user: UInt32
    /// Numbers of the log from this one on came later, or were staged then.
    fileprivate(set) var end: UInt32 = .max
    /// The last position that was staged then.
    fileprivate(set) var last: UInt64 = 0
  }

  /// - Throws: EMFILE when the user has too many directories open.
  mutating func openListing(of place: DirectoryID, for user: UInt32) throws(Errno) -> FileHandle {
    try shares.takeDirectory(of: user)
    lastHandle += 1
    let handle = FileHandle(rawValue: lastHandle)
    listings[handle] = Listing(place: place, user: user)
    children[place, default: Children()].readers += 1
    return handle
  }

  mutating func closeListing(_ handle: FileHandle) {
    guard let listing = listings.removeValue(forKey: handle) else { return }
    shares.giveDirectory(of: listing.user)
    guard let readers = children[listing.place]?.readers else {
      preconditionFailure("a directory that is open is known")
    }
    children[listing.place]?.readers = readers - 1
    if readers == 1 { children[listing.place]?.order.dropCommitted() }
    if children[listing.place]?.isUnused == true { children[listing.place] = nil }
  }

  /// Where a reader is; nil for a handle that is not open.
  func listing(_ handle: FileHandle) -> Listing? { listings[handle] }

  /// Begins anew, with what the directory holds now.
  /// - Parameter end: how many numbers the log has.
  mutating func beginListing(_ handle: FileHandle, end: UInt32) {
    listings[handle]?.end = end
    listings[handle]?.last = lastPosition
  }

  /// What a directory held when a listing began, behind a position; nil at the end.
  func next(in place: DirectoryID, after position: UInt64, of listing: Listing) -> StagedOrder.Item? {
    guard let item = children[place]?.order.next(after: position), item.position <= listing.last else { return nil }
    return item
  }

  /// Takes out what is to be committed by now.
  mutating func takeDue(by now: UInt64) -> [NodeID] { due.take(until: now) }

  mutating func takeDropped() -> [StagedContents] {
    defer { dropped = [] }
    return dropped
  }
}

extension [UInt8] {
  /// A path and a name in it.
  func appending(_ name: [UInt8]) -> [UInt8] { isEmpty ? name : self + [UInt8(ascii: "/")] + name }
}
