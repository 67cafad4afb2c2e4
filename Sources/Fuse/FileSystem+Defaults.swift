import Platform

extension FileSystem {
  /// None.
  public var traits: FileSystemTraits { [] }

  /// Nothing.
  public func began(_ agreement: Agreement) {}

  /// ENOSYS for all.
  public func refusal(of opcode: Opcode) -> Errno { .noSystemCall }

  /// Nothing is counted.
  public func forget(_ lookups: Span<LookupCount>) {}

  /// Takes back lookups of one node.
  public func forget(_ node: NodeID, _ count: UInt64 = 1) {
    withUnsafePointer(to: LookupCount(node, count)) { forget(Span(_unsafeStart: $0, count: 1)) }
  }

  /// Refused.
  public func setattr(
    _ node: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes {
    throw refusal(of: .setattr)
  }

  /// Refused.
  public func create(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened) {
    throw refusal(of: .create)
  }

  /// Refused.
  public func mknod(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    throw refusal(of: .mknod)
  }

  /// Refused.
  public func mkdir(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    throw refusal(of: .mkdir)
  }

  /// Refused.
  public func symlink(
    _ target: RawSpan, as name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry {
    throw refusal(of: .symlink)
  }

  /// Refused.
  public func readlink(
    _ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    throw refusal(of: .readlink)
  }

  /// Refused.
  public func link(_ node: NodeID, as name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    throw refusal(of: .link)
  }

  /// Refused.
  public func tmpfile(
    in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened) {
    throw refusal(of: .tmpfile)
  }

  /// Refused.
  public func unlink(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    throw refusal(of: .unlink)
  }

  /// Refused.
  public func rmdir(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    throw refusal(of: .rmdir)
  }

  /// Refused.
  public func rename(
    _ name: RawSpan, in directory: NodeID, to newName: RawSpan, in newDirectory: NodeID, _ flags: RenameFlags,
    _ caller: Caller
  ) throws(Errno) {
    throw refusal(of: flags.isEmpty ? .rename : .rename2)
  }

  /// Succeeds.
  public func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened { Opened() }

  /// Refused.
  public func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int {
    throw refusal(of: .write)
  }

  /// ENOSYS.
  public func flush(_ node: NodeID, _ handle: FileHandle, _ owner: LockOwner, _ caller: Caller) throws(Errno) {
    throw .noSystemCall
  }

  /// Nothing.
  public func release(_ node: NodeID, _ handle: FileHandle, _ flockOwner: LockOwner?) {}

  /// ENOSYS.
  public func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    throw .noSystemCall
  }

  /// Refused.
  public func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode, _ caller: Caller
  ) throws(Errno) {
    throw refusal(of: .fallocate)
  }

  /// ENOSYS.
  public func syncfs(_ caller: Caller) throws(Errno) { throw .noSystemCall }

  /// Succeeds.
  public func opendir(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened { Opened() }

  /// Nothing.
  public func releasedir(_ node: NodeID, _ handle: FileHandle) {}

  /// ENOSYS.
  public func fsyncdir(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    throw .noSystemCall
  }

  /// Size zero.
  public func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus { FileSystemStatus() }

  /// ENOSYS.
  public func access(_ node: NodeID, _ mask: UInt32, _ caller: Caller) throws(Errno) { throw .noSystemCall }

  /// ENOSYS.
  public func getxattr(
    _ node: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    throw .noSystemCall
  }

  /// ENOSYS.
  public func listxattr(
    _ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    throw .noSystemCall
  }

  /// ENOSYS.
  public func setxattr(
    _ node: NodeID, _ name: RawSpan, _ value: RawSpan, _ mode: XattrMode, clearsSetGID: Bool, _ caller: Caller
  ) throws(Errno) {
    throw .noSystemCall
  }

  /// ENOSYS.
  public func removexattr(_ node: NodeID, _ name: RawSpan, _ caller: Caller) throws(Errno) { throw .noSystemCall }

  /// ENOTTY.
  public func fileFlags(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileFlags { throw .notTerminal }

  /// ENOTTY.
  public func setFileFlags(_ node: NodeID, _ flags: FileFlags, _ caller: Caller) throws(Errno) { throw .notTerminal }

  /// ENOTTY.
  public func ioctl(
    _ node: NodeID, _ handle: FileHandle, _ command: UInt32, _ input: RawSpan,
    into output: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    throw .notTerminal
  }

  /// Refused.
  public func getLock(
    _ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ owner: LockOwner, _ caller: Caller
  ) throws(Errno) -> FileLock? {
    throw refusal(of: .getlk)
  }

  /// Refused.
  public func setLock(
    _ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ intent: LockIntent, _ pending: consuming PendingDone,
    _ caller: Caller
  ) {
    pending.fail(refusal(of: .setlk))
  }

  /// Nothing.
  public func interrupt(_ request: RequestID) {}

  /// Nothing.
  public func interruptAll() {}

  /// ENOSYS.
  public func lseek(
    _ node: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller
  ) throws(Errno) -> UInt64 {
    throw .noSystemCall
  }

  /// Refused.
  public func memoryMap(_ node: NodeID, _ caller: Caller) throws(Errno) -> MemoryMap { throw refusal(of: .getFmap) }

  /// Refused.
  public func memoryDevice(_ index: UInt32, _ caller: Caller) throws(Errno) -> [UInt8] {
    throw refusal(of: .getDaxdev)
  }

  /// Nothing.
  public func foundUnreadable(_ memory: UnsafeRawBufferPointer) {}

  /// Nothing.
  public func destroy() {}
}

// What may be answered later, answered at once.
extension FileSystem {
  /// At once.
  public func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingRead, _ caller: Caller
  ) {
    do throws(Errno) { try read(node, handle, at: offset, into: &pending.reply, caller) } catch {
      return pending.fail(error)
    }
    pending.finish()
  }

  /// At once.
  public func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingWrite, _ intent: WriteIntent,
    _ caller: Caller
  ) {
    let count: Int
    do throws(Errno) { count = try write(node, handle, at: offset, pending.contiguousData(), intent, caller) } catch {
      return pending.fail(error)
    }
    pending.finish(count)
  }

  /// At once.
  public func fsync(
    _ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller
  ) {
    pending.finish { () throws(Errno) in try fsync(node, handle, dataOnly: dataOnly, caller) }
  }

  /// At once.
  public func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode,
    _ pending: consuming PendingDone, _ caller: Caller
  ) {
    pending.finish { () throws(Errno) in
      try fallocate(node, handle, at: offset, length: length, mode, caller)
    }
  }

  /// Refused.
  public func copyFileRange(
    from source: FileRange, to destination: FileRange, count: UInt64, _ pending: consuming PendingCount,
    _ caller: Caller
  ) {
    pending.fail(refusal(of: .copyFileRange))
  }

  /// At once.
  public func syncfs(_ pending: consuming PendingDone, _ caller: Caller) {
    pending.finish { () throws(Errno) in try syncfs(caller) }
  }

  /// At once.
  public func fsyncdir(
    _ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller
  ) {
    pending.finish { () throws(Errno) in try fsyncdir(node, handle, dataOnly: dataOnly, caller) }
  }
}
