import CommandKit
import Famfs
import FamfsControl
import Platform

/// famfs clone
enum CloneCommand: Command {
  static let name = "clone"
  static let synopsis = "SOURCE DEST"
  static let about = """
    Make a second file of another's very memory, in the same mounted famfs: a cross-linked volume, for tests.

    What is written to one is seen in the other. fsck warns of it.
    """
  static let options = [Option("v", "verbose", nil, "print a line about what was made")]
  static let examples = ["famfs clone /mnt/fam/a /mnt/fam/b"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 2 else { throw UsageError("name a file, and what its clone is to be called") }
    let source = try VolumePath(arguments.operands[0])
    let clone = try VolumePath(arguments.operands[1])
    guard source.mount == clone.mount else {
      throw FamfsError.other("\(arguments.operands[1]) is not in the same mounted famfs as \(arguments.operands[0])")
    }
    try ControlClient(to: source.mount).ask(.clone(source.path, to: clone.path))
    if arguments.has("verbose") { printLine("\(command): made \(clone.absolute)") }
    return 0
  }
}
