import Fuse
import Glibc
import Platform
import Synchronization

/// `.meta/.alloc.cfg`: the one file of a mount that is made, written and removed like any other. It is a small text that
/// says how cp and creat lay files out on this host, belongs to root, and lasts as long as the mount; only the commands
/// know what is in it.
final class AllocationDefaults: Sendable {
  /// Its name, in the directory `.meta`.
  static let name = ".alloc.cfg"
  /// Bytes that it may have.
  static let limit: UInt64 = 4096
  /// Where a directory is read on behind it.
  static let cookie = UInt64.max >> 1
  /// Above every node that a log entry makes. Each file that is made has another number, for the kernel may still know
  /// the one before.
  private static let firstNode: UInt64 = 1 << 33

  fileprivate struct File {
    let node: NodeID
    var contents: [UInt8] = []
    /// Nanoseconds since 1970.
    var modified: Int64
    var changed: Int64
  }

  private struct State {
    var file: File?
    var made: UInt64 = 0
  }

  private let state = Mutex(State())

  /// Whether a node is this file, or was once.
  static func owns(_ node: NodeID) -> Bool { node.rawValue >= firstNode && !StagedTree.isStaged(node) }

  /// The file; nil while there is none.
  var entry: Entry? { state.withLock { $0.file.map(AllocationDefaults.entry) } }

  private static func entry(_ file: File) -> Entry {
    // Nothing of it is cached: it comes and goes.
    Entry(file.node, attributes(of: file), nameLifetime: 0, attributeLifetime: 0)
  }

  private static func attributes(of file: File) -> Attributes {
    var attributes = Attributes(inode: file.node.rawValue, mode: S_IFREG | 0o644)
    attributes.size = UInt64(file.contents.count)
    attributes.modificationTime = Timestamp(nanosecondsSince1970: file.modified)
    attributes.accessTime = attributes.modificationTime
    attributes.changeTime = Timestamp(nanosecondsSince1970: file.changed)
    return attributes
  }

  /// Makes it, empty.
  /// - Throws: when it is there, what `FileSystem.create` demands: EEXIST if it was to be new, else ESTALE, upon which
  ///   the kernel opens what is there, and cuts it if it was asked to.
  func make(_ intent: OpenIntent) throws(Errno) -> Entry {
    try state.withLock { (state) throws(Errno) in
      if state.file != nil { throw intent.isExclusive ? .exists : .stale }
      let now = Clock.fileTime()
      let file = File(node: NodeID(rawValue: AllocationDefaults.firstNode + state.made), modified: now, changed: now)
      state.file = file
      state.made += 1
      return AllocationDefaults.entry(file)
    }
  }

  /// Removes it.
  /// - Throws: ENOENT when there is none.
  func remove() throws(Errno) {
    try state.withLock { (state) throws(Errno) in
      if state.file == nil { throw .noEntry }
      state.file = nil
    }
  }

  /// What stat(2) tells of it.
  /// - Throws: ESTALE, as all below, when it was removed.
  func attributes(of node: NodeID) throws(Errno) -> CachedAttributes {
    try change(node) { file in CachedAttributes(AllocationDefaults.attributes(of: file), lifetime: 0) }
  }

  /// Sets size and times.
  /// - Throws: EPERM for mode and owner, which are root's; EFBIG beyond the limit.
  func set(_ changes: AttributeChanges, of node: NodeID) throws(Errno) -> CachedAttributes {
    if changes.mode != nil || changes.userID != nil || changes.groupID != nil { throw .notPermitted }
    try change(node) { (file) throws(Errno) in
      if let size = changes.size {
        guard size <= AllocationDefaults.limit else { throw .fileTooLarge }
        file.resize(to: Int(size))
      }
    }
    return try attributes(of: node)
  }

  /// Its bytes from an offset on.
  func read(_ node: NodeID, at offset: UInt64, into reply: inout ReadReply) throws(Errno) {
    let contents = try change(node) { file in file.contents }
    let bytes = contents.dropFirst(Int(min(offset, AllocationDefaults.limit)))
    try reply.append(upTo: bytes.count) { buffer in
      buffer.copyBytes(from: bytes.prefix(buffer.count))
      return min(bytes.count, buffer.count)
    }
  }

  /// Writes.
  /// - Throws: EFBIG beyond the limit.
  func write(_ node: NodeID, at offset: UInt64, _ data: UnsafeRawBufferPointer) throws(Errno) {
    let (end, overflow) = offset.addingReportingOverflow(UInt64(data.count))
    if overflow || end > AllocationDefaults.limit { throw .fileTooLarge }
    try change(node) { file in
      file.resize(to: max(file.contents.count, Int(end)))
      file.contents.replaceSubrange(Int(offset)..<Int(end), with: data)
    }
  }

  private func change<Value>(_ node: NodeID, _ body: (inout File) throws(Errno) -> Value) throws(Errno) -> Value {
    try state.withLock { (state) throws(Errno) in
      guard var file = state.file, file.node == node else { throw .stale }
      defer { state.file = file }
      return try body(&file)
    }
  }
}

extension AllocationDefaults.File {
  /// Cuts the end off, or adds zeros.
  fileprivate mutating func resize(to count: Int) {
    contents.removeLast(max(0, contents.count - count))
    contents += [UInt8](repeating: 0, count: count - contents.count)
    modified = Clock.fileTime()
    changed = modified
  }
}
