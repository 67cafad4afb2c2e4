import Platform

/// What a file system answers, in its own terms. It never sees a byte of the protocol, and every method can be called
/// directly, by a test for example.
///
/// **Threads.** Any method may be called by several threads at a time, on the same node too.
///
/// **Nodes and lookup counts.** The kernel knows nodes by number. Each `Entry` that it gets, from `lookup`, from what
/// makes a name (`create`, `mknod`, `mkdir`, `symlink`, `link`, `tmpfile`) or in a `readdir` whose entry was `.lookedUp`,
/// is one more lookup of that node; `forget` takes some back. `InodeTable` keeps such counts. (Where the kernel never got the answer, the session calls `forget`, and `release` for what was opened.)
/// While the count is above zero the kernel may ask about the node, whatever became of its names: an unlinked file
/// stays readable for who has it open. When the count is back at zero the kernel will not name the node again before
/// another lookup, and a file system may recycle its number (with a new `generation`). The root needs no lookup. At
/// unmount the kernel may leave counts as they are and forget nothing, and a `release` that is on its way may be
/// lost.
///
/// **Names.** Those that are made, moved or removed have 1 to 255 bytes, no NUL and no "/", and are not "." or "..".
/// The kernel holds the directories' locks meanwhile: on one mount two changes of one directory never come at a time,
/// and a name was looked up before. Other hosts, and other mounts, may still come between.
///
/// **Handles.** `open`, `create` and `opendir` give a number that the requests of that open file repeat, until one
/// `release`. Each open(2) has one handle, however many descriptors are copied from it. A handle outlives the file's
/// last name.
///
/// **Answers.** Names and attributes are answered when the method returns. Contents may be answered later, from any
/// thread: those methods get a `Pending...` value, which is the request itself. By default they call the methods of the same
/// name without one, on the serving thread. A file system that waits for a device there hands the value to a `WorkerPool`.
/// A pending value that is dropped answers EIO.
///
/// **Caches.** What the kernel was told it may repeat to processes without asking, for as long as the lifetimes say; a
/// file system that changes behind the kernel's back says so through a `Notifier`, or uses short lifetimes.
///
/// **Permissions.** With the `default_permissions` mount option, which `MountOptions` has by default, the kernel checks
/// modes before it asks.
///
/// **Errors.** A thrown `Errno` is what the process gets. Where a default implementation answers ENOSYS the kernel
/// takes that as "never ask again" and does without, as the method says.
public protocol FileSystem: Sendable {
  /// What the file system asks of its session. Read once.
  var traits: FileSystemTraits { get }

  /// What was agreed with the kernel, before it asks for anything else. By default nothing.
  func began(_ agreement: Agreement)

  /// The answer to operations whose method is left at its default and says so.
  ///
  /// ENOSYS, the default, is what the kernel expects for optional ones: xattrs are then EOPNOTSUPP, fallocate
  /// EOPNOTSUPP, copy_file_range is done by reads and writes. For those that change names processes get ENOSYS
  /// itself, so a file system whose names do not change answers EROFS or EPERM where `opcode.changesNames`.
  func refusal(of opcode: Opcode) -> Errno

  /// Finds a name in a directory, and counts a lookup of its node.
  /// - Parameter name: 1 to 255 bytes without NUL and "/". "." and ".." come only to file systems exported by NFS.
  /// - Throws: ENOENT, which the kernel does not remember; `Entry.absent(for:)` it does. ENOTDIR. ESTALE for a
  ///   directory number that is not (or no longer) in use.
  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry

  /// Takes back lookups of nodes, all that one request names. There is no answer, hence no error. A count larger than the
  /// lookups made is an error of the other side and must do no harm. By default nothing is counted.
  func forget(_ lookups: Span<LookupCount>)

  /// stat(2). May come at any time while the node is known, with no open file.
  /// - Parameter handle: the open file, when it is fstat(2) of one.
  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes

