import CFuse
import Platform

/// Bits of INIT, in both directions; `FUSE_*` in linux/fuse.h. Bits above 31 travel in `flags2`.
public struct InitFlags: OptionSet, Sendable {
  /// The 64 bits.
  public let rawValue: UInt64
  /// Flags of these bits.
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  // The header's macros are of two types: those of the upper half say so by a suffix.
  private init(_ bit: Int32) { rawValue = UInt64(bit) }
  private init(_ bit: UInt64) { rawValue = bit }

  /// FUSE_ASYNC_READ: several reads of one file at a time.
  public static let asyncRead = InitFlags(FUSE_ASYNC_READ)
  /// FUSE_POSIX_LOCKS: fcntl(2) locks are the server's business.
  public static let posixLocks = InitFlags(FUSE_POSIX_LOCKS)
  /// FUSE_ATOMIC_O_TRUNC: open(2) with O_TRUNC comes as one request, and not as OPEN and SETATTR. Never wanted: each
  /// `open` would have to do what `setattr` does already.
  public static let atomicTruncate = InitFlags(FUSE_ATOMIC_O_TRUNC)
  /// FUSE_BIG_WRITES: writes of more than a page.
  public static let bigWrites = InitFlags(FUSE_BIG_WRITES)
  /// FUSE_DONT_MASK: the umask is the server's to apply, because a default ACL replaces it.
  public static let dontMask = InitFlags(FUSE_DONT_MASK)
  /// FUSE_FLOCK_LOCKS: flock(2) locks are the server's business.
  public static let flockLocks = InitFlags(FUSE_FLOCK_LOCKS)
  /// FUSE_HAS_IOCTL_DIR: ioctl(2) of directories comes, too.
  public static let directoryIoctl = InitFlags(FUSE_HAS_IOCTL_DIR)
  /// FUSE_AUTO_INVAL_DATA: cached pages are dropped when the modification time changes.
  public static let autoInvalidateData = InitFlags(FUSE_AUTO_INVAL_DATA)
  /// FUSE_DO_READDIRPLUS: directories are read with their entries' attributes.
  public static let readdirplus = InitFlags(FUSE_DO_READDIRPLUS)
  /// FUSE_READDIRPLUS_AUTO: ... where that seems to pay.
  public static let readdirplusAuto = InitFlags(FUSE_READDIRPLUS_AUTO)
  /// FUSE_ASYNC_DIO: direct I/O in several requests at a time.
  public static let asyncDirectIO = InitFlags(FUSE_ASYNC_DIO)
  /// FUSE_WRITEBACK_CACHE: the kernel gathers writes, and keeps times and sizes.
  public static let writebackCache = InitFlags(FUSE_WRITEBACK_CACHE)
  /// FUSE_NO_OPEN_SUPPORT: ENOSYS to OPEN ends all opening.
  public static let noOpen = InitFlags(FUSE_NO_OPEN_SUPPORT)
  /// FUSE_PARALLEL_DIROPS: lookups and readdir of one directory at a time.
  public static let parallelDirectoryOperations = InitFlags(FUSE_PARALLEL_DIROPS)
  /// FUSE_POSIX_ACL: the server keeps POSIX ACLs, and the kernel checks them.
  public static let posixACL = InitFlags(FUSE_POSIX_ACL)
  /// FUSE_ABORT_ERROR: a read of /dev/fuse says ECONNABORTED when the connection was aborted, not unmounted.
  public static let abortError = InitFlags(FUSE_ABORT_ERROR)
  /// FUSE_MAX_PAGES: the answer's `max_pages` counts.
  public static let maxPages = InitFlags(FUSE_MAX_PAGES)
  /// FUSE_CACHE_SYMLINKS: the kernel remembers what symbolic links say.
  public static let cacheSymlinks = InitFlags(FUSE_CACHE_SYMLINKS)
  /// FUSE_NO_OPENDIR_SUPPORT: ENOSYS to OPENDIR ends all opening of directories.
  public static let noOpendir = InitFlags(FUSE_NO_OPENDIR_SUPPORT)
  /// FUSE_EXPLICIT_INVAL_DATA: cached pages are dropped by notification only.
  public static let explicitInvalidation = InitFlags(FUSE_EXPLICIT_INVAL_DATA)
  /// FUSE_HANDLE_KILLPRIV_V2: the server clears setuid and setgid where a request says so.
  public static let handleKillPrivilegesV2 = InitFlags(FUSE_HANDLE_KILLPRIV_V2)
  /// FUSE_SETXATTR_EXT: SETXATTR has 8 bytes more, which say when an ACL clears setgid.
  public static let setxattrExtension = InitFlags(FUSE_SETXATTR_EXT)
  /// FUSE_INIT_EXT: `flags2` counts.
  public static let initExtension = InitFlags(FUSE_INIT_EXT)
  /// FUSE_SECURITY_CTX: what makes a node brings its security labels, as an extension of the request. Kernels before 7.38
  /// do not say how long that is, so it is agreed with later ones only.
  public static let securityContext = InitFlags(FUSE_SECURITY_CTX)
  /// FUSE_CREATE_SUPP_GROUP: what makes a node brings the process's group that is the directory's, as an extension.
  public static let createGroup = InitFlags(FUSE_CREATE_SUPP_GROUP)
  /// FUSE_HAS_EXPIRE_ONLY: INVAL_ENTRY may expire a name instead of dropping it.
  public static let expireOnly = InitFlags(FUSE_HAS_EXPIRE_ONLY)
  /// FUSE_DIRECT_IO_ALLOW_MMAP: files opened for direct I/O may be mapped shared.
  public static let directIOAllowMmap = InitFlags(FUSE_DIRECT_IO_ALLOW_MMAP)
  /// FUSE_DAX_FMAP: the kernel reads, writes and maps files' memory by itself. Of kernels with famfs only: in mainline
  /// the bit is FUSE_HAS_IO_URING_BUFPOOL, so it is wanted only where `KernelProbes` say `.pulled`.
  public static let daxFileMaps = InitFlags(WEFT_FUSE_DAX_FMAP)
  /// FUSE_HAS_SYNCFS: sync(2) and syncfs(2) ask the server.
  public static let syncFileSystem = InitFlags(WEFT_FUSE_HAS_SYNCFS)

