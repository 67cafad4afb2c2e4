import Fuse
import Glibc
import Platform
import Synchronization

/// A root directory with a few files whose contents are memory, and an empty directory. It counts what it is told.
final class SmallFileSystem: FileSystem {
  struct Node: @unchecked Sendable {
    let name: String
    let mode: UInt32
    let memory: UnsafeMutableRawBufferPointer
  }

  struct Record {
    var lookups: [NodeID: Int] = [:]
    var opened = 0
    var released = 0
    var destroyed = 0
    var changes: [AttributeChanges] = []
    var killed = 0
    var callers: [Caller] = []
  }

  static let lifetime: UInt64 = 1_500_000_000
  static let hello = NodeID(rawValue: 2)
  static let empty = NodeID(rawValue: 3)
  static let big = NodeID(rawValue: 4)
  /// Memory that the test gives.
  static let given = NodeID(rawValue: 5)

  let traits: FileSystemTraits
  let record = Mutex(Record())
  private let nodes: [NodeID: Node]
  /// Bytes that a range of a read has.
  private let rangeSize: Int

  init(traits: FileSystemTraits = [], rangeSize: Int = 1 << 20, given: UnsafeRawBufferPointer? = nil) {
    self.traits = traits
    self.rangeSize = rangeSize
    var nodes: [NodeID: Node] = [
      .root: Node(name: "", mode: S_IFDIR | 0o755, memory: Self.memory([])),
      Self.hello: Node(name: "hello", mode: S_IFREG | 0o666, memory: Self.memory(Array("Hello, world\n".utf8))),
      Self.empty: Node(name: "empty", mode: S_IFDIR | 0o755, memory: Self.memory([])),
      Self.big: Node(name: "big", mode: S_IFREG | 0o644, memory: Self.memory(Self.pattern)),
    ]
    if let given {
      nodes[Self.given] = Node(
        name: "given", mode: S_IFREG | 0o444, memory: UnsafeMutableRawBufferPointer(mutating: given))
    }
    self.nodes = nodes
  }

  deinit {
    for (id, node) in nodes where id != Self.given { node.memory.deallocate() }
  }

  /// 3 MiB and a bit in which every place looks different.
  static let pattern: [UInt8] = (0..<(3 << 20) + 77).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ $0 >> 16) }

  private static func memory(_ bytes: [UInt8]) -> UnsafeMutableRawBufferPointer {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 4096)
    memory.copyBytes(from: bytes)
    return UnsafeMutableRawBufferPointer(rebasing: memory[..<bytes.count])
  }

  private func node(_ id: NodeID) throws(Errno) -> Node {
    guard let node = nodes[id] else { throw .stale }
    return node
  }

  func contents(_ id: NodeID) -> [UInt8] { nodes[id].map { Array($0.memory) } ?? [] }

  private func attributes(_ id: NodeID, _ node: Node) -> Attributes {
    var attributes = Attributes(inode: id.rawValue, mode: node.mode)
    attributes.size = UInt64(node.memory.count)
    attributes.blocks = (attributes.size + 511) / 512
    attributes.linkCount = attributes.isDirectory ? 2 : 1
    attributes.modificationTime = Timestamp(seconds: 1_700_000_000, nanoseconds: 123_456_789)
    attributes.birthTime =
      attributes.isRegular ? Timestamp(seconds: 1_600_000_000, nanoseconds: 987_654_321) : nil
    return attributes
  }

  private func entry(_ id: NodeID, _ node: Node) -> Entry {
    Entry(id, attributes(id, node), nameLifetime: Self.lifetime, attributeLifetime: .max)
  }

  func refusal(of opcode: Opcode) -> Errno { opcode.changesNames ? .readOnlyFileSystem : .noSystemCall }

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    record.withLock { $0.callers.append(caller) }
    guard directory == .root else { throw .noEntry }
    let wanted = name.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    if wanted == "absent" { return .absent(for: 2_000_000_000) }
    guard let (id, node) = nodes.first(where: { $0.value.name == wanted }) else { throw .noEntry }
    record.withLock { $0.lookups[id, default: 0] &+= 1 }
    return entry(id, node)
  }

  func forget(_ lookups: Span<LookupCount>) {
    for place in lookups.indices {
      let lookup = lookups[place]
      record.withLock { $0.lookups[lookup.node, default: 0] &-= Int(clamping: lookup.count) }
    }
  }

  func getattr(_ id: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    CachedAttributes(attributes(id, try node(id)), lifetime: Self.lifetime)
  }

  func setattr(
    _ id: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes {
    record.withLock { $0.changes.append(changes) }
    return try getattr(id, handle, caller)
  }

  func open(_ id: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    record.withLock { $0.opened += 1 }
    return Opened(FileHandle(rawValue: 77), .keepCache)
  }

  func release(_ node: NodeID, _ handle: FileHandle, _ flockOwner: LockOwner?) { record.withLock { $0.released += 1 } }

  func read(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {
    let memory = try node(id).memory
    guard offset < UInt64(memory.count) else { return }
    var position = Int(offset)
    while position < memory.count, reply.missing > 0 {
      // In pieces that begin elsewhere than the last one ended, if they are to stay apart.
      let end = min(memory.count, position + rangeSize)
      try reply.append(UnsafeRawBufferPointer(rebasing: memory[position..<end]), keeping: nil)
      position = end
    }
  }

  func write(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int {
    let memory = try node(id).memory
    guard UInt64(memory.count) >= offset + UInt64(data.count) else { throw .noSpace }
    UnsafeMutableRawBufferPointer(rebasing: memory[Int(offset)...]).copyMemory(from: data)
    if intent.killsSetID { record.withLock { $0.killed += 1 } }
    return data.count
  }

  func opendir(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    Opened(FileHandle(rawValue: 88), .cacheDirectory)
  }

  func readdir(
    _ id: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {
    let directory = try node(id)
    let names = [".", ".."] + (id == .root ? ["hello", "empty", "big", "given"] : [])
    for (place, name) in names.enumerated().dropFirst(Int(clamping: cookie)) {
      let found = place < 2 ? (id, directory) : nodes.first { $0.value.name == name }.map { ($0.key, $0.value) }
      guard let (child, node) = found else { continue }
      let outcome = reply.add(name.utf8Span.span.bytes, entry(child, node), next: UInt64(place + 1))
      if outcome == .full { return }
      if outcome == .lookedUp { record.withLock { $0.lookups[child, default: 0] &+= 1 } }
    }
  }

  func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus {
    var status = FileSystemStatus()
    (status.blocks, status.freeBlocks, status.availableBlocks) = (1000, 600, 500)
    (status.files, status.freeFiles) = (4, 1)
    return status
  }

  func getxattr(
    _ node: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    guard name.withUnsafeBytes({ String(decoding: $0, as: UTF8.self) }) == "user.color" else { throw .noData }
    let value = Array("green".utf8)
    if buffer.count >= value.count { buffer.copyBytes(from: value) }
    return value.count
  }

  func listxattr(_ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller) throws(Errno) -> Int {
    let names = Array("user.color\0".utf8)
    if buffer.count >= names.count { buffer.copyBytes(from: names) }
    return names.count
  }

  func lseek(
    _ id: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller
  ) throws(Errno) -> UInt64 {
    let size = UInt64(try node(id).memory.count)
    guard offset < size else { throw .noSuchAddress }
    return target == .data ? offset : size
  }

  func destroy() { record.withLock { $0.destroyed += 1 } }
}