  /// Changes attributes: truncate(2), chmod(2), chown(2), utimensat(2). open(2) with O_TRUNC comes as a size of 0.
  /// By default refused as `refusal(of: .setattr)` says.
  /// - Parameter handle: the open file, when it is ftruncate(2) of one.
  /// - Returns: all attributes as they are afterwards.
  func setattr(
    _ node: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes

  /// open(2) with O_CREAT of a name that the kernel has not found: makes a regular file, opens it, and counts a
  /// lookup of it, all in one. A name that the kernel has found comes as `open`, or is EEXIST with O_EXCL, without
  /// asking.
  ///
  /// Should the name be there nevertheless (another host made it, or the kernel remembers it as absent) then
  /// - with `intent.isExclusive` throw EEXIST;
  /// - otherwise throw ESTALE: the kernel looks the name up again and opens what it finds, as if it had been there
  ///   from the start. To answer with the file itself skips the kernel's check of its permissions, and nobody but
  ///   this method would heed `intent.isTruncating`.
  ///
  /// By default refused as `refusal(of: .create)` says. After an ENOSYS the kernel asks no more and uses `mknod` and
  /// `open` in its place.
  /// - Returns: an entry of a regular file, or the process gets EIO, and a handle. Under the trait
  ///   `withoutOpen` the handle must be `FileHandle.none`: the kernel may or may not release it.
  /// - Throws: EEXIST and ESTALE as above, ENOSPC, EDQUOT, ENAMETOOLONG; ESTALE or ENOENT for a directory that is gone.
  func create(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened)

  /// mknod(2) and mkfifo(3): makes a file of any type but directory and symbolic link, and counts a lookup of it. Also
  /// open(2) with O_CREAT, for a file system without `create`. By default refused as `refusal(of: .mknod)` says.
  ///
  /// The kernel serves FIFOs, sockets and devices itself, and asks for their names and attributes only. The mount
  /// option nodev, which `Mounting` always gives, keeps devices from being opened.
  /// - Returns: an entry of the type that `new.mode` says, or the process gets EIO.
  /// - Throws: EEXIST, ENOSPC as for `create`. EPERM for a type that the file system does not have; ENOSYS would
  ///   reach the process as it is.
  func mknod(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry

  /// mkdir(2): makes an empty directory and counts a lookup of it. By default refused as `refusal(of: .mkdir)` says.
  ///
  /// In a directory with the setgid bit, group and bit of new directories (and the group of new files) are the
  /// parent's: that is the file system's to do.
  /// - Returns: an entry of a directory, or the process gets EIO.
  /// - Throws: EEXIST, ENOSPC, ENAMETOOLONG, EMLINK.
  func mkdir(
    _ name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry

  /// symlink(2): makes a symbolic link and counts a lookup of it. By default refused as `refusal(of: .symlink)` says.
  /// - Parameter target: what the link says: 1 to 4,095 bytes without NUL, and whatever else.
  /// - Returns: an entry of a symbolic link, or the process gets EIO.
  /// - Throws: EEXIST, ENOSPC, ENAMETOOLONG.
  func symlink(
    _ target: RawSpan, as name: RawSpan, in directory: NodeID, _ new: NewNode, _ caller: Caller
  ) throws(Errno) -> Entry

  /// readlink(2), and each walk through a symbolic link. By default refused as `refusal(of: .readlink)` says.
  /// - Parameter buffer: 4,096 bytes, where what the link says goes, without a NUL.
  /// - Returns: its length.
  /// - Throws: EINVAL when the node is not a symbolic link.
  func readlink(_ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller) throws(Errno) -> Int

  /// link(2): gives a node that is not a directory one more name, and counts a lookup of it. By default refused as
  /// `refusal(of: .link)` says.
  /// - Returns: an entry of the node, with the link count that it has now.
  /// - Throws: EEXIST, EMLINK, EPERM; ENOENT for a node that has no name left, unless `tmpfile` made it.
  func link(_ node: NodeID, as name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry

  /// open(2) with O_TMPFILE: makes a regular file without a name, opens it, and counts a lookup of it. A later `link` may
  /// give it a name, unless `intent.isExclusive`. By default refused as `refusal(of: .tmpfile)` says; after an ENOSYS
  /// processes get EOPNOTSUPP.
  /// - Returns: as for `create`; the entry's link count is 0.
  func tmpfile(
    in directory: NodeID, _ new: NewNode, _ intent: OpenIntent, _ caller: Caller
  ) throws(Errno) -> (entry: Entry, opened: Opened)

  /// unlink(2): removes the name of what is no directory. The node lives on while it has other names, lookups or open
  /// files: those who have it open go on reading and writing it. By default refused as `refusal(of: .unlink)` says.
  /// - Throws: ENOENT, EISDIR, EBUSY.
  func unlink(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno)

  /// rmdir(2): removes an empty directory; its node lives on as for `unlink`, and is asked for then. Nothing can be
  /// made in it any more (ENOENT). By default refused as `refusal(of: .rmdir)` says.
  /// - Throws: ENOENT, ENOTDIR, ENOTEMPTY.
  func rmdir(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno)

  /// rename(2) and renameat2(2): moves a name, at one stroke for whoever looks. Without flags a node that has the new
  /// name loses it, as by `unlink` or `rmdir`. Two names of one node stay as they are, and that is no error. The
  /// kernel sees to it that no directory is moved below itself, as far as it knows the tree. Lookup counts do not
  /// change. By default refused as `refusal(of:)` says of `.rename`, or of `.rename2` when there are flags: after an
  /// ENOSYS to that the kernel answers EINVAL by itself.
  /// - Parameter flags: at most one. The kernel's third, for overlay mounts, is refused with EINVAL before.
  /// - Throws: ENOENT, EEXIST with `.noReplace`; EISDIR or ENOTDIR when only one of the nodes is a directory, and
  ///   ENOTEMPTY (not with `.exchange`); EINVAL for a directory that is moved below itself.
  func rename(
    _ name: RawSpan, in directory: NodeID, to newName: RawSpan, in newDirectory: NodeID, _ flags: RenameFlags,
    _ caller: Caller
  ) throws(Errno)

  /// open(2) of a regular file that is there, after the kernel looked it up. By default all opens succeed with
  /// `FileHandle.none` and the page cache dropped. Not called under the trait `withoutOpen`; do not throw ENOSYS
  /// otherwise, which would have the same effect.
  func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened

  /// Reads by saying where the bytes are: see `ReadReply`. What is appended in all is the count of bytes read.
  ///
  /// Fewer bytes than `reply.wanted` mean that the file ends there: the kernel fills the rest of its page with zeros
  /// and may shorten the file in its caches. Read-ahead asks for ranges beyond the end, which get nothing.
  /// - Parameter offset: `offset + reply.wanted` is at most Int64.max.
  func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno)

  /// Reads, and may answer later. By default `read` without a pending value, at once.
  func read(_ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingRead, _ caller: Caller)

  /// Writes. By default refused as `refusal(of: .write)` says.
  /// - Parameters:
  ///   - data: at most 1 MiB, valid until the method returns; over /dev/fuse it starts on a page boundary. A virtual
  ///     machine's may change while it is read.
  ///   - intent: of a file that was opened with `directIO`, `isSynchronous` has the meaning of an `fsync` behind this piece
  ///     of what write(2) was given. For all others the kernel sends an `fsync` itself, behind the last piece.
  /// - Returns: the bytes written; fewer than given only for direct I/O, or the kernel gives the process EIO.
  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int

  /// Writes, and may answer later. By default `write` without a pending value, at once, with a copy of the data where it
  /// comes in several pieces.
  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingWrite, _ intent: WriteIntent,
    _ caller: Caller)

  /// close(2) of one descriptor; the file may have more. Its error is what close(2) returns. By default ENOSYS: the
  /// kernel stops asking, and close(2) succeeds.
  /// - Parameter owner: whose locks of fcntl(2) on the file end, with the trait `posixLocks`.
  func flush(_ node: NodeID, _ handle: FileHandle, _ owner: LockOwner, _ caller: Caller) throws(Errno)

  /// The open file's last descriptor and mapping are gone. No process waits for this or hears of an error. Called once
  /// for each `open`, `create` and `tmpfile` that succeeded.
  /// - Parameter flockOwner: whose lock of flock(2) ends, with the trait `flockLocks`; nil when there was none.
  func release(_ node: NodeID, _ handle: FileHandle, _ flockOwner: LockOwner?)

  /// fsync(2), fdatasync(2), msync(2). By default ENOSYS: the kernel stops asking and fsync(2) *succeeds*, which is
  /// right only for a file system whose writes are durable when they return.
  func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno)

  /// fsync(2), and may answer later. By default `fsync` without a pending value, at once.
  func fsync(
    _ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller)

  /// fallocate(2) of a file open for writing. When it succeeds, the kernel takes the file for as long as the range
  /// demands, and drops its own pages of a range that became zeros. By default refused as `refusal(of: .fallocate)`
  /// says: after an ENOSYS the kernel asks no more, and processes get EOPNOTSUPP.
  /// - Parameters:
  ///   - offset: first byte.
  ///   - length: bytes, at least 1; `offset + length` is at most Int64.max.
  ///   - mode: none but the flags that `FallocateMode` names; others are EOPNOTSUPP before.
  /// - Throws: EOPNOTSUPP for a mode that the file system does not have; ENOSPC, EFBIG.
  func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode, _ caller: Caller
  ) throws(Errno)

