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

  /// Whether a mount's daemon is there.
  public enum Life: Sendable {
    case answers, isGone, isSilent
  }

  /// Nanoseconds that a mount is given to answer.
  public static let patience: UInt64 = 5_000_000_000

  /// What to say of a mount that has not answered.
  public static let silence =
    "its daemon does not answer; if it is stopped, let it go on with kill -CONT, else end it with kill -KILL (pgrep -fa "
    + "famfs_fused shows it)"

  /// Whether a mount's daemon is gone. Waits for as long as it does not answer.
  public static func isDead(_ mount: Mount) -> Bool {
    // What stat(2) answers the kernel may still remember; for this it must ask. Daemons answer it without a lock, and must:
    // of a request that one has taken and does not answer nobody is rid, not even who is killed.
    do throws(Errno) { _ = try ControlClient.folder(of: mount.mountPoint) } catch {
      return error == Errno(rawValue: ENOTCONN) || error == Errno(rawValue: ECONNABORTED)
    }
    return false
  }

  /// Asks whether a mount's daemon is there, and does not wait longer than `patience`.
  public static func life(of mount: Mount) -> Life {
    guard let isDead = ask({ isDead(mount) }) else { return .isSilent }
    return isDead ? .isGone : .answers
  }

  /// The mount that a path lies in by its name, if nothing in it can be looked at: its daemon is gone or silent.
  public static func lost(around path: String) -> Mount? {
    guard let mount = containing(absolutePath(path)) else { return nil }
    return life(of: mount) == .answers ? nil : mount
  }

  /// The mounts of the device at a path.
  public static func of(device path: String) -> [Mount] {
    guard let wanted = try? FileStatus(path: path) else { return [] }
    let name = canonicalPath(path)
    return all().filter { mount in
      if mount.source.isSamePath(as: name) { return true }
      // It may lie on what does not answer.
      guard mount.source.hasPrefix("/"), let found = ask({ try? FileStatus(path: mount.source) }), let status = found
      else { return false }
      return status.kind == wanted.kind
        && (status.kind == .regular
          ? status.device == wanted.device && status.inode == wanted.inode
          : status.specialDevice == wanted.specialDevice)
    }
  }

  private static func ask<Answer: Sendable>(_ question: @escaping @Sendable () -> Answer) -> Answer? {
    (try? Look(question))?.wait(until: Clock.monotonic() + patience)
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
