/// The number of a file or directory: the same on every host and after every mount, because a log entry's index
/// makes it.
public struct NodeNumber: Hashable, Comparable, Sendable {
  /// The number.
  public let rawValue: UInt32

  /// The node of this number.
  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  /// The root directory.
  public static let root = NodeNumber(0)
  /// The directory `.meta`.
  public static let meta = NodeNumber(1)
  /// The file `.meta/.superblock`.
  public static let superblock = NodeNumber(2)
  /// The file `.meta/.log`.
  public static let log = NodeNumber(3)
  /// How many numbers come before that of the log's entry 0.
  static let firstEntry: UInt64 = 4

  /// The number of what entry `index` makes.
  static func entry(_ index: UInt64) -> NodeNumber { NodeNumber(UInt32(index + firstEntry)) }

  /// Which of the log's entries made it; nil for the root and the volume's own files.
  public var logIndex: UInt64? {
    let number = UInt64(rawValue)
    return number < NodeNumber.firstEntry ? nil : number - NodeNumber.firstEntry
  }

  /// The order of the log.
  public static func < (a: NodeNumber, b: NodeNumber) -> Bool { a.rawValue < b.rawValue }
}

/// What the name space keeps of a file or directory: small, for there may be millions.
///
/// Mode, owner and times start as the log has them. A change is this mount's alone until an attribute entry has it.
public struct Node: Sendable {
  /// What it is.
  public enum Kind: UInt8, Sendable {
    /// The slot of a bad entry, or of one that makes no name.
    case none
    /// Something with a name.
    case file, directory
    /// A file that was removed. It keeps its extents, for who has it open.
    case removed
  }

  /// Bytes of a file; 0 for a directory.
  public internal(set) var size: UInt64 = 0
  /// What is a file's `allocated` and a directory's `inode`.
  private var room: UInt64 = 0
  /// What is a file's `inode`, and a directory's last child and, in the upper half, `subdirectories`.
  private var rest: UInt64 = 0
  /// Last change of the contents, as this mount knows it: nanoseconds since 1970, negative before, as the
  /// other times.
  public internal(set) var modified: Int64
  /// Last change of mode, owner or contents, as this mount knows it.
  public internal(set) var changed: Int64
  /// Last access, as this mount knows it: set by utimensat(2) only.
  public internal(set) var accessed: Int64
  /// Owner.
  public internal(set) var userID: UInt32
  /// Group.
  public internal(set) var groupID: UInt32
  /// The low 12 bits of a mode.
  public internal(set) var permissions: UInt16
  /// What it is.
  public internal(set) var kind: Kind
  var nameLength: UInt8 = 0
  var extentCount: UInt8 = 0
  /// log2 of an interleaved file's chunk size; 0 for a simple layout.
  var chunkShift: UInt8 = 0
  var nameStart: UInt32 = 0
  /// The directory that it is in.
  public internal(set) var parent: NodeNumber = .root
  var nextSibling: NodeNumber = .root
  /// A directory's first child, or the place of a file's first extent.
  private var first: UInt32 = 0

  init(kind: Kind, permissions: UInt32 = 0, userID: UInt32 = 0, groupID: UInt32 = 0, time: Int64 = 0) {
    self.kind = kind
    self.permissions = UInt16(permissions & 0o7777)
    self.userID = userID
    self.groupID = groupID
    (modified, changed, accessed) = (time, time, time)
  }

  // The root is nobody's child, so its number stands for "none" among children and siblings.

  var firstChild: NodeNumber {
    get { NodeNumber(first) }
    set { first = newValue.rawValue }
  }
  var lastChild: NodeNumber {
    get { kind == .directory ? NodeNumber(UInt32(truncatingIfNeeded: rest)) : .root }
    set {
      precondition(kind == .directory, "only directories have children")
      rest = rest & ~UInt64(UInt32.max) | UInt64(newValue.rawValue)
    }
  }
  var firstExtent: Int {
    get { Int(first) }
    set { first = UInt32(newValue) }
  }

  // What only a file has and what only a directory has share their places, so that a node has 80 bytes.

  /// Bytes that a file's extents take.
  public internal(set) var allocated: UInt64 {
    get { kind == .directory ? 0 : room }
    set {
      precondition(kind != .directory, "only files have extents")
      room = newValue
    }
  }
  /// Directories in a directory.
  public internal(set) var subdirectories: UInt32 {
    get { kind == .directory ? UInt32(rest >> 32) : 0 }
    set {
      precondition(kind == .directory, "only directories have children")
      rest = UInt64(newValue) << 32 | rest & UInt64(UInt32.max)
    }
  }
  /// By what number programs of this mount know it (st_ino), where that is not made of its own: it was given before the
  /// log had it. Zero where it was not.
  public internal(set) var inode: UInt64 {
    get { kind == .directory ? room : rest }
    set { if kind == .directory { room = newValue } else { rest = newValue } }
  }
  /// Whether it never had a name.
  var isSkipped: Bool { kind == .none && nameLength == 0 }
  var chunkSize: UInt64 { chunkShift == 0 ? 0 : 1 << UInt64(chunkShift) }
}