  /// What every session wants if the kernel offers it.
  static let usual: InitFlags = [
    .asyncRead, .bigWrites, .readdirplus, .readdirplusAuto, .asyncDirectIO, .parallelDirectoryOperations,
    .abortError, .maxPages, .handleKillPrivilegesV2, .setxattrExtension, .initExtension, .expireOnly,
    .directIOAllowMmap, .syncFileSystem, .directoryIoctl,
  ]

  /// What each trait wants besides.
  static let ofTraits: [(FileSystemTraits, InitFlags)] = [
    (.withoutOpen, .noOpen), (.withoutOpendir, .noOpendir), (.explicitInvalidation, .explicitInvalidation),
    (.memoryMaps, .daxFileMaps), (.writeBack, .writebackCache), (.posixACL, [.posixACL, .dontMask]),
    (.securityContext, .securityContext), (.posixLocks, .posixLocks), (.flockLocks, .flockLocks),
    (.cachedSymlinks, .cacheSymlinks), (.autoInvalidation, .autoInvalidateData),
  ]
}

/// What the kernel says about itself: `struct fuse_init_in`.
struct InitOffer: Equatable {
  var major: UInt32
  var minor: UInt32
  var maxReadahead: UInt32
  var flags: InitFlags

  init(major: UInt32, minor: UInt32, maxReadahead: UInt32, flags: InitFlags) {
    self.major = major
    self.minor = minor
    self.maxReadahead = maxReadahead
    self.flags = flags
  }

  /// Bytes of `major` and `minor`, which every version has.
  private static let versionByteCount = 8
  /// Bytes before `flags2`, which kernels before 7.36 end with.
  private static let leastByteCount = 16

  /// Of another major version nothing but the version is certain.
  init(parsing bytes: RawSpan) throws(Errno) {
    let start = try bytes.load(fuse_init_in.self, first: InitOffer.versionByteCount)
    (major, minor) = (start.major, start.minor)
    guard major == Negotiation.major else {
      (maxReadahead, flags) = (0, [])
      return
    }
    let count = max(InitOffer.leastByteCount, min(bytes.byteCount, fuse_init_in.byteCount))
    let offer = try bytes.load(fuse_init_in.self, first: count)
    maxReadahead = offer.max_readahead
    let low = InitFlags(rawValue: UInt64(offer.flags))
    let high = low.contains(.initExtension) ? UInt64(offer.flags2) << 32 : 0
    flags = low.union(InitFlags(rawValue: high))
  }
}

