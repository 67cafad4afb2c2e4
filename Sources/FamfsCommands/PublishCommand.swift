import CommandKit
import Erofs
import Famfs
import FamfsControl
import Platform

/// famfs publish
enum PublishCommand: Command {
  static let name = "publish"
  static let synopsis = "[options] DEVICE|PATH"
  static let about = """
    Let any Linux host read the files there are now through its own EROFS, without a daemon: mount -t erofs -o ro DEVICE.

    PATH is any path in a mounted famfs, DEVICE one that is not mounted; this host is the volume's master. Where the
    device is memory of the host (fsdax), -o ro,dax=always maps files straight from it. Files that are added later
    appear after another famfs publish, once those hosts have mounted anew; with famfs mount -o publish that is done
    after each commit. Metadata is never written over, so each time takes some space, about 100 bytes for each file.

    With --json: device, area (the file with the metadata), metadata_offset, metadata_bytes, files, directories, entries
    (of the log).
    """
  static let options = [
    Option("f", "force", nil, "publish although files can be removed: EROFS may then read what replaced them"),
    .device,
    Option("v", "verbose", nil, "print a line about what was done"),
    Option(nil, "json", nil, "print it for programs"),
  ]
  static let examples = ["famfs publish /mnt/fam", "famfs publish --json /dev/pmem0"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1 else { throw UsageError("name one path in a mounted famfs, or one device") }
    let (operand, force) = (arguments.operands[0], arguments.has("force"))
    let (device, view) = try published(operand, force: force, arguments)
    if arguments.has("json") {
      let json: JSON = [
        "device": .text(device), "area": .text(view.area), "metadata_offset": .number(view.offset),
        "metadata_bytes": .number(view.size), "files": .number(view.files), "directories": .number(view.directories),
        "entries": .number(view.entries),
      ]
      json.print()
    } else if arguments.has("verbose") {
      printLine(
        "\(command): \(device): \(view.files) files and \(view.directories) directories, \(view.size) bytes of metadata "
          + "in \(view.area)")
    }
    return 0
  }

  private static func published(
    _ operand: String, force: Bool, _ arguments: Arguments
  ) throws -> (device: String, View) {
    if case .mount(let mount) = try VolumeOperand(operand) {
      return (mount.source, try publish(through: ControlClient(to: mount), force: force))
    }
    if (try? FileStatus(path: operand))?.kind == .directory {
      throw FamfsError.other("\(operand) is in no mounted famfs")
    }
    let device = try MountLock.exclusive(operand)
    let search = DeviceSearch(named: arguments.all("device"))
    let volume = try Volume(on: device, host: try HostIdentity.systemUUID(), finding: search.find)
    return (operand, try UnmountedPublishing.publish(volume, force: force))
  }

  private static func publish(through client: borrowing ControlClient, force: Bool) throws -> View {
    guard case .publishing(let number) = try client.ask(.publish(force: force)) else { throw ControlClient.nonsense }
    while true {
      switch try client.ask(.publication(number)) {
      case .published(let view): return view
      case .publishing: Clock.sleep(nanoseconds: 2_000_000)
      default: throw ControlClient.nonsense
      }
    }
  }
}
