import CFuse
import Glibc
import Platform

/// A file, directory or other object by number, which the kernel uses in place of its name.
public struct NodeID: RawRepresentable, Hashable, Sendable {
  /// The number; zero is no node.
  public let rawValue: UInt64
  /// The node of this number.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The directory at the top: FUSE_ROOT_ID. It is known to the kernel without any lookup.
  public static let root = NodeID(rawValue: 1)
}

/// An open file or directory by a number of the file system's choosing; zero will do for one that keeps nothing.
public struct FileHandle: RawRepresentable, Hashable, Sendable {
  /// The number.
  public let rawValue: UInt64
  /// The handle of this number.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// What files have that were never opened: see `FileSystemTraits.withoutOpen`.
  public static let none = FileHandle(rawValue: 0)
}

/// The process that a request is for, as its numbers are in the mount's user and process namespaces. Requests that the
/// kernel makes on its own (write-back) may have all zeros.
public struct Caller: Equatable, Sendable {
  /// File system user (fsuid).
  public let userID: UInt32
  /// File system group (fsgid).
  public let groupID: UInt32
  /// Process; zero when it has no number here.
  public let processID: UInt32

  /// A caller of these numbers.
  public init(userID: UInt32, groupID: UInt32, processID: UInt32) {
    self.userID = userID
    self.groupID = groupID
    self.processID = processID
  }
}

/// What stat(2) tells about a node.
public struct Attributes: Equatable, Sendable {
  /// st_ino of stat(2) and d_ino of readdir(3). It is apart from the node id, which the kernel may forget and give anew:
  /// programs remember this number for longer, so it must stay.
  public var inode: UInt64
  /// Bytes; at most Int64.max, or the kernel takes the reply for damaged.
  public var size: UInt64 = 0
  /// Memory in use, in units of 512 bytes.
  public var blocks: UInt64 = 0
  /// Type and permission bits of st_mode. A node's type never changes: the kernel takes that for damage, too.
  public var mode: UInt32
  /// Owner.
  public var userID: UInt32 = 0
  /// Group.
  public var groupID: UInt32 = 0
  /// Names that it has.
  public var linkCount: UInt32 = 1
  /// For device files: which device it is, in the kernel's 32-bit coding (minor bits 0-7 and 20-31, major bits 8-19).
  public var specialDevice: UInt32 = 0
  /// The unit that suits I/O best: st_blksize, bytes.
  public var blockSize: UInt32 = 4096
  /// Last access.
  public var accessTime = Timestamp.epoch
  /// Last change of the contents.
  public var modificationTime = Timestamp.epoch
  /// Last change of contents or attributes.
  public var changeTime = Timestamp.epoch
  /// When it was made; nil where that is not known. statx(2) tells it.
  public var birthTime: Timestamp?

  /// Attributes of a node with this number, type and permissions. The link count is 1 and everything else is zero.
  public init(inode: UInt64, mode: UInt32) { (self.inode, self.mode) = (inode, mode) }

  /// Whether the type bits say directory.
  public var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
  /// Whether the type bits say regular file.
  public var isRegular: Bool { mode & S_IFMT == S_IFREG }
}

/// Attributes, and how long the kernel may answer from its copy of them.
public struct CachedAttributes: Equatable, Sendable {
  /// The attributes.
  public var attributes: Attributes
  /// Nanoseconds; .max is for good (until a notification).
  public var lifetime: UInt64

  /// Attributes that stay valid for `lifetime` nanoseconds.
  public init(_ attributes: Attributes, lifetime: UInt64) {
    self.attributes = attributes
    self.lifetime = lifetime
  }
}

/// What a name stands for.
public struct Entry: Equatable, Sendable {
  /// The node. Zero says "there is none" for the kernel to remember: see `absent(for:)`.
  public var node: NodeID
  /// Tells apart nodes that had the same number one after the other; matters to NFS export only.
  public var generation: UInt64 = 0
  /// The node's attributes.
  public var attributes: Attributes
  /// How long the name may be taken for this node, in nanoseconds; .max is for good (until a notification).
  public var nameLifetime: UInt64
  /// How long the attributes are valid, in nanoseconds; .max is for good (until a notification).
  public var attributeLifetime: UInt64

  /// An entry of generation 0.
  public init(_ node: NodeID, _ attributes: Attributes, nameLifetime: UInt64, attributeLifetime: UInt64) {
    self.node = node
    self.attributes = attributes
    self.nameLifetime = nameLifetime
    self.attributeLifetime = attributeLifetime
  }

  /// The answer that a name does not exist, which the kernel may remember for `lifetime` nanoseconds. (ENOENT, thrown,
  /// it does not remember.) Counts as no lookup.
  public static func absent(for lifetime: UInt64) -> Entry {
    Entry(NodeID(rawValue: 0), Attributes(inode: 0, mode: 0), nameLifetime: lifetime, attributeLifetime: 0)
  }
}

/// Lookups of a node that the kernel drops.
public struct LookupCount: Equatable, Sendable {
  /// The node.
  public let node: NodeID
  /// How many.
  public let count: UInt64