/// What we answer: `struct fuse_init_out`. Always all of it, which every kernel since 7.23 expects.
struct InitAnswer: Equatable {
  static var byteCount: Int { fuse_init_out.byteCount }

  var major: UInt32
  var minor: UInt32
  var maxReadahead: UInt32
  var flags: InitFlags
  var maxBackground: UInt16
  var congestionThreshold: UInt16
  var maxWrite: UInt32
  var timeGranularity: UInt32
  var maxPages: UInt16

  func encode(into bytes: inout MutableRawSpan) {
    var out = fuse_init_out()
    out.major = major
    out.minor = minor
    out.max_readahead = maxReadahead
    out.flags = UInt32(truncatingIfNeeded: flags.rawValue)
    out.flags2 = UInt32(truncatingIfNeeded: flags.rawValue >> 32)
    out.max_background = maxBackground
    out.congestion_threshold = congestionThreshold
    out.max_write = maxWrite
    out.time_gran = timeGranularity
    out.max_pages = maxPages
    bytes.store(out)
  }
}

/// What kernel and server agreed on.
public struct Agreement: Equatable, Sendable {
  /// The protocol's minor version that both speak; the major one is 7.
  public let minor: UInt32
  /// The features that both have.
  public let flags: InitFlags
}

/// INIT as a state machine without I/O: offers go in, answers come out, and at some point there is an agreement.
struct Negotiation: Sendable {
  static let major = UInt32(FUSE_KERNEL_VERSION)
  /// `facts.c` compares it with the header's.
  static let newestMinor: UInt32 = 46
  static let oldestMinor: UInt32 = 31
  /// Since then a request's header says how long its extensions are.
  private static let extensionMinor: UInt32 = 38

  /// The last agreement.
  private(set) var agreement: Agreement?
  /// Whether it still holds.
  private(set) var isAgreed = false
  private let settings: SessionSettings
  private let wanted: InitFlags
  private let pageSize: Int

  init(_ settings: SessionSettings, _ traits: FileSystemTraits, pageSize: Int) {
    self.settings = settings
    self.pageSize = pageSize
    wanted = InitFlags.ofTraits.reduce(InitFlags.usual) { traits.contains($1.0) ? $0.union($1.1) : $0 }
  }

  /// Answers one offer. A kernel with a newer major version gets ours and is expected to offer again.
  /// - Throws: EPROTO for versions before 7.31 (Linux 5.4), and for a second INIT after an agreement.
  mutating func answer(_ offer: InitOffer) throws(Errno) -> InitAnswer {
    guard !isAgreed else { throw .protocolError }
    if offer.major > Negotiation.major { return reply(minor: Negotiation.newestMinor, flags: []) }
    guard offer.major == Negotiation.major, offer.minor >= Negotiation.oldestMinor else { throw .protocolError }
    let minor = min(offer.minor, Negotiation.newestMinor)
    let flags = Negotiation.possible(wanted.intersection(offer.flags), minor: minor)
    agreement = Agreement(minor: minor, flags: flags)
    isAgreed = true
    return reply(minor: minor, flags: flags)
  }

  /// Those of some flags that can be agreed on with a kernel of this version.
  static func possible(_ flags: InitFlags, minor: UInt32) -> InitFlags {
    var flags = flags
    if minor < extensionMinor { flags.subtract([.securityContext, .createGroup]) }
    if !flags.contains(.initExtension) { flags = InitFlags(rawValue: flags.rawValue & 0xffff_ffff) }
    return flags
  }

  /// The agreement is over: after DESTROY a guest's next mount begins anew.
  mutating func reset() { isAgreed = false }

  private func reply(minor: UInt32, flags: InitFlags) -> InitAnswer {
    InitAnswer(
      major: Negotiation.major,
      minor: minor,
      // Not bounded by the offer: the offer is the backing device's read-ahead at this moment, the kernel takes the
      // smaller of the two anyway, and a mount raises the former only afterwards.
      maxReadahead: settings.maxReadahead,
      flags: flags,
      maxBackground: settings.maxBackground,
      congestionThreshold: settings.maxBackground / 4 * 3,
      maxWrite: UInt32(SessionSettings.maxTransfer),
      timeGranularity: 1,
      maxPages: UInt16(clamping: SessionSettings.maxTransfer / max(pageSize, 1)))
  }
}
