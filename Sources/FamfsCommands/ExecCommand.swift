import CommandKit
import Famfs
import Glibc
import Platform

/// famfs exec
enum ExecCommand: Command {
  static let name = "exec"
  static let synopsis = "[--] COMMAND [ARGUMENT...]"
  static let about = """
    Run a program so that what it maps of files on a famfs mount is the shared memory itself.

    Without it mmap goes through the kernel's page cache: each host has its own copy, and faults are requests to the
    daemon. With it a load or a store goes to the device, with no copy and no system call, as long as this user may open
    the device. Whatever cannot be mapped directly is mapped as always, and read and write are not changed.
    """
  static let options = [Option("v", "verbose", nil, "say which library is used")]
  static let examples = ["famfs exec -- python3 train.py"]
  static let runsProgram = true
  static let library = "libfamfs_exec.so"

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard let program = arguments.operands.first else { throw UsageError("name a program to run") }
    let path = try find()
    if arguments.has("verbose") { printError("\(command): \(path)") }
    // Others that were asked for stay, behind ours.
    let before = environment("LD_PRELOAD").map { ":" + $0 } ?? ""
    setenv("LD_PRELOAD", path + before, 1)
    let error = Spawn.replace(by: program, arguments.operands)
    printError("\(command): \(program) cannot be run: \(error)")
    return error == .noEntry ? 127 : 126
  }

  /// The library: beside the folder that the program is in.
  private static func find() throws(FamfsError) -> String {
    guard let own = try? realPath("/proc/self/exe") else {
      throw .other("/proc is not mounted, and \(library) cannot be found without it")
    }
    let folder = own.split(separator: "/").dropLast(2).joined(separator: "/")
    let path = "/\(folder)/lib/\(library)"
    guard access(path.cFileName, R_OK) == 0 else {
      throw .other("\(path) is missing; install the program whole, by make install")
    }
    // The loader takes blanks and colons for separators.
    guard !path.contains(" "), !path.contains(":") else {
      throw .other("\(path): there is a blank or a colon in the path, which ld.so cannot take; install it elsewhere")
    }
    return path
  }
}
