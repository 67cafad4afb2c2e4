/// What a file system asks of its session as a whole. Each trait that the kernel does not offer is without effect;
/// `FileSystem.began` tells what was agreed.
public struct FileSystemTraits: OptionSet, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// Traits of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Files need no open and no release: the first open is answered ENOSYS and the kernel sends no more. Handles are
  /// then `FileHandle.none`, and all files are treated as if opened with `OpenFlags.keepCache`.
  public static let withoutOpen = FileSystemTraits(rawValue: 1 << 0)
  /// Directories likewise; they are treated as if opened with `keepCache` and `cacheDirectory`, so that changes must be
  /// told by `Notifier`.
  public static let withoutOpendir = FileSystemTraits(rawValue: 1 << 1)
  /// A file's cached pages stay when its size changes, until a notification drops them.
  public static let explicitInvalidation = FileSystemTraits(rawValue: 1 << 2)
  /// A famfs kernel shall find files' bytes on dax devices by itself: `memoryMap` and `memoryDevice` answer for every
  /// regular file, of which none changes its size. From a file's first open on, no `read` and no `write` of it come. Only
  /// where `KernelProbes` say `.pulled`: other kernels take the bit of INIT that agrees on it for another feature.
  public static let memoryMaps = FileSystemTraits(rawValue: 1 << 3)
  /// The kernel gathers writes in its page cache, and keeps sizes and times of files until it writes them back. For a file
  /// system that is changed only through this mount: sizes and times that changed elsewhere, or by `setFileFlags`, are never
  /// taken. Times come by `setattr` before each `fsync` and at close, when they changed; a `write` may carry any writer's
  /// handle and no caller; pages are read on handles that were opened only for writing. `lseek` is asked before dirty pages are
  /// written, and processes hear of a `write` that is refused at fsync(2) or close(2) only. sync(2) does not wait for a `write`
  /// that is under way. FUSE_WRITEBACK_CACHE.
  public static let writeBack = FileSystemTraits(rawValue: 1 << 4)
  /// The file system keeps POSIX ACLs, as the xattrs `system.posix_acl_access` and `system.posix_acl_default`, and the
  /// kernel checks them: the mount acts as if it had `default_permissions`. `mode` is then not masked by the umask where
  /// something is made: a default ACL replaces the umask, and without one the file system applies it. FUSE_POSIX_ACL,
  /// FUSE_DONT_MASK.
  public static let posixACL = FileSystemTraits(rawValue: 1 << 5)
  /// The calls that make something bring the security label that the new node shall have. FUSE_SECURITY_CTX.
  public static let securityContext = FileSystemTraits(rawValue: 1 << 6)
  /// fcntl(2) locks come to `getLock` and `setLock`, for a file system that other mounts share. Without it the kernel keeps
  /// those of this mount. FUSE_POSIX_LOCKS.
  public static let posixLocks = FileSystemTraits(rawValue: 1 << 7)
  /// flock(2) locks come to `setLock`. FUSE_FLOCK_LOCKS.
  public static let flockLocks = FileSystemTraits(rawValue: 1 << 8)
  /// The kernel remembers what symbolic links say, for as long as their attributes' lifetime. FUSE_CACHE_SYMLINKS.
  public static let cachedSymlinks = FileSystemTraits(rawValue: 1 << 9)
  /// Cached pages of a file are dropped when its modification time or size is seen to have changed.
  /// FUSE_AUTO_INVAL_DATA.
  public static let autoInvalidation = FileSystemTraits(rawValue: 1 << 10)
}
