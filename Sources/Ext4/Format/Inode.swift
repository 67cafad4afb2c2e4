import Platform

/// i_flags of an inode.
public struct InodeFlags: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// Flags of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// EXT4_SYNC_FL.
  public static let sync = InodeFlags(rawValue: 0x8)
  /// EXT4_IMMUTABLE_FL.
  public static let immutable = InodeFlags(rawValue: 0x10)
  /// EXT4_APPEND_FL.
  public static let append = InodeFlags(rawValue: 0x20)
  /// EXT4_NODUMP_FL.
  public static let nodump = InodeFlags(rawValue: 0x40)
  /// EXT4_NOATIME_FL.
  public static let noatime = InodeFlags(rawValue: 0x80)
  /// EXT4_ENCRYPT_FL.
  public static let encrypt = InodeFlags(rawValue: 0x800)
  /// The directory has an htree: EXT4_INDEX_FL.
  public static let index = InodeFlags(rawValue: 0x1000)
  /// EXT4_JOURNAL_DATA_FL.
  public static let journalData = InodeFlags(rawValue: 0x4000)
  /// EXT4_NOTAIL_FL.
  public static let notail = InodeFlags(rawValue: 0x8000)
  /// EXT4_DIRSYNC_FL.
  public static let dirsync = InodeFlags(rawValue: 0x10000)
  /// EXT4_TOPDIR_FL.
  public static let topdir = InodeFlags(rawValue: 0x20000)
  /// `Inode.blocks` counts blocks, not 512 bytes: EXT4_HUGE_FILE_FL.
  public static let hugeFile = InodeFlags(rawValue: 0x40000)
  /// `Inode.block` holds extents: EXT4_EXTENTS_FL.
  public static let extents = InodeFlags(rawValue: 0x80000)
  /// EXT4_VERITY_FL.
  public static let verity = InodeFlags(rawValue: 0x100000)
  /// The inode holds the value of an xattr: EXT4_EA_INODE_FL.
  public static let eaInode = InodeFlags(rawValue: 0x200000)
  /// EXT4_DAX_FL.
  public static let dax = InodeFlags(rawValue: 0x2000000)
  /// Contents begin in `Inode.block`: EXT4_INLINE_DATA_FL.
  public static let inlineData = InodeFlags(rawValue: 0x1000_0000)
  /// EXT4_PROJINHERIT_FL.
  public static let projinherit = InodeFlags(rawValue: 0x2000_0000)
  /// EXT4_CASEFOLD_FL.
  public static let casefold = InodeFlags(rawValue: 0x4000_0000)
  /// Those that lsattr(1) shows: EXT4_FL_USER_VISIBLE.
  public static let visible = InodeFlags(rawValue: 0x604b_dfff)
}

/// A time of an inode: 34 bits of seconds from 1901 to 2446, and 30 bits of nanoseconds. Inodes of 128 bytes have 32 bits of
/// seconds and no nanoseconds.
public struct InodeTime: Equatable, Hashable, Sendable {
  /// Seconds since 1970, negative before.
  public var seconds: Int64
  /// Nanoseconds. From media they may be more than a second has.
  public var nanoseconds: UInt32

  /// The first and the last second that an inode of 256 bytes can hold.
  public static let range: ClosedRange<Int64> = -(1 << 31)...(1 << 34 - 1 << 31 - 1)

  /// A time of these parts.
  public init(seconds: Int64 = 0, nanoseconds: UInt32 = 0) { (self.seconds, self.nanoseconds) = (seconds, nanoseconds) }

  /// The time in a word of seconds and the word that extends it: two bits of epoch, 30 of nanoseconds.
  public init(_ low: UInt32, extra: UInt32) {
    seconds = Int64(Int32(bitPattern: low)) + Int64(extra & 3) << 32
    nanoseconds = extra >> 2
  }

  /// The word of seconds. Times outside of `range` wrap: clamp them before.
  public var low: UInt32 { UInt32(truncatingIfNeeded: seconds) }

  /// The word that extends it.
  public var extra: UInt32 {
    let epoch = (seconds &- Int64(Int32(bitPattern: low))) >> 32
    return UInt32(truncatingIfNeeded: epoch) & 3 | nanoseconds << 2
  }
}

/// i_block of an inode: 60 bytes with the root of an extent tree, pointers to blocks, a device's number, or contents.
public struct InodeBlock: Equatable, Sendable {
  /// Bytes.
  public static let size = 60
  /// Fifteen words.
  public var words = InlineArray<15, UInt32>(repeating: 0)

  /// Zeros.
  public init() {}

  /// The words at `offset`.
  public init(_ bytes: RawSpan, at offset: Int) { for place in 0..<15 { words[place] = bytes.u32(offset + 4 * place) } }

