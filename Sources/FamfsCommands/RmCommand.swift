import CommandKit
import Famfs
import FamfsControl
import Glibc
import Platform

/// famfs rm
enum RmCommand: Command {
  static let name = "rm"
  static let synopsis = "[options] PATH..."
  static let about = """
    Remove files from a volume that was made with mkfs.famfs --reclaim, on all hosts.

    The names are gone at once. A program that has a file open keeps it. The space comes back when no mount that lives
    can be reading it any more: a second or so after the last close. Each removal uses one entry of the log.
    """
  static let options = [
    Option("f", "force", nil, "what does not exist is no error"),
    Option("r", "recursive", nil, "remove directories too, with all that is in them"),
    Option("v", "verbose", nil, "print a line for each thing removed"),
  ]
  static let goesOn = true
  static let examples = ["famfs rm /mnt/fam/old.parquet", "famfs rm -r /mnt/fam/models/2025"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard !arguments.operands.isEmpty else { throw UsageError("name a file to remove") }
    var remover = Remover(isVerbose: arguments.has("verbose"))
    var removed: [VolumePath] = []
    let status = forEachOperand(arguments) { operand in
      guard let path = try find(operand, arguments) else { return }
      try remover.remove(path)
      removed.append(path)
    }
    // The daemon tells the kernel a moment later.
    let deadline = Clock.monotonic() + 5_000_000_000
    for path in removed {
      while exists(path.absolute) && Clock.monotonic() < deadline { Clock.sleep(nanoseconds: 2_000_000) }
    }
    return status
  }

  /// Checks that something may be removed; nil when it is not there and need not be.
  private static func find(_ operand: String, _ arguments: Arguments) throws -> VolumePath? {
    var byte: CChar = 0
    if readlink(operand.cFileName, &byte, 1) >= 0 {
      throw FamfsError.other("\(operand) is a symbolic link, which no famfs has; name the file itself")
    }
    let path = try VolumePath(operand)
    guard let found = try? FileStatus(path: path.absolute) else {
      if arguments.has("force") { return nil }
      throw FamfsError.notFound(operand)
    }
    if path.isReserved { throw FamfsError.reserved(operand) }
    if path.path.isEmpty { throw FamfsError.other("\(operand) is the volume's root; name what is to be removed in it") }
    if found.kind == .directory && !arguments.has("recursive") {
      throw FamfsError.other("\(operand) is a directory; use -r to remove it and all that is in it")
    }
    return path
  }

  private static func exists(_ path: String) -> Bool { access(path.cFileName, F_OK) == 0 }
}

/// Removes files and directories, one entry of the log each.
private struct Remover {
  let isVerbose: Bool
  private var client: (mountPoint: String, connection: Connection)?

  private final class Connection {
    let client: ControlClient
    init(to mount: Mount) throws { client = try ControlClient(to: mount) }
  }

  init(isVerbose: Bool) { self.isVerbose = isVerbose }

  /// Removes what is there, a directory with all that is in it.
  mutating func remove(_ path: VolumePath) throws {
    let isDirectory = try FileStatus(path: path.absolute).kind == .directory
    if isDirectory {
      for name in directoryNames(path.absolute) {
        try remove(path.appending(name))
      }
    }
    // What is not committed is removed as on any file system.
    do throws(Errno) {
      try retrying { isDirectory ? rmdir(path.absolute.cFileName) : unlink(path.absolute.cFileName) }
    } catch {
      guard error == .notPermitted || error == .readOnlyFileSystem else {
        throw FamfsError.other("\(path.absolute) cannot be removed: \(error)")
      }
      try connection(to: path.mount).client.ask(.remove(path.path))
    }
    if isVerbose { printLine("\(RmCommand.command): removed \(path.absolute)") }
  }

  private mutating func connection(to mount: Mount) throws -> Connection {
    if let client, client.mountPoint == mount.mountPoint { return client.connection }
    let connection = try Connection(to: mount)
    client = (mount.mountPoint, connection)
    return connection
  }
}
