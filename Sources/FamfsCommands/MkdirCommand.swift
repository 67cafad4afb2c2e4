import CommandKit
import Famfs
import FamfsControl
import Glibc
import Platform

/// famfs mkdir
enum MkdirCommand: Command {
  static let name = "mkdir"
  static let synopsis = "[options] PATH..."
  static let about = """
    Make directories in a mounted famfs.
    """
  static let options = [
    Option("p", "parents", nil, "make missing parents too; a directory that exists is no error"),
    Option("m", "mode", "MODE", "permission bits in octal (0777 less the umask)"),
    Option("u", "uid", "UID", "owner (the caller)"),
    Option("g", "gid", "GID", "group (the caller's)"),
    Option("v", "verbose", nil, "print a line for each directory made"),
  ]
  static let goesOn = true
  static let examples = ["famfs mkdir -p /mnt/fam/models/2026"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard !arguments.operands.isEmpty else { throw UsageError("name a directory to make") }
    let owner = try Ownership(arguments)
    let mode = try arguments.mode() ?? 0o777 & ~currentUmask()
    return forEachPath(arguments) { _, path in
      let client = try ControlClient(to: path.mount)
      let made = try DirectoryMaker.make(
        path, withParents: arguments.has("parents"), mode: mode, owner: owner, through: client)
      if arguments.has("verbose") { for name in made { printLine("\(command): made \(name)") } }
    }
  }
}
