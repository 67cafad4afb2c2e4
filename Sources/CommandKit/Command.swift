import Platform

/// A command: what it is called, what it takes, what it does. One file each.
package protocol Command: Sendable {
  /// The word behind `famfs`, or the program's own name.
  static var name: String { get }
  /// As people type it.
  static var command: String { get }
  /// How it is called, without the name: `[options] DEVICE MOUNTPOINT`.
  static var synopsis: String { get }
  /// What it does: the help's text.
  static var about: String { get }
  static var options: [Option] { get }
  /// Whether what is wrong with one operand leaves the others to be done.
  static var goesOn: Bool { get }
  /// Whether all words from the first operand on are another program's.
  static var runsProgram: Bool { get }
  /// Commands that a person could type.
  static var examples: [String] { get }
  /// Does it.
  /// - Returns: the exit status.
  /// - Throws: `UsageError`, or an error whose description is a sentence for people; both give status 1.
  static func run(_ arguments: Arguments) throws -> Int32
}

extension Command {
  package static var command: String { name.contains(".") || name.contains("_") ? name : "famfs \(name)" }

  package static var goesOn: Bool { false }
  package static var runsProgram: Bool { false }

  /// The first sentence of what it does.
  package static var summary: Substring { about.split(separator: "\n").first ?? "" }

  /// Runs it with the words behind its name.
  /// - Parameter checkEnvironment: is asked before anything is done, and throws when the environment contradicts it.
  package static func main(_ words: [String], checkEnvironment: () throws -> Void = {}) -> Int32 {
    do {
      let takesHuman = options.contains { $0.short == "h" }
      let help = Option(takesHuman ? nil : "h", "help", nil, nil)
      let arguments = try Arguments(words, options: options + [help], endsAtOperand: runsProgram)
      if arguments.has("help") {
        printOut(helpText)
        return 0
      }
      try checkEnvironment()
      if !goesOn && !runsProgram && arguments.operands.contains("") {
        throw UsageError("an empty path names nothing; leave it out, or name what is meant")
      }
      return try run(arguments)
    } catch let error as UsageError {
      printError("\(command): \(error); see \(command) --help")
    } catch {
      printError("\(command): \(error)")
    }
    return 1
  }

  /// Does something for each operand. One that fails is told of, and the rest go on.
  /// - Returns: the exit status: 1 when any failed.
  package static func forEachOperand(_ arguments: Arguments, _ body: (String) throws -> Void) -> Int32 {
    var status: Int32 = 0
    for operand in arguments.operands {
      do { try body(operand) } catch {
        printError("\(command): \(error)")
        status = 1
      }
    }
    return status
  }

  /// The options that people are told about.
  package static var shownOptions: [Option] {
    options.filter { $0.help != nil } + [Option(nil, "help", nil, "show this help")]
  }

  package static var helpText: String {
    var text = "Usage: \(command) \(synopsis)\n\n\(about)\n"
    let lines = shownOptions.map { option in
      let long = "--\(option.long)" + (option.argument.map { " \($0)" } ?? "")
      return ((option.short.map { "-\($0), " } ?? "    ") + long, option.help ?? "")
    }
    let width = lines.map(\.0.count).max() ?? 0
    text += "\nOptions:\n"
    for (option, help) in lines {
      text += "  \(option)\(String(repeating: " ", count: width - option.count + 2))\(help)\n"
    }
    if !examples.isEmpty { text += "\nExamples:\n" + examples.map { "  \($0)\n" }.joined() }
    return text
  }
}
