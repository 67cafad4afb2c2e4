import CommandKit
import FamfsCommands
import KfsCommands
import Platform
import QueueCommands

/// The program: which command its name or its first word picks.
enum Program {
  /// As `--version` prints it.
  static let version = weftVersion

  /// Programs with a name of their own.
  private static let programs: [any Command.Type] =
    FamfsCommandTable.programs + [FamfsFusedCommand.self] + KfsCommandTable.programs + queuePrograms
  /// What stands behind `famfs`.
  private static let commands: [any Command.Type] = FamfsCommandTable.all

  /// Runs the command.
  /// - Parameter arguments: argv, the program's own name first.
  /// - Returns: the exit status.
  static func main(_ arguments: [String]) -> Int32 {
    StandardStreams.secure()
    let status = pick(arguments)
    guard let error = StandardStreams.failure else { return status }
    printError("standard output cannot be written: \(error); what was to be done is done, but was not all told")
    return status == 0 ? 1 : status
  }

  /// Runs the command, and leaves the process's streams and signals as they are.
  static func pick(_ arguments: [String]) -> Int32 {
    var words = arguments[...]
    let path = words.popFirst() ?? "weft"
    var name = path.split(separator: "/").last.map(String.init) ?? path
    if name == "weft" {
      if words.first == "--completions" {
        printOut(Completions.table(of: commands + programs))
        return 0
      }
      guard let first = words.first, first == "famfs" || programs.contains(where: { $0.name == first }) else {
        return families(words.first)
      }
      name = first
      words.removeFirst()
    }
    if name == KfsFusedCommand.name { return KfsFusedCommand.main(Array(words)) }
    if let program = programs.first(where: { $0.name == name }) {
      return program.main(Array(words), checkEnvironment: FamfsEnvironment.check)
    }
    return famfs(Array(words))
  }

  private static func famfs(_ words: [String]) -> Int32 {
    guard let first = words.first else {
      printErrorText(overview + "\n")
      return 1
    }
    switch first {
    case "-h", "-?", "--help", "help": printOut(overview + "\n")
    case "--version", "-V": printOut("famfs \(version) (Weft)\n")
    default:
      guard let command = commands.first(where: { $0.name == first }) else {
        printError("famfs: there is no command '\(first)'; see famfs --help")
        return 3
      }
      return command.main(Array(words.dropFirst()), checkEnvironment: FamfsEnvironment.check)
    }
    return 0
  }

  private static var overview: String {
    let width = commands.map { $0.name.count }.max() ?? 0
    let lines = commands.map { command in
      "  \(command.name)\(String(repeating: " ", count: width - command.name.count + 2))\(command.summary)"
    }
    return """
      Usage: famfs COMMAND [options] ...

      Files on memory that several machines share.

      \(lines.joined(separator: "\n"))

      famfs COMMAND --help tells more; mkfs.famfs makes a file system.
      """
  }

  private static func families(_ word: String?) -> Int32 {
    let text = """
      Usage: weft famfs COMMAND ...
             weft mkfs.famfs DEVICE
             weft kfs IMAGE DIRECTORY
             weft mkfs.kfs IMAGE
             weft pcq ... QUEUE

      see weft famfs --help

      """
    switch word {
    case "--version": printOut("weft \(version)\n")
    case "-h", "--help", "-?": printOut(text)
    case nil:
      printErrorText(text)
      return 1
    case let word?:
      printError("weft: there is no '\(word)'; see weft --help")
      return 3
    }
    return 0
  }
}
