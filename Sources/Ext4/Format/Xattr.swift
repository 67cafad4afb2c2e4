import Platform

/// What an xattr's name begins with: one byte on media.
public enum XattrPrefix: UInt8, CaseIterable, Sendable {
  /// The whole name is on media.
  case none = 0
  /// "user.".
  case user = 1
  /// "system.posix_acl_access", all of the name.
  case posixACLAccess = 2
  /// "system.posix_acl_default", all of the name.
  case posixACLDefault = 3
  /// "trusted.".
  case trusted = 4
  /// "security.".
  case security = 6
  /// "system.".
  case system = 7
  /// "system.richacl", all of the name.
  case richACL = 8
  /// Of encrypted files, not seen by processes.
  case encryption = 9
  /// "gnu.", of the Hurd.
  case hurd = 10

  /// The text; empty for those that processes do not see.
  public var text: String {
    switch self {
    case .none, .encryption: ""
    case .user: "user."
    case .posixACLAccess: "system.posix_acl_access"
    case .posixACLDefault: "system.posix_acl_default"
    case .trusted: "trusted."
    case .security: "security."
    case .system: "system."
    case .richACL: "system.richacl"
    case .hurd: "gnu."
    }
  }

  /// Whether the text is a whole name, with nothing behind it.
  public var isWholeName: Bool { self == .posixACLAccess || self == .posixACLDefault || self == .richACL }
}

/// struct ext4_xattr_entry, the fixed part: the name's bytes follow, up to a multiple of 4.
public struct XattrEntry: Equatable, Sendable {
  /// Bytes before the name.
  public static let headSize = 16

  /// Bytes of the name, without its prefix.
  public var nameLen: UInt8
  /// The prefix's number: see `XattrPrefix`.
  public var nameIndex: UInt8
  /// Where the value lies: from the block's start, or from the first entry in an inode.
  public var valueOffs: UInt16
  /// The inode that has the value; 0 when it is here.
  public var valueInum: UInt32
  /// Bytes of the value.
  public var valueSize: UInt32
  /// Of name and value; in inodes it may be 0.
  public var hash: UInt32

  /// An entry.
  public init(
    nameLen: UInt8, nameIndex: UInt8, valueOffs: UInt16, valueInum: UInt32 = 0, valueSize: UInt32, hash: UInt32
  ) {
    (self.nameLen, self.nameIndex, self.valueOffs) = (nameLen, nameIndex, valueOffs)
    (self.valueInum, self.valueSize, self.hash) = (valueInum, valueSize, hash)
  }

  /// Reads the entry at `offset`, which has at least 16 bytes. Nothing is checked.
  public init(parsing bytes: RawSpan, at offset: Int) {
    nameLen = bytes.u8(offset)
    nameIndex = bytes.u8(offset + 1)
    valueOffs = bytes.u16(offset + 2)
    valueInum = bytes.u32(offset + 4)
    valueSize = bytes.u32(offset + 8)
    hash = bytes.u32(offset + 12)
  }

  /// Writes the entry at `offset`, without its name.
  public func encode(into bytes: inout MutableRawSpan, at offset: Int) {
    bytes.set(offset, nameLen)
    bytes.set(offset + 1, nameIndex)
    bytes.set(offset + 2, valueOffs)
    bytes.set(offset + 4, valueInum)
    bytes.set(offset + 8, valueSize)
    bytes.set(offset + 12, hash)
  }

  /// Bytes of the entry with its name.
  public var size: Int { (XattrEntry.headSize + Int(nameLen) + 3) & ~3 }

  /// Whether the four bytes at `offset` end a list of entries.
  public static func isEnd(_ bytes: RawSpan, at offset: Int) -> Bool { bytes.u32(offset) == 0 }

  /// The hash of a name and of a value that stands in the block.
  /// - Parameter isSigned: as x86 computed it before Linux 6.2. Both occur; new ones are unsigned.
  public static func hash(name: RawSpan, value: RawSpan, isSigned: Bool = false) -> UInt32 {
    var hash = nameHash(name, isSigned: isSigned)
    for place in stride(from: 0, to: value.byteCount, by: 4) {
      var word: UInt32 = 0
      for byte in 0..<min(4, value.byteCount - place) { word |= UInt32(value.u8(place + byte)) << UInt32(8 * byte) }
      hash = rotated(hash, 16) ^ word
    }
    return hash
  }

  /// The hash of a name and of a value in an inode of its own, which has this hash.
  public static func hash(name: RawSpan, valueHash: UInt32, isSigned: Bool = false) -> UInt32 {
    rotated(nameHash(name, isSigned: isSigned), 16) ^ valueHash
  }

  private static func nameHash(_ name: RawSpan, isSigned: Bool) -> UInt32 {
    var hash: UInt32 = 0
    for place in 0..<name.byteCount {
      let byte = name.u8(place)
      hash = rotated(hash, 5) ^ (isSigned ? UInt32(bitPattern: Int32(Int8(bitPattern: byte))) : UInt32(byte))
    }
    return hash
  }

  private static func rotated(_ value: UInt32, _ shift: UInt32) -> UInt32 { value << shift | value >> (32 - shift) }
}

/// What xattrs in an inode begin with, behind the inode's fields: the magic, then entries.
public enum XattrInodeHeader {
  /// What the first four bytes must be.
  public static let magic: UInt32 = 0xea02_0000
  /// Bytes on media.
  public static let size = 4
}

/// struct ext4_xattr_header: what a block of xattrs begins with.
public struct XattrBlockHeader: Equatable, Sendable {
  /// Bytes on media.
  public static let size = 32
  /// The most inodes that share a block.
  public static let mostReferences: UInt32 = 1024

  /// EA020000h.
  public var magic = XattrInodeHeader.magic
  /// Inodes that share the block.
  public var refcount: UInt32 = 1
  /// 1.
  public var blocks: UInt32 = 1
  /// Of all entries; 0 when the block is not to be shared.
  public var hash: UInt32 = 0
  /// CRC-32C, with metadata_csum.
  public var checksum: UInt32 = 0

  /// A header of a block of one inode.
  public init() {}

  /// Reads a block's first 32 bytes.
  public init(parsing block: RawSpan) {
    magic = block.u32(0x00)
    refcount = block.u32(0x04)
    blocks = block.u32(0x08)
    hash = block.u32(0x0c)
    checksum = block.u32(0x10)
  }

  /// Writes a block's first 32 bytes.
  public func encode(into block: inout MutableRawSpan) {
    block.set(0x00, magic)
    block.set(0x04, refcount)
    block.set(0x08, blocks)
    block.set(0x0c, hash)
    block.set(0x10, checksum)
    for place in stride(from: 0x14, to: XattrBlockHeader.size, by: 4) { block.set(place, UInt32(0)) }
  }

  /// `hash`, with one more entry of this hash.
  /// - Returns: nil when the block cannot be shared.
  public static func hash(_ hash: UInt32?, adding entry: UInt32) -> UInt32? {
    guard let hash, entry != 0 else { return nil }
    return (hash << 16 | hash >> 16) ^ entry
  }

  /// What the checksum of a block must be.
  /// - Parameter number: the block's number.
  public static func checksum(of block: RawSpan, number: UInt64, seed: ChecksumSeed) -> UInt32 {
    let start = crc32c(crc32c(seed.value, number), block.extracting(0..<0x10))
    return crc32c(crc32c(start, UInt32(0)), block.extracting(0x14...))
  }
}
