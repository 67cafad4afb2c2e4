/// A value to be printed for programs (RFC 8259). Numbers are whole; members stand in the order in which they are
/// given. Indirect because Swift 6.3 otherwise finds a circular reference when it builds only some files again.
public indirect enum JSON: Sendable {
  /// Nothing.
  case null
  /// True or false.
  case bool(Bool)
  /// A whole number.
  case number(UInt64)
  /// A text.
  case text(String)
  /// Values in order.
  case list([JSON])
  /// Named values.
  case object([(key: String, value: JSON)])

  /// A number, or null.
  public init(_ number: UInt64?) { self = number.map { .number($0) } ?? .null }

  /// A text, or null.
  public init(_ text: String?) { self = text.map { .text($0) } ?? .null }

  /// An identifier, as its text.
  public init(_ uuid: UUID) { self = .text("\(uuid)") }

  /// On one line, in plain printable characters and those beyond ASCII.
  public var line: String {
    var text = ""
    write(to: &text)
    return text
  }

  /// Writes it on standard output, on a line of its own.
  public func print() { printOut(line + "\n") }

  private func write(to text: inout String) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let value): text += "\(value)"
    case .text(let value): JSON.quote(value, to: &text)
    case .list(let values): JSON.join(values, "[", "]", to: &text) { $0.write(to: &$1) }
    case .object(let members):
      JSON.join(members, "{", "}", to: &text) { member, text in
        JSON.quote(member.key, to: &text)
        text += ":"
        member.value.write(to: &text)
      }
    }
  }

  private static func join<Item>(
    _ items: [Item], _ first: String, _ last: String, to text: inout String, _ write: (Item, inout String) -> Void
  ) {
    text += first
    for (place, item) in items.enumerated() {
      if place > 0 { text += "," }
      write(item, &text)
    }
    text += last
  }

  /// The format asks for an escape of controls below 32, quote and backslash. What else a terminal obeys is escaped, too:
  /// `printable` would take it out. A byte of a file's name that is not UTF-8 stands there as the text `\xff`.
  private static func quote(_ value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where !isPrintable(scalar):
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default:
        if let byte = scalar.fileNameEscape { text += "\\" + byte } else { text.unicodeScalars.append(scalar) }
      }
    }
    text += "\""
  }
}

extension JSON: ExpressibleByDictionaryLiteral, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral {
  /// An object.
  public init(dictionaryLiteral members: (String, JSON)...) { self = .object(members.map { (key: $0, value: $1) }) }
  /// A text.
  public init(stringLiteral text: String) { self = .text(text) }
  /// True or false.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
}
