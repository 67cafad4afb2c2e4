/// What the shells' completions ask for: `weft --completions`.
package enum Completions {
  /// A line for each command and for each of its options, with tabs between: the command as people type it; the
  /// option's letter and word, or `-` for the command itself; the option's argument or `-`; and what it does.
  package static func table(of commands: [any Command.Type]) -> String {
    var text = ""
    for command in commands {
      text += "\(command.command)\t-\t-\t\(command.summary)\n"
      for option in command.shownOptions {
        let names = (option.short.map { "-\($0) " } ?? "") + "--\(option.long)"
        text += "\(command.command)\t\(names)\t\(option.argument ?? "-")\t\(option.help ?? "")\n"
      }
    }
    return text
  }
}
