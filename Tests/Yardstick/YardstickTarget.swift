import CYardstick
import Platform

/// What some mounts have and others do not. What is not in this list every local file system has.
public enum YardstickFeature: String, CaseIterable, Sendable {
  /// The tests run as root: other users, devices, owners, trusted attributes.
  case root
  /// Extended attributes of the namespace `user.`
  case userAttributes
  /// Extended attributes of the namespace `trusted.`
  case trustedAttributes
  /// A value of more than 32 KiB in an extended attribute.
  case largeAttributes
  /// POSIX access control lists.
  case acl
  /// O_TMPFILE.
  case tmpfile
  /// fallocate(2), also with KEEP_SIZE.
  case fallocate
  /// FALLOC_FL_PUNCH_HOLE.
  case punchHole
  /// FALLOC_FL_ZERO_RANGE.
  case zeroRange
  /// FALLOC_FL_COLLAPSE_RANGE and FALLOC_FL_INSERT_RANGE.
  case shiftRange
  /// SEEK_HOLE finds holes; without it all of a file counts as data.
  case seekHole
  /// SEEK_HOLE and SEEK_DATA know what was written and is in the page cache only.
  case dirtyHoles
  /// RENAME_EXCHANGE.
  case exchange
  /// RENAME_NOREPLACE.
  case noReplace
  /// RENAME_WHITEOUT.
  case whiteout
  /// FS_IOC_GETFLAGS and FS_IOC_SETFLAGS: immutable, append only.
  case fileFlags
  /// An immutable file is not changed through descriptors that were open for writing before.
  case strictFlags
  /// Setting a file's flags sets its time of change.
  case flagTimes
  /// Symbolic links of up to 4,095 bytes.
  case longSymlinks
  /// Hard links.
  case hardLinks
  /// A file can have so few names that one more than there can be is tried: `linkLimit`.
  case linkLimit
  /// A directory's link count is 2 and the number of its subdirectories.
  case directoryLinkCounts
  /// Times in nanoseconds, not in seconds or coarser.
  case nanoseconds
  /// Reading sets the time of access, at least when it is older than the last change (relatime).
  case accessTimes
  /// statx(2) tells the time of birth.
  case birthTime
  /// flock(2), POSIX and open file description locks.
  case locks
  /// Processes that wait for each other's POSIX locks are told so (EDEADLK).
  case deadlocks
  /// O_DIRECT.
  case directIO
  /// Shared writable mappings.
  case sharedMappings
  /// What a program stores behind a file's end through a mapping does not become part of it when it grows.
  case cleanEnds
  /// Device files can be opened: the mount is not nodev.
  case devices
  /// Programs can be run: the mount is not noexec.
  case programs
  /// Set-user-ID programs run as their owner: the mount is not nosuid.
  case setIDPrograms
  /// Set-user-ID bits are kept: every Linux file system does, some network ones do not.
  case setID
  /// The bits go as in the kernel's own file systems also where the kernel does not ask the file system to clear them: when chown
  /// changes neither owner nor group, and set-group-ID without execution when another user writes.
  case strictSetID
  /// access(2) says that an immutable file cannot be written.
  case flagsInAccess
  /// F_OFD_GETLK tells a lock of an open file description as one: without a process.
  case descriptionHolders
}

/// A mounted directory, and what is known of its file system.
public struct YardstickTarget: Sendable {
  /// How a report calls it.
  public var name: String
  /// A directory of the mount where the cases make theirs. Other users can reach it.
  public var directory: String
  /// What it has.
  public var features: Set<YardstickFeature>
  /// The first and last second since 1970 that a file's time can have.
  public var seconds: ClosedRange<Int64>
  /// How many names a file can have, when that is few enough to try.
  public var linkLimit: Int? {
    didSet { features = linkLimit == nil ? features.subtracting([.linkLimit]) : features.union([.linkLimit]) }
  }
  /// How many bytes a value of an extended attribute can have in any case; up to 65,536.
  public var attributeLimit: Int
  /// How many bytes a file can have at most, when that is less than 2^63 - 1.
  public var sizeLimit: Int
  /// How many random operations the longer run makes.
  public var operations: Int

  /// A mount that has everything but what `lacking` lists.
  public init(name: String, directory: String, lacking: Set<YardstickFeature> = []) {
    self.name = name
    self.directory = directory
    features = Set(YardstickFeature.allCases).subtracting(lacking).subtracting([.linkLimit])
    seconds = -(1 << 31)...(1 << 31) - 1
    linkLimit = nil
    attributeLimit = 1024
    sizeLimit = Int.max
    operations = 10_000
  }
}
