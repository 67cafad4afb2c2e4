import ControlChannel
import Famfs
import Platform

extension ServiceName {
  /// Daemons of famfs volumes.
  package static let famfs = ServiceName("famfs")
}

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

  /// Nanoseconds that a daemon is given to answer.
  public static let patience: UInt64 = 5_000_000_000

  /// Asks whether a mount's daemon is there, and does not wait longer than `patience`. The mount is asked nothing.
  public static func life(of mount: Mount) -> DaemonLife {
    do throws(NoDaemon) { _ = try ControlClient.reaching(mount) } catch {
      switch error {
      case .gone: return .isGone
      case .silent: return .isSilent
      case .ofAnotherUser, .unknown, .failed(.protocolError): return .isUnknown
      case .refused, .ofAnotherVersion, .failed: return .answers
      }
    }
    return .answers
  }

  /// The famfs mount that a path leads into, which need not exist. Whatever lies on a famfs is looked up by its name alone,
  /// for no symbolic link does: no famfs is asked anything, so no stopped daemon is waited for.
  public static func around(_ path: String) -> Mount? { locate(path)?.mount }

  /// The famfs mount whose root a path names, found as by `around`.
  public static func rooted(at path: String) -> Mount? {
    locate(path).flatMap { $0.place.isSamePath(as: $0.mount.mountPoint) ? $0.mount : nil }
  }

  private static func locate(_ path: String) -> (mount: Mount, place: String)? {
    guard let mounts = try? Mount.all(), mounts.contains(where: { $0.type == type }) else { return nil }
    var place = ""
    var rest = Array(pathComponents(absolutePath(path)).reversed())
    var links = 0
    while let name = rest.popLast() {
      if name == "." { continue }
      if name == ".." {
        place = place.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(place[..<$0]) } ?? ""
        continue
      }
      let next = place + "/" + name
      if containing(next, among: mounts) == nil, let target = try? linkTarget(next) {
        links += 1
        if links > 40 { return nil }
        if target.utf8.first == UInt8(ascii: "/") { place = "" }
        rest += pathComponents(target).reversed()
      } else {
        place = next
      }
    }
    if place.isEmpty { place = "/" }
    return containing(place, among: mounts).map { ($0, place) }
  }

  /// The mount that a path lies in, if nothing in it can be looked at: its daemon is gone or silent.
  public static func lost(around path: String) -> Mount? {
    guard let mount = around(path) else { return nil }
    let life = life(of: mount)
    return life == .isGone || life == .isSilent ? mount : nil
  }

  /// The mounts of the device at a path, also those whose daemons are gone: the mounts whose daemons say, or said, that
  /// they serve this very file or device. What the mounts call it does not count.
  public static func of(device path: String) -> [Mount] {
    guard let wanted = (try? FileStatus(path: path)).flatMap({ DeviceIdentity($0) }) else { return [] }
    let mounts = all()
    return zip(mounts, FoundRecord.of(mounts, .famfs)).filter { $0.1?.record.device == wanted }.map(\.0)
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