  /// So many lookups of a node.
  public init(_ node: NodeID, _ count: UInt64 = 1) { (self.node, self.count) = (node, count) }
}

/// What a new node shall be.
public struct NewNode: Equatable, Sendable {
  /// Type and permission bits of st_mode. The bits of `umask` are cleared already, unless the trait `posixACL` was agreed.
  public var mode: UInt32
  /// The process's umask.
  public var umask: UInt32
  /// For device files: which, coded as in `Attributes`.
  public var specialDevice: UInt32 = 0
  /// The security labels that it shall have, as xattrs. With the trait `securityContext` only.
  public var labels: [SecurityLabel] = []

  /// A node of this type and these permissions.
  public init(mode: UInt32, umask: UInt32 = 0) { (self.mode, self.umask) = (mode, umask) }
}

/// An xattr that a security module gives a new node.
public struct SecurityLabel: Equatable, Sendable {
  /// The whole name: "security.selinux".
  public var name: [UInt8]
  /// The value.
  public var value: [UInt8]

  /// A label.
  public init(name: [UInt8], value: [UInt8]) { (self.name, self.value) = (name, value) }
}

/// A place in an open file.
public struct FileRange: Equatable, Sendable {
  /// The file.
  public var node: NodeID
  /// The open file.
  public var handle: FileHandle
  /// The first byte.
  public var offset: UInt64

  /// A place.
  public init(_ node: NodeID, _ handle: FileHandle, at offset: UInt64) {
    (self.node, self.handle, self.offset) = (node, handle, offset)
  }
}

/// How setxattr(2) was called.
public enum XattrMode: Equatable, Sendable {
  /// There may be an attribute of that name or not.
  case set
  /// There must be none: XATTR_CREATE.
  case create
  /// There must be one: XATTR_REPLACE.
  case replace
}

/// How open(2) was called.
public struct OpenIntent: Equatable, Sendable {
  /// The flags of open(2), without O_NOCTTY. `open` sees none of O_CREAT, O_EXCL and O_TRUNC (which comes as a
  /// `setattr` of the size); `create` sees them all.
  public let flags: UInt32
  /// Whether setuid and setgid are to be cleared.
  public let killsSetID: Bool

  /// An intent of these flags.
  public init(flags: UInt32, killsSetID: Bool = false) {
    self.flags = flags
    self.killsSetID = killsSetID
  }

  /// Whether it may be read: O_RDONLY or O_RDWR.
  public var isReading: Bool { flags & UInt32(O_ACCMODE) != UInt32(O_WRONLY) }
  /// Whether each write is to be durable when it returns: O_DSYNC, or O_SYNC, which includes it.
  public var isSynchronous: Bool { flags & UInt32(O_DSYNC) != 0 }
  /// Whether it may be written: O_WRONLY or O_RDWR.
  public var isWriting: Bool { flags & UInt32(O_ACCMODE) != UInt32(O_RDONLY) }
  /// Whether a file that is there already is an error: O_EXCL. For `create` only.
  public var isExclusive: Bool { flags & UInt32(O_EXCL) != 0 }
  /// Whether a file that is there already is to be emptied: O_TRUNC. For `create` only.
  public var isTruncating: Bool { flags & UInt32(O_TRUNC) != 0 }
}

/// How write(2) was called.
public struct WriteIntent: Equatable, Sendable {
  /// The flags of the open file, with O_DSYNC and O_SYNC also where pwritev2(2) was given RWF_DSYNC or RWF_SYNC.
  public let flags: UInt32
  /// Whether setuid and setgid are to be cleared first.
  public let killsSetID: Bool
  /// Whether these are pages that were changed in the kernel's cache, by stores to a mapping: then the handle may be that
  /// of any open file of the node, and there are no flags.
  public let isWriteBack: Bool

  /// An intent of these flags.
  public init(flags: UInt32 = 0, killsSetID: Bool = false, isWriteBack: Bool = false) {
    self.flags = flags
    self.killsSetID = killsSetID
    self.isWriteBack = isWriteBack
  }

  /// Whether what is written is to be durable when write(2) returns: O_DSYNC, or O_SYNC, which includes it.
  public var isSynchronous: Bool { flags & UInt32(O_DSYNC) != 0 }
}

/// How the kernel treats an open file: FOPEN_* in linux/fuse.h.
public struct OpenFlags: OptionSet, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// Flags of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Every read and write becomes a request; the page cache is not used. FOPEN_DIRECT_IO.
  public static let directIO = OpenFlags(rawValue: UInt32(FOPEN_DIRECT_IO))
  /// What the page cache holds of the file stays valid; without it an open drops it. FOPEN_KEEP_CACHE.
  public static let keepCache = OpenFlags(rawValue: UInt32(FOPEN_KEEP_CACHE))
  /// lseek(2) fails with ESPIPE. FOPEN_NONSEEKABLE.
  public static let nonseekable = OpenFlags(rawValue: UInt32(FOPEN_NONSEEKABLE))
  /// The kernel may keep the directory's contents and answer readers from them. FOPEN_CACHE_DIR.
  public static let cacheDirectory = OpenFlags(rawValue: UInt32(FOPEN_CACHE_DIR))
  /// There is no file position at all. FOPEN_STREAM.
  public static let stream = OpenFlags(rawValue: UInt32(FOPEN_STREAM))
  /// close(2) neither writes back nor flushes. FOPEN_NOFLUSH.
  public static let noFlush = OpenFlags(rawValue: UInt32(FOPEN_NOFLUSH))
  /// Direct writes of one file may come at the same time. FOPEN_PARALLEL_DIRECT_WRITES.
  public static let parallelDirectWrites = OpenFlags(rawValue: UInt32(FOPEN_PARALLEL_DIRECT_WRITES))
}

