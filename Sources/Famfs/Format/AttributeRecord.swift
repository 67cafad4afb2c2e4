import Platform

/// A moment as log entries have it: any that a clock can show.
public struct EntryTime: Equatable, Sendable {
  /// Since 1970; negative before.
  public var seconds: Int64
  /// Behind the second: less than 1,000,000,000.
  public var nanoseconds: UInt32
  private static let perSecond: Int64 = 1_000_000_000

  /// The moment this many nanoseconds after the start of 1970.
  public init(nanosecondsSince1970 time: Int64) {
    var (seconds, rest) = time.quotientAndRemainder(dividingBy: EntryTime.perSecond)
    if rest < 0 { (seconds, rest) = (seconds - 1, rest + EntryTime.perSecond) }
    (self.seconds, nanoseconds) = (seconds, UInt32(rest))
  }

  /// Nanoseconds since 1970, as near as 64 bits come: the years 1678 to 2262.
  public var nanosecondsSince1970: Int64 {
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: EntryTime.perSecond)
    let (sum, overflow2) = whole.addingReportingOverflow(Int64(nanoseconds))
    if !overflow && !overflow2 { return sum }
    return seconds < 0 ? .min : .max
  }

  /// Reads the 12 bytes at `offset`; nil when no clock shows that.
  init?(_ bytes: RawSpan, at offset: Int) {
    (seconds, nanoseconds) = (Int64(bitPattern: bytes.u64(offset)), bytes.u32(offset + 8))
    if nanoseconds >= EntryTime.perSecond { return nil }
  }

  func encode(into bytes: inout MutableRawSpan, at offset: Int) {
    bytes.set(offset, UInt64(bitPattern: seconds))
    bytes.set(offset + 8, nanoseconds)
  }

  // What stands behind the extents of a simple file's entry, and in a directory's (SPEC-famfs, "Time stamp"): the public
  // format has a gap there.
  private static let stampOffset = 520

  /// Reads an entry's time stamp; nil when it has none.
  init?(stampIn bytes: RawSpan) {
    guard bytes.u32(EntryTime.stampOffset + 12) == ownMagic else { return nil }
    self.init(bytes, at: EntryTime.stampOffset)
  }

  func stamp(_ bytes: inout MutableRawSpan) {
    encode(into: &bytes, at: EntryTime.stampOffset)
    bytes.set(EntryTime.stampOffset + 12, ownMagic)
  }
}

/// Attributes that a file or directory has from this entry on, as the log has them (SPEC-famfs, "Attributes"). The
/// public format does not know such entries.
public struct AttributeRecord: Sendable {
  /// "attr": far from the small numbers that the public format gives out.
  static let type: UInt32 = 0x7274_7461
  private static let version: UInt32 = 1
  /// The target of an entry about the root directory, which no entry made.
  static let root = UInt64.max

  /// The index of the entry that made it; `root` for the root.
  public var target: UInt64
  /// Its path: the same as in that entry; nil for the root.
  public var path: EntryPath?
  /// The low 12 bits of a mode; others must be zero.
  public var permissions: UInt32
  /// Owner.
  public var userID: UInt32
  /// Group.
  public var groupID: UInt32
  /// Last change of the contents.
  public var modified: EntryTime
  /// Last change of attributes or contents.
  public var changed: EntryTime
  /// Last access.
  public var accessed: EntryTime

  init(
    target: UInt64, path: EntryPath?, permissions: UInt32, userID: UInt32, groupID: UInt32, modified: EntryTime,
    changed: EntryTime, accessed: EntryTime
  ) {
    precondition((target == AttributeRecord.root) == (path == nil), "the root alone has no path")
    (self.target, self.path, self.permissions) = (target, path, permissions)
    (self.userID, self.groupID) = (userID, groupID)
    (self.modified, self.changed, self.accessed) = (modified, changed, accessed)
  }

  init(parsing bytes: RawSpan) throws(EntryProblem) {
    guard bytes.u32(24) == ownMagic, bytes.u32(108) == AttributeRecord.version else { throw .unknownAttributes }
    target = bytes.u64(16)
    if target == AttributeRecord.root {
      guard bytes.u8(28) == 0 else { throw .nothingToChange }
      path = nil
    } else {
      do { path = try EntryPath(bytes, at: 28) } catch { throw .badPath(error) }
    }
    (permissions, userID, groupID) = (bytes.u32(112), bytes.u32(116), bytes.u32(120))
    guard permissions & ~0o7777 == 0, let modified = EntryTime(bytes, at: 128), let changed = EntryTime(bytes, at: 144),
      let accessed = EntryTime(bytes, at: 160)
    else { throw .badAttributes }
    (self.modified, self.changed, self.accessed) = (modified, changed, accessed)
  }

  func encode(into bytes: inout MutableRawSpan) {
    bytes.set(16, target)
    bytes.set(24, ownMagic)
    path?.encode(into: &bytes, at: 28)
    bytes.set(108, AttributeRecord.version)
    bytes.set(112, permissions)
    bytes.set(116, userID)
    bytes.set(120, groupID)
    modified.encode(into: &bytes, at: 128)
    changed.encode(into: &bytes, at: 144)
    accessed.encode(into: &bytes, at: 160)
  }
}
