import Famfs
import Fuse
import Glibc
import Platform

/// What was made on the mount: staged until the log has it, and known by its first number for as long as the kernel
/// knows it.
struct StagedNode {
  let isDirectory: Bool
  /// The master's term in which it was made.
  let term: UInt64
  /// Who made it, and is answerable for what it takes.
  let maker: UInt32
  var permissions: UInt32
  var userID: UInt32
  var groupID: UInt32
  var accessed: Int64
  var modified: Int64
  var changed: Int64
  /// Bytes of a file, and of the space that it has.
  var shape: StagedContents.Shape = (0, 0, 0)
  /// A file's bytes; nil when it was removed and is open no more.
  var contents: StagedContents?
  /// Its directory and name; nil when it was removed, or committed.
  var link: Link?
  /// What it is in the log, once it is.
  var committed: NodeNumber?
  /// Open files.
  var opens = 0
  /// How often the kernel was told of it and has not forgotten.
  var lookups: UInt64 = 0
  /// Whether fsync(2) was answered while its name was a passing one.
  var isPromised = false
  /// Whether a commit that was due has failed, and that was told.
  var wasPutOff = false

  /// Where something has its name.
  struct Link {
    var parent: DirectoryID
    let name: [UInt8]
    /// In the directory's order.
    let position: UInt64
  }
}

extension StagedNode {
  /// Whether it is empty and no user but root may open it: tar makes such a file for a link that it makes last, removes
  /// it then, and could not if it were committed.
  var isPlaceholder: Bool { !isDirectory && shape.size == 0 && permissions & 0o777 == 0 }

  /// Whether it is a file without a name that no program has open: its bytes are gone, for no request can name them but
  /// those of an O_PATH descriptor, which get ESTALE.
  var isDropped: Bool { !isDirectory && contents == nil }

  mutating func apply(_ changes: AttributeChanges) {
    let now = Clock.fileTime()
    if let mode = changes.mode { permissions = mode & 0o7777 }
    if changes.killsSetID || (changes.userID != nil || changes.groupID != nil) && !isDirectory { clearSetID() }
    if let user = changes.userID { userID = user }
    if let group = changes.groupID { groupID = group }
    if changes.size != nil { modified = now }
    if let time = changes.accessTime { accessed = time.nanoseconds(now: now) }
    if let time = changes.modificationTime { modified = time.nanoseconds(now: now) }
    changed = now
  }

  /// What a write and a new owner do to permissions.
  mutating func clearSetID() { permissions = withoutSetID(permissions) }
}
