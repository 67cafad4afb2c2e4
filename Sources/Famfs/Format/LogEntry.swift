import Platform

/// One 544-byte slot of the log (SPEC-famfs, "Log entry").
public struct LogEntry: Sendable {
  /// Bytes on media.
  public static let size = 544
  static let checkedSize = 536

  /// Equals the slot's index.
  public var sequence: UInt64
  /// What it says.
  public var payload: Payload

  /// What an entry can say.
  public enum Payload: Sendable {
    /// A file exists.
    case file(FileRecord)
    /// A directory exists.
    case directory(DirectoryRecord)
    /// A file or directory is gone.
    case removal(RemovalRecord)
    /// One more device belongs to the volume.
    case addDevice(DeviceRecord)
    /// A file or directory has other attributes.
    case attributes(AttributeRecord)
  }

  /// An entry for slot number `sequence`.
  public init(sequence: UInt64, _ payload: Payload) {
    self.sequence = sequence
    self.payload = payload
  }

  /// Reads and checks what stands in slot `index`; `bytes` holds `size` bytes. What the entry says may still not fit
  /// the volume.
  public init(parsing bytes: RawSpan, index: UInt64) throws(EntryProblem) {
    guard bytes.u64(536) == checksum(bytes.extracting(0..<LogEntry.checkedSize)) else { throw .badChecksum }
    sequence = bytes.u64(0)
    guard sequence == index else { throw .badSequence(sequence) }
    switch bytes.u32(8) {
    case 0: payload = .file(try FileRecord(parsing: bytes))
    case 1: payload = .directory(try DirectoryRecord(parsing: bytes))
    case 2: payload = .removal(try RemovalRecord(parsing: bytes))
    case 3: payload = .addDevice(DeviceRecord(parsing: bytes))
    case AttributeRecord.type: payload = .attributes(try AttributeRecord(parsing: bytes))
    default: throw .unknownType(bytes.u32(8))
    }
  }

  /// Writes the `size` bytes, checksum included, over `bytes`, which are zeros.
  public func encode(into bytes: inout MutableRawSpan) {
    bytes.set(0, sequence)
    switch payload {
    case .file(let record):
      bytes.set(8, UInt32(0))
      record.encode(into: &bytes)
    case .directory(let record):
      bytes.set(8, UInt32(1))
      record.encode(into: &bytes)
    case .removal(let record):
      bytes.set(8, UInt32(2))
      record.encode(into: &bytes)
    case .addDevice(let record):
      bytes.set(8, UInt32(3))
      record.encode(into: &bytes)
    case .attributes(let record):
      bytes.set(8, AttributeRecord.type)
      record.encode(into: &bytes)
    }
    bytes.set(536, checksum(bytes.bytes.extracting(0..<LogEntry.checkedSize)))
  }
}

/// Marks what the public format does not have: "weft".
let ownMagic: UInt32 = 0x7466_6577

/// A file, as the log has it.
public struct FileRecord: Sendable {
  /// Bytes.
  public var size: UInt64
  /// Bit 0 all hosts may read, bit 1 all hosts may write; the public tools write 2.
  public var flags: UInt32 = 2
  /// Owner.
  public var userID: UInt32
  /// Group.
  public var groupID: UInt32
  /// The low 12 bits of a mode; type bits on media are dropped.
  public var permissions: UInt32
  /// Where in the name space.
  public var path: EntryPath
  /// Where on the devices.
  public var layout: FileLayout
  /// Last change of the contents, where the entry says it; an interleaved layout has no room for it.
  public var modified: EntryTime?

  /// A file record.
  public init(
    path: EntryPath, size: UInt64, permissions: UInt32, userID: UInt32, groupID: UInt32, layout: FileLayout,
    modified: EntryTime? = nil
  ) {
    self.modified = modified
    self.path = path
    self.size = size
    self.permissions = permissions
    self.userID = userID
    self.groupID = groupID
    self.layout = layout
  }

  init(parsing bytes: RawSpan) throws(EntryProblem) {
    size = bytes.u64(16)
    flags = bytes.u32(24)
    userID = bytes.u32(28)
    groupID = bytes.u32(32)
    permissions = bytes.u32(36) & 0o7777
    do { path = try EntryPath(bytes, at: 40) } catch { throw .badPath(error) }
    layout =
      switch bytes.u32(120) {
      case 0: try FileLayout(parsingSimple: bytes)
      case 1: try FileLayout(parsingInterleaved: bytes)
      default: throw .unknownLayout(bytes.u32(120))
      }
    modified = layout.chunkSize == 0 ? EntryTime(stampIn: bytes) : nil
  }

  func encode(into bytes: inout MutableRawSpan) {
    bytes.set(16, size)
    bytes.set(24, flags)
    bytes.set(28, userID)
    bytes.set(32, groupID)
    bytes.set(36, permissions)
    path.encode(into: &bytes, at: 40)
    layout.encode(into: &bytes)
    if layout.chunkSize == 0 { modified?.stamp(&bytes) }
  }
}

