import CommandKit
import Famfs
import FamfsControl
import Memory
import Platform

/// famfs check
enum CheckCommand: Command {
  static let name = "check"
  static let synopsis = "[options] PATH"
  static let about = """
    Check every file and directory of a mounted volume against its log.

    The log is played afresh from the device, and each name in it is looked up through the mount: type, size, and where
    its bytes lie. PATH is any path in the volume. Exit status 0 when all is good; else the sum of 1 (a file or
    directory is not there, or wrong, or a device is missing), 2 (superblock) and 4 (log). With --json: mount_point, device, files, directories
    (checked), unmapped, superblock_good, log_good, status, problems (the first 1000, of path, or null, and problem).
    """
  static let options = [
    Option("v", "verbose", nil, "print a line for each file and directory"),
    Option(nil, "json", nil, "print it for programs"),
  ]
  static let examples = ["famfs check /mnt/fam"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1 else { throw UsageError("name one path in a mounted famfs") }
    let isJSON = arguments.has("json")
    let mount = try VolumePath.mount(around: arguments.operands[0])
    let client = try ControlClient(to: mount)
    let devices = try client.devices(writable: false)
    let check = try MountCheck(
      of: mount, through: client, on: devices, isVerbose: arguments.has("verbose") && !isJSON,
      isSilent: isJSON)
    let outcome = check.run()
    if isJSON { json(outcome, mount).print() } else { printOut(summary(outcome, mount)) }
    return outcome.status
  }

  private static func summary(_ outcome: MountCheck.Outcome, _ mount: Mount) -> String {
    var faults: [String] = []
    if outcome.wrong > 0 { faults.append("\(outcome.wrong) unmapped or wrong") }
    if outcome.wrong == 0 && outcome.status & MountCheck.entry != 0 { faults.append("not all could be checked") }
    if outcome.status & MountCheck.superblock != 0 { faults.append("bad superblock") }
    if outcome.status & MountCheck.log != 0 { faults.append("bad log") }
    return "\(command): \(mount.mountPoint): \(outcome.files) files, \(outcome.directories) directories: "
      + (faults.isEmpty ? "all good" : faults.joined(separator: ", ")) + "\n"
  }

  private static func json(_ outcome: MountCheck.Outcome, _ mount: Mount) -> JSON {
    let problems = outcome.problems.map { problem -> JSON in
      ["path": JSON(problem.path), "problem": .text(problem.sentence)]
    }
    return [
      "mount_point": .text(mount.mountPoint), "device": .text(mount.source), "files": .number(outcome.files),
      "directories": .number(outcome.directories), "unmapped": .number(outcome.wrong),
      "superblock_good": .bool(outcome.status & MountCheck.superblock == 0),
      "log_good": .bool(outcome.status & MountCheck.log == 0), "status": .number(UInt64(outcome.status)),
      "problems": .list(problems),
    ]
  }
}
