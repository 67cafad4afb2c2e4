import Platform

/// struct journal_superblock_s: block 0 of the journal, of which 1,024 bytes are in use. All numbers are big-endian.
public struct JournalSuperblock: Equatable, Sendable {
  /// Bytes on media.
  public static let size = 1024
  /// What each block of the journal's own begins with.
  public static let magic: UInt32 = 0xc03b_3998

  /// s_feature_incompat.
  public struct Features: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt32
    /// Features of these bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// There are revoke blocks.
    public static let revoke = Features(rawValue: 1)
    /// Tags have 64-bit block numbers.
    public static let has64bit = Features(rawValue: 2)
    /// Commit blocks may reach the device before what they commit.
    public static let asyncCommit = Features(rawValue: 4)
    /// Checksums, 16 bits of them in tags.
    public static let csumV2 = Features(rawValue: 8)
    /// Checksums, 32 bits of them in tags.
    public static let csumV3 = Features(rawValue: 0x10)
    /// The last blocks are for fast commits.
    public static let fastCommit = Features(rawValue: 0x20)
    /// All that have a name.
    public static let known: Features = [.revoke, .has64bit, .asyncCommit, .csumV2, .csumV3, .fastCommit]
  }

  /// 4; 3 for version 1, which ends with `errno`.
  public var blocktype: UInt32 = 4
  /// Bytes of a block: as in the file system.
  public var blocksize: UInt32 = 0
  /// Blocks of the journal.
  public var maxlen: UInt32 = 0
  /// The first block of the log.
  public var first: UInt32 = 1
  /// The transaction that the log begins with.
  public var sequence: UInt32 = 1
  /// The block where it begins; 0 when there is nothing to replay.
  public var start: UInt32 = 0
  /// The error for which the journal was given up.
  public var errno: Int32 = 0
  /// Bit 0: commit blocks have a CRC-32.
  public var featureCompat: UInt32 = 0
  /// Features.
  public var featureIncompat: Features = []
  /// None are known.
  public var featureRoCompat: UInt32 = 0
  /// The journal's identifier; the file system's, for a journal of its own.
  public var uuid = UUID.zero
  /// File systems that use it.
  public var nrUsers: UInt32 = 1
  /// A copy of the superblock that changes.
  public var dynsuper: UInt32 = 0
  /// Most blocks of a transaction.
  public var maxTransaction: UInt32 = 0
  /// Most data blocks of a transaction.
  public var maxTransData: UInt32 = 0
  /// 4 for CRC-32C.
  public var checksumType: UInt8 = 0
  /// Blocks for fast commits.
  public var numFcBlks: UInt32 = 0
  /// The next free block of the log, when it was unmounted; 0 when that is not known.
  public var head: UInt32 = 0
  /// CRC-32C, with csumV2 or csumV3.
  public var checksum: UInt32 = 0
  /// The first of the file systems that use it: 16 bytes.
  public var user = UUID.zero

  /// The superblock of an empty journal.
  public init(blocksize: UInt32, maxlen: UInt32, uuid: UUID) {
    (self.blocksize, self.maxlen, self.uuid) = (blocksize, maxlen, uuid)
  }

  /// Reads the 1,024 bytes.
  /// - Returns: nil when the magic or the type is another's.
  public init?(parsing bytes: RawSpan) {
    guard bytes.big(0x00) == Self.magic, bytes.big(0x04) == 3 || bytes.big(0x04) == 4 else { return nil }
    blocktype = bytes.big(0x04)
    blocksize = bytes.big(0x0c)
    maxlen = bytes.big(0x10)
    first = bytes.big(0x14)
    sequence = bytes.big(0x18)
    start = bytes.big(0x1c)
    errno = Int32(bitPattern: bytes.big(0x20))
    guard blocktype == 4 else { return }
    featureCompat = bytes.big(0x24)
    featureIncompat = Features(rawValue: bytes.big(0x28))
    featureRoCompat = bytes.big(0x2c)
    uuid = UUID(bytes, at: 0x30)
    nrUsers = bytes.big(0x40)
    dynsuper = bytes.big(0x44)
    maxTransaction = bytes.big(0x48)
    maxTransData = bytes.big(0x4c)
    checksumType = bytes.u8(0x50)
    numFcBlks = bytes.big(0x54)
    head = bytes.big(0x58)
    checksum = bytes.big(0xfc)
    user = UUID(bytes, at: 0x100)
  }

  /// Writes the 1,024 bytes, `checksum` as it is: see `checksum(of:)`.
  public func encode(into bytes: inout MutableRawSpan) {
    for place in stride(from: 0, to: Self.size, by: 8) { bytes.set(place, UInt64(0)) }
    bytes.set(0x00, Self.magic.byteSwapped)
    bytes.set(0x04, blocktype.byteSwapped)
    bytes.set(0x0c, blocksize.byteSwapped)
    bytes.set(0x10, maxlen.byteSwapped)
    bytes.set(0x14, first.byteSwapped)
    bytes.set(0x18, sequence.byteSwapped)
    bytes.set(0x1c, start.byteSwapped)
    bytes.set(0x20, errno.byteSwapped)
    bytes.set(0x24, featureCompat.byteSwapped)
    bytes.set(0x28, featureIncompat.rawValue.byteSwapped)
    bytes.set(0x2c, featureRoCompat.byteSwapped)
    uuid.store(into: &bytes, at: 0x30)
    bytes.set(0x40, nrUsers.byteSwapped)
    bytes.set(0x44, dynsuper.byteSwapped)
    bytes.set(0x48, maxTransaction.byteSwapped)
    bytes.set(0x4c, maxTransData.byteSwapped)
    bytes.set(0x50, checksumType)
    bytes.set(0x54, numFcBlks.byteSwapped)
    bytes.set(0x58, head.byteSwapped)
    bytes.set(0xfc, checksum.byteSwapped)
    user.store(into: &bytes, at: 0x100)
  }

  /// What the checksum of the 1,024 bytes must be.
  public static func checksum(of bytes: RawSpan) -> UInt32 {
    crc32c(crc32c(crc32c(~0, bytes.extracting(0..<0xfc)), UInt32(0)), bytes.extracting(0x100..<size))
  }
}

extension RawSpan {
  /// The big-endian 32-bit number at `offset`.
  func big(_ offset: Int) -> UInt32 { u32(offset).byteSwapped }
}