extension FileLayout {
  fileprivate init(parsingSimple bytes: RawSpan) throws(EntryProblem) {
    let count = bytes.u32(128)
    guard count <= ExtentList.capacity else { throw .badExtentCount(UInt64(count)) }
    self.init(FileLayout.extents(bytes, at: 136, count: Int(count)))
  }

  fileprivate init(parsingInterleaved bytes: RawSpan) throws(EntryProblem) {
    guard bytes.u32(128) == 1 else { throw .badExtentCount(UInt64(bytes.u32(128))) }
    let strips = bytes.u64(136)
    guard (2...UInt64(ExtentList.capacity)).contains(strips) else { throw .badExtentCount(strips) }
    let chunkSize = bytes.u64(144)
    guard chunkSize >= 4096, chunkSize & (chunkSize - 1) == 0 else { throw .badChunkSize(chunkSize) }
    self.init(FileLayout.extents(bytes, at: 152, count: Int(strips)), chunkSize: chunkSize)
  }

  private static func extents(_ bytes: RawSpan, at place: Int, count: Int) -> ExtentList {
    var list = ExtentList()
    for number in 0..<count { list.append(Extent(bytes, at: place + number * Extent.encodedSize)) }
    return list
  }

  fileprivate func encode(into bytes: inout MutableRawSpan) {
    let first: Int
    if chunkSize == 0 {
      bytes.set(120, UInt32(0))
      bytes.set(128, UInt32(extents.count))
      first = 136
    } else {
      bytes.set(120, UInt32(1))
      bytes.set(128, UInt32(1))
      bytes.set(136, UInt64(extents.count))
      bytes.set(144, chunkSize)
      first = 152
    }
    for number in 0..<extents.count {
      extents[number].encode(into: &bytes, at: first + number * Extent.encodedSize)
    }
  }
}

/// A directory, as the log has it.
public struct DirectoryRecord: Sendable {
  /// Owner.
  public var userID: UInt32
  /// Group.
  public var groupID: UInt32
  /// The low 12 bits of a mode; type bits on media are dropped.
  public var permissions: UInt32
  /// Where in the name space.
  public var path: EntryPath
  /// Last change of what is in it, where the entry says it.
  public var modified: EntryTime?

  /// A directory record.
  public init(path: EntryPath, permissions: UInt32, userID: UInt32, groupID: UInt32, modified: EntryTime? = nil) {
    self.modified = modified
    self.path = path
    self.permissions = permissions
    self.userID = userID
    self.groupID = groupID
  }

  init(parsing bytes: RawSpan) throws(EntryProblem) {
    userID = bytes.u32(16)
    groupID = bytes.u32(20)
    permissions = bytes.u32(24) & 0o7777
    do { path = try EntryPath(bytes, at: 28) } catch { throw .badPath(error) }
    modified = EntryTime(stampIn: bytes)
  }

  func encode(into bytes: inout MutableRawSpan) {
    bytes.set(16, userID)
    bytes.set(20, groupID)
    bytes.set(24, permissions)
    path.encode(into: &bytes, at: 28)
    modified?.stamp(&bytes)
  }
}

/// A file or directory that is gone, as the log has it.
public struct RemovalRecord: Sendable {
  /// The index of the entry that made it.
  public var target: UInt64
  /// Its path: the same as in that entry.
  public var path: EntryPath

  /// A removal record.
  public init(target: UInt64, path: EntryPath) {
    self.target = target
    self.path = path
  }

  init(parsing bytes: RawSpan) throws(EntryProblem) {
    // The public format defines the type and not what it says.
    guard bytes.u32(24) == ownMagic else { throw .unknownRemoval }
    target = bytes.u64(16)
    do { path = try EntryPath(bytes, at: 28) } catch { throw .badPath(error) }
  }

  func encode(into bytes: inout MutableRawSpan) {
    bytes.set(16, target)
    bytes.set(24, ownMagic)
    path.encode(into: &bytes, at: 28)
  }
}

/// A device added to a volume, as the log has it.
public struct DeviceRecord: Sendable {
  /// Bytes.
  public var size: UInt64
  /// Its identifier.
  public var uuid: UUID
  /// 1, 2, ... in log order.
  public var index: UInt32

  /// A device record.
  public init(size: UInt64, uuid: UUID, index: UInt32) {
    self.size = size
    self.uuid = uuid
    self.index = index
  }

  init(parsing bytes: RawSpan) {
    size = bytes.u64(16)
    uuid = UUID(bytes, at: 24)
    index = bytes.u32(40)
  }

  func encode(into bytes: inout MutableRawSpan) {
    bytes.set(16, size)
    uuid.store(into: &bytes, at: 24)
    bytes.set(40, index)
  }
}
