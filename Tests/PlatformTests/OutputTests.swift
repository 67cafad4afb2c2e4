import Platform
import Testing

@Suite struct OutputTests {
  static let texts = [
    ("plain, é, 漢字, 🙂", "plain, é, 漢字, 🙂"), ("two\nlines\tand a tab", "two\nlines\tand a tab"), ("", ""),
    ("\u{1b}[2J\u{7}\r\u{0}", "?[2J???"), ("\u{7f}\u{80}\u{9b}31m\u{9f}\u{a0}", "???31m?\u{a0}"),
    ("a\u{202e}b\u{2066}c\u{2069}\u{2028}d\u{200f}\u{61c}", "a?b?c??d??"),
  ]

  @Test("control characters do not reach the terminal, everything else does", arguments: texts)
  func printing(text: String, shown: String) { #expect(printable(text) == shown) }
}
