import Platform

/// struct ext4_super_block: 1,024 bytes at byte 1,024, and its backups. Fields that are in two parts on media, low and high
/// bits, are one here. Reserved bytes are not kept: they are zeros.
public struct Superblock: Equatable, Sendable {
  /// Bytes on media.
  public static let size = 1024
  /// Where the first one stands, in bytes.
  public static let offset: UInt64 = 1024
  /// What `magic` must be.
  public static let magic: UInt16 = 0xef53

  /// Inodes: exactly `inodesPerGroup` for each group.
  public var inodesCount: UInt32 = 0
  /// Blocks of the file system.
  public var blocksCount: UInt64 = 0
  /// Blocks that only root, `defResuid` and `defResgid` may use.
  public var rBlocksCount: UInt64 = 0
  /// Free blocks; right only after an unmount.
  public var freeBlocksCount: UInt64 = 0
  /// Free inodes; right only after an unmount.
  public var freeInodesCount: UInt32 = 0
  /// The block of group 0's start: 1 for blocks of 1 KiB without bigalloc, else 0.
  public var firstDataBlock: UInt32 = 0
  /// Block size is 1024 << this.
  public var logBlockSize: UInt32 = 0
  /// Cluster size is 1024 << this; the same as `logBlockSize` without bigalloc.
  public var logClusterSize: UInt32 = 0
  /// Blocks of a group.
  public var blocksPerGroup: UInt32 = 0
  /// Clusters of a group.
  public var clustersPerGroup: UInt32 = 0
  /// Inodes of a group.
  public var inodesPerGroup: UInt32 = 0
  /// When it was mounted last, in seconds.
  public var mtime: UInt64 = 0
  /// When it was written last, in seconds.
  public var wtime: UInt64 = 0
  /// Mounts since the last check.
  public var mntCount: UInt16 = 0
  /// Mounts after which to check; -1 for never.
  public var maxMntCount: Int16 = -1
  /// What `magic` is.
  public var magic = Superblock.magic
  /// 1 cleanly unmounted, 2 errors were seen, 4 orphans are being recovered, 20h fast commits are being replayed.
  public var state: UInt16 = 1
  /// What to do about errors: 1 go on, 2 turn read-only, 3 panic.
  public var errors: UInt16 = 1
  /// Revision behind the point.
  public var minorRevLevel: UInt16 = 0
  /// When it was checked last, in seconds.
  public var lastcheck: UInt64 = 0
  /// Seconds after which to check; 0 for never.
  public var checkinterval: UInt32 = 0
  /// 0 for Linux.
  public var creatorOs: UInt32 = 0
  /// 1; features and `inodeSize` mean nothing in revision 0.
  public var revLevel: UInt32 = 1
  /// User that may use reserved blocks.
  public var defResuid: UInt16 = 0
  /// Group that may use reserved blocks.
  public var defResgid: UInt16 = 0
  /// The first inode that is not reserved.
  public var firstIno: UInt32 = 11
  /// Bytes of an inode: a power of two from 128 to the block size.
  public var inodeSize: UInt16 = 256
  /// The group in which this copy stands.
  public var blockGroupNr: UInt16 = 0
  /// Features.
  public var featureCompat: CompatibleFeatures = []
  /// Features.
  public var featureIncompat: IncompatibleFeatures = []
  /// Features.
  public var featureRoCompat: ReadOnlyCompatibleFeatures = []
  /// The file system's identifier.
  public var uuid = UUID.zero
  /// Label: 16 bytes, zeros behind the name.
  public var volumeName = InlineBytes<16>()
  /// Where it was mounted last: 64 bytes.
  public var lastMounted = InlineBytes<64>()
  /// Of compression.
  public var algorithmUsageBitmap: UInt32 = 0
  /// Blocks to preallocate for files.
  public var preallocBlocks: UInt8 = 0
  /// Blocks to preallocate for directories.
  public var preallocDirBlocks: UInt8 = 0
  /// Blocks kept for more group descriptors, in each group that has a copy.
  public var reservedGdtBlocks: UInt16 = 0
  /// The journal's identifier, when it is on another device.
  public var journalUuid = UUID.zero
  /// The journal's inode: 8.
  public var journalInum: UInt32 = 0
  /// The journal's device.
  public var journalDev: UInt32 = 0
  /// The first inode of the list of orphans.
  public var lastOrphan: UInt32 = 0
  /// The seed of directory hashes: four words.
  public var hashSeed: (UInt32, UInt32, UInt32, UInt32) {
    get { (hashSeedWords[0], hashSeedWords[1], hashSeedWords[2], hashSeedWords[3]) }
    set { hashSeedWords = [newValue.0, newValue.1, newValue.2, newValue.3] }
  }
  private var hashSeedWords: [UInt32] = [0, 0, 0, 0]
  /// The version of directory hashes: 1 half MD4.
  public var defHashVersion: UInt8 = 1
  /// 1 when `jnlBlocks` is a copy of the journal inode's map.
  public var jnlBackupType: UInt8 = 0
  /// Bytes of a group descriptor, where block numbers have 64 bits.
  public var descSize: UInt16 = 0
  /// Mount options that hold unless others are given.
  public var defaultMountOpts: UInt32 = 0
  /// The first group of meta_bg.
  public var firstMetaBg: UInt32 = 0
  /// When it was made, in seconds.
  public var mkfsTime: UInt64 = 0
  /// Of the journal's inode: i_block, and its size (high, low).
  public var jnlBlocks: [UInt32] = Array(repeating: 0, count: 17)
  /// Bytes behind 128 that every inode has.
  public var minExtraIsize: UInt16 = 0
  /// Bytes behind 128 that new inodes have.
  public var wantExtraIsize: UInt16 = 0
  /// 1 directory hashes are of signed chars, 2 of unsigned ones, 4 for tests.
  public var flags: UInt32 = 0
  /// RAID: blocks of a stride.
  public var raidStride: UInt16 = 0
  /// Seconds between heartbeats in the MMP block.
  public var mmpUpdateInterval: UInt16 = 0
  /// The MMP block.
  public var mmpBlock: UInt64 = 0
  /// RAID: blocks of a stripe.
  public var raidStripeWidth: UInt32 = 0
  /// 1 << this groups have their bitmaps and tables side by side.
  public var logGroupsPerFlex: UInt8 = 0
  /// 1 for CRC-32C.
  public var checksumType: UInt8 = 0
  /// Of encryption.
  public var encryptionLevel: UInt8 = 0
  /// KiB ever written.
  public var kbytesWritten: UInt64 = 0
  /// Of snapshots that were never merged: inode, id, reserved blocks, list.
  public var snapshotInum: UInt32 = 0
  /// See `snapshotInum`.
  public var snapshotId: UInt32 = 0
  /// See `snapshotInum`.
  public var snapshotRBlocksCount: UInt64 = 0
  /// See `snapshotInum`.
  public var snapshotList: UInt32 = 0
  /// Errors that were seen.
  public var errorCount: UInt32 = 0
  /// The first of them.
  public var firstError = ErrorRecord()
  /// The last of them.
  public var lastError = ErrorRecord()
  /// Mount options as text: 64 bytes.
  public var mountOpts = InlineBytes<64>()
  /// The inode of user quotas.
  public var usrQuotaInum: UInt32 = 0
  /// The inode of group quotas.
  public var grpQuotaInum: UInt32 = 0
  /// Clusters of metadata that statfs(2) does not count; 0 when they must be counted.
  public var overheadClusters: UInt32 = 0
  /// With sparse_super2: the groups that have copies.
  public var backupBgs: [UInt32] = [0, 0]
  /// Encryption: four algorithms.
  public var encryptAlgos = InlineBytes<4>()
  /// Encryption: the salt.
  public var encryptPwSalt = InlineBytes<16>()
  /// The inode of lost+found, if it were used.
  public var lpfIno: UInt32 = 0
  /// The inode of project quotas.
  public var prjQuotaInum: UInt32 = 0
  /// What checksums start with, with metadata_csum_seed.
  public var checksumSeed: UInt32 = 0
  /// Casefolding: which encoding.
  public var encoding: UInt16 = 0
  /// Casefolding: how strict.
  public var encodingFlags: UInt16 = 0
  /// The inode of the orphan file.
  public var orphanFileInum: UInt32 = 0
  /// CRC-32C of the bytes before it, with metadata_csum.
  public var checksum: UInt32 = 0

