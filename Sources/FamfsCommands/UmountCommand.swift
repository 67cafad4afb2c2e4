import CommandKit
import Famfs
import FamfsControl
import Fuse
import Platform

/// famfs umount
enum UmountCommand: Command {
  static let name = "umount"
  static let synopsis = "[options] MOUNTPOINT|DEVICE"
  static let about = """
    Unmount a famfs, and wait until its daemon has let go of the device.
    """
  static let options = [
    Option("l", "lazy", nil, "detach it now, also when files are open; it ends when they are closed"),
    Option("v", "verbose", nil, "tell what is done"),
  ]
  static let examples = ["famfs umount /mnt/fam"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1 else { throw UsageError("name one mount point, or one device") }
    let isLazy = arguments.has("lazy")
    let mounts = try find(arguments.operands[0])
    for mount in mounts {
      let daemon = isLazy ? nil : try connect(to: mount)
      try Mounting.unmount(mount.mountPoint, lazily: isLazy)
      if daemon?.waitForEnd(milliseconds: 10_000) == false {
        throw FamfsError.other("\(mount.mountPoint) is unmounted, but its daemon still runs after 10 s")
      }
      if arguments.has("verbose") { printLine("\(mount.mountPoint) unmounted") }
    }
    return 0
  }

  /// Connects to the daemon, to see when it has ended.
  /// - Returns: nil when it cannot be asked, and so not be waited for: it is gone already, or another user's.
  /// - Throws: a sentence, when the daemon does not answer: an unmount could wait for it for ever.
  private static func connect(to mount: Mount) throws -> ControlClient? {
    do throws(NoDaemon) { return try ControlClient.reaching(mount) } catch {
      guard case .silent = error else { return nil }
      throw FamfsError.other(
        "\(mount.mountPoint) is still mounted: \(error.reason); or detach it with famfs umount --lazy")
    }
  }

  private static func find(_ operand: String) throws -> [Mount] {
    // A mount whose daemon died or is stopped cannot be looked into.
    if let mount = MountedVolume.rooted(at: operand) { return [mount] }
    if let mount = MountedVolume.around(operand) {
      throw FamfsError.other("\(operand) lies in the famfs at \(mount.mountPoint); name that mount point")
    }
    if let mount = Mount.top(at: canonicalPath(operand)) {
      throw FamfsError.other("\(operand) has \(mount.source) (\(mount.type)) mounted on it, which is no famfs")
    }
    let mounts = MountedVolume.of(device: operand)
    if mounts.isEmpty { throw FamfsError.other("\(operand) is no mounted famfs; see grep famfs /proc/mounts") }
    return mounts
  }
}
