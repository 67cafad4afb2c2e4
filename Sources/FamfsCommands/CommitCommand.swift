import CommandKit
import Famfs
import FamfsControl
import Platform

/// famfs commit
enum CommitCommand: Command {
  static let name = "commit"
  static let synopsis = "PATH..."
  static let about = """
    Make files that programs have created on the master's mount visible on all hosts, now.

    That happens by itself a second after the last close of a file, and at its fsync(2); after it the file keeps its
    size and its name. PATH is a file, or a directory with all below it: a mount point stands for all there is.
    """
  static let options = [Option("v", "verbose", nil, "print a line for each path")]
  static let examples = ["famfs commit /mnt/fam/data.parquet", "famfs commit /mnt/fam"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard !arguments.operands.isEmpty else { throw UsageError("name a file or a directory in a mounted famfs") }
    return forEachPath(arguments) { operand, path in
      guard (try? FileStatus(path: path.absolute)) != nil else { throw FamfsError.notFound(operand) }
      try ControlClient(to: path.mount).ask(.commitStaged(path.path))
      if arguments.has("verbose") { printOut("\(command): \(operand) is committed\n") }
    }
  }
}