  /// One of the superblock's records of errors.
  public struct ErrorRecord: Equatable, Sendable {
    /// When, in seconds.
    public var time: UInt64 = 0
    /// Inode concerned.
    public var ino: UInt32 = 0
    /// Block concerned.
    public var block: UInt64 = 0
    /// The function of the kernel that saw it: 32 bytes.
    public var funcName = InlineBytes<32>()
    /// Its line.
    public var line: UInt32 = 0
    /// Which error, in the superblock's own numbers.
    public var errcode: UInt8 = 0

    /// No error.
    public init() {}
  }

  /// A superblock of zeros, apart from magic, revision, state and inode size.
  public init() {}

  /// Whether all fields are equal.
  public static func == (one: Superblock, other: Superblock) -> Bool { one.encoded() == other.encoded() }
}

extension Superblock {
  /// Reads the 1,024 bytes.
  /// - Returns: nil when the magic is another's.
  public init?(parsing bytes: RawSpan) {
    guard bytes.u16(0x38) == Superblock.magic else { return nil }
    inodesCount = bytes.u32(0x00)
    blocksCount = bytes.u64(low: 0x04, high: 0x150)
    rBlocksCount = bytes.u64(low: 0x08, high: 0x154)
    freeBlocksCount = bytes.u64(low: 0x0c, high: 0x158)
    freeInodesCount = bytes.u32(0x10)
    firstDataBlock = bytes.u32(0x14)
    logBlockSize = bytes.u32(0x18)
    logClusterSize = bytes.u32(0x1c)
    blocksPerGroup = bytes.u32(0x20)
    clustersPerGroup = bytes.u32(0x24)
    inodesPerGroup = bytes.u32(0x28)
    mtime = bytes.time(0x2c, high: 0x275)
    wtime = bytes.time(0x30, high: 0x274)
    mntCount = bytes.u16(0x34)
    maxMntCount = Int16(bitPattern: bytes.u16(0x36))
    state = bytes.u16(0x3a)
    errors = bytes.u16(0x3c)
    minorRevLevel = bytes.u16(0x3e)
    lastcheck = bytes.time(0x40, high: 0x277)
    checkinterval = bytes.u32(0x44)
    creatorOs = bytes.u32(0x48)
    revLevel = bytes.u32(0x4c)
    defResuid = bytes.u16(0x50)
    defResgid = bytes.u16(0x52)
    firstIno = bytes.u32(0x54)
    inodeSize = bytes.u16(0x58)
    blockGroupNr = bytes.u16(0x5a)
    featureCompat = CompatibleFeatures(rawValue: bytes.u32(0x5c))
    featureIncompat = IncompatibleFeatures(rawValue: bytes.u32(0x60))
    featureRoCompat = ReadOnlyCompatibleFeatures(rawValue: bytes.u32(0x64))
    uuid = UUID(bytes, at: 0x68)
    volumeName = InlineBytes(bytes, at: 0x78)
    lastMounted = InlineBytes(bytes, at: 0x88)
    algorithmUsageBitmap = bytes.u32(0xc8)
    preallocBlocks = bytes.u8(0xcc)
    preallocDirBlocks = bytes.u8(0xcd)
    reservedGdtBlocks = bytes.u16(0xce)
    journalUuid = UUID(bytes, at: 0xd0)
    journalInum = bytes.u32(0xe0)
    journalDev = bytes.u32(0xe4)
    lastOrphan = bytes.u32(0xe8)
    hashSeedWords = (0..<4).map { bytes.u32(0xec + 4 * $0) }
    defHashVersion = bytes.u8(0xfc)
    jnlBackupType = bytes.u8(0xfd)
    descSize = bytes.u16(0xfe)
    defaultMountOpts = bytes.u32(0x100)
    firstMetaBg = bytes.u32(0x104)
    mkfsTime = bytes.time(0x108, high: 0x276)
    jnlBlocks = (0..<17).map { bytes.u32(0x10c + 4 * $0) }
    parseSecondHalf(bytes)
  }

