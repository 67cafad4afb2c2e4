/// Bytes as a YAML scalar that every reader takes for just this text: as they are where they look like nothing else,
/// else in the quotes that they need. Bytes that are no UTF-8 are replaced.
public func yamlScalar(_ text: UnsafeRawBufferPointer) -> [UInt8] {
  if text.allSatisfy({ (0x20...0x7e).contains($0) }) {
    if isPlain(text) { return Array(text) }
    let quote = UInt8(ascii: "'")
    return [quote] + text.flatMap { $0 == quote ? [quote, quote] : [$0] } + [quote]
  }
  var quoted = "\""
  for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
    switch scalar {
    case "\"", "\\": quoted += "\\\(scalar)"
    case _ where (0x20...0x7e).contains(scalar.value): quoted.unicodeScalars.append(scalar)
    default:
      let digits = String(scalar.value, radix: 16, uppercase: true)
      let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
      quoted += "\\\(letter)" + String(repeating: "0", count: width - digits.count) + digits
    }
  }
  return Array((quoted + "\"").utf8)
}

/// Whether YAML 1.1 and 1.2 take printable ASCII for a text without quotes. What begins with a letter, `_` or `/` is no
/// number, date or sign of the language; some words are.
private func isPlain(_ text: UnsafeRawBufferPointer) -> Bool {
  guard let first = text.first, let last = text.last else { return false }
  let (space, colon, hash) = (UInt8(ascii: " "), UInt8(ascii: ":"), UInt8(ascii: "#"))
  let isLetter = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first | 0x20)
  guard isLetter || first == UInt8(ascii: "_") || first == UInt8(ascii: "/"), last != space, last != colon else {
    return false
  }
  if words.contains(String(decoding: text, as: UTF8.self).lowercased()) { return false }
  return !zip(text, text.dropFirst()).contains { $0 == colon && $1 == space || $0 == space && $1 == hash }
}

/// Words that mean a truth value or nothing to some reader, in small letters.
private let words: Set = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
