import Famfs
import Platform

/// How a mount is.
public struct MountStatus: Equatable, Sendable {
  /// The mount that is served: what stat(2) gives as st_dev, as numbers.
  public var mountMajor: UInt64
  /// The number behind it.
  public var mountMinor: UInt64
  /// Whether this mount may add files.
  public var isMaster: Bool
  /// Whether the superblock names its host as the master.
  public var isNamed = false
  /// Whether it does no more than the public famfs does.
  public var isStrict = false
  /// The daemon's process.
  public var processID: UInt64 = 0
  /// The volume's own identifier.
  public var volumeUUID = UUID.zero
  /// The identifier of the host that may append to the log.
  public var masterUUID = UUID.zero
  /// How file contents travel: a few words for people.
  public var dataPath = ""
  /// Log entries played.
  public var entries: UInt64 = 0
  /// Log entries that fit.
  public var entryCapacity: UInt64 = 0
  /// Bad ones among those played.
  public var badEntries: UInt64 = 0
  /// Files in the volume.
  public var files: UInt64 = 0
  /// Directories in the volume, without the root.
  public var directories: UInt64 = 0
  /// Bytes in use, superblock and log among them.
  public var usedBytes: UInt64 = 0
  /// Bytes that nobody uses.
  public var freeBytes: UInt64 = 0

  /// How the mount of this device number is, of which nothing more is known.
  package init(mountMajor: UInt32, mountMinor: UInt32, isMaster: Bool) {
    (self.mountMajor, self.mountMinor) = (UInt64(mountMajor), UInt64(mountMinor))
    self.isMaster = isMaster
  }

  /// Why this mount may not add files, when it may not.
  public var isNoMaster: FamfsError { isNamed ? .notMasterYet : .notMaster(masterUUID) }
}
