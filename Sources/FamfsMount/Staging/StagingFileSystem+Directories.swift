import Famfs
import Fuse
import Glibc
import Platform

// Directories: listings, each a picture of when it began.
extension StagingFileSystem {
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
    let (place, own, parent, listing) = try staging.withTree { (tree) throws(Errno) in
      let place = try tree.place(of: node)
      let own = try inode(of: place)
      let parent = try inode(of: directory(above: place, tree))
      let end = volume.nodeCount
      return (place, own, parent, cookie == 0 ? tree.beginListing(handle, of: place, end: end) : tree.listing(handle))
    }
    if cookie <= 1 {
      let dots = [own, parent].map {
        Entry(NodeID(rawValue: $0), Attributes(mode: S_IFDIR | 0o755), nameLifetime: 0, attributeLifetime: 0)
      }
      if cookie == 0, reply.add(".".utf8.span.bytes, dots[0], next: 1) == .full { return }
      if reply.add("..".utf8.span.bytes, dots[1], next: 2) == .full { return }
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

  /// The directory that one is in; of one that was removed, itself.
  private func directory(above place: Place, _ tree: borrowing StagedTree) throws(Errno) -> Place {
    switch place {
    case .number(let number): .number(try volume.node(number).parent)
    case .staged(let id): tree[id]?.link?.parent ?? place
    }
  }

  /// What programs see as a directory's number.
  private func inode(of place: Place) throws(Errno) -> UInt64 {
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
}
