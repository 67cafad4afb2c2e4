import Famfs
import Glibc
import Memory
import Platform

/// Where a simulated device is made that has no name: where the pages are largest.
///
/// A tmpfs that gives huge pages by itself comes first, for there the whole device has them; if there is none root makes
/// one. Next comes /dev/shm, where they can be had as files are written, or not at all. hugetlbfs is left to those who
/// name it: its pages are set apart for somebody, and cannot be mapped in parts.
enum DevicePlace {
  /// The tmpfs that root makes.
  static let own = "/run/famfs/huge"
  private static let shared = "/dev/shm"

  /// Makes a device in the best place that has room.
  static func make(size: UInt64) throws -> SimulatedDevice {
    var folders = [own, shared]
    if pageOption(of: shared) != nil { folders.reverse() }
    for folder in folders where folder == shared || pageOption(of: own) != nil || makeOwn() {
      guard hasRoom(folder, for: size) else { continue }
      for _ in 0..<100 {
        let path = "\(folder)/famfs-\("\(UUID.random())".prefix(8))"
        if access(path, F_OK) != 0 { return try SimulatedDevice(path, size: size) }
      }
    }
    throw FamfsError.other(
      "neither \(own) nor \(shared) has room for \(size) bytes and may be written; name a DEVICE, in a larger tmpfs")
  }

  /// How the tmpfs that is mounted at a place gives huge pages; nil when it does not.
  private static func pageOption(of folder: String) -> String? {
    guard let mount = Mount.top(at: folder), mount.type == "tmpfs", let option = mount.option("huge"),
      option != "never", option != "advise"
    else { return nil }
    return option
  }

  private static func hasRoom(_ folder: String, for size: UInt64) -> Bool {
    guard access(folder, W_OK | X_OK) == 0,
      let directory = try? FileDescriptor(opening: folder, [.readOnly, .directory]),
      let about = try? HostFileSystem(of: directory)
    else { return false }
    return about.available.map { $0 >= size } ?? true
  }

  /// Mounts a tmpfs for all users, as /dev/shm is one. One at a time: a second mount would hide what was made in the
  /// first.
  private static func makeOwn() -> Bool {
    guard geteuid() == 0 else { return false }
    for folder in ["/run/famfs", own] where mkdir(folder, 0o755) != 0 && errno != EEXIST { return false }
    guard let turn = try? FileDescriptor(opening: own + ".lock", [.readWrite, .create], mode: 0o600),
      (try? retrying { flock(turn.rawValue, LOCK_EX) }) != nil
    else { return false }
    if Mount.top(at: own) != nil { return pageOption(of: own) != nil }
    let flags = UInt(MS_NOSUID | MS_NODEV)
    return mount("famfs", own, "tmpfs", flags, "huge=always,mode=1777") == 0
  }
}
