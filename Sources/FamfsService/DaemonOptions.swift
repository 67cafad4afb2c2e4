import FamfsControl
import Memory

/// How a volume is to be mounted.
public struct DaemonOptions: Sendable {
  /// The device's path.
  public var device: String
  /// Where the volume's further devices may be, if they are plain files.
  public var furtherDevices: [String] = []
  /// Where; an empty directory.
  public var mountPoint: String
  /// What the page cache may keep of contents; nil for what suits the device.
  public var cache: CachePolicy?
  /// Who keeps what hosts have cached of contents up to date; nil for what the devices ask for.
  public var coherence: Coherence?
  /// How long the kernel may keep names and attributes, in nanoseconds; nothing of them ever goes stale.
  public var lifetime = UInt64.max
  /// Whether other users than the one who mounts may come in.
  public var allowsOthers = true
  /// Whether the kernel checks modes; else nobody does, and only the user who mounts may come in.
  public var checksPermissions = true
  /// Whether the log is played; else only the volume's own files are there until `famfs logplay`.
  public var playsLog = true
  /// Whether all writing is refused, by the kernel and to commands.
  public var isReadOnly = false
  /// Whether the volume is published for EROFS after each commit.
  public var publishes = false
  /// Nanoseconds from the last close of a file that a program made to its commit.
  public var commitDelay: UInt64 = 1_000_000_000
  /// What each user other than root may hold of what is not committed.
  public var userLimits = UserLimits()
  /// The modes of dax devices in which a famfs kernel may find files' memory by itself, where all else that it needs is
  /// there.
  public var kernelMapModes: Set<DaxMode> = [.famfs]
  /// Whether programs on it may be run.
  public var allowsPrograms = true
  /// Whether it does no more than the public famfs does.
  public var isStrict = false
  /// Says what happens on standard error.
  public var isForeground = false

  /// The usual options.
  public init(device: String, mountPoint: String) {
    self.device = device
    self.mountPoint = mountPoint
  }
}
