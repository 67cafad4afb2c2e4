import CommandKit
import Famfs
import FamfsControl
import Platform

/// famfs getmap
enum GetmapCommand: Command {
  static let name = "getmap"
  static let synopsis = "[options] FILE"
  static let about = """
    Show where a file's bytes lie on the device.

    Exit status 0 when FILE is a file of a mounted famfs that its daemon can map, 1 when it is none, 2 when the daemon
    knows nothing of it, or is gone. With --json: path, size, layout (simple or interleaved), chunk_size (null unless
    interleaved), extents (of device, offset, length, in bytes).
    """
  static let options = [
    Option("q", "quiet", nil, "print nothing of the map: the exit status says it"),
    Option(nil, "json", nil, "print the map for programs"),
    Option("c", "continue", nil, nil),
  ]
  static let examples = ["famfs getmap /mnt/fam/queue", "famfs getmap --json /mnt/fam/queue"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1 else { throw UsageError("name one file in a mounted famfs") }
    if arguments.has("quiet") && arguments.has("json") { throw UsageError("--quiet and --json exclude each other") }
    let operand = arguments.operands[0]
    if let mount = MountedVolume.lost(around: operand) {
      printError("\(command): \(mount.mountPoint): its daemon is gone or does not answer, and nothing there is mapped")
      return 2
    }
    let path = try VolumePath(operand)
    switch try kind(of: path) {
    case nil: return 2
    case .regular: break
    default: throw FamfsError.other("\(operand) is no file of a famfs; only files have extents")
    }
    guard let (layout, size) = try map(path) else { return 2 }
    if arguments.has("json") {
      JSON.object([("path", .text(operand)), ("size", .number(size))] + JSON.members(of: layout)).print()
    } else if !arguments.has("quiet") {
      printOut(describe(layout, size: size, of: operand))
    }
    return 0
  }

  /// What kind of file it is; nil, with a line about it, when the mount cannot say.
  private static func kind(of path: VolumePath) throws -> FileStatus.Kind? {
    do throws(Errno) { return try FileStatus(path: path.absolute).kind } catch {
      if error == .noEntry || error == .notDirectory { throw FamfsError.notFound(path.absolute) }
      if error == .accessDenied || error == .notPermitted {
        throw FamfsError.other("\(path.absolute): \(error); use sudo")
      }
      printError("\(command): \(path.absolute) is not mapped: \(error)")
      return nil
    }
  }

  /// What the daemon says; nil, with a line about it, when it refuses.
  /// - Throws: a sentence, when this user may not ask it.
  private static func map(_ path: VolumePath) throws -> (FileLayout, UInt64)? {
    let client = try ControlClient(to: path.mount)
    do {
      guard case .mapped(let layout, let size) = try client.ask(.map(path.path)) else { throw ControlClient.nonsense }
      return (layout, size)
    } catch {
      printError("\(command): \(error)")
      return nil
    }
  }

  private static func describe(_ layout: FileLayout, size: UInt64, of name: String) -> String {
    let isSimple = layout.chunkSize == 0
    var text = "File:      \(oneLine(name))\n  size:    \(size)\n"
    text += isSimple ? "  extents: \(layout.extents.count)\n" : "  strips:  \(layout.extents.count)\n"
    if !isSimple { text += "  chunk:   \(layout.chunkSize)\n" }
    for extent in layout.extents.array {
      text += "    device \(extent.device) offset 0x\(hexadecimal(extent.offset)) length \(extent.length)\n"
    }
    return text
  }
}
