import Platform

/// Bits of INIT, in both directions; `FUSE_*` in linux/fuse.h. Bits above 31 travel in `flags2`.
public struct InitFlags: OptionSet, Sendable {
  /// The 64 bits.
  public let rawValue: UInt64
  /// Flags of these bits.
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  private init(bit: Int) { rawValue = 1 << UInt64(bit) }

  /// FUSE_ASYNC_READ: several reads of one file at a time.
  public static let asyncRead = InitFlags(bit: 0)
  /// FUSE_POSIX_LOCKS: fcntl(2) locks are the server's business.
  public static let posixLocks = InitFlags(bit: 1)
  /// FUSE_ATOMIC_O_TRUNC: open(2) with O_TRUNC comes as one request, and not as OPEN and SETATTR. Never wanted: each
  /// `open` would have to do what `setattr` does already.
  public static let atomicTruncate = InitFlags(bit: 3)
  /// FUSE_BIG_WRITES: writes of more than a page.
  public static let bigWrites = InitFlags(bit: 5)
  /// FUSE_DONT_MASK: the umask is the server's to apply. Never wanted: it serves default ACLs alone, which replace
  /// the umask, and nothing here has them.
  public static let dontMask = InitFlags(bit: 6)
  /// FUSE_FLOCK_LOCKS: flock(2) locks are the server's business.
  public static let flockLocks = InitFlags(bit: 10)
  /// FUSE_AUTO_INVAL_DATA: cached pages are dropped when the modification time changes.
  public static let autoInvalidateData = InitFlags(bit: 12)
  /// FUSE_DO_READDIRPLUS: directories are read with their entries' attributes.
  public static let readdirplus = InitFlags(bit: 13)
  /// FUSE_READDIRPLUS_AUTO: ... where that seems to pay.
  public static let readdirplusAuto = InitFlags(bit: 14)
  /// FUSE_ASYNC_DIO: direct I/O in several requests at a time.
  public static let asyncDirectIO = InitFlags(bit: 15)
  /// FUSE_WRITEBACK_CACHE: the kernel gathers writes. Never wanted: written data must reach the memory at once.
  public static let writebackCache = InitFlags(bit: 16)
  /// FUSE_NO_OPEN_SUPPORT: ENOSYS to OPEN ends all opening.
  public static let noOpen = InitFlags(bit: 17)
  /// FUSE_PARALLEL_DIROPS: lookups and readdir of one directory at a time.
  public static let parallelDirectoryOperations = InitFlags(bit: 18)
  /// FUSE_ABORT_ERROR: a read of /dev/fuse says ECONNABORTED when the connection was aborted, not unmounted.
  public static let abortError = InitFlags(bit: 21)
  /// FUSE_MAX_PAGES: the answer's `max_pages` counts.
  public static let maxPages = InitFlags(bit: 22)
  /// FUSE_NO_OPENDIR_SUPPORT: ENOSYS to OPENDIR ends all opening of directories.
  public static let noOpendir = InitFlags(bit: 24)
  /// FUSE_EXPLICIT_INVAL_DATA: cached pages are dropped by notification only.
  public static let explicitInvalidation = InitFlags(bit: 25)
  /// FUSE_HANDLE_KILLPRIV_V2: the server clears setuid and setgid where a request says so.
  public static let handleKillPrivilegesV2 = InitFlags(bit: 28)
  /// FUSE_INIT_EXT: `flags2` counts.
  public static let initExtension = InitFlags(bit: 30)
  /// FUSE_HAS_EXPIRE_ONLY: INVAL_ENTRY may expire a name instead of dropping it.
  public static let expireOnly = InitFlags(bit: 35)
  /// FUSE_DIRECT_IO_ALLOW_MMAP: files opened for direct I/O may be mapped shared.
  public static let directIOAllowMmap = InitFlags(bit: 36)
  /// FUSE_DAX_FMAP: the kernel reads, writes and maps files' memory by itself. Of kernels with famfs only: in mainline
  /// the bit is FUSE_HAS_IO_URING_BUFPOOL, so it is wanted only where `KernelProbes` say `.pulled`.
  public static let daxFileMaps = InitFlags(bit: 43)
  /// FUSE_HAS_SYNCFS: sync(2) and syncfs(2) ask the server.
  public static let syncFileSystem = InitFlags(bit: 44)

