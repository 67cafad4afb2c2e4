import Platform

/// The 48 bytes at the log's start (SPEC-famfs, "Log header").
public struct LogHeader: Equatable, Sendable {
  /// Bytes on media.
  public static let size = 48
  static let magic: UInt64 = 0xbad_cafe_f00d
  static let checkedSize = 24
  /// Where in the header the next sequence number stands.
  static let nextSequenceOffset: UInt64 = 32
  /// Where in the header the number of entries stands: the commit record.
  static let nextIndexOffset: UInt64 = 40

  /// Bytes of the log, as the superblock has it.
  public var logLength: UInt64
  /// Index of the last slot.
  public var lastIndex: UInt64
  /// Equals `nextIndex`, but for a torn append.
  public var nextSequence: UInt64 = 0
  /// The number of entries.
  public var nextIndex: UInt64 = 0

  /// The header of an empty log.
  public init(logLength: UInt64) {
    self.logLength = logLength
    lastIndex = (logLength - UInt64(LogHeader.size)) / UInt64(LogEntry.size) - 1
  }

  /// Reads and checks a header; `bytes` holds at least `size` bytes. `nextIndex` is as found: it may lie.
  public init(parsing bytes: RawSpan, logLength expected: UInt64) throws(LogHeaderError) {
    guard bytes.u64(0) == LogHeader.magic else { throw .badMagic }
    guard bytes.u64(24) == checksum(bytes.extracting(0..<LogHeader.checkedSize)) else { throw .badChecksum }
    self.init(logLength: expected)
    guard bytes.u64(8) == logLength, bytes.u64(16) == lastIndex else { throw .badLength }
    nextSequence = bytes.u64(32)
    nextIndex = bytes.u64(40)
  }

  /// Writes the `size` bytes over `bytes`.
  public func encode(into bytes: inout MutableRawSpan) {
    bytes.set(0, LogHeader.magic)
    bytes.set(8, logLength)
    bytes.set(16, lastIndex)
    bytes.set(24, checksum(bytes.bytes.extracting(0..<LogHeader.checkedSize)))
    bytes.set(32, nextSequence)
    bytes.set(40, nextIndex)
  }

  /// Whether an append was cut off between the two numbers that change.
  var isTorn: Bool { nextSequence != nextIndex }

  /// How many entries fit.
  public var capacity: UInt64 { lastIndex + 1 }
}

/// Why bytes are no log header.
public enum LogHeaderError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Each says it by its name.
  case badMagic, badChecksum, badLength

  /// What is wrong, to follow a device's name.
  public var description: String {
    let what =
      switch self {
      case .badMagic: "a log without a log header"
      case .badChecksum: "a log header with a wrong checksum"
      case .badLength: "a log header whose length is not the superblock's"
      }
    return "has \(what); nothing can be read from it, mkfs.famfs --force makes a new, empty file system there"
  }
}
