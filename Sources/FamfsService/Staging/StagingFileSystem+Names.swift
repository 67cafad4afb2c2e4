import Famfs
import Fuse
import Glibc
import Platform

// Names: found, made, removed and moved.
extension StagingFileSystem {
  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    if staging.isIdle || directory == .meta { return try base.lookup(name, in: directory, caller) }
    try base.checkLength(name)
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

  func create(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened) {
    if directory == .meta { return try base.create(name, in: directory, new, intent, caller) }
    let entry: Entry
    do throws(Errno) { entry = try make(name, in: directory, new.mode, isDirectory: false, isOpen: true, caller) } catch
    {
      // It has come into the log since the kernel looked, who shall look again.
      throw error == .exists && !intent.isExclusive ? .stale : error
    }
    return (entry, base.opened(.staged, base.stagedFlags(intent)))
  }

  func mknod(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    // The format has files and directories only.
    guard new.mode & S_IFMT == S_IFREG || new.mode & S_IFMT == 0 else { throw base.refusal }
    return try make(name, in: directory, new.mode, isDirectory: false, isOpen: false, caller)
  }

  func mkdir(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    try make(name, in: directory, new.mode, isDirectory: true, isOpen: false, caller)
  }

  private func make(
    _ name: RawSpan, in directory: NodeID, _ mode: UInt32, isDirectory: Bool, isOpen: Bool, _ caller: Caller
  ) throws(Errno) -> Entry {
    guard base.mayStage else { throw base.refusal }
    let bytes = name.withUnsafeBytes { Array($0) }
    let term: UInt64
    do throws(FamfsError) { term = try volume.takeSlot() } catch { throw error.errno }
    do throws(Errno) {
      return try staging.withTree { (tree) throws(Errno) in
        let place = try tree.place(of: directory)
        let parent = try checkRoom(for: bytes, in: place, tree)
        if try exists(bytes, in: place, tree) { throw .exists }
        let now = Clock.fileTime()
        var node = StagedNode(
          isDirectory: isDirectory, term: term, maker: caller.userID, permissions: mode & 0o7777, userID: caller.userID,
          groupID: caller.groupID,
          accessed: now, modified: now, changed: now)
        if parent.permissions & S_ISGID != 0 {
          node.groupID = parent.groupID
          if isDirectory { node.permissions |= S_ISGID }
        }
        if !isDirectory {
          node.contents = StagedContents(
            of: volume, term: term, SpaceShare(of: caller.userID, in: staging.shares))
        }
        node.opens = isOpen ? 1 : 0
        node.lookups = 1
        let id = try tree.add(node, bytes, in: place)
        if !isOpen { tree.set(due: Clock.monotonic() + staging.delay, of: id) }
        noteChange(in: place, &tree)
        return entry(id, tree[id] ?? node, tree)
      }
    } catch {
      volume.giveSlot(of: term)
      throw error
    }
  }

  /// Something was made or removed in a directory, or moved: one that is being filled is not committed before what is
  /// in it, and one that the log has gets its new time now, for the commit is not when programs changed it.
  private func noteChange(in place: DirectoryID, _ tree: inout StagedTree) {
    tree.note(hasSetTime: false, of: place)
    switch place {
    case .staged(let id): tree.set(due: Clock.monotonic() + staging.delay, of: id)
    case .number(let number):
      let now = Clock.fileTime()
      _ = try? volume.update(number) { ($0.modified, $0.changed) = (now, now) }
    }
  }

  /// Checks that something can be made in a directory, under this name, with so many bytes of path below it.
  private func checkRoom(
    for name: [UInt8], in place: DirectoryID, depth: Int = 0, _ tree: borrowing StagedTree
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

  private func exists(_ name: [UInt8], in place: DirectoryID, _ tree: borrowing StagedTree) throws(Errno) -> Bool {
    if tree.child(name, of: place) != nil { return true }
    return try isLogged(name, in: place)
  }

  private func isLogged(_ name: [UInt8], in place: DirectoryID) throws(Errno) -> Bool {
    if name.count > EntryPath.maximum { throw .nameTooLong }
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
      tree.unlink(id, Clock.fileTime())
      noteChange(in: place, &tree)
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
      let now = Clock.fileTime()
      if let other { tree.unlink(other, now) }
      tree.move(id, new, in: newPlace, now)
      for place in [place, newPlace] { noteChange(in: place, &tree) }
      if node.opens == 0 { tree.set(due: Clock.monotonic() + staging.delay, of: id) }
      return (node.isPromised && !TemporaryName.isTemporary(new) ? id : nil, replaced)
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
}
