import Famfs
import Fuse
import Glibc
import Platform

/// The master's mount: a famfs volume on which programs make files and directories the usual way. What they make is
/// staged until it is committed; for what the log has this hands on to `FamfsFileSystem`.
struct StagingFileSystem: FileSystem {
  private let base: FamfsFileSystem
  private let staging: Staging
  private var volume: Volume { staging.volume }
  /// The handle of an open file that counts; others have none.
  private static let counted = FileHandle(rawValue: 1)

  init(over base: FamfsFileSystem, _ staging: Staging) {
    self.base = base
    self.staging = staging
  }

  var traits: FileSystemTraits { base.traits }

  func refusal(of opcode: Opcode) -> Errno { base.refusal(of: opcode) }

  /// A node of the log under the number that it has there, or one that is staged.
  private enum Target {
    case logged(NodeID)
    case staged(StagedNode)
  }

  private func target(_ id: NodeID) throws(Errno) -> Target {
    guard StagedTree.isStaged(id) else { return .logged(id) }
    guard let node = staging.withTree({ $0[id] }) else { throw .stale }
    return node.committed.map { .logged(NodeID($0)) } ?? .staged(node)
  }

  /// The number in the log of a node that was staged a moment ago.
  private func logged(_ id: NodeID) throws(Errno) -> NodeID {
    guard case .logged(let id) = try target(id) else { throw .stale }
    return id
  }

