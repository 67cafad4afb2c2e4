import CommandKit
import Famfs
import FamfsControl
import Platform

/// famfs mkmeta
enum MkmetaCommand: Command {
  static let name = "mkmeta"
  static let synopsis = "DEVICE"
  static let about = """
    Make a mounted volume's own files visible: .meta/.superblock and .meta/.log.

    They always are, so there is nothing to do: exit status 0 when DEVICE is mounted, 1 when it is not.
    """
  static let options = [Option("v", "verbose", nil, "tell where they are")]
  static let examples = ["famfs mkmeta /dev/dax0.0"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1 else { throw UsageError("name one device that is mounted") }
    let device = arguments.operands[0]
    guard let mount = MountedVolume.of(device: device).first else {
      throw FamfsError.other("\(device) is not mounted; mount it with famfs mount DEVICE MOUNTPOINT")
    }
    if arguments.has("verbose") { printLine("\(command): see \(mount.mountPoint)/.meta") }
    return 0
  }
}
