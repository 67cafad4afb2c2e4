import Fuse
import Glibc
import Platform

// Names: found, made, removed, moved and listed.
extension MemoryFileSystem {
  package func lookup(_ name: RawSpan, in id: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    let name = name.bytes
    return try tree.withLock { (tree) throws(Errno) in
      let directory = try tree.directory(id)
      if name == Array(".".utf8) { return tree.lookUp(directory) }
      if name == Array("..".utf8) { return tree.lookUp(try tree.node(directory.parent)) }
      guard let found = directory.directory.node(name) else { return .absent(for: .max) }
      return tree.lookUp(try tree.node(found))
    }
  }

  package func create(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened) {
    let name = name.bytes
    return try tree.withLock { (tree) throws(Errno) in
      guard try tree.directory(directory).directory.node(name) == nil else {
        throw intent.isExclusive ? .exists : .stale
      }
      let node = try tree.add(name, in: directory, new, type: S_IFREG, masks: masks, caller)
      return (tree.lookUp(node), Opened(tree.open(node), .keepCache))
    }
  }

  package func mknod(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    let type = new.mode & S_IFMT
    guard [S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK].contains(type) else { throw .invalidArgument }
    return try make(name, in: directory, new, type: type, caller)
  }

  package func mkdir(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    try make(name, in: directory, new, type: S_IFDIR, caller)
  }

  package func symlink(
    _ target: RawSpan, as name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    var new = new
    (new.mode, new.umask) = (0o777, 0)
    return try make(name, in: directory, new, type: S_IFLNK, target: target.bytes, caller)
  }

  private func make(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, type: UInt32, target: [UInt8] = [], _ caller: Caller
  ) throws(Errno) -> Entry {
    let name = name.bytes
    return try tree.withLock { (tree) throws(Errno) in
      let node = try tree.add(name, in: directory, new, type: type, masks: masks, caller)
      node.target = target
      return tree.lookUp(node)
    }
  }

  package func readlink(
    _ id: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    let target = try tree.withLock { (tree) throws(Errno) in
      let node = try tree.node(id)
      guard node.attributes.mode & S_IFMT == S_IFLNK else { throw .invalidArgument }
      return node.target
    }
    buffer.copyBytes(from: target)
    return target.count
  }

  package func link(
    _ id: NodeID, as name: RawSpan, in newDirectory: NodeID, _ caller: Caller
  ) throws(Errno) -> Entry {
    let name = name.bytes
    return try tree.withLock { (tree) throws(Errno) in
      let node = try tree.node(id)
      let directory = try tree.directoryForNames(newDirectory)
      guard directory.directory.node(name) == nil else { throw .exists }
      guard !node.isDirectory else { throw .notPermitted }
      try node.checkMutable(.appendOnly)
      guard node.links > 0 || node.isLinkable else { throw .noEntry }
      guard node.links < tree.limits.links else { throw Errno(rawValue: EMLINK) }
      tree.link(node, name, in: directory)
      node.changed()
      directory.modified()
      return tree.lookUp(node)
    }
  }

  package func tmpfile(
    in id: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened) {
    try tree.withLock { (tree) throws(Errno) in
      let directory = try tree.directoryForNames(id)
      let node = try tree.make(in: directory, new, type: S_IFREG, masks: masks, caller)
      node.isLinkable = !intent.isExclusive
      return (tree.lookUp(node), Opened(tree.open(node), .keepCache))
    }
  }

  package func unlink(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    let name = name.bytes
    try tree.withLock { (tree) throws(Errno) in try tree.remove(name, in: directory, isDirectory: false) }
  }

  package func rmdir(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    let name = name.bytes
    try tree.withLock { (tree) throws(Errno) in try tree.remove(name, in: directory, isDirectory: true) }
  }

  package func rename(
    _ name: RawSpan, in directory: NodeID, to newName: RawSpan, in newDirectory: NodeID, _ flags: RenameFlags,
    _ caller: Caller
  ) throws(Errno) {
    let (name, newName) = (name.bytes, newName.bytes)
    try tree.withLock { (tree) throws(Errno) in
      try tree.rename(name, in: directory, to: newName, in: newDirectory, flags)
    }
  }

  // MARK: lists

  package func opendir(_ id: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    try tree.withLock { (tree) throws(Errno) in Opened(tree.open(try tree.directory(id)), .keepCache) }
  }

  package func releasedir(_ id: NodeID, _ handle: FileHandle) {
    tree.withLock { $0.close(id, handle, isDirectory: true) }
  }

  package func fsyncdir(_ id: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    count(\.fsyncdir)
  }

  /// "." and ".." have the cookies 1 and 2.
  package func readdir(
    _ id: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {
    var cookie = cookie
    while let (entry, name, next) = try listed(id, behind: cookie, isPlus: reply.isPlus) {
      let outcome = reply.add(name.span.bytes, entry, next: next)
      // It was counted before, so that it cannot go meanwhile.
      if reply.isPlus && outcome != .lookedUp { forget(entry.node) }
      if outcome == .full { return }
      cookie = next
    }
  }

  /// The first entry behind a cookie, with a lookup of it for readdirplus.
  private func listed(
    _ id: NodeID, behind cookie: UInt64, isPlus: Bool
  ) throws(Errno) -> (entry: Entry, name: [UInt8], next: UInt64)? {
    try tree.withLock { (tree) throws(Errno) in
      let directory = try tree.directory(id)
      // A directory that is gone is empty.
      if cookie < 2 && directory.links == 0 { return nil }
      let (node, name, next): (MemoryNode, [UInt8], UInt64)
      switch cookie {
      case 0: (node, name, next) = (directory, Array(".".utf8), 1)
      case 1: (node, name, next) = (tree.nodes[directory.parent] ?? directory, Array("..".utf8), 2)
      default:
        let places = directory.directory.places
        let index = cookie == .max ? places.count : directory.directory.firstIndex(from: cookie + 1)
        guard index < places.count else { return nil }
        (node, name, next) = (try tree.node(places[index].node), places[index].name, places[index].cookie)
      }
      return (isPlus ? tree.lookUp(node) : tree.entry(node), name, next)
    }
  }
}
