import Platform
import Testing

@Suite struct JSONTests {
  @Test(
    "texts are quoted, and what a parser or a terminal would take for something else is escaped",
    arguments: [
      ("", #""""#), ("plain", #""plain""#), ("a \"b\" \\ c/d", #""a \"b\" \\ c/d""#),
      ("\n\r\t", #""\n\r\t""#), ("\r\n", #""\r\n""#), ("\u{0}\u{1b}[2J\u{1f} ", #""\u0000\u001b[2J\u001f ""#),
      ("\u{7e}\u{7f}\u{80}\u{9b}\u{9f}\u{a0}", "\"\u{7e}\\u007f\\u0080\\u009b\\u009f\u{a0}\""),
      ("\u{202e}\u{2028}", #""\u202e\u2028""#),
      ("é, e\u{301}, 漢字, 🙂", "\"é, e\u{301}, 漢字, 🙂\""),
    ])
  func texts(text: String, quoted: String) { #expect(Array(JSON.text(text).line.utf8) == Array(quoted.utf8)) }

  @Test("numbers are integers up to the largest, and all else is as the format has it")
  func values() {
    #expect(JSON.number(0).line == "0")
    #expect(JSON.number(.max).line == "18446744073709551615")
    #expect(JSON.bool(true).line == "true")
    #expect(JSON.bool(false).line == "false")
    #expect(JSON.null.line == "null")
    #expect(JSON(String?.none).line == "null")
    #expect(JSON(UInt64?.none).line == "null")
    #expect(JSON(UInt64?.some(7)).line == "7")
  }

  @Test("lists and objects nest, and members keep their order")
  func nesting() {
    #expect(JSON.list([]).line == "[]")
    #expect(JSON.object([]).line == "{}")
    let value: JSON = ["z": .number(1), "a\n": .list([.null, "x", ["b": true]]), "m": .object([])]
    #expect(value.line == #"{"z":1,"a\n":[null,"x",{"b":true}],"m":{}}"#)
  }
}
