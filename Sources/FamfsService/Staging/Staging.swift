import Famfs
import Fuse
import Glibc
import Platform
import Serving
import Synchronization

/// What is being made on the mount: files and directories that programs have created and that the log does not have
/// yet. A commit is one log entry, of which other hosts see all or nothing.
///
/// Locks, in this order: a file's contents; the tree; the volume's own. The tree's lock is held over an append, for
/// names must not change meanwhile, and never over an access to contents.
final class Staging: Sendable {
  let volume: Volume
  /// Nanoseconds from a file's last close to its commit.
  let delay: UInt64
  /// Brings into the log what changes of what it has already.
  let attributes: DurableAttributes
  private let log: DaemonLog
  private let tree: Mutex<StagedTree>
  /// What users hold of it.
  let shares: UserShares
  /// Whether the tree has anything, told without its lock.
  private let isInUse = Atomic(false)

  init(of volume: Volume, delay: UInt64, limits: UserLimits = UserLimits(), log: DaemonLog) {
    shares = UserShares(limits)
    tree = Mutex(StagedTree(shares))
    self.volume = volume
    self.delay = delay
    attributes = DurableAttributes(of: volume, log: log)
    self.log = log
  }

  /// Whether nothing is staged, nor known by a staged number.
  var isIdle: Bool { !isInUse.load(ordering: .acquiring) }

  /// Does something with the tree.
  func withTree<Result, Failure: Error>(
    _ body: (inout StagedTree) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let (result, dropped) = try tree.withLock { (tree) throws(Failure) in
      defer { isInUse.store(!tree.isEmpty, ordering: .releasing) }
      let result = try body(&tree)
      return (result, tree.takeDropped())
    }
    for contents in dropped { contents.abandon() }
    return result
  }

  /// The id by which the kernel knows a node of the log.
  func id(of number: NodeNumber) -> NodeID { isIdle ? NodeID(number) : withTree { $0.id(of: number) } }

  // MARK: Commit

  /// Makes a file or directory real, and the directories that it is in. What the log has already, and what was removed,
  /// is left as it is.
  /// - Parameter evenOpen: whether a file that somebody has open counts as complete.
  /// - Throws: a sentence; then it is still staged.
  func commit(_ id: NodeID, evenOpen: Bool) throws(FamfsError) {
    guard let node = withTree({ $0[id] }), node.link != nil else { return }
    guard let contents = node.contents else {
      try withTree { (tree) throws(FamfsError) in try commit(directory: id, &tree) }
      return
    }
    try contents.finish { (size, layout) throws(FamfsError) in
      try withTree { (tree) throws(FamfsError) in
        guard let node = tree[id], node.link != nil, evenOpen || node.opens == 0 else { return false }
        let (path, parent) = try commitPath(of: id, &tree)
        let record = FileRecord(
          path: path, size: size, permissions: node.permissions, userID: node.userID, groupID: node.groupID,
          layout: layout, modified: EntryTime(node.modified))
        let number = try keepingTimes(of: parent, tree) { () throws(FamfsError) in
          try volume.commit(record, of: node.term)
        }
        settle(id, node, as: number, &tree)
        return true
      }
    }
  }

  /// Makes the directory of something real, and says where that something is.
  private func commitPath(
    of id: NodeID, _ tree: inout StagedTree
  ) throws(FamfsError) -> (path: EntryPath, parent: NodeNumber) {
    if case .staged(let parent)? = tree[id]?.link?.parent { try commit(directory: parent, &tree) }
    guard let link = tree[id]?.link, case .number(let parent) = link.parent else { throw .noReservation }
    let bytes = volume.pathBytes(of: parent).appending(link.name)
    do throws(EntryPathError) { return (try EntryPath(bytes: bytes), parent) } catch {
      throw .badPath(String(fileName: bytes), error)
    }
  }

  private func commit(directory id: NodeID, _ tree: inout StagedTree) throws(FamfsError) {
    guard let node = tree[id], node.link != nil else { return }
    let (path, parent) = try commitPath(of: id, &tree)
    let record = DirectoryRecord(
      path: path, permissions: node.permissions, userID: node.userID, groupID: node.groupID,
      modified: EntryTime(node.modified))
    let number = try keepingTimes(of: parent, tree) { () throws(FamfsError) in
      try volume.commit(record, of: node.term)
    }
    settle(id, node, as: number, &tree)
  }

  /// A directory has changed when something was made in it, and not again when that comes into the log: programs may
  /// have set its time meanwhile. Then other hosts are told that time once more.
  private func keepingTimes<Result>(
    of directory: NodeNumber, _ tree: borrowing StagedTree, _ body: () throws(FamfsError) -> Result
  ) throws(FamfsError) -> Result {
    let before = try? volume.node(directory)
    let result = try body()
    if let before {
      _ = try? volume.update(directory) { ($0.modified, $0.changed) = (before.modified, before.changed) }
    }
    if tree.hasSetTime(.number(directory)) { attributes.note(directory, .times) }
    return result
  }

  private func settle(_ id: NodeID, _ node: StagedNode, as number: NodeNumber, _ tree: inout StagedTree) {
    _ = try? volume.update(number) { attributes in
      (attributes.accessed, attributes.modified, attributes.changed) = (node.accessed, node.modified, node.changed)
      // Programs may have remembered it: see docs/decisions/inode-numbers.md.
      attributes.inode = id.rawValue
    }
    // Whoever has it open keeps it, also when it is removed.
    if volume.isReclaiming && node.opens > 0 { try? volume.opened(number, count: node.opens) }
    tree.settle(id, as: number)
  }