  // MARK: Names

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    if staging.isIdle || directory == .meta { return try base.lookup(name, in: directory, caller) }
    let bytes = name.withUnsafeBytes { Array($0) }
    let (place, found) = try staging.withTree { (tree) throws(Errno) in
      let place = try tree.place(of: directory)
      let found = tree.child(bytes, of: place).flatMap { entry($0, &tree) }
      return (place, found)
    }
    if let found { return found }
    guard case .number(let parent) = place else { throw .noEntry }
    var logged = try base.lookup(name, in: NodeID(parent), caller)
    let number = try NodeNumber(logged.node)
    logged.node = staging.withTree { tree in
      let id = tree.id(of: number)
      tree.count(id)
      return id
    }
    return logged
  }

  /// What the kernel is told of a staged node, which counts.
  private func entry(_ id: NodeID, _ tree: inout StagedTree) -> Entry? {
    guard let node = tree[id] else { return nil }
    tree.count(id)
    return entry(id, node, tree)
  }

  private func entry(_ id: NodeID, _ node: StagedNode, _ tree: borrowing StagedTree) -> Entry {
    Entry(id, attributes(id, node, tree), nameLifetime: base.lifetime, attributeLifetime: base.lifetime)
  }

  private func attributes(_ id: NodeID, _ node: StagedNode, _ tree: borrowing StagedTree) -> Attributes {
    var attributes = Attributes(mode: node.permissions | (node.isDirectory ? S_IFDIR : S_IFREG))
    attributes.size = node.isDirectory ? 4096 : node.shape.size
    attributes.blocks = node.shape.allocated / 512
    (attributes.userID, attributes.groupID) = (node.userID, node.groupID)
    attributes.linkCount = node.link == nil ? 0 : node.isDirectory ? 2 + tree.subdirectories(of: .staged(id)) : 1
    attributes.blockSize = node.isDirectory ? 4096 : 1 << 20
    attributes.accessTime = Int64(clamping: node.accessed)
    attributes.modificationTime = Int64(clamping: node.modified)
    attributes.changeTime = Int64(clamping: node.changed)
    return attributes
  }

  func forget(_ node: NodeID, _ count: UInt64) {
    if StagedTree.isStaged(node) { staging.withTree { $0.forget(node, count) } }
  }

  func create(
    _ name: RawSpan, in directory: NodeID, mode: UInt32, umask: UInt32, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened) {
    if directory == .meta { return try base.create(name, in: directory, mode: mode, umask: umask, intent, caller) }
    let entry: Entry
    do throws(Errno) { entry = try make(name, in: directory, mode, isDirectory: false, isOpen: true, caller) } catch {
      // It has come into the log since the kernel looked, who shall look again.
      throw error == .exists && !intent.isExclusive ? .stale : error
    }
    return (entry, Opened(StagingFileSystem.counted, base.flags(intent)))
  }

  func mknod(
    _ name: RawSpan, in directory: NodeID, mode: UInt32, umask: UInt32, specialDevice: UInt32, _ caller: Caller
  ) throws(Errno) -> Entry {
    // The format has files and directories only.
    guard mode & S_IFMT == S_IFREG || mode & S_IFMT == 0 else { throw base.refusal }
    return try make(name, in: directory, mode, isDirectory: false, isOpen: false, caller)
  }

  func mkdir(
    _ name: RawSpan, in directory: NodeID, mode: UInt32, umask: UInt32, _ caller: Caller
  ) throws(Errno) -> Entry {
    try make(name, in: directory, mode, isDirectory: true, isOpen: false, caller)
  }

  private func make(
    _ name: RawSpan, in directory: NodeID, _ mode: UInt32, isDirectory: Bool, isOpen: Bool, _ caller: Caller
  ) throws(Errno) -> Entry {
    let bytes = name.withUnsafeBytes { Array($0) }
    let term: UInt64
    do throws(FamfsError) { term = try volume.takeSlot() } catch { throw error.errno }
    do throws(Errno) {
      return try staging.withTree { (tree) throws(Errno) in
        let place = try tree.place(of: directory)
        let parent = try checkRoom(for: bytes, in: place, tree)
        if try exists(bytes, in: place, tree) { throw .exists }
        let now = Clock.realtime()
        var node = StagedNode(
          isDirectory: isDirectory, term: term, permissions: mode & 0o7777, userID: caller.userID,
          groupID: caller.groupID,
          accessed: now, modified: now, changed: now)
        if parent.permissions & S_ISGID != 0 {
          node.groupID = parent.groupID
          if isDirectory { node.permissions |= S_ISGID }
        }
        if !isDirectory { node.contents = StagedContents(of: volume, term: term, staging.graveyard) }
        node.opens = isOpen ? 1 : 0
        node.lookups = 1
        let id = tree.add(node, bytes, in: place)
        if !isOpen { tree.set(due: Clock.monotonic() + staging.delay, of: id) }
        postpone(place, &tree)
        return entry(id, tree[id] ?? node, tree)
      }
    } catch {
      volume.giveSlot(of: term)
      throw error
    }
  }

  /// A directory that is being filled is not committed before what is in it.
  private func postpone(_ place: Place, _ tree: inout StagedTree) {
    if case .staged(let id) = place { tree.set(due: Clock.monotonic() + staging.delay, of: id) }
  }

  /// Checks that something can be made in a directory, under this name, with so many bytes of path below it.
  private func checkRoom(
    for name: [UInt8], in place: Place, depth: Int = 0, _ tree: borrowing StagedTree
  ) throws(Errno) -> (permissions: UInt32, groupID: UInt32) {
    let path = try tree.path(of: place, in: volume).appending(name)
    if path.count + depth > EntryPath.maximum { throw .nameTooLong }
    // A command is making it: it is not there to be opened yet.
    if let path = try? EntryPath(bytes: path), volume.isReserved(path) { throw .busy }
    switch place {
    case .number(.meta): throw .notPermitted
    case .number(let number):
      let node = try volume.node(number)
      guard node.kind == .directory else { throw .notDirectory }
      return (UInt32(node.permissions), node.groupID)
    case .staged(let id):
      guard let node = tree[id], node.link != nil else { throw .noEntry }
      return (node.permissions, node.groupID)
    }
  }

  private func exists(_ name: [UInt8], in place: Place, _ tree: borrowing StagedTree) throws(Errno) -> Bool {
    if tree.child(name, of: place) != nil { return true }
    return try isLogged(name, in: place)
  }

  private func isLogged(_ name: [UInt8], in place: Place) throws(Errno) -> Bool {
    guard case .number(let number) = place else { return false }
    let found = name.withUnsafeBytes { name in
      Result { () throws(Errno) in try volume.lookUp(name, in: number) }
    }
    switch found {
    case .success: return true
    case .failure(.noEntry): return false
    case .failure(let error): throw error
    }
  }

  func unlink(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    if directory == .meta { return try base.unlink(name, in: directory, caller) }
    try remove(name, in: directory, isDirectory: false)
  }

  func rmdir(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    try remove(name, in: directory, isDirectory: true)
  }

  private func remove(_ name: RawSpan, in directory: NodeID, isDirectory: Bool) throws(Errno) {
    let bytes = name.withUnsafeBytes { Array($0) }
    let term = try staging.withTree { (tree) throws(Errno) in
      let place = try tree.place(of: directory)
      guard let id = tree.child(bytes, of: place), let node = tree[id] else {
        throw try isLogged(bytes, in: place) ? base.refusal : Errno.noEntry
      }
      if isDirectory && !node.isDirectory { throw .notDirectory }
      if !isDirectory && node.isDirectory { throw .isDirectory }
      if tree.hasChildren(.staged(id)) { throw Errno(rawValue: ENOTEMPTY) }
      tree.unlink(id, Clock.realtime())
      postpone(place, &tree)
      return node.term
    }
    volume.giveSlot(of: term)
  }

  func rename(
    _ name: RawSpan, in directory: NodeID, to newName: RawSpan, in newDirectory: NodeID, _ flags: RenameFlags,
    _ caller: Caller
  ) throws(Errno) {
    let (old, new) = (name.withUnsafeBytes { Array($0) }, newName.withUnsafeBytes { Array($0) })
    let (promised, replaced) = try staging.withTree { (tree) throws(Errno) in
      let (place, newPlace) = (try tree.place(of: directory), try tree.place(of: newDirectory))
      guard let id = tree.child(old, of: place), let node = tree[id] else {
        throw try isLogged(old, in: place) ? base.refusal : Errno.noEntry
      }
      if flags.contains(.exchange) || tree.isInside(newPlace, id) { throw .invalidArgument }
      _ = try checkRoom(for: new, in: newPlace, depth: node.isDirectory ? tree.depth(of: .staged(id)) : 0, tree)
      if try isLogged(new, in: newPlace) { throw flags.contains(.noReplace) ? .exists : base.refusal }
      let other = tree.child(new, of: newPlace)
      if other == id { return (nil as NodeID?, nil as UInt64?) }
      if let other { try checkReplaceable(other, by: node, flags, tree) }
      let replaced = other.flatMap { tree[$0]?.term }
      let now = Clock.realtime()
      if let other { tree.unlink(other, now) }
      tree.move(id, new, in: newPlace, now)
      for place in [place, newPlace] { postpone(place, &tree) }
      if node.opens == 0 { tree.set(due: Clock.monotonic() + staging.delay, of: id) }
      return (node.isPromised && !PassingName.isPassing(new) ? id : nil, replaced)
    }
    if let replaced { volume.giveSlot(of: replaced) }
    if let promised { try commit(promised) }
  }

  private func checkReplaceable(
    _ id: NodeID, by new: StagedNode, _ flags: RenameFlags, _ tree: borrowing StagedTree
  ) throws(Errno) {
    guard let node = tree[id] else { return }
    if flags.contains(.noReplace) { throw .exists }
    if new.isDirectory && !node.isDirectory { throw .notDirectory }
    if !new.isDirectory && node.isDirectory { throw .isDirectory }
    if tree.hasChildren(.staged(id)) { throw Errno(rawValue: ENOTEMPTY) }
  }

  // MARK: Attributes

  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    switch try target(node) {
    case .logged(let id):
      var found = try base.getattr(id, handle, caller)
      if found.attributes.isDirectory && !staging.isIdle {
        let number = try NodeNumber(id)
        found.attributes.linkCount += staging.withTree { $0.subdirectories(of: .number(number)) }
      }
      return found
    case .staged(let found):
      return CachedAttributes(staging.withTree { attributes(node, found, $0) }, lifetime: base.lifetime)
    }
  }

  func setattr(
    _ node: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes {
    guard case .staged(let found) = try target(node) else {
      return try base.setattr(logged(node), handle, changes, caller)
    }
    if let size = changes.size {
      guard let contents = found.contents else { throw .isDirectory }
      guard let (_, shape) = try contents.withState({ (state) throws(Errno) in try state.resize(to: size, on: volume) })
      else { return try base.setattr(logged(node), handle, changes, caller) }
      staging.withTree { $0.note(shape, of: node) }
    }
    let attributes: Attributes? = staging.withTree { tree in
      guard var staged = tree[node], staged.committed == nil else { return nil }
      staged.apply(changes)
      tree[node] = staged
      // Whoever opens it with O_TRUNC cuts it first.
      if staged.opens == 0 { tree.set(due: Clock.monotonic() + staging.delay, of: node) }
      return self.attributes(node, staged, tree)
    }
    guard let attributes else { return try base.setattr(logged(node), handle, changes, caller) }
    return CachedAttributes(attributes, lifetime: base.lifetime)
  }

  func getxattr(
    _ node: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    try base.getxattr(node, name, into: buffer, caller)
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

  // MARK: Directories

  func opendir(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    Opened(staging.withTree { $0.openListing() })
  }

  func releasedir(_ node: NodeID, _ handle: FileHandle) { staging.withTree { $0.closeListing(handle) } }

  /// Cookies of staged children begin here.
  private static let stagedCookie: UInt64 = 1 << 40

  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {
    if node == .meta { return try base.readdir(node, handle, from: cookie, into: &reply, caller) }
    let (place, listing) = try staging.withTree { (tree) throws(Errno) in
      let place = try tree.place(of: node)
      return (place, cookie == 0 ? tree.beginListing(handle, of: place, end: volume.nodeCount) : tree.listing(handle))
    }
    if cookie <= 1 {
      let own = Entry(node, Attributes(mode: S_IFDIR | 0o755), nameLifetime: 0, attributeLifetime: 0)
      if cookie == 0, reply.add(".".utf8.span.bytes, own, next: 1) == .full { return }
      if reply.add("..".utf8.span.bytes, own, next: 2) == .full { return }
    }
    if cookie < StagingFileSystem.stagedCookie, case .number(let directory) = place {
      if try !list(directory, from: cookie, listing, into: &reply) { return }
    }
    let first = cookie < StagingFileSystem.stagedCookie ? 0 : Int(cookie - StagingFileSystem.stagedCookie)
    for index in listing.staged.indices.dropFirst(first) {
      let next = StagingFileSystem.stagedCookie + UInt64(index) + 1
      let (id, name) = (listing.staged[index], listing.names[index])
      if try !list(id, name, in: node, listing, next: next, into: &reply) { return }
    }
  }

  /// Lists what the log has.
  /// - Returns: false when the reply is full.
  private func list(
    _ directory: NodeNumber, from cookie: UInt64, _ listing: StagedTree.Listing, into reply: inout DirectoryReply
  ) throws(Errno) -> Bool {
    let previous = cookie <= 2 ? nil : try NodeNumber(cookie: cookie)
    return try staging.withTree { (tree) throws(Errno) in
      var isFull = false
      try volume.children(of: directory, after: previous) { number, child, name in
        if number.rawValue >= listing.end { return false }
        var entry = base.entry(number, child)
        entry.node = tree.id(of: number)
        let outcome = reply.add(name.bytes, entry, next: number.cookie)
        if outcome == .lookedUp { tree.count(entry.node) }
        isFull = outcome == .full
        return !isFull
      }
      return !isFull
    }
  }

  /// Lists what was staged when the listing began, and may be committed, or gone, by now.
  private func list(
    _ id: NodeID, _ name: [UInt8], in directory: NodeID, _ listing: StagedTree.Listing, next: UInt64,
    into reply: inout DirectoryReply
  ) throws(Errno) -> Bool {
    try staging.withTree { (tree) throws(Errno) in
      let place = try tree.place(of: directory)
      var found: Entry
      if let node = tree[id], tree.child(name, of: place) == id {
        found = entry(id, node, tree)
      } else if case .number(let parent) = place,
        let (number, node) = name.withUnsafeBytes({ try? volume.lookUp($0, in: parent) }),
        number.rawValue >= listing.end
      {
        found = base.entry(number, node)
        found.node = tree.id(of: number)
      } else {
        return true
      }
      let outcome = reply.add(name.span.bytes, found, next: next)
      if outcome == .lookedUp { tree.count(found.node) }
      return outcome != .full
    }
  }

  func fsyncdir(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    try commit(node)
  }

  // MARK: Contents

  func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    guard StagedTree.isStaged(node) else { return try base.open(node, intent, caller) }
    let isStaged = try staging.withTree { (tree) throws(Errno) in
      guard let found = tree[node] else { throw .stale }
      if found.committed != nil { return false }
      if intent.killsSetID { tree[node]?.clearSetID() }
      tree.open(node)
      return true
    }
    if isStaged { return Opened(StagingFileSystem.counted, base.flags(intent)) }
    return try base.open(logged(node), intent, caller)
  }

  func release(_ node: NodeID, _ handle: FileHandle) {
    guard StagedTree.isStaged(node) else { return base.release(node, handle) }
    guard handle == StagingFileSystem.counted else {
      if let id = try? logged(node) { base.release(id, handle) }
      return
    }
    let isLast = staging.withTree { tree in
      if volume.isReclaiming, let number = tree[node]?.committed { volume.closed(number) }
      guard tree.close(node), tree[node]?.link != nil else { return false }
      tree.set(due: Clock.monotonic() + staging.delay, of: node)
      return true
    }
    // What fails is tried again, and told, by `Staging.run`.
    if isLast && staging.delay == 0 { try? staging.commit(node, evenOpen: false) }
  }

  func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {
    if case .staged(let found) = try target(node) {
      guard let contents = found.contents else { throw .isDirectory }
      let isRead = try contents.withState { (state) throws(Errno) in
        try state.read(at: offset, into: &reply, on: volume)
      }
      if isRead != nil { return }
    }
    try base.read(logged(node), handle, at: offset, into: &reply, caller)
  }

  func foundUnreadable(_ memory: UnsafeRawBufferPointer) { base.foundUnreadable(memory) }

  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, killsSetID: Bool,
    _ caller: Caller
  ) throws(Errno) -> Int {
    if case .staged(let found) = try target(node) {
      guard let contents = found.contents else { throw .isDirectory }
      let written = try contents.withState { (state) throws(Errno) in try state.write(data, at: offset, on: volume) }
      if let (_, shape) = written {
        note(node, shape, killsSetID: killsSetID)
        return data.count
      }
    }
    return try base.write(logged(node), handle, at: offset, data, killsSetID: killsSetID, caller)
  }

  private func note(_ node: NodeID, _ shape: StagedContents.Shape, killsSetID: Bool = false) {
    let now = Clock.realtime()
    staging.withTree { tree in
      tree.note(shape, of: node)
      guard var found = tree[node] else { return }
      (found.modified, found.changed) = (now, now)
      if killsSetID { found.clearSetID() }
      tree[node] = found
    }
  }

  func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode, _ caller: Caller
  ) throws(Errno) {
    let (end, overflow) = offset.addingReportingOverflow(length)
    if overflow || end > UInt64(Int64.max) { throw .fileTooLarge }
    if case .staged(let found) = try target(node) {
      guard let contents = found.contents else { throw .isDirectory }
      let changed = try contents.withState { (state) throws(Errno) in
        if !mode.contains(.punchHole) { try state.reserve(end, on: volume) }
        if mode.contains(.punchHole) || mode.contains(.zeroRange) { try state.clear(offset..<end, on: volume) }
        let mayGrow = mode.isDisjoint(with: [.punchHole, .keepSize])
        if mayGrow && end > state.size { try state.resize(to: end, on: volume) }
      }
      if let (_, shape) = changed { return note(node, shape) }
    }
    // The space of a file in the log is its own already.
    guard volume.role == .master, mode.isSubset(of: .keepSize) else { throw Errno(rawValue: EOPNOTSUPP) }
    if !mode.contains(.keepSize), try end > volume.node(NodeNumber(logged(node))).size { throw .fileTooLarge }
  }

  /// A file with a passing name keeps it until it gets its own, with which it is committed: programs that replace files
  /// write, fsync and rename, and nothing can be renamed once the log has it.
  func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    guard StagedTree.isStaged(node) else { return }
    let isPassing = staging.withTree { tree in
      guard let name = tree[node]?.link?.name, PassingName.isPassing(name) else { return false }
      tree[node]?.isPromised = true
      return true
    }
    if !isPassing { try commit(node) }
  }

  func syncfs(_ caller: Caller) throws(Errno) {
    do throws(FamfsError) { try staging.commitAll() } catch { throw error.errno }
  }

  private func commit(_ id: NodeID) throws(Errno) {
    do throws(FamfsError) { try staging.commit(id, evenOpen: true) } catch { throw error.errno }
  }

  func lseek(
    _ node: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller
  ) throws(Errno) -> UInt64 {
    guard case .staged(let found) = try self.target(node) else {
      return try base.lseek(logged(node), handle, offset, target, caller)
    }
    if offset >= found.shape.size { throw .noSuchAddress }
    return target == .data ? offset : found.shape.size
  }

  /// Unmounted: what is closed by now is there, not a second later.
  func destroy() {
    staging.commitRest(evenOpen: false)
    base.destroy()
  }
}