  /// fallocate(2), and may answer later. By default `fallocate` without a pending value, at once.
  func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode,
    _ pending: consuming PendingDone, _ caller: Caller)

  /// copy_file_range(2) between two files of this mount, or within one. Answered at once or later. By default refused as
  /// `refusal(of: .copyFileRange)` says: after an ENOSYS the kernel asks no more, and copies by reads and writes.
  /// - Parameters:
  ///   - source: the file to copy from, and the first byte.
  ///   - destination: the file to copy to, and where.
  ///   - count: bytes; both ranges end at Int64.max at most, and ranges of one file do not overlap. Any part may be copied:
  ///     the process asks for the rest. So a large range is best copied in parts.
  ///   - pending: takes how many bytes were copied: at least one unless the source ends there, at most `count`.
  func copyFileRange(
    from source: FileRange, to destination: FileRange, count: UInt64, _ pending: consuming PendingCount,
    _ caller: Caller)

  /// syncfs(2) and sync(2): all that was written is to be durable. By default ENOSYS: the kernel stops asking and
  /// syncfs(2) *succeeds*, which is right only for a file system whose writes are durable when they return.
  ///
  /// Mounts over /dev/fuse are asked where the kernel offers `InitFlags.syncFileSystem`. Before, as of Linux 6.18, both calls
  /// write back the kernel's own pages and succeed; only virtio-fs and fuseblk are asked.
  func syncfs(_ caller: Caller) throws(Errno)

  /// syncfs(2), and may answer later. By default `syncfs` without a pending value, at once.
  func syncfs(_ pending: consuming PendingDone, _ caller: Caller)

  /// opendir(3). By default all opens succeed with `FileHandle.none`. Not called under the trait `withoutOpendir`.
  func opendir(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened

  /// Lists a directory from a cookie on: see `DirectoryReply`. "." and ".." are the file system's to list.
  ///
  /// Cookies are numbers of the file system's choosing, zero for the start. The cookie given with an entry is where
  /// to go on *behind* it. A reader may return to any cookie it was given (seekdir(3)), with other entries added and
  /// removed meanwhile; those that stayed must come once.
  ///
  /// An error after some entries were taken is not told: the entries are, and the error is when the reader goes on.
  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno)

  /// The open directory's last descriptor is gone, once for each `opendir` that succeeded.
  func releasedir(_ node: NodeID, _ handle: FileHandle)

  /// fsync(2) of a directory. By default ENOSYS, with the same meaning as for `fsync`.
  func fsyncdir(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno)

  /// fsync(2) of a directory, and may answer later. By default `fsyncdir` without a pending value, at once.
  func fsyncdir(
    _ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller)

  /// statfs(2). By default a file system of size zero.
  func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus

  /// access(2), chdir(2), without the `default_permissions` mount option only. By default ENOSYS: all is allowed.
  /// - Parameter mask: R_OK, W_OK and X_OK bits.
  func access(_ node: NodeID, _ mask: UInt32, _ caller: Caller) throws(Errno)

  /// getxattr(2). By default ENOSYS: the kernel stops asking, and processes get EOPNOTSUPP.
  /// - Parameters:
  ///   - name: 1 to 255 bytes.
  ///   - buffer: where to put the value if it fits; empty when only its length is asked for.
  /// - Returns: the value's length, which may exceed the buffer: then nothing was put there.
  /// - Throws: ENODATA when there is none of that name.
  func getxattr(
    _ node: NodeID, _ name: RawSpan, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int

  /// listxattr(2): the names, a NUL behind each. Buffer and result as for `getxattr`. By default ENOSYS.
  func listxattr(_ node: NodeID, into buffer: UnsafeMutableRawBufferPointer, _ caller: Caller) throws(Errno) -> Int

  /// setxattr(2), for ACLs as well. By default ENOSYS: processes get EOPNOTSUPP.
  /// - Parameters:
  ///   - name: 1 to 255 bytes.
  ///   - value: up to 64 KiB.
  ///   - mode: whether there may or must be an attribute of that name.
  ///   - clearsSetGID: an access ACL is set by a process that is not in the file's group, so setgid goes.
  /// - Throws: EEXIST, ENODATA as `mode` says; ENOSPC, ERANGE, EOPNOTSUPP.
  func setxattr(
    _ node: NodeID, _ name: RawSpan, _ value: RawSpan, _ mode: XattrMode, clearsSetGID: Bool, _ caller: Caller
  ) throws(Errno)

  /// removexattr(2). By default ENOSYS: processes get EOPNOTSUPP.
  /// - Throws: ENODATA when there is none of that name.
  func removexattr(_ node: NodeID, _ name: RawSpan, _ caller: Caller) throws(Errno)

  /// FS_IOC_GETFLAGS and FS_IOC_FSGETXATTR: lsattr(1). By default ENOTTY.
  func fileFlags(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileFlags

  /// FS_IOC_SETFLAGS and FS_IOC_FSSETXATTR: chattr(1). The kernel has checked that the caller owns the node, and for
  /// `immutable` and `appendOnly` that it may. By default ENOTTY.
  /// - Throws: EOPNOTSUPP for flags that the file system does not have.
  func setFileFlags(_ node: NodeID, _ flags: FileFlags, _ caller: Caller) throws(Errno)

  /// ioctl(2) of an open file or directory, with any other command. The kernel has copied what the command says that it
  /// reads, and copies back what it says that it writes. Short work only; what may take long is begun here, and asked for by
  /// another command. By default ENOTTY.
  /// - Parameters:
  ///   - input: as long as the command's size, where it writes to the file system; else empty.
  ///   - output: likewise, where it reads.
  /// - Returns: the bytes put into `output`.
  func ioctl(
    _ node: NodeID, _ handle: FileHandle, _ command: UInt32, _ input: RawSpan,
    into output: UnsafeMutableRawBufferPointer, _ caller: Caller
  ) throws(Errno) -> Int

  /// F_GETLK of fcntl(2), with the trait `posixLocks`. By default refused as `refusal(of: .getlk)` says.
  /// - Returns: a lock of another owner that is in the way of `lock`; nil when there is none.
  func getLock(
    _ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ owner: LockOwner, _ caller: Caller
  ) throws(Errno) -> FileLock?

  /// F_SETLK and F_SETLKW of fcntl(2), and flock(2), with the traits `posixLocks` and `flockLocks`. `LockTable` does what
  /// this asks for. By default refused as `refusal(of: .setlk)` says.
  /// - Parameter pending: fails with EAGAIN when another owner's lock is in the way and `intent` says not to wait, EDEADLK
  ///   when waiting would never end, EINTR after `interrupt`.
  func setLock(
    _ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ intent: LockIntent, _ pending: consuming PendingDone,
    _ caller: Caller)

  /// A signal came for the process that waits for a request. If the request waits for a lock it fails with EINTR; all others
  /// are answered soon anyway. The request may be over, or may not have arrived yet. By default nothing.
  func interrupt(_ request: RequestID)

  /// The session ends or begins anew: all requests that wait for a lock fail with EINTR. By default nothing.
  func interruptAll()

  /// lseek(2) with SEEK_DATA and SEEK_HOLE. By default ENOSYS: the kernel takes files for data without holes.
  /// - Throws: ENXIO when the offset is at or beyond the end.
  func lseek(
    _ node: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller
  ) throws(Errno) -> UInt64

  /// Where a file's bytes are, for a famfs kernel: it asks behind each open of a regular file, until it was told. Asked
  /// under the trait `memoryMaps` only, and where that was agreed. By default refused as `refusal(of: .getFmap)` says.
  ///
  /// The kernel keeps the map for as long as it knows the node. It takes an error for that of the open.
  func memoryMap(_ node: NodeID, _ caller: Caller) throws(Errno) -> MemoryMap

  /// The path of a memory device that a map names: of a character device, absolute, at most 255 bytes without NUL; the
  /// kernel opens it once. By default refused as `refusal(of: .getDaxdev)` says.
  /// - Throws: ENODEV when there is none of this index.
  func memoryDevice(_ index: UInt32, _ caller: Caller) throws(Errno) -> [UInt8]

  /// Memory that a `read` named could not be read, and the reader got EIO for all that it asked for. Parts of it may be
  /// well. By default nothing.
  func foundUnreadable(_ memory: UnsafeRawBufferPointer)

  /// The session is over: unmounted, aborted or reset. No request is under way and none comes, unless another session
  /// begins with `began`: a virtual machine may mount again. All lookups and open files are gone.
  func destroy()
}
