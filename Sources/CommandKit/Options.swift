import CLinux
import Glibc

/// One option of a command, as getopt_long(3) takes it and as the help shows it.
package struct Option: Sendable {
  /// The letter behind one dash.
  package let short: Character?
  /// The word behind two dashes; it also names the option in the program.
  package let long: String
  /// What its argument is called; nil when it takes none.
  package let argument: String?
  /// A line for the help; nil when it is accepted for other programs' sake and does nothing here.
  package let help: String?
  /// Whether letters of options without arguments may stand behind this one's letter in a cluster: in `-Ss DIR` the
  /// argument of `S` is `DIR`.
  package let leadsCluster: Bool

  package init(
    _ short: Character?, _ long: String, _ argument: String? = nil, _ help: String?, leadsCluster: Bool = false
  ) {
    self.short = short
    self.long = long
    self.argument = argument
    self.help = help
    self.leadsCluster = leadsCluster
  }
}

extension [Option] {
  /// Puts the letter of an option that `leadsCluster` behind the others of its cluster, where getopt(3) takes the next
  /// word as its argument.
  package func reorderingClusters(_ words: [String]) -> [String] {
    if !contains(where: \.leadsCluster) { return words }
    var words = words
    var isArgument = false
    for place in words.indices {
      if isArgument {
        isArgument = false
        continue
      }
      let word = words[place]
      if word == "--" { break }
      guard word.utf8.first == UInt8(ascii: "-"), word.utf8.count > 1 else { continue }
      if word.utf8.dropFirst().first == UInt8(ascii: "-") {
        isArgument = contains { $0.argument != nil && word.dropFirst(2) == $0.long }
        continue
      }
      let letters = Array<Character>(word.dropFirst())
      guard let first = letters.firstIndex(where: { takesArgument($0) }) else { continue }
      let rest = letters[(first + 1)...]
      isArgument = rest.isEmpty
      guard !rest.isEmpty, contains(where: { $0.short == letters[first] && $0.leadsCluster }),
        rest.allSatisfy({ isFlag($0) })
      else { continue }
      words[place] = "-" + String(letters[..<first] + rest) + String(letters[first])
      isArgument = true
    }
    return words
  }

  private func takesArgument(_ letter: Character) -> Bool { contains { $0.short == letter && $0.argument != nil } }
  private func isFlag(_ letter: Character) -> Bool { contains { $0.short == letter && $0.argument == nil } }
}

/// A command line taken apart.
package struct Arguments: Sendable {
  /// What is no option, in order.
  package private(set) var operands: [String] = []
  private var values: [String: [String]] = [:]

  /// Whether an option was given.
  package func has(_ long: String) -> Bool { values[long] != nil }

  /// All arguments of an option, in order.
  package func all(_ long: String) -> [String] { values[long] ?? [] }

  /// How often an option was given.
  package func count(_ long: String) -> Int { values[long]?.count ?? 0 }

  /// An option's argument; of several the last one wins.
  package subscript(_ long: String) -> String? { values[long]?.last }

  /// Takes a command line apart by getopt_long: abbreviations, clusters, `--` and options behind operands work as
  /// people are used to.
  /// - Parameters:
  ///   - words: what comes behind the command's name.
  ///   - endsAtOperand: whether all from the first operand on are operands.
  /// - Throws: a sentence about the first word that is wrong.
  package init(_ words: [String], options: [Option], endsAtOperand: Bool = false) throws(UsageError) {
    // The colon tells a missing argument from an unknown option.
    var letters = endsAtOperand ? "+:" : ":"
    for option in options {
      guard let short = option.short else { continue }
      letters += "\(short)" + (option.argument == nil ? "" : ":")
    }
    var names: [UnsafeMutablePointer<CChar>?] = options.map { strdup($0.long) }
    let words = options.reorderingClusters(words)
    var argv: [UnsafeMutablePointer<CChar>?] = ([""] + words).map { strdup($0) }
    let kept = argv  // getopt_long reorders argv
    argv.append(nil)
    defer { for text in names + kept { free(text) } }
    // Long options answer with numbers above every letter.
    var table = zip(options, names).enumerated().map { place, pair in
      option(
        name: UnsafePointer(pair.1), has_arg: pair.0.argument == nil ? no_argument : required_argument, flag: nil,
        val: 256 + Int32(place))
    }
    table.append(option())
    names.append(nil)
    weft_getopt_reset()
    let count = Int32(words.count + 1)
    while true {
      let before = max(1, Int(weft_optind()))
      let found = getopt_long(count, &argv, letters, table, nil)
      if found == -1 { break }
      let word = argv[min(max(before, Int(weft_optind()) - 1), words.count)].map { String(cString: $0) } ?? ""
      if found == Int32(UInt8(ascii: ":")) { throw UsageError("option '\(word)' needs an argument") }
      if found == Int32(UInt8(ascii: "?")) {
        let letter = weft_optopt()
        if letter == Int32(UInt8(ascii: "?")) {  // -? asks for help everywhere
          values["help"] = [""]
          continue
        }
        let isLetter = letter > 0 && letter < 256 && !word.hasPrefix("--")
        let name = isLetter ? "-\(Character(UnicodeScalar(UInt8(letter))))" : word
        if !isLetter && letter < 256, options.count(where: { $0.long.hasPrefix(name.dropFirst(2)) }) > 1 {
          throw UsageError("option '\(name)' is ambiguous; give more of its letters")
        }
        throw UsageError(letter >= 256 ? "option '\(name)' takes no argument" : "unknown option '\(name)'")
      }
      let match = found >= 256 ? options[Int(found) - 256] : options.first { $0.short?.asciiValue == UInt8(found) }
      guard let match else { throw UsageError("unknown option '\(word)'") }
      values[match.long, default: []].append(
        match.argument == nil ? "" : weft_optarg().map { String(cString: $0) } ?? "")
    }
    operands = argv[Int(weft_optind())..<Int(count)].map { $0.map { String(cString: $0) } ?? "" }
  }
}