  private mutating func parseSecondHalf(_ bytes: RawSpan) {
    minExtraIsize = bytes.u16(0x15c)
    wantExtraIsize = bytes.u16(0x15e)
    flags = bytes.u32(0x160)
    raidStride = bytes.u16(0x164)
    mmpUpdateInterval = bytes.u16(0x166)
    mmpBlock = bytes.u64(0x168)
    raidStripeWidth = bytes.u32(0x170)
    logGroupsPerFlex = bytes.u8(0x174)
    checksumType = bytes.u8(0x175)
    encryptionLevel = bytes.u8(0x176)
    kbytesWritten = bytes.u64(0x178)
    snapshotInum = bytes.u32(0x180)
    snapshotId = bytes.u32(0x184)
    snapshotRBlocksCount = bytes.u64(0x188)
    snapshotList = bytes.u32(0x190)
    errorCount = bytes.u32(0x194)
    firstError.time = bytes.time(0x198, high: 0x278)
    firstError.ino = bytes.u32(0x19c)
    firstError.block = bytes.u64(0x1a0)
    firstError.funcName = InlineBytes(bytes, at: 0x1a8)
    firstError.line = bytes.u32(0x1c8)
    firstError.errcode = bytes.u8(0x27a)
    lastError.time = bytes.time(0x1cc, high: 0x279)
    lastError.ino = bytes.u32(0x1d0)
    lastError.line = bytes.u32(0x1d4)
    lastError.block = bytes.u64(0x1d8)
    lastError.funcName = InlineBytes(bytes, at: 0x1e0)
    lastError.errcode = bytes.u8(0x27b)
    mountOpts = InlineBytes(bytes, at: 0x200)
    usrQuotaInum = bytes.u32(0x240)
    grpQuotaInum = bytes.u32(0x244)
    overheadClusters = bytes.u32(0x248)
    backupBgs = [bytes.u32(0x24c), bytes.u32(0x250)]
    encryptAlgos = InlineBytes(bytes, at: 0x254)
    encryptPwSalt = InlineBytes(bytes, at: 0x258)
    lpfIno = bytes.u32(0x268)
    prjQuotaInum = bytes.u32(0x26c)
    checksumSeed = bytes.u32(0x270)
    encoding = bytes.u16(0x27c)
    encodingFlags = bytes.u16(0x27e)
    orphanFileInum = bytes.u32(0x280)
    checksum = bytes.u32(0x3fc)
  }

