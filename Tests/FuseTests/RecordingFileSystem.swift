import Fuse
import Platform
import Synchronization

/// A file system that answers EPERM to everything and remembers what it was asked, by every method of `FileSystem`.
final class RecordingFileSystem: FileSystem {
  private let calls = Mutex<[String]>([])

  /// The names of the methods that were called.
  var names: [String] { calls.withLock { $0 } }

  private func note(_ name: String) { calls.withLock { $0.append(name) } }

  func began(_ agreement: Agreement) {
    note("began")
  }

  func refusal(of opcode: Opcode) -> Errno {
    .notPermitted
  }

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    note("lookup")
    throw .notPermitted
  }

  func forget(_ lookups: Span<LookupCount>) {
    note("forget")
  }

  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    note("getattr")
    throw .notPermitted
  }

  func setattr(_ node: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller) throws(Errno)
    -> CachedAttributes
  {
    note("setattr")
    throw .notPermitted
  }

  func create(_ name: RawSpan, in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller)
    throws(Errno) -> (entry: Entry, opened: Opened)
  {
    note("create")
    throw .notPermitted
  }

  func mknod(_ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller) throws(Errno) -> Entry {
    note("mknod")
    throw .notPermitted
  }

  func mkdir(_ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller) throws(Errno) -> Entry {
    note("mkdir")
    throw .notPermitted
  }

  func symlink(_ target: RawSpan, as name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller)
    throws(Errno) -> Entry
  {
    note("symlink")
    throw .notPermitted
  }

  func readlink(_ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller) throws(Errno) -> Int {
    note("readlink")
    throw .notPermitted
  }

  func link(_ node: NodeID, as name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    note("link")
    throw .notPermitted
  }

  func tmpfile(in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> (
    entry: Entry, opened: Opened
  ) {
    note("tmpfile")
    throw .notPermitted
  }

  func unlink(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    note("unlink")
    throw .notPermitted
  }

  func rmdir(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) {
    note("rmdir")
    throw .notPermitted
  }

  func rename(
    _ name: RawSpan, in directory: NodeID, to newName: RawSpan, in newDirectory: NodeID, _ flags: RenameFlags,
    _ caller: Caller
  ) throws(Errno) {
    note("rename")
    throw .notPermitted
  }

  func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    note("open")
    throw .notPermitted
  }

  func read(_ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller)
    throws(Errno)
  {
    note("read")
    throw .notPermitted
  }

  func read(_ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingRead, _ caller: Caller)
  {
    note("readPending")
    pending.fail(.notPermitted)
  }

  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int {
    note("write")
    throw .notPermitted
  }

  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingWrite, _ intent: WriteIntent,
    _ caller: Caller
  ) {
    note("writePending")
    pending.fail(.notPermitted)
  }

  func flush(_ node: NodeID, _ handle: FileHandle, _ owner: LockOwner, _ caller: Caller) throws(Errno) {
    note("flush")
    throw .notPermitted
  }

  func release(_ node: NodeID, _ handle: FileHandle, _ flockOwner: LockOwner?) {
    note("release")
  }

  func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    note("fsync")
    throw .notPermitted
  }

  func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller) {
    note("fsyncPending")
    pending.fail(.notPermitted)
  }

  func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode, _ caller: Caller
  ) throws(Errno) {
    note("fallocate")
    throw .notPermitted
  }

  func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode,
    _ pending: consuming PendingDone, _ caller: Caller
  ) {
    note("fallocatePending")
    pending.fail(.notPermitted)
  }

  func copyFileRange(
    from source: FileRange, to destination: FileRange, count: UInt64, _ pending: consuming PendingCount,
    _ caller: Caller
  ) {
    note("copyFileRange")
    pending.fail(.notPermitted)
  }

  func syncfs(_ caller: Caller) throws(Errno) {
    note("syncfs")
    throw .notPermitted
  }

  func syncfs(_ pending: consuming PendingDone, _ caller: Caller) {
    note("syncfsPending")
    pending.fail(.notPermitted)
  }

  func opendir(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    note("opendir")
    throw .notPermitted
  }

  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {
    note("readdir")
    throw .notPermitted
  }

  func releasedir(_ node: NodeID, _ handle: FileHandle) {
    note("releasedir")
  }

  func fsyncdir(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    note("fsyncdir")
    throw .notPermitted
  }

  func fsyncdir(
    _ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller
  ) {
    note("fsyncdirPending")
    pending.fail(.notPermitted)
  }

  func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus {
    note("statfs")
    throw .notPermitted
  }

  func access(_ node: NodeID, _ mask: UInt32, _ caller: Caller) throws(Errno) {
    note("access")
    throw .notPermitted
  }

  func getxattr(_ node: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller)
    throws(Errno) -> Int
  {
    note("getxattr")
    throw .notPermitted
  }

  func listxattr(_ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller) throws(Errno) -> Int {
    note("listxattr")
    throw .notPermitted
  }

  func setxattr(
    _ node: NodeID, _ name: RawSpan, _ value: RawSpan, _ mode: XattrMode, clearsSetGID: Bool, _ caller: Caller
  ) throws(Errno) {
    note("setxattr")
    throw .notPermitted
  }

  func removexattr(_ node: NodeID, _ name: RawSpan, _ caller: Caller) throws(Errno) {
    note("removexattr")
    throw .notPermitted
  }

  func fileFlags(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileFlags {
    note("fileFlags")
    throw .notPermitted
  }

  func setFileFlags(_ node: NodeID, _ flags: FileFlags, _ caller: Caller) throws(Errno) {
    note("setFileFlags")
    throw .notPermitted
  }

  func ioctl(
    _ node: NodeID, _ handle: FileHandle, _ command: UInt32, _ input: RawSpan,
    into output: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int {
    note("ioctl")
    throw .notPermitted
  }

  func getLock(_ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ owner: LockOwner, _ caller: Caller)
    throws(Errno) -> FileLock?
  {
    note("getLock")
    throw .notPermitted
  }

  func setLock(
    _ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ intent: LockIntent, _ pending: consuming PendingDone,
    _ caller: Caller
  ) {
    note("setLock")
    pending.fail(.notPermitted)
  }

  func interrupt(_ request: RequestID) {
    note("interrupt")
  }

  func interruptAll() {
    note("interruptAll")
  }

  func lseek(_ node: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller)
    throws(Errno) -> UInt64
  {
    note("lseek")
    throw .notPermitted
  }

  func memoryMap(_ node: NodeID, _ caller: Caller) throws(Errno) -> MemoryMap {
    note("memoryMap")
    throw .notPermitted
  }

  func memoryDevice(_ index: UInt32, _ caller: Caller) throws(Errno) -> [UInt8] {
    note("memoryDevice")
    throw .notPermitted
  }

  func foundUnreadable(_ memory: UnsafeRawBufferPointer) {
    note("foundUnreadable")
  }

  func destroy() {
    note("destroy")
  }
}
