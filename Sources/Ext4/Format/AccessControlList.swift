import Platform

/// A POSIX ACL. ext4 stores it in another form than the one in which processes and the kernel pass it, as the xattrs
/// system.posix_acl_access and system.posix_acl_default.
public struct AccessControlList: Equatable, Sendable {
  /// Whom an entry is for.
  public enum Tag: UInt16, Sendable {
    /// ACL_USER_OBJ.
    case owner = 0x01
    /// ACL_USER.
    case user = 0x02
    /// ACL_GROUP_OBJ.
    case owningGroup = 0x04
    /// ACL_GROUP.
    case group = 0x08
    /// ACL_MASK.
    case mask = 0x10
    /// ACL_OTHER.
    case other = 0x20

    /// Whether the entry names somebody.
    public var hasID: Bool { self == .user || self == .group }
  }

  /// An entry.
  public struct Entry: Equatable, Sendable {
    /// Whom it is for.
    public var tag: Tag
    /// rwx bits.
    public var permissions: UInt16
    /// The user or group; only where the tag has one.
    public var id: UInt32?

    /// An entry.
    public init(_ tag: Tag, _ permissions: UInt16, id: UInt32? = nil) {
      (self.tag, self.permissions, self.id) = (tag, permissions, id)
    }
  }

  /// The entries, in the order of tag and id.
  public var entries: [Entry]

  /// A list.
  public init(_ entries: [Entry]) { self.entries = entries }

  private static let mediaVersion: UInt32 = 1
  private static let processVersion: UInt32 = 2

  /// Reads what is on media.
  /// - Returns: nil when it is no ACL.
  public init?(parsing value: RawSpan) {
    guard value.byteCount >= 4, value.u32(0) == Self.mediaVersion else { return nil }
    entries = []
    var offset = 4
    while offset < value.byteCount {
      guard value.byteCount - offset >= 4, let tag = Tag(rawValue: value.u16(offset)) else { return nil }
      let permissions = value.u16(offset + 2)
      offset += 4
      guard tag.hasID else {
        entries.append(Entry(tag, permissions))
        continue
      }
      guard value.byteCount - offset >= 4 else { return nil }
      entries.append(Entry(tag, permissions, id: value.u32(offset)))
      offset += 4
    }
  }

  /// Reads what setxattr(2) was given.
  /// - Returns: nil when it is no ACL.
  public init?(parsingProcessForm value: RawSpan) {
    guard value.byteCount >= 4, value.byteCount % 8 == 4, value.u32(0) == Self.processVersion else { return nil }
    entries = []
    for offset in stride(from: 4, to: value.byteCount, by: 8) {
      guard let tag = Tag(rawValue: value.u16(offset)) else { return nil }
      entries.append(Entry(tag, value.u16(offset + 2), id: tag.hasID ? value.u32(offset + 4) : nil))
    }
  }

  /// What goes to media.
  public func encoded() -> [UInt8] {
    var bytes = littleEndian(Self.mediaVersion)
    for entry in entries {
      bytes += littleEndian(entry.tag.rawValue) + littleEndian(entry.permissions)
      if entry.tag.hasID { bytes += littleEndian(entry.id ?? 0) }
    }
    return bytes
  }

  /// What getxattr(2) gives.
  public func encodedProcessForm() -> [UInt8] {
    var bytes = littleEndian(Self.processVersion)
    for entry in entries {
      bytes += littleEndian(entry.tag.rawValue) + littleEndian(entry.permissions) + littleEndian(entry.id ?? .max)
    }
    return bytes
  }

  private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    (0..<(value.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