  /// Writes the 1,024 bytes, `checksum` as it is: see `checksum(of:)`.
  public func encode(into bytes: inout MutableRawSpan) {
    for place in stride(from: 0, to: Superblock.size, by: 8) { bytes.set(place, UInt64(0)) }
    bytes.set(0x00, inodesCount)
    bytes.set(low: 0x04, high: 0x150, blocksCount)
    bytes.set(low: 0x08, high: 0x154, rBlocksCount)
    bytes.set(low: 0x0c, high: 0x158, freeBlocksCount)
    bytes.set(0x10, freeInodesCount)
    bytes.set(0x14, firstDataBlock)
    bytes.set(0x18, logBlockSize)
    bytes.set(0x1c, logClusterSize)
    bytes.set(0x20, blocksPerGroup)
    bytes.set(0x24, clustersPerGroup)
    bytes.set(0x28, inodesPerGroup)
    bytes.set(time: 0x2c, high: 0x275, mtime)
    bytes.set(time: 0x30, high: 0x274, wtime)
    bytes.set(0x34, mntCount)
    bytes.set(0x36, maxMntCount)
    bytes.set(0x38, magic)
    bytes.set(0x3a, state)
    bytes.set(0x3c, errors)
    bytes.set(0x3e, minorRevLevel)
    bytes.set(time: 0x40, high: 0x277, lastcheck)
    bytes.set(0x44, checkinterval)
    bytes.set(0x48, creatorOs)
    bytes.set(0x4c, revLevel)
    bytes.set(0x50, defResuid)
    bytes.set(0x52, defResgid)
    bytes.set(0x54, firstIno)
    bytes.set(0x58, inodeSize)
    bytes.set(0x5a, blockGroupNr)
    bytes.set(0x5c, featureCompat.rawValue)
    bytes.set(0x60, featureIncompat.rawValue)
    bytes.set(0x64, featureRoCompat.rawValue)
    uuid.store(into: &bytes, at: 0x68)
    volumeName.store(into: &bytes, at: 0x78)
    lastMounted.store(into: &bytes, at: 0x88)
    bytes.set(0xc8, algorithmUsageBitmap)
    bytes.set(0xcc, preallocBlocks)
    bytes.set(0xcd, preallocDirBlocks)
    bytes.set(0xce, reservedGdtBlocks)
    journalUuid.store(into: &bytes, at: 0xd0)
    bytes.set(0xe0, journalInum)
    bytes.set(0xe4, journalDev)
    bytes.set(0xe8, lastOrphan)
    for (place, word) in hashSeedWords.enumerated() { bytes.set(0xec + 4 * place, word) }
    bytes.set(0xfc, defHashVersion)
    bytes.set(0xfd, jnlBackupType)
    bytes.set(0xfe, descSize)
    bytes.set(0x100, defaultMountOpts)
    bytes.set(0x104, firstMetaBg)
    bytes.set(time: 0x108, high: 0x276, mkfsTime)
    for (place, word) in jnlBlocks.prefix(17).enumerated() { bytes.set(0x10c + 4 * place, word) }
    encodeSecondHalf(into: &bytes)
  }