  /// What every session wants if the kernel offers it. Locks are not among them: the kernel keeps those that are local.
  static let usual: InitFlags = [
    .asyncRead, .bigWrites, .readdirplus, .readdirplusAuto, .asyncDirectIO, .parallelDirectoryOperations,
    .abortError, .maxPages, .handleKillPrivilegesV2, .initExtension, .expireOnly, .directIOAllowMmap,
    .syncFileSystem,
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

  /// Reads 16 bytes, and four more that kernels since 7.36 send. Of another major version nothing else is certain.
  init(parsing bytes: RawSpan) throws(Errno) {
    try bytes.require(8)
    major = bytes.u32(0)
    minor = bytes.u32(4)
    guard major == 7 else {
      maxReadahead = 0
      flags = []
      return
    }
    try bytes.require(16)
    maxReadahead = bytes.u32(8)
    let low = InitFlags(rawValue: UInt64(bytes.u32(12)))
    let high = low.contains(.initExtension) && bytes.byteCount >= 20 ? UInt64(bytes.u32(16)) << 32 : 0
    flags = low.union(InitFlags(rawValue: high))
  }
}

/// What we answer: `struct fuse_init_out`. Always all 64 bytes, which every kernel since 7.23 expects.
struct InitAnswer: Equatable {
  static let byteCount = 64

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
    bytes.set(0, major)
    bytes.set(4, minor)
    bytes.set(8, maxReadahead)
    bytes.set(12, UInt32(truncatingIfNeeded: flags.rawValue))
    bytes.set(16, maxBackground)
    bytes.set(18, congestionThreshold)
    bytes.set(20, maxWrite)
    bytes.set(24, timeGranularity)
    bytes.set(28, maxPages)
    bytes.set(30, UInt16(0))  // map_alignment
    bytes.set(32, UInt32(truncatingIfNeeded: flags.rawValue >> 32))
    for offset in stride(from: 36, to: InitAnswer.byteCount, by: 4) { bytes.set(offset, UInt32(0)) }
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
  static let major: UInt32 = 7
  static let newestMinor: UInt32 = 46
  static let oldestMinor: UInt32 = 31

  /// The agreement, once there is one.
  private(set) var agreement: Agreement?
  private let settings: SessionSettings
  private let wanted: InitFlags
  private let pageSize: Int

  init(_ settings: SessionSettings, _ traits: FileSystemTraits, pageSize: Int) {
    self.settings = settings
    self.pageSize = pageSize
    var wanted = InitFlags.usual
    if traits.contains(.withoutOpen) { wanted.insert(.noOpen) }
    if traits.contains(.withoutOpendir) { wanted.insert(.noOpendir) }
    if traits.contains(.explicitInvalidation) { wanted.insert(.explicitInvalidation) }
    if traits.contains(.memoryMaps) { wanted.insert(.daxFileMaps) }
    self.wanted = wanted
  }

  /// Answers one offer. A kernel with a newer major version gets ours and is expected to offer again.
  /// - Throws: EPROTO for versions before 7.31 (Linux 5.4), and for a second INIT after an agreement.
  mutating func answer(_ offer: InitOffer) throws(Errno) -> InitAnswer {
    guard agreement == nil else { throw .protocolError }
    if offer.major > Negotiation.major { return reply(minor: Negotiation.newestMinor, flags: []) }
    guard offer.major == Negotiation.major, offer.minor >= Negotiation.oldestMinor else { throw .protocolError }
    let minor = min(offer.minor, Negotiation.newestMinor)
    var flags = wanted.intersection(offer.flags)
    if !flags.contains(.initExtension) { flags = InitFlags(rawValue: flags.rawValue & 0xffff_ffff) }
    agreement = Agreement(minor: minor, flags: flags)
    return reply(minor: minor, flags: flags)
  }

  /// Forgets the agreement: after DESTROY a guest's next mount begins anew.
  mutating func reset() { agreement = nil }

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