  /// Commits all there is; open files, which would be cut off where they are, only if `evenOpen`.
  /// - Throws: the first reason why something stays staged; the rest is committed.
  func commitAll(evenOpen: Bool = false) throws(FamfsError) {
    let staged = withTree { tree in tree.nodes.filter { $0.value.link != nil }.map(\.key) }
    try commitEach(staged, evenOpen: evenOpen)
  }

  /// Commits what is left after the unmount.
  /// - Parameter evenOpen: whether no program can have had a file open: then those that seem to be are closed, and only
  ///   the kernel's word of it was lost.
  func commitRest(evenOpen: Bool) {
    do throws(FamfsError) { try commitAll(evenOpen: evenOpen) } catch { log.error("a new file is lost: \(error)") }
    attributes.saveRest()
  }

  /// Commits what is at a path from the root: a file, open or not; a directory with all below it but open files.
  /// - Throws: the first reason why something stays staged; the rest is committed.
  func commit(at path: [UInt8]) throws(FamfsError) {
    var (itself, below, hasOpen): (NodeID?, [NodeID], Bool) = (nil, [], true)
    // The kernel tells of a close when close(2) has returned: what seems to be open may be about to be closed.
    for attempt in 0..<10 where hasOpen {
      if attempt > 0 { Clock.sleep(nanoseconds: 10_000_000) }
      (itself, below, hasOpen) = withTree { tree in
        guard let (id, place) = find(path, tree) else { return (nil, [], false) }
        let found = tree.closed(below: place, in: volume)
        return (id, found.closed, found.hasOpen)
      }
    }
    if let itself { try commit(itself, evenOpen: true) }
    try commitEach(below, evenOpen: false)
    attributes.saveRest()
  }

  /// Whether something staged is at a path from the root.
  func isStaged(_ path: String) -> Bool {
    withTree { tree in find(path.fileNameBytes, tree)?.0.map { tree[$0]?.link != nil } ?? false }
  }

  private func commitEach(_ ids: [NodeID], evenOpen: Bool) throws(FamfsError) {
    var failure: FamfsError?
    for id in ids.sorted(by: { $0.rawValue < $1.rawValue }) {
      do throws(FamfsError) { try commit(id, evenOpen: evenOpen) } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
  }

  /// What is at a path: a staged node, or a place that may have staged children; nil when neither.
  private func find(_ path: [UInt8], _ tree: borrowing StagedTree) -> (NodeID?, DirectoryID)? {
    var place = DirectoryID.number(.root)
    var id: NodeID?
    for name in path.split(separator: UInt8(ascii: "/")) {
      if let child = tree.child(Array(name), of: place) {
        id = child
        place = (try? tree.place(of: child)) ?? .staged(child)
      } else if case .number(let number) = place,
        let found = name.withUnsafeBytes({ name in try? volume.lookUp(name, in: number) })
      {
        id = nil
        place = .number(found.0)
      } else {
        return nil
      }
    }
    return (id, place)
  }

  /// Does something with a name that is to come into the log from elsewhere: its directory is committed before, and the
  /// name must not be a staged one.
  func claiming<Result>(_ path: String, _ body: () throws(FamfsError) -> Result) throws(FamfsError) -> Result {
    try withTree { (tree) throws(FamfsError) in
      let bytes = path.fileNameBytes
      if let id = find(bytes, tree)?.0, tree[id]?.link != nil {
        throw .other("\(path) exists already, and is not committed yet; choose another name")
      }
      let parent = bytes.lastIndex(of: UInt8(ascii: "/")).map { Array(bytes[..<$0]) } ?? []
      if let id = find(parent, tree)?.0 {
        guard tree[id]?.isDirectory == true else { throw .parentIsFile(path) }
        try commit(directory: id, &tree)
      }
      return try body()
    }
  }

  /// Takes something out of the log by `body`, unless something staged is in it.
  func removing(_ path: String, _ body: () throws(FamfsError) -> Void) throws(FamfsError) {
    try withTree { (tree) throws(FamfsError) in
      if let (id, place) = find(path.fileNameBytes, tree) {
        if let id, tree[id]?.link != nil { throw .other("\(path) is not committed yet; use rm(1)") }
        if tree.hasChildren(place) {
          throw .other(
            "\(path): the directory is not empty: what is in it is not committed yet; use famfs commit first")
        }
      }
      try body()
    }
  }

  // MARK: Time

  /// Commits what is due, for as long as the process lives.
  func run() {
    while true {
      Clock.sleep(nanoseconds: pause())
      if !isIdle { commitDue(by: Clock.monotonic()) }
      // Behind the files: what is made in a directory changes its time once more.
      attributes.saveDue()
    }
  }

  /// Commits what is due by now. What cannot be committed is tried again in a second, and told of once.
  func commitDue(by now: UInt64) {
    let due = withTree { $0.takeDue(by: now) }
    for id in due.sorted(by: { $0.rawValue < $1.rawValue }) {
      do throws(FamfsError) { try commit(id, evenOpen: false) } catch {
        let isNews = withTree { $0.putOff(id, until: now + 1_000_000_000) }
        if isNews { log.error("a new file stays uncommitted: \(error)") }
      }
    }
  }

  /// Nanoseconds until something may be due; what comes meanwhile is due after the delay.
  private func pause() -> UInt64 {
    let longest: UInt64 = delay < 100_000_000 ? 20_000_000 : 100_000_000
    let files = isIdle ? nil : withTree { $0.due.next }
    guard let next = [files, attributes.next].compactMap(\.self).min() else { return longest }
    let now = Clock.monotonic()
    return min(longest, max(next, now) - now)
  }
}
