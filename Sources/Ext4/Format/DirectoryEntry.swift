import Platform

/// struct ext4_dir_entry_2, the fixed part: the name's bytes follow.
public struct DirectoryEntry: Equatable, Sendable {
  /// Bytes before the name.
  public static let headSize = 8
  /// Bytes of the longest name.
  public static let longestName = 255

  /// The type that an entry tells, with the feature filetype.
  public enum FileType: UInt8, Sendable {
    /// EXT4_FT_UNKNOWN.
    case unknown = 0
    /// EXT4_FT_REG_FILE.
    case regular = 1
    /// EXT4_FT_DIR.
    case directory = 2
    /// EXT4_FT_CHRDEV.
    case characterDevice = 3
    /// EXT4_FT_BLKDEV.
    case blockDevice = 4
    /// EXT4_FT_FIFO.
    case fifo = 5
    /// EXT4_FT_SOCK.
    case socket = 6
    /// EXT4_FT_SYMLINK.
    case symbolicLink = 7

    /// The type that stands for an inode's.
    public init(_ kind: Inode.Kind) {
      self =
        switch kind {
        case .regular: .regular
        case .directory: .directory
        case .characterDevice: .characterDevice
        case .blockDevice: .blockDevice
        case .fifo: .fifo
        case .socket: .socket
        case .symbolicLink: .symbolicLink
        }
    }

    /// The inode's type that this stands for; nil when it is not known.
    public var kind: Inode.Kind? {
      switch self {
      case .unknown: nil
      case .regular: .regular
      case .directory: .directory
      case .characterDevice: .characterDevice
      case .blockDevice: .blockDevice
      case .fifo: .fifo
      case .socket: .socket
      case .symbolicLink: .symbolicLink
      }
    }
  }

  /// The inode; 0 when there is no entry here.
  public var inode: UInt32
  /// Bytes to the next entry: a multiple of 4; at most the block size.
  public var recLen: Int
  /// Bytes of the name.
  public var nameLen: UInt8
  /// The type's number; without the feature filetype the high half of the name's length, which is 0.
  public var fileType: UInt8

  /// An entry.
  public init(inode: UInt32, recLen: Int, nameLen: UInt8, fileType: UInt8) {
    (self.inode, self.recLen, self.nameLen, self.fileType) = (inode, recLen, nameLen, fileType)
  }

  /// Reads the entry at `offset`, which has at least 8 bytes. Nothing is checked.
  /// - Parameter blockSize: where blocks have 64 KiB, their size does not fit into the field and is FFFFh or 0.
  public init(parsing bytes: RawSpan, at offset: Int, blockSize: Int) {
    inode = bytes.u32(offset)
    recLen = DirectoryEntry.recLen(stored: bytes.u16(offset + 4), blockSize: blockSize)
    nameLen = bytes.u8(offset + 6)
    fileType = bytes.u8(offset + 7)
  }

  /// Writes the entry at `offset`, without its name.
  public func encode(into bytes: inout MutableRawSpan, at offset: Int, blockSize: Int) {
    bytes.set(offset, inode)
    bytes.set(offset + 4, DirectoryEntry.stored(recLen: recLen, blockSize: blockSize))
    bytes.set(offset + 6, nameLen)
    bytes.set(offset + 7, fileType)
  }

  /// Writes the entry with its name at `offset`.
  public func encode(into bytes: inout MutableRawSpan, at offset: Int, name: RawSpan, blockSize: Int) {
    precondition(name.byteCount == Int(nameLen), "the length of an entry's name is its name's length")
    encode(into: &bytes, at: offset, blockSize: blockSize)
    bytes.set(offset + DirectoryEntry.headSize, bytes: name)
  }

  /// Bytes that an entry with a name of this length needs.
  public static func needed(nameLen: Int) -> Int { (headSize + nameLen + 3) & ~3 }

  /// What is wrong with an entry at `offset` of an area of `end` bytes; nil when nothing is.
  public func problem(at offset: Int, end: Int) -> String? {
    if recLen < DirectoryEntry.needed(nameLen: 1) { return "an entry is too short" }
    if recLen % 4 != 0 { return "an entry's length is not a multiple of 4" }
    if recLen > end - offset { return "an entry crosses the block's end" }
    if recLen < DirectoryEntry.needed(nameLen: Int(nameLen)) { return "a name is longer than its entry" }
    if inode != 0 && nameLen == 0 { return "an entry has no name" }
    return nil
  }

  static func recLen(stored: UInt16, blockSize: Int) -> Int {
    let stored = Int(stored)
    guard blockSize >= 65536 else { return stored }
    return stored == 0xffff || stored == 0 ? 65536 : stored & 0xfffc | (stored & 3) << 16
  }

  static func stored(recLen: Int, blockSize: Int) -> UInt16 {
    guard blockSize >= 65536, recLen >= 65536 else { return UInt16(truncatingIfNeeded: recLen) }
    return recLen == 65536 ? 0xffff : UInt16(truncatingIfNeeded: recLen & 0xfffc | recLen >> 16 & 3)
  }
}

/// struct ext4_dir_entry_tail: with metadata_csum the last 12 bytes of a directory's block, looking like an entry without
/// inode and name.
public enum DirectoryTail {
  /// Bytes on media.
  public static let size = 12
  /// The type that tells it from an entry.
  public static let fileType: UInt8 = 0xde

  /// Whether a block ends with a tail.
  public static func isPresent(in block: RawSpan) -> Bool {
    let at = block.byteCount - size
    return block.u32(at) == 0 && block.u16(at + 4) == 12 && block.u8(at + 6) == 0 && block.u8(at + 7) == fileType
  }

  /// The checksum that stands in a block's tail.
  public static func checksum(in block: RawSpan) -> UInt32 { block.u32(block.byteCount - 4) }

  /// What the checksum of a block must be.
  /// - Parameter seed: `ChecksumSeed.inode` of the directory.
  public static func checksum(of block: RawSpan, seed: UInt32) -> UInt32 {
    crc32c(seed, block.extracting(0..<(block.byteCount - size)))
  }

  /// Writes a block's tail.
  public static func encode(into block: inout MutableRawSpan, checksum: UInt32) {
    let at = block.byteCount - size
    block.set(at, UInt32(0))
    block.set(at + 4, UInt16(size))
    block.set(at + 6, UInt8(0))
    block.set(at + 7, fileType)
    block.set(at + 8, checksum)
  }
}
