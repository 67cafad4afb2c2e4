import Famfs
import Fuse
import Glibc
import Memory
import Platform

/// A famfs volume as FUSE asks about it.
///
/// Node ids are the volume's node numbers plus one, so a request finds its file by an index. Names and sizes never
/// change once they are there, so the kernel may keep what it was told; what a directory gains, `Follower` tells it.
final class FamfsFileSystem: FileSystem {
  /// The extended attribute that names the folder with the daemon's sockets.
  static let folderAttribute = "user.famfs.shadow"

  let volume: Volume
  let defaults = AllocationDefaults()
  private let folder: [UInt8]
  let settings: LiveSettings
  /// Tells whether this mount still counts, where files can be removed.
  let heartbeats: HeartbeatKeeper?
  /// Brings changed attributes into the log; nil where they hold until the unmount.
  private let attributes: DurableAttributes?
  /// What a famfs kernel is told; nil where it is offered nothing.
  let kernelMaps: KernelMaps?
  let openFiles = OpenFiles()

  init(
    volume: Volume, folder: String, settings: LiveSettings, heartbeats: HeartbeatKeeper? = nil,
    kernelMaps: KernelMaps? = nil,
    attributes: DurableAttributes? = nil
  ) {
    self.volume = volume
    self.attributes = attributes
    self.kernelMaps = kernelMaps
    self.heartbeats = volume.isReclaiming ? heartbeats : nil
    self.folder = Array(folder.utf8)
    self.settings = settings
  }

  var lifetime: UInt64 { settings.lifetime }
  var nameLifetime: UInt64 { settings.nameLifetime }

  var traits: FileSystemTraits { kernelMaps == nil ? [] : .memoryMaps }

  func began(_ agreement: Agreement) {
    settings.kernelMaps = agreement.flags.contains(.daxFileMaps)
    settings.mapsDirectFiles = agreement.flags.contains(.directIOAllowMmap)
  }

  /// Whether programs may make files on the mount, as far as the kernel goes: see DESIGN.md, "Famfs kernels".
  var mayStage: Bool { !settings.kernelMaps }

  /// Names can be made by famfs cp, mkdir and creat only, and metadata is the master's.
  func refusal(of opcode: Opcode) -> Errno { opcode.changesNames ? refusal : .noSystemCall }

  var refusal: Errno { volume.role == .master ? .notPermitted : .readOnlyFileSystem }

