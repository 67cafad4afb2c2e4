import Famfs
import Glibc
import Platform

/// Finding the famfs mounts of this host.
public enum MountedVolume {
  /// What /proc/mounts shows as the type.
  public static let type = "fuse.famfs"

  /// Every famfs mount that this process sees.
  public static func all() -> [Mount] { ((try? Mount.all()) ?? []).filter { $0.type == type } }

  /// The mount that a real path (absolute, without symbolic links) lies in, if that is a famfs.
  /// - Parameter mounts: all that there are; nil looks for them.
  public static func containing(_ path: String, among mounts: [Mount]? = nil) -> Mount? {
    // The longest mount point wins; of two at one place the later one, which covers the other.
    var best: Mount?
    for mount in mounts ?? (try? Mount.all()) ?? [] {
      let point = mount.mountPoint
      if path.isInside(point) && point.utf8.count >= (best?.mountPoint.utf8.count ?? 0) { best = mount }
    }
    return best?.type == type ? best : nil
  }

  /// Whether a mount's daemon is gone. What stat(2) answers the kernel may still remember; statfs(2) it must ask for.
  public static func isDead(_ mount: Mount) -> Bool {
    var status = statvfs()
    return statvfs(mount.mountPoint, &status) == -1 && (errno == ENOTCONN || errno == ECONNABORTED)
  }

  /// The mounts of the device at a path.
  public static func of(device path: String) -> [Mount] {
    guard let wanted = try? FileStatus(path: path) else { return [] }
    return all().filter { mount in
      guard mount.source.hasPrefix("/"), let status = try? FileStatus(path: mount.source) else { return false }
      return status.kind == wanted.kind
        && (status.kind == .regular
          ? status.device == wanted.device && status.inode == wanted.inode
          : status.specialDevice == wanted.specialDevice)
    }
  }
}

/// Paths as the kernel compares them, byte for byte: for Swift `é` is equal to `e` and an accent.
extension String {
  /// Whether this is the same path.
  public func isSamePath(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }

  /// Whether this real path is a directory's, or that of something in it.
  public func isInside(_ directory: String) -> Bool {
    isSamePath(as: directory) || utf8.starts(with: (directory == "/" ? directory : directory + "/").utf8)
  }
}