  private func encodeSecondHalf(into bytes: inout MutableRawSpan) {
    bytes.set(0x15c, minExtraIsize)
    bytes.set(0x15e, wantExtraIsize)
    bytes.set(0x160, flags)
    bytes.set(0x164, raidStride)
    bytes.set(0x166, mmpUpdateInterval)
    bytes.set(0x168, mmpBlock)
    bytes.set(0x170, raidStripeWidth)
    bytes.set(0x174, logGroupsPerFlex)
    bytes.set(0x175, checksumType)
    bytes.set(0x176, encryptionLevel)
    bytes.set(0x178, kbytesWritten)
    bytes.set(0x180, snapshotInum)
    bytes.set(0x184, snapshotId)
    bytes.set(0x188, snapshotRBlocksCount)
    bytes.set(0x190, snapshotList)
    bytes.set(0x194, errorCount)
    bytes.set(time: 0x198, high: 0x278, firstError.time)
    bytes.set(0x19c, firstError.ino)
    bytes.set(0x1a0, firstError.block)
    firstError.funcName.store(into: &bytes, at: 0x1a8)
    bytes.set(0x1c8, firstError.line)
    bytes.set(0x27a, firstError.errcode)
    bytes.set(time: 0x1cc, high: 0x279, lastError.time)
    bytes.set(0x1d0, lastError.ino)
    bytes.set(0x1d4, lastError.line)
    bytes.set(0x1d8, lastError.block)
    lastError.funcName.store(into: &bytes, at: 0x1e0)
    bytes.set(0x27b, lastError.errcode)
    mountOpts.store(into: &bytes, at: 0x200)
    bytes.set(0x240, usrQuotaInum)
    bytes.set(0x244, grpQuotaInum)
    bytes.set(0x248, overheadClusters)
    for (place, group) in backupBgs.prefix(2).enumerated() { bytes.set(0x24c + 4 * place, group) }
    encryptAlgos.store(into: &bytes, at: 0x254)
    encryptPwSalt.store(into: &bytes, at: 0x258)
    bytes.set(0x268, lpfIno)
    bytes.set(0x26c, prjQuotaInum)
    bytes.set(0x270, checksumSeed)
    bytes.set(0x27c, encoding)
    bytes.set(0x27e, encodingFlags)
    bytes.set(0x280, orphanFileInum)
    bytes.set(0x3fc, checksum)
  }

  /// The 1,024 bytes.
  public func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Superblock.size)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    encode(into: &raw)
    return bytes
  }

  /// What the checksum of a superblock's 1,024 bytes must be, with metadata_csum.
  public static func checksum(of bytes: RawSpan) -> UInt32 { crc32c(~0, bytes.extracting(0..<0x3fc)) }
}
