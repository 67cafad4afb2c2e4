import Platform

/// A file system before another one: what it does not answer itself, it hands on, with the same nodes and handles. For views
/// of a file system and for tests that watch or break one.
///
/// Each method of `FileSystem` is here. A test asks for all of them, so that none that is added later is missed. Of two
/// methods of one name a session calls the one with a pending value, so that is the one to implement.
public protocol ForwardingFileSystem: FileSystem {
  /// The type of the one behind it.
  associatedtype Base: FileSystem
  /// The one behind it.
  var base: Base { get }
}

extension ForwardingFileSystem {
  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public var traits: FileSystemTraits { base.traits }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func began(_ agreement: Agreement) { base.began(agreement) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func refusal(of opcode: Opcode) -> Errno { base.refusal(of: opcode) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    try base.lookup(name, in: directory, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func forget(_ lookups: Span<LookupCount>) { base.forget(lookups) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    try base.getattr(node, handle, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func setattr(_ node: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller)
    throws(Errno) -> CachedAttributes
  { try base.setattr(node, handle, changes, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func create(_ name: RawSpan, in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller)
    throws(Errno) -> (entry: Entry, opened: Opened)
  { try base.create(name, in: directory, new, intent, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func mknod(_ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller) throws(Errno) -> Entry {
    try base.mknod(name, in: directory, new, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func mkdir(_ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller) throws(Errno) -> Entry {
    try base.mkdir(name, in: directory, new, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func symlink(_ target: RawSpan, as name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller)
    throws(Errno) -> Entry
  { try base.symlink(target, as: name, in: directory, new, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func readlink(_ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller) throws(Errno)
    -> Int
  { try base.readlink(node, into: buffer, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func link(_ node: NodeID, as name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    try base.link(node, as: name, in: directory, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func tmpfile(in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> (
    entry: Entry, opened: Opened
  ) { try base.tmpfile(in: directory, new, intent, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func unlink(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    try base.unlink(name, in: directory, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func rmdir(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    try base.rmdir(name, in: directory, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func rename(
    _ name: RawSpan, in directory: NodeID, to newName: RawSpan, in newDirectory: NodeID, _ flags: RenameFlags,
    _ caller: Caller
  ) throws(Errno) { try base.rename(name, in: directory, to: newName, in: newDirectory, flags, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    try base.open(node, intent, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) { try base.read(node, handle, at: offset, into: &reply, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingRead, _ caller: Caller
  ) { base.read(node, handle, at: offset, pending, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int { try base.write(node, handle, at: offset, data, intent, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingWrite, _ intent: WriteIntent,
    _ caller: Caller
  ) { base.write(node, handle, at: offset, pending, intent, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func flush(_ node: NodeID, _ handle: FileHandle, _ owner: LockOwner, _ caller: Caller) throws(Errno) {
    try base.flush(node, handle, owner, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func release(_ node: NodeID, _ handle: FileHandle, _ flockOwner: LockOwner?) {
    base.release(node, handle, flockOwner)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    try base.fsync(node, handle, dataOnly: dataOnly, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func fsync(
    _ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller
  ) { base.fsync(node, handle, dataOnly: dataOnly, pending, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode, _ caller: Caller
  ) throws(Errno) { try base.fallocate(node, handle, at: offset, length: length, mode, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode,
    _ pending: consuming PendingDone, _ caller: Caller
  ) { base.fallocate(node, handle, at: offset, length: length, mode, pending, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func copyFileRange(
    from source: FileRange, to destination: FileRange, count: UInt64, _ pending: consuming PendingCount,
    _ caller: Caller
  ) { base.copyFileRange(from: source, to: destination, count: count, pending, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func syncfs(_ caller: Caller) throws(Errno) { try base.syncfs(caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func syncfs(_ pending: consuming PendingDone, _ caller: Caller) { base.syncfs(pending, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func opendir(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    try base.opendir(node, intent, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) { try base.readdir(node, handle, from: cookie, into: &reply, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func releasedir(_ node: NodeID, _ handle: FileHandle) { base.releasedir(node, handle) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func fsyncdir(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    try base.fsyncdir(node, handle, dataOnly: dataOnly, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func fsyncdir(
    _ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller
  ) { base.fsyncdir(node, handle, dataOnly: dataOnly, pending, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus {
    try base.statfs(node, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func access(_ node: NodeID, _ mask: UInt32, _ caller: Caller) throws(Errno) {
    try base.access(node, mask, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func getxattr(_ node: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller)
    throws(Errno) -> Int
  { try base.getxattr(node, name, into: buffer, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func listxattr(_ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller) throws(Errno)
    -> Int
  { try base.listxattr(node, into: buffer, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func setxattr(
    _ node: NodeID, _ name: RawSpan, _ value: RawSpan, _ mode: XattrMode, clearsSetGID: Bool, _ caller: Caller
  ) throws(Errno) { try base.setxattr(node, name, value, mode, clearsSetGID: clearsSetGID, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func removexattr(_ node: NodeID, _ name: RawSpan, _ caller: Caller) throws(Errno) {
    try base.removexattr(node, name, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func fileFlags(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileFlags {
    try base.fileFlags(node, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func setFileFlags(_ node: NodeID, _ flags: FileFlags, _ caller: Caller) throws(Errno) {
    try base.setFileFlags(node, flags, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func ioctl(
    _ node: NodeID, _ handle: FileHandle, _ command: UInt32, _ input: RawSpan,
    into output: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int { try base.ioctl(node, handle, command, input, into: output, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func getLock(_ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ owner: LockOwner, _ caller: Caller)
    throws(Errno) -> FileLock?
  { try base.getLock(node, handle, lock, owner, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func setLock(
    _ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ intent: LockIntent, _ pending: consuming PendingDone,
    _ caller: Caller
  ) { base.setLock(node, handle, lock, intent, pending, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func interrupt(_ request: RequestID) { base.interrupt(request) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func interruptAll() { base.interruptAll() }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func lseek(_ node: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller)
    throws(Errno) -> UInt64
  { try base.lseek(node, handle, offset, target, caller) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func memoryMap(_ node: NodeID, _ caller: Caller) throws(Errno) -> MemoryMap {
    try base.memoryMap(node, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func memoryDevice(_ index: UInt32, _ caller: Caller) throws(Errno) -> [UInt8] {
    try base.memoryDevice(index, caller)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func foundUnreadable(_ memory: UnsafeRawBufferPointer) { base.foundUnreadable(memory) }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func destroy() { base.destroy() }
}
