import CommandKit
import Famfs
import FamfsControl
import Glibc
import Memory
import Platform

/// famfs devadd
enum DevaddCommand: Command {
  static let name = "devadd"
  static let synopsis = "[options] TARGET DEVICE"
  static let about = """
    Add a device to a volume, whose room then belongs to it. Nothing ever takes it away again.

    TARGET is any path in a mounted famfs, or the volume's first device when it is not mounted. Other hosts find the
    device by its UUID, among their dax and pmem devices. A plain file they cannot find: there run this on the mount,
    which takes a device that the volume has into use and changes nothing, or mount with --device.
    """
  static let options = [
    Option("f", "force", nil, "take it even when it holds a file system, famfs or other, which is destroyed"),
    Option("s", "size", "SIZE", "make DEVICE, a plain file of this size, for trying things out"),
    .device,
    Option("v", "verbose", nil, "print a line about what was done"),
  ]
  static let examples = ["famfs devadd /mnt/fam /dev/dax1.0", "famfs devadd --size 1G /mnt/fam /dev/shm/more"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 2 else {
      throw UsageError("name a mounted path or a device, and a device to add")
    }
    let (target, path) = (arguments.operands[0], canonicalPath(arguments.operands[1]))
    let made = try arguments.size("size").map { try SimulatedDevice(path, size: $0, taking: arguments.has("force")) }
    if let made, !made.isNew { printError("\(command): \(path) was there already, and is used") }
    let index: UInt64
    do { index = try add(path, to: target, arguments) } catch {
      made?.remove()
      throw error
    }
    if arguments.has("verbose") { printLine("\(command): \(path) is device \(index)") }
    return 0
  }

  private static func add(_ path: String, to target: String, _ arguments: Arguments) throws -> UInt64 {
    let force = arguments.has("force")
    if case .mount(let mount) = try VolumeOperand(target) {
      // A mount that is read-only as a whole may still take a device into use that the volume has.
      if mount.isReadOnly && !mount.options.split(separator: ",").contains("ro") {
        try ControlClient(to: mount).checkWritable()
      }
      guard case .added(let index) = try ControlClient(to: mount).ask(.addDevice(path, force: force)) else {
        throw ControlClient.nonsense
      }
      return index
    }
    guard let status = try? FileStatus(path: target), status.kind != .directory else {
      throw FamfsError.other("\(target) is in no mounted famfs")
    }
    let device = try MappedDevice(path: target, writable: true)
    do { try MountLock.take(MountLock.mounted, of: device, exclusive: true) } catch {
      throw FamfsError.other("\(target) is in use by a mount or a command; wait until it ends")
    }
    let search = DeviceSearch(named: arguments.all("device"), writable: true)
    let volume = try Volume(on: device, host: try HostIdentity.systemUUID(), finding: search.find)
    return try NewDevice.add(
      try MappedDevice(path: path, writable: true, unmounted: true), to: volume, force: force)
  }
}

extension Option {
  /// Where a volume's further devices may be: given once for each.
  package static let device = Option(
    nil, "device", "PATH", "where a further device of the volume is, if it is a plain file; may be repeated")
}