  // MARK: Names and attributes

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    try checkLength(name)
    let parent = try NodeNumber(directory)
    if isDefaults(name, in: parent), let entry = defaults.entry { return entry }
    let found = name.withUnsafeBytes { name in
      Result { () throws(Errno) in try volume.lookUp(name, in: parent) }
    }
    let (number, node) = try found.get()
    return entry(number, node)
  }

  /// Refuses a name that is longer than any path, which statfs(2) says as well.
  /// - Throws: ENAMETOOLONG.
  func checkLength(_ name: RawSpan) throws(Errno) {
    if name.byteCount > EntryPath.maximum { throw .nameTooLong }
  }

  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    if AllocationDefaults.owns(node) { return try defaults.attributes(of: node) }
    let number = try NodeNumber(node)
    return CachedAttributes(attributes(number, try volume.node(number)), lifetime: lifetime)
  }

  /// Whether a name is that of `.meta/.alloc.cfg`.
  func isDefaults(_ name: RawSpan, in directory: NodeNumber) -> Bool {
    directory == .meta && name.withUnsafeBytes { $0.elementsEqual(AllocationDefaults.name.utf8) }
  }

  func create(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened) {
    guard isDefaults(name, in: try NodeNumber(directory)), mayStage else { throw refusal }
    return (try defaults.make(intent), Opened(.none, .directIO))
  }

  func unlink(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    guard isDefaults(name, in: try NodeNumber(directory)) else { throw refusal }
    try defaults.remove()
  }

  func entry(_ number: NodeNumber, _ node: Node) -> Entry {
    Entry(NodeID(number), attributes(number, node), nameLifetime: nameLifetime, attributeLifetime: lifetime)
  }

  private func attributes(_ number: NodeNumber, _ node: Node) -> Attributes {
    let isDirectory = node.kind == .directory
    var attributes = Attributes(
      inode: node.inode(number), mode: UInt32(node.permissions) | (isDirectory ? S_IFDIR : S_IFREG))
    attributes.size = isDirectory ? 4096 : min(node.size, UInt64(Int64.max))
    attributes.blocks = node.allocated / 512
    attributes.userID = node.userID
    attributes.groupID = node.groupID
    attributes.linkCount = isDirectory ? 2 + node.subdirectories : 1
    // One request may carry 1 MiB, and programs that ask size their buffers by this.
    attributes.blockSize = isDirectory ? 4096 : 1 << 20
    attributes.accessTime = Timestamp(nanosecondsSince1970: node.accessed)
    attributes.modificationTime = Timestamp(nanosecondsSince1970: node.modified)
    attributes.changeTime = Timestamp(nanosecondsSince1970: node.changed)
    return attributes
  }

  func setattr(
    _ node: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes {
    if AllocationDefaults.owns(node) { return try defaults.set(changes, of: node) }
    let number = try NodeNumber(node)
    let before = try volume.node(number)
    if number.isMeta { throw refusal }
    if let size = changes.size, before.kind == .directory || size != before.size {
      openFiles.refuse(handle)
      throw .notPermitted
    }
    let now = Clock.fileTime()
    let after = try change(number, setsTime: changes.modificationTime != nil) { node in
      if let mode = changes.mode { node.permissions = mode & 0o7777 }
      if changes.killsSetID || (changes.userID != nil || changes.groupID != nil) && before.kind == .file {
        node.clearSetID()
      }
      if let user = changes.userID { node.userID = user }
      if let group = changes.groupID { node.groupID = group }
      if let time = changes.accessTime { node.accessed = time.nanoseconds(now: now) }
      if let time = changes.modificationTime { node.modified = time.nanoseconds(now: now) }
      node.changed = now
    }
    return CachedAttributes(attributes(number, after), lifetime: lifetime)
  }

  /// Changes attributes: in memory now, in the log a moment later.
  func change(
    _ number: NodeNumber, setsTime: Bool = false, _ body: (inout NodeAttributes) -> Void
  ) throws(Errno) -> Node {
    guard let attributes else { return try volume.update(number, body) }
    var states: (old: NodeAttributes, new: NodeAttributes)?
    let after = try volume.update(number) { node in
      let old = node
      body(&node)
      states = (old, node)
    }
    if let states { attributes.note(number, from: states.old, to: states.new, setsTime: setsTime) }
    return after
  }

  /// Has what a program has changed of a node's attributes in the log before it returns.
  func saveAttributes(of node: NodeID) throws(Errno) {
    guard let attributes, !AllocationDefaults.owns(node) else { return }
    let number = try NodeNumber(node)
    do throws(FamfsError) { try attributes.save(number) } catch { throw error.errno }
  }

  func getxattr(
    _ node: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    let isFolder = name.withUnsafeBytes { $0.elementsEqual(FamfsFileSystem.folderAttribute.utf8) }
    if isFolder {
      if buffer.count >= folder.count { buffer.copyBytes(from: folder) }
      return folder.count
    }
    // Of ACLs and security labels programs are told for all files at once that there are none: `ls` asks no more then.
    guard name.withUnsafeBytes({ $0.starts(with: "user.".utf8) }) else { throw .notSupported }
    guard name.withUnsafeBytes({ $0.elementsEqual(FileMap.attribute.utf8) }), !AllocationDefaults.owns(node) else {
      throw .noData
    }
    let map = try FileMap.text(of: NodeNumber(node), in: volume)
    if buffer.count >= map.count { buffer.copyBytes(from: map) }
    return map.count
  }

  /// None are listed: the one there is belongs to the mount, and programs that copy attributes must not copy it.
  func listxattr(
    _ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int { 0 }

  func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus {
    let usage = volume.usage()
    var status = FileSystemStatus()
    status.blocks = usage.deviceSize / 4096
    status.freeBlocks = usage.free / 4096
    status.availableBlocks = status.freeBlocks
    status.files = usage.entryCapacity
    status.freeFiles = usage.entryCapacity - min(usage.entries, usage.entryCapacity)
    status.longestName = UInt32(EntryPath.maximum)
    return status
  }

  // MARK: Directories

  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {
    let directory = try NodeNumber(node)
    let own = try volume.node(directory)
    guard own.kind == .directory else { throw .notDirectory }
    if cookie == 0, reply.add(".".utf8.span.bytes, entry(directory, own), next: 1) == .full { return }
    if cookie <= 1 {
      let parent = entry(own.parent, try volume.node(own.parent))
      if reply.add("..".utf8.span.bytes, parent, next: 2) == .full { return }
    }
    if cookie == AllocationDefaults.cookie { return }
    let previous = cookie <= 2 ? nil : try NodeNumber(cookie: cookie)
    var isFull = false
    try volume.children(of: directory, after: previous) { number, child, name in
      isFull = reply.add(name.bytes, entry(number, child), next: number.cookie) == .full
      return !isFull
    }
    if directory == .meta, !isFull, let entry = defaults.entry {
      _ = reply.add(AllocationDefaults.name.utf8.span.bytes, entry, next: AllocationDefaults.cookie)
    }
  }
}

extension NodeNumber {
  init(_ id: NodeID) throws(Errno) {
    guard id.rawValue > 0, let number = UInt32(exactly: id.rawValue - 1) else { throw .stale }
    self.init(number)
  }

  /// Cookies 1 and 2 stand for `.` and `..`.
  init(cookie: UInt64) throws(Errno) {
    guard let number = UInt32(exactly: cookie - 2) else { throw .invalidArgument }
    self.init(number)
  }
  var cookie: UInt64 { UInt64(rawValue) + 2 }

  var isMeta: Bool { self == .meta || self == .superblock || self == .log }
}

extension NodeID {
  init(_ number: NodeNumber) { self.init(rawValue: UInt64(number.rawValue) + 1) }
}

extension Node {
  /// What programs see as its number.
  func inode(_ number: NodeNumber) -> UInt64 { inode == 0 ? NodeID(number).rawValue : inode }
}

extension NodeAttributes {
  /// What a write and a new owner do to permissions.
  mutating func clearSetID() { permissions = withoutSetID(permissions) }
}

extension TimeChange {
  func nanoseconds(now: Int64) -> Int64 {
    switch self {
    case .now: now
    case .at(let time): time.nanosecondsSince1970
    }
  }
}
