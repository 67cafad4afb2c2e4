import Famfs
import FamfsMount
import Fuse
import Platform

/// famfs umount
enum UnmountCommand: Verb {
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
      if daemon?.client?.waitForEnd(milliseconds: 10_000) == false {
        throw FamfsError.other("\(mount.mountPoint) is unmounted, but its daemon still runs after 10 s")
      }
      if arguments.has("verbose") { printLine("\(mount.mountPoint) unmounted") }
    }
    return 0
  }

  private final class Connection: Sendable {
    /// Ends with the daemon; nil when that is gone already, and cannot be waited for.
    let client: ControlClient?

    init(to mount: Mount) { client = try? ControlClient(to: mount) }
  }

  /// - Throws: a sentence, when the daemon does not answer: an unmount could wait for it for ever.
  private static func connect(to mount: Mount) throws -> Connection {
    let look = try Look { Connection(to: mount) }
    if let daemon = look.wait(until: Clock.monotonic() + MountedVolume.patience) { return daemon }
    throw FamfsError.other(
      "\(mount.mountPoint) is still mounted: \(MountedVolume.silence); or detach it with famfs umount --lazy")
  }

  private static func find(_ operand: String) throws -> [Mount] {
    // A mount whose daemon died cannot be looked into, so compare names before asking the kernel.
    if let mount = Mount.top(at: canonicalPath(operand)) {
      if mount.type == MountedVolume.type { return [mount] }
      throw FamfsError.other("\(operand) has \(mount.source) (\(mount.type)) mounted on it, which is no famfs")
    }
    if let path = try? VolumePath(operand), path.path.isEmpty { return [path.mount] }
    let mounts = MountedVolume.of(device: operand)
    if mounts.isEmpty { throw FamfsError.other("\(operand) is no mounted famfs; see grep famfs /proc/mounts") }
    return mounts
  }
}