/// A command line that makes no sense: one line, exit status 1.
package struct UsageError: Error, CustomStringConvertible {
  package let description: String
  package init(_ sentence: String) { description = sentence }
}

extension Arguments {
  /// An option's argument as a number of bytes: digits, 0x and hexadecimal digits, and k, m, g or t behind them.
  package func size(_ long: String) throws(UsageError) -> UInt64? {
    guard let text = self[long] else { return nil }
    guard let size = parseSize(text) else {
      throw UsageError("--\(long): '\(text)' is no size; give bytes, or a number with k, m, g or t behind it")
    }
    return size
  }

  /// An option's argument as permission bits in octal.
  package func mode(_ long: String = "mode") throws(UsageError) -> UInt32? {
    guard let text = self[long] else { return nil }
    guard let mode = UInt32(text, radix: 8), mode <= 0o7777 else {
      throw UsageError("--\(long): '\(text)' is no mode; give octal digits such as 0644")
    }
    return mode
  }

  /// An option's argument as a whole number in a range.
  package func number(_ long: String, in range: ClosedRange<UInt32>) throws(UsageError) -> UInt32? {
    guard let text = self[long] else { return nil }
    guard let number = UInt32(text), range.contains(number) else {
      throw UsageError("--\(long): '\(text)' is no whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }
}

/// Reads a size such as 4096, 0x200000, 64k or 1G; nil when it is none, or too large for 64 bits.
package func parseSize(_ text: String) -> UInt64? {
  var digits = text.lowercased()[...]
  var shift: UInt64 = 0
  if let last = digits.last, let place = ["k", "m", "g", "t"].firstIndex(of: String(last)) {
    shift = 10 * UInt64(place + 1)
    digits = digits.dropLast()
  }
  let radix = digits.hasPrefix("0x") ? 16 : 10
  if radix == 16 { digits = digits.dropFirst(2) }
  guard let first = digits.first, first.isHexDigit, let number = UInt64(digits, radix: radix) else { return nil }
  let (size, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
  return overflow ? nil : size
}

/// Reads a number of seconds, such as 1.5.
/// - Returns: nanoseconds.
package func nanoseconds(_ text: String, of option: String) throws(UsageError) -> UInt64 {
  guard let seconds = Double(text), seconds >= 0, seconds.isFinite else {
    throw UsageError("\(option) '\(text)' is no number of seconds")
  }
  return UInt64(min(seconds, 1e9) * 1e9)
}
