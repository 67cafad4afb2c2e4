import CFuse

/// The flags of a file that chattr(1) sets: FS_*_FL in linux/fs.h. The kernel does not enforce `immutable` and `appendOnly`
/// on a FUSE mount, so the file system does.
public struct FileFlags: OptionSet, Sendable {
  /// The bits, as FS_IOC_GETFLAGS has them.
  public let rawValue: UInt32
  /// Flags of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Writes are durable when they return. FS_SYNC_FL.
  public static let synchronous = FileFlags(rawValue: WEFT_FS_SYNC_FL)
  /// Nothing of it can be changed. FS_IMMUTABLE_FL.
  public static let immutable = FileFlags(rawValue: WEFT_FS_IMMUTABLE_FL)
  /// It can only grow, by writes at its end. FS_APPEND_FL.
  public static let appendOnly = FileFlags(rawValue: WEFT_FS_APPEND_FL)
  /// Backups by dump(8) leave it out. FS_NODUMP_FL.
  public static let noDump = FileFlags(rawValue: WEFT_FS_NODUMP_FL)
  /// Reads do not change its access time. FS_NOATIME_FL.
  public static let noAccessTime = FileFlags(rawValue: WEFT_FS_NOATIME_FL)
  /// Changes of the directory are durable when they return. FS_DIRSYNC_FL.
  public static let directorySynchronous = FileFlags(rawValue: WEFT_FS_DIRSYNC_FL)
  /// Directories in it are spread over the disk. FS_TOPDIR_FL.
  public static let topDirectory = FileFlags(rawValue: WEFT_FS_TOPDIR_FL)

  /// Each flag that FS_IOC_FSGETXATTR tells, too, and the bit that it has there: FS_XFLAG_*.
  private static let extended: [(FileFlags, UInt32)] = [
    (.synchronous, WEFT_FS_XFLAG_SYNC), (.immutable, WEFT_FS_XFLAG_IMMUTABLE),
    (.appendOnly, WEFT_FS_XFLAG_APPEND), (.noDump, WEFT_FS_XFLAG_NODUMP),
    (.noAccessTime, WEFT_FS_XFLAG_NOATIME),
  ]

  /// The bits of `fsx_xflags` that these flags are.
  var extendedBits: UInt32 {
    FileFlags.extended.reduce(0) { contains($1.0) ? $0 | $1.1 : $0 }
  }

  /// These flags, but as `fsx_xflags` says where it can; nil for a bit that has no flag.
  func with(extendedBits bits: UInt32) -> FileFlags? {
    guard bits & ~FileFlags.extended.reduce(0, { $0 | $1.1 }) == 0 else { return nil }
    return FileFlags.extended.reduce(self) { flags, pair in
      bits & pair.1 != 0 ? flags.union(pair.0) : flags.subtracting(pair.0)
    }
  }
}