  /// Writes the words at `offset`.
  public func store(into bytes: inout MutableRawSpan, at offset: Int) {
    for place in 0..<15 { bytes.set(offset + 4 * place, words[place]) }
  }

  /// Calls `body` with the 60 bytes as they are on media.
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var bytes = InlineArray<60, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    store(into: &raw, at: 0)
    return try body(bytes.span.bytes)
  }

  /// Has `body` write the 60 bytes, which are as they were before.
  public mutating func withMutableBytes(_ body: (inout MutableRawSpan) -> Void) {
    var bytes = InlineArray<60, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    store(into: &raw, at: 0)
    body(&raw)
    self = InodeBlock(bytes.span.bytes, at: 0)
  }

  /// Whether all words are equal.
  public static func == (one: InodeBlock, other: InodeBlock) -> Bool {
    (0..<15).allSatisfy { one.words[$0] == other.words[$0] }
  }
}

/// struct ext4_inode: 128 bytes, and behind them as many as `extraIsize` says of those that it knows. Xattrs may follow.
public struct Inode: Equatable, Sendable {
  /// Type and permissions.
  public var mode: UInt16 = 0
  /// Owner.
  public var uid: UInt32 = 0
  /// Bytes.
  public var size: UInt64 = 0
  /// Last access.
  public var atime = InodeTime()
  /// Last change of attributes.
  public var ctime = InodeTime()
  /// Last change of the contents.
  public var mtime = InodeTime()
  /// When it was deleted, in seconds; or the next inode of the list of orphans.
  public var dtime: UInt32 = 0
  /// Group.
  public var gid: UInt32 = 0
  /// Names that it has; 1 of a directory with very many subdirectories.
  public var linksCount: UInt16 = 0
  /// Space in use, in units of 512 bytes, or of blocks with `InodeFlags.hugeFile`: 48 bits.
  public var blocks: UInt64 = 0
  /// Flags.
  public var flags: InodeFlags = []
  /// Changes, for NFS; of an xattr's inode the references to it.
  public var version: UInt64 = 0
  /// i_block.
  public var block = InodeBlock()
  /// Tells apart the files that had this number one after the other.
  public var generation: UInt32 = 0
  /// The block of xattrs: 48 bits.
  public var fileAcl: UInt64 = 0
  /// Obsolete.
  public var obsoFaddr: UInt32 = 0
  /// CRC-32C; only 16 bits of it where there is no room for `checksumHi`.
  public var checksum: UInt32 = 0
  /// Reserved, behind the checksum's low half.
  public var reserved: UInt16 = 0
  /// Bytes in use behind the first 128.
  public var extraIsize: UInt16 = 0
  /// When it was made.
  public var crtime = InodeTime()
  /// Project.
  public var projid: UInt32 = 0

  /// Bytes of the old inode.
  public static let oldSize = 128
  /// Bytes behind them of the fields that this program knows.
  public static let knownExtra = 32

  /// An inode of zeros.
  public init() {}

  /// Reads an inode; `bytes` has as many as the superblock says. What `extraIsize` is too small for is zero.
  public init(parsing bytes: RawSpan) {
    extraIsize = bytes.byteCount > Inode.oldSize ? bytes.u16(0x80) : 0
    let end = Inode.oldSize + Int(extraIsize)
    func extra(_ offset: Int) -> UInt32 { offset + 4 <= min(end, bytes.byteCount) ? bytes.u32(offset) : 0 }
    mode = bytes.u16(0x00)
    uid = UInt32(bytes.u16(0x02)) | UInt32(bytes.u16(0x78)) << 16
    size = bytes.u64(low: 0x04, high: 0x6c)
    atime = InodeTime(bytes.u32(0x08), extra: extra(0x8c))
    ctime = InodeTime(bytes.u32(0x0c), extra: extra(0x84))
    mtime = InodeTime(bytes.u32(0x10), extra: extra(0x88))
    dtime = bytes.u32(0x14)
    gid = UInt32(bytes.u16(0x18)) | UInt32(bytes.u16(0x7a)) << 16
    linksCount = bytes.u16(0x1a)
    blocks = UInt64(bytes.u32(0x1c)) | UInt64(bytes.u16(0x74)) << 32
    flags = InodeFlags(rawValue: bytes.u32(0x20))
    version = UInt64(bytes.u32(0x24)) | UInt64(extra(0x98)) << 32
    block = InodeBlock(bytes, at: 0x28)
    generation = bytes.u32(0x64)
    fileAcl = UInt64(bytes.u32(0x68)) | UInt64(bytes.u16(0x76)) << 32
    obsoFaddr = bytes.u32(0x70)
    checksum = UInt32(bytes.u16(0x7c)) | (end >= 0x84 ? UInt32(bytes.u16(0x82)) << 16 : 0)
    reserved = bytes.u16(0x7e)
    crtime = InodeTime(extra(0x90), extra: extra(0x94))
    projid = extra(0x9c)
  }