/// Names that files have only until they are complete, as programs choose them.
enum PassingName {
  /// Whether a name is one: `tmp...`, `....tmp`, `.part`, `.lock`, `~` behind it, and `.NAME.xxxxxx` as rsync has it.
  static func isPassing(_ name: [UInt8]) -> Bool {
    let text = String(decoding: name, as: UTF8.self).lowercased()
    if text.hasPrefix("tmp") || text.hasPrefix(".tmp") || text.hasPrefix(".#") || text.hasPrefix("#") { return true }
    let endings = [".tmp", ".temp", ".part", ".partial", ".lock", ".swp", "~"]
    if endings.contains(where: { text.hasSuffix($0) }) { return true }
    guard text.hasPrefix("."), let dot = text.lastIndex(of: "."), dot > text.startIndex else { return false }
    let suffix = text[dot...].dropFirst()
    return suffix.count >= 6 && suffix.allSatisfy { $0.isLetter || $0.isNumber }
  }
}

extension StagedNode {
  mutating func apply(_ changes: AttributeChanges) {
    let now = Clock.realtime()
    if let mode = changes.mode { permissions = mode & 0o7777 }
    if changes.killsSetID || (changes.userID != nil || changes.groupID != nil) && !isDirectory { clearSetID() }
    if let user = changes.userID { userID = user }
    if let group = changes.groupID { groupID = group }
    if changes.size != nil { modified = now }
    if let time = changes.accessTime { accessed = time.nanoseconds(now: now) }
    if let time = changes.modificationTime { modified = time.nanoseconds(now: now) }
    changed = now
  }

  mutating func clearSetID() {
    permissions &= ~S_ISUID
    if permissions & S_IXGRP != 0 { permissions &= ~S_ISGID }
  }
}

extension NodeID {
  /// The directory `.meta`, in which nothing is staged.
  fileprivate static let meta = NodeID(NodeNumber.meta)
}