/// The answer to an open: a handle that later requests repeat.
public struct Opened: Equatable, Sendable {
  /// The handle.
  public var handle: FileHandle
  /// How the kernel treats the open file.
  public var flags: OpenFlags

  /// An open file of this handle.
  public init(_ handle: FileHandle = .none, _ flags: OpenFlags = []) {
    self.handle = handle
    self.flags = flags
  }
}

/// A new time of a file: utimensat(2).
public enum TimeChange: Equatable, Sendable {
  /// The server's clock at this moment.
  case now
  /// This time.
  case at(Timestamp)
}

/// What a `setattr` changes; nil leaves a thing as it is.
public struct AttributeChanges: Equatable, Sendable {
  /// truncate(2): the new size in bytes, at most Int64.max.
  public var size: UInt64?
  /// chmod(2): permission bits; the type bits, if any, are those that the node has. With the trait `posixACL` an access
  /// ACL's mask follows it, which is the file system's to do.
  public var mode: UInt32?
  /// chown(2): owner. Changing owner or group also clears setuid and setgid, which is the file system's to do.
  public var userID: UInt32?
  /// chown(2): group.
  public var groupID: UInt32?
  /// utimensat(2): last access.
  public var accessTime: TimeChange?
  /// utimensat(2): last modification.
  public var modificationTime: TimeChange?
  /// The last change of attributes. With the trait `writeBack` only: the kernel keeps that time, too, and brings it with
  /// the modification time.
  public var changeTime: Timestamp?
  /// Whether the new size clears setuid, and setgid where the group may execute.
  public var killsSetID = false

  /// No changes.
  public init() {}
}

/// What statfs(2) tells.
public struct FileSystemStatus: Equatable, Sendable {
  /// Size of all, in blocks.
  public var blocks: UInt64 = 0
  /// Blocks that are free.
  public var freeBlocks: UInt64 = 0
  /// Blocks that a user other than root may have.
  public var availableBlocks: UInt64 = 0
  /// Nodes that there can be.
  public var files: UInt64 = 0
  /// Nodes that can be made yet.
  public var freeFiles: UInt64 = 0
  /// Bytes of a block.
  public var blockSize: UInt32 = 4096
  /// Bytes of the longest name.
  public var longestName: UInt32 = 255

  /// A file system of size 0.
  public init() {}
}

/// How renameat2(2) treats a new name that is there already; at most one of them. Without flags it is replaced.
public struct RenameFlags: OptionSet, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// Flags of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Fail with EEXIST. RENAME_NOREPLACE.
  public static let noReplace = RenameFlags(rawValue: WEFT_RENAME_NOREPLACE)
  /// Both names are there, of whatever types, and each gets the other's node. RENAME_EXCHANGE.
  public static let exchange = RenameFlags(rawValue: WEFT_RENAME_EXCHANGE)
}

/// What fallocate(2) does to a range: FALLOC_FL_* in linux/falloc.h. Without flags it gets space, keeps what it
/// holds, and the file grows to its end.
public struct FallocateMode: OptionSet, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// A mode of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The file's size stays. FALLOC_FL_KEEP_SIZE.
  public static let keepSize = FallocateMode(rawValue: WEFT_FALLOC_FL_KEEP_SIZE)
  /// The range's space is given back, and it reads as zeros; with `keepSize` always. FALLOC_FL_PUNCH_HOLE.
  public static let punchHole = FallocateMode(rawValue: WEFT_FALLOC_FL_PUNCH_HOLE)
  /// The range keeps or gets its space, and reads as zeros. FALLOC_FL_ZERO_RANGE.
  public static let zeroRange = FallocateMode(rawValue: WEFT_FALLOC_FL_ZERO_RANGE)
}

/// Whence of an lseek(2) that the kernel cannot answer itself.
public enum SeekTarget: Equatable, Sendable {
  /// SEEK_DATA: the first byte of data at or behind the offset.
  case data
  /// SEEK_HOLE: the first hole at or behind the offset; the file's end counts as one.
  case hole
}

/// Permission bits after a write, a new size or a new owner, as the kernel changes them: setuid goes, and setgid where the
/// group may execute.
public func withoutSetID<Bits: FixedWidthInteger>(_ mode: Bits) -> Bits {
  let (setUID, setGID, groupExecutes) = (Bits(S_ISUID), Bits(S_ISGID), Bits(S_IXGRP))
  return mode & ~setUID & (mode & groupExecutes != 0 ? ~setGID : ~0)
}
