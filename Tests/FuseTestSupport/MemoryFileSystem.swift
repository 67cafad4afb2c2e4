import Fuse
import Glibc
import Platform
import Synchronization

/// A file system in memory that does all that the engine can ask for, as a local file system does it.
///
/// It checks what it is told: lookups, handles and nodes that should not come are `mistakes` of the other side. Only its
/// mount changes it, so the kernel may remember everything for good.
package final class MemoryFileSystem: FileSystem {
  /// How much there can be.
  package struct Limits: Sendable {
    /// Pages of 4 KiB in all files.
    package var pages: UInt64 = 1 << 18
    package var nodes: UInt64 = 1 << 20
    /// Names of one file.
    package var links: UInt32 = 65_000
    /// Bytes of all xattrs of a node, names included.
    package var xattrBytes = 1 << 20
  }

  package struct Options: Sendable {
    package var traits: FileSystemTraits = []
    package var limits = Limits()
    /// Reads, writes and copies of this many bytes and more, and each fsync(2), are answered by another thread.
    package var laterFrom = 16 << 10

    package init(traits: FileSystemTraits = [], laterFrom: Int = 16 << 10) {
      (self.traits, self.laterFrom) = (traits, laterFrom)
    }
  }

  /// What was called that leaves nothing to see.
  package struct Calls: Sendable {
    package var fsync = 0
    package var fsyncdir = 0
    package var syncfs = 0
    package var flush = 0
    /// Requests that another thread answered.
    package var later = 0
  }

  package let traits: FileSystemTraits
  let options: Options
  let tree: Mutex<MemoryTree>
  let workers = WorkerPool(named: "later", threads: 2)
  let locks = LockTable<NodeID>()
  /// Which owners locked ranges through an open file.
  let lockOwners = Mutex<[FileHandle: Set<LockOwner>]>([:])
  private let counted = Mutex(Calls())

  package init(_ options: Options = Options()) {
    self.options = options
    traits = options.traits
    tree = Mutex(MemoryTree(options))
  }

  // MARK: what tests ask

  /// What inode numbers are larger than node ids by: they are others, and of more than 32 bits.
  package static let firstInode: UInt64 = 1 << 32

  /// What should not have come.
  package var mistakes: [String] { tree.withLock { $0.mistakes } }
  /// Nodes there are, the root among them.
  package var nodeCount: Int { tree.withLock { $0.nodes.count } }
  /// The clock that it reads.
  package static var now: Timestamp { MemoryNode.now }
  /// Files and directories that are open.
  package var openCount: Int { tree.withLock { $0.opened.count } }
  /// Lookups that were not taken back, of all nodes.
  package var lookupCount: UInt64 { tree.withLock { $0.nodes.values.reduce(0) { $0 + $1.lookups } } }
  /// Names at the top, in the order in which they came.
  package var names: [String] {
    tree.withLock { tree in
      tree.nodes[.root]?.directory.places.map { String(decoding: $0.name, as: UTF8.self) } ?? []
    }
  }
  package var calls: Calls { counted.withLock { $0 } }

  func count(_ call: WritableKeyPath<Calls, Int> & Sendable) { counted.withLock { $0[keyPath: call] += 1 } }

  /// Makes a file at the top behind the kernel's back.
  package func appear(_ name: String, with contents: String) throws(Errno) -> NodeID {
    let caller = Caller(userID: 0, groupID: 0, processID: 0)
    let new = NewNode(mode: 0o644)
    return try tree.withLock { (tree) throws(Errno) in
      let node = try tree.add(Array(name.utf8), in: .root, new, type: S_IFREG, masks: false, caller)
      tree.change(node) { pages in Array(contents.utf8).withUnsafeBytes { pages.write($0, at: 0) } }
      return node.id
    }
  }

  // MARK: the session

  package func destroy() {
    locks.removeAll()
    lockOwners.withLock { $0 = [:] }
    tree.withLock { $0.forgetAll() }
  }

  /// Whether the umask is left to the file system.
  var masks: Bool { traits.contains(.posixACL) }

  // MARK: nodes

  package func forget(_ lookups: Span<LookupCount>) {
    for place in lookups.indices {
      let lookup = lookups[place]
      tree.withLock { $0.forget(lookup.node, lookup.count) }
    }
  }

  package func getattr(_ id: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    try tree.withLock { (tree) throws(Errno) in
      CachedAttributes(try tree.node(id).allAttributes, lifetime: 0)
    }
  }

  package func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus {
    tree.withLock { tree in
      var status = FileSystemStatus()
      (status.blocks, status.freeBlocks) = (tree.limits.pages, tree.freePages)
      status.availableBlocks = tree.freePages
      status.files = tree.limits.nodes
      status.freeFiles = tree.limits.nodes - min(tree.limits.nodes, UInt64(tree.nodes.count))
      return status
    }
  }
}

extension RawSpan {
  var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
