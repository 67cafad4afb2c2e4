import Platform

/// journal_header_t: what each block of the log begins with that is not a copy of a file system's block.
struct LogBlockHeader: Equatable {
  /// Bytes on media.
  static let size = 12

  enum Kind: UInt32 {
    case descriptor = 1
    case commit = 2
    case revoke = 5
  }

  /// Nil for one that is not known.
  let kind: Kind?
  let sequence: UInt32

  /// Nil when the magic is another's.
  init?(parsing block: RawSpan) {
    guard block.big(0) == JournalSuperblock.magic else { return nil }
    kind = Kind(rawValue: block.big(4))
    sequence = block.big(8)
  }
}

/// journal_block_tag_t or journal_block_tag3_t: which block of the file system a block of the log is a copy of.
struct LogTag: Equatable {
  let block: UInt64
  let flags: UInt32
  let checksum: UInt32

  /// Its first four bytes were the log's magic, and are zeros in the log.
  var isEscaped: Bool { flags & 1 != 0 }
  var isLast: Bool { flags & 8 != 0 }
  /// No UUID follows.
  var hasSameUUID: Bool { flags & 2 != 0 }

  /// Bytes of a tag, without a UUID.
  static func size(_ features: JournalSuperblock.Features) -> Int {
    if features.contains(.csumV3) { return 16 }
    return (features.contains(.has64bit) ? 12 : 8) + (features.contains(.csumV2) ? 2 : 0)
  }

  init(parsing block: RawSpan, at offset: Int, _ features: JournalSuperblock.Features) {
    let isWide = features.contains(.has64bit)
    let low = UInt64(block.big(offset))
    if features.contains(.csumV3) {
      flags = block.big(offset + 4)
      self.block = low | (isWide ? UInt64(block.big(offset + 8)) << 32 : 0)
      checksum = block.big(offset + 12)
    } else {
      checksum = UInt32(block.u16(offset + 4).byteSwapped)
      flags = UInt32(block.u16(offset + 6).byteSwapped)
      self.block = low | (isWide ? UInt64(block.big(offset + 8)) << 32 : 0)
    }
  }

  /// The tags of a descriptor, as far as they lie in the block.
  static func all(in block: RawSpan, _ features: JournalSuperblock.Features) -> [LogTag] {
    let end = block.byteCount - (features.hasChecksums ? 4 : 0)
    var (tags, at): ([LogTag], Int) = ([], LogBlockHeader.size)
    while at + size(features) <= end {
      let tag = LogTag(parsing: block, at: at, features)
      tags.append(tag)
      if tag.isLast { break }
      at += size(features) + (tag.hasSameUUID ? 0 : 16)
    }
    return tags
  }
}

/// Blocks that a revoke block names: older copies of them in the log do not count.
enum RevokeBlock {
  /// Nil when its count of bytes cannot be.
  static func blocks(in block: RawSpan, _ features: JournalSuperblock.Features) -> [UInt64]? {
    let end = Int(block.big(12))
    let size = features.contains(.has64bit) ? 8 : 4
    guard end >= 16, end <= block.byteCount - (features.hasChecksums ? 4 : 0) else { return nil }
    return stride(from: 16, through: end - size, by: size).map { at in
      size == 8 ? UInt64(block.big(at)) << 32 | UInt64(block.big(at + 4)) : UInt64(block.big(at))
    }
  }
}

/// commit_header_t.
struct CommitBlock {
  /// When it was committed.
  let seconds: UInt64
  let nanoseconds: UInt32

  init(parsing block: RawSpan) {
    seconds = UInt64(block.big(0x30)) << 32 | UInt64(block.big(0x34))
    nanoseconds = block.big(0x38)
  }

  /// Whether it was committed before another.
  func isBefore(_ other: CommitBlock) -> Bool { (seconds, nanoseconds) < (other.seconds, other.nanoseconds) }
}

/// The checksums of the log's blocks, with csumV2 or csumV3.
struct LogChecksums {
  let seed: UInt32

  init(_ uuid: UUID) { seed = ChecksumSeed(uuid).value }

  /// Whether a descriptor or a revoke block is right.
  func isRight(tailOf block: RawSpan) -> Bool {
    let end = block.byteCount - 4
    return crc32c(crc32c(seed, block.extracting(0..<end)), UInt32(0)) == block.big(end)
  }

  /// Whether a commit block is right.
  func isRight(commit block: RawSpan) -> Bool {
    let start = crc32c(crc32c(seed, block.extracting(0..<0x10)), UInt32(0))
    return crc32c(start, block.extracting(0x14...)) == block.big(0x10)
  }

  /// Whether a block of the log is the one that a tag tells of.
  func isRight(_ block: RawSpan, _ tag: LogTag, sequence: UInt32, _ features: JournalSuperblock.Features) -> Bool {
    let computed = crc32c(crc32c(seed, sequence.byteSwapped), block)
    return features.contains(.csumV3) ? computed == tag.checksum : computed & 0xffff == tag.checksum
  }
}

extension JournalSuperblock.Features {
  /// Whether the log's blocks have checksums.
  var hasChecksums: Bool { contains(.csumV2) || contains(.csumV3) }
}