  /// Writes the fields over `bytes`, which has as many as the superblock says; `checksum` as it is: see
  /// `checksum(of:seed:)`. What lies behind the fields, xattrs for example, stays.
  public func encode(into bytes: inout MutableRawSpan) {
    let end = min(Inode.oldSize + Int(extraIsize), bytes.byteCount)
    func extra(_ offset: Int, _ value: UInt32) { if offset + 4 <= end { bytes.set(offset, value) } }
    bytes.set(0x00, mode)
    bytes.set(0x02, UInt16(truncatingIfNeeded: uid))
    bytes.set(low: 0x04, high: 0x6c, size)
    bytes.set(0x08, atime.low)
    bytes.set(0x0c, ctime.low)
    bytes.set(0x10, mtime.low)
    bytes.set(0x14, dtime)
    bytes.set(0x18, UInt16(truncatingIfNeeded: gid))
    bytes.set(0x1a, linksCount)
    bytes.set(0x1c, UInt32(truncatingIfNeeded: blocks))
    bytes.set(0x20, flags.rawValue)
    bytes.set(0x24, UInt32(truncatingIfNeeded: version))
    block.store(into: &bytes, at: 0x28)
    bytes.set(0x64, generation)
    bytes.set(0x68, UInt32(truncatingIfNeeded: fileAcl))
    bytes.set(0x70, obsoFaddr)
    bytes.set(0x74, UInt16(truncatingIfNeeded: blocks >> 32))
    bytes.set(0x76, UInt16(truncatingIfNeeded: fileAcl >> 32))
    bytes.set(0x78, UInt16(truncatingIfNeeded: uid >> 16))
    bytes.set(0x7a, UInt16(truncatingIfNeeded: gid >> 16))
    bytes.set(0x7c, UInt16(truncatingIfNeeded: checksum))
    bytes.set(0x7e, reserved)
    guard bytes.byteCount > Inode.oldSize else { return }
    bytes.set(0x80, extraIsize)
    if end >= 0x84 { bytes.set(0x82, UInt16(truncatingIfNeeded: checksum >> 16)) }
    extra(0x84, ctime.extra)
    extra(0x88, mtime.extra)
    extra(0x8c, atime.extra)
    extra(0x90, crtime.low)
    extra(0x94, crtime.extra)
    extra(0x98, UInt32(truncatingIfNeeded: version >> 32))
    extra(0x9c, projid)
  }

  /// What the checksum of an inode's bytes must be.
  /// - Parameter seed: `ChecksumSeed.inode` of its number and generation.
  public static func checksum(of bytes: RawSpan, seed: UInt32) -> UInt32 {
    var crc = crc32c(crc32c(seed, bytes.extracting(0..<0x7c)), UInt16(0))
    guard bytes.byteCount > oldSize else { return crc32c(crc, bytes.extracting(0x7e..<oldSize)) & 0xffff }
    let hasHigh = bytes.u16(0x80) >= 4
    crc = crc32c(crc, bytes.extracting(0x7e..<0x82))
    crc = hasHigh ? crc32c(crc, UInt16(0)) : crc32c(crc, bytes.extracting(0x82..<0x84))
    crc = crc32c(crc, bytes.extracting(0x84...))
    return hasHigh ? crc : crc & 0xffff
  }
}

// What a mode says.
extension Inode {
  /// The type bits of a mode.
  public enum Kind: UInt16, Sendable {
    /// S_IFIFO.
    case fifo = 0x1000
    /// S_IFCHR.
    case characterDevice = 0x2000
    /// S_IFDIR.
    case directory = 0x4000
    /// S_IFBLK.
    case blockDevice = 0x6000
    /// S_IFREG.
    case regular = 0x8000
    /// S_IFLNK.
    case symbolicLink = 0xa000
    /// S_IFSOCK.
    case socket = 0xc000
  }

  /// The type; nil when the mode says none.
  public var kind: Kind? { Kind(rawValue: mode & 0xf000) }

  /// The device that a device file stands for, in the kernel's coding of 32 bits: minor bits 0 to 7 and 20 to 31, major bits
  /// 8 to 19.
  public var device: UInt32 {
    get { block.words[0] != 0 ? block.words[0] & 0xffff : block.words[1] }
    set {
      let fitsOld = newValue <= 0xffff
      (block.words[0], block.words[1]) = fitsOld ? (newValue, 0) : (0, newValue)
    }
  }
}
