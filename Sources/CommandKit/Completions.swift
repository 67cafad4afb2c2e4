/// What the shells' completions ask for: `weft --completions`.
package enum Completions {
  /// A line for each command and for each of its options, with tabs between: the command as people type it; the
  /// option's letter and word, or `-` for the command itself; the option's argument or `-`; and what it does.
  package static func table(of verbs: [any Command.Type]) -> String {
    var text = ""
    for verb in verbs {
      text += "\(verb.command)\t-\t-\t\(verb.summary)\n"
      for option in verb.shownOptions {
        let names = (option.short.map { "-\($0) " } ?? "") + "--\(option.long)"
        text += "\(verb.command)\t\(names)\t\(option.argument ?? "-")\t\(option.help ?? "")\n"
      }
    }
    return text
  }
}
