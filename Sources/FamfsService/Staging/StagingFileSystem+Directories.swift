import Famfs
import Fuse
import Glibc
import Platform

// Directories: each listing shows what there was when it began.
extension StagingFileSystem {
  func opendir(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    try staging.withTree { (tree) throws(Errno) in
      Opened(try tree.openListing(of: tree.place(of: node), for: caller.userID))
    }
  }

  func releasedir(_ node: NodeID, _ handle: FileHandle) { staging.withTree { $0.closeListing(handle) } }

  /// Cookies of what was staged begin here, and go on by its positions.
  private static let stagedCookie: UInt64 = 1 << 40

  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {
    if node == .meta { return try base.readdir(node, handle, from: cookie, into: &reply, caller) }
    let (place, own, parent, listing) = try staging.withTree { (tree) throws(Errno) in
      let place = try tree.place(of: node)
      let own = try inode(of: place)
      let parent = try inode(of: directory(above: place, tree))
      if cookie == 0 { tree.beginListing(handle, end: volume.nodeCount) }
      guard let listing = tree.listing(handle) else { throw Errno(rawValue: EBADF) }
      return (place, own, parent, listing)
    }
    if cookie <= 1 {
      let dots = [own, parent].map {
        Entry(
          NodeID(rawValue: $0), Attributes(inode: $0, mode: S_IFDIR | 0o755), nameLifetime: 0, attributeLifetime: 0)
      }
      if cookie == 0, reply.add(".".utf8.span.bytes, dots[0], next: 1) == .full { return }
      if reply.add("..".utf8.span.bytes, dots[1], next: 2) == .full { return }
    }
    if cookie < StagingFileSystem.stagedCookie, case .number(let directory) = place {
      if try !list(directory, from: cookie, listing, into: &reply) { return }
    }
    let position = cookie < StagingFileSystem.stagedCookie ? 0 : cookie - StagingFileSystem.stagedCookie
    try listStaged(in: node, after: position, listing, into: &reply)
  }

  /// The directory that one is in; of one that was removed, itself.
  private func directory(above place: DirectoryID, _ tree: borrowing StagedTree) throws(Errno) -> DirectoryID {
    switch place {
    case .number(let number): .number(try volume.node(number).parent)
    case .staged(let id): tree[id]?.link?.parent ?? place
    }
  }

  /// What programs see as a directory's number.
  private func inode(of place: DirectoryID) throws(Errno) -> UInt64 {
    switch place {
    case .number(let number): try volume.node(number).inode(number)
    case .staged(let id): id.rawValue
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
  private func listStaged(
    in directory: NodeID, after start: UInt64, _ listing: StagedTree.Listing, into reply: inout DirectoryReply
  ) throws(Errno) {
    try staging.withTree { (tree) throws(Errno) in
      let place = try tree.place(of: directory)
      var position = start
      while let item = tree.next(in: place, after: position, of: listing) {
        position = item.position
        guard let (name, found) = describe(item.id, listing, tree) else { continue }
        let outcome = reply.add(name.span.bytes, found, next: StagingFileSystem.stagedCookie + position)
        if outcome == .lookedUp { tree.count(found.node) }
        if outcome == .full { return }
      }
    }
  }

  /// What is listed of something that was staged when the listing began; nil when it is gone, or was listed already
  /// among what the log has.
  private func describe(
    _ id: NodeID, _ listing: StagedTree.Listing, _ tree: borrowing StagedTree
  ) -> (name: [UInt8], Entry)? {
    if StagedTree.isStaged(id) {
      return tree[id].flatMap { node in node.link.map { ($0.name, entry(id, node, tree)) } }
    }
    guard let number = try? NodeNumber(id), number.rawValue >= listing.end, let (node, name) = volume.named(number)
    else {
      return nil
    }
    var found = base.entry(number, node)
    found.node = tree.id(of: number)
    return (name, found)
  }

  func fsyncdir(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    try commit(node)
    if case .logged(let id) = try target(node) { try base.saveAttributes(of: id) }
  }
}
