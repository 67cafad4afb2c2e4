import Testing

@testable import Platform

@Suite struct FileNameTests {
  @Test("every name of one or two bytes, and random ones, come back byte for byte")
  func roundTrip() {
    var random = SystemRandomNumberGenerator()
    var names: [[UInt8]] = (1...255).map { [$0] }
    for first in UInt8(1)...255 { for second in UInt8(1)...255 { names.append([first, second]) } }
    // Bytes that valid sequences begin with and go on with, and those of the scalars that stand for bytes.
    let parts: [UInt8] = [
      0x41, 0x80, 0xbf, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xed, 0xa0, 0xf0, 0x9f, 0xf4, 0x8f, 0xbe, 0xff,
    ]
    for _ in 0..<20_000 {
      names.append((0..<Int.random(in: 1...9, using: &random)).map { _ in parts.randomElement(using: &random) ?? 1 })
    }
    var texts: Set<[UInt8]> = []
    for name in Set(names) {
      let text = String(fileName: name)
      #expect(text.fileNameBytes == name)
      #expect(text.cFileName == name.map { CChar(bitPattern: $0) } + [0])
      #expect(texts.insert(Array(text.utf8)).inserted, "two names have one text: \(name)")
    }
  }

  @Test("valid UTF-8 is itself, and each other byte is shown by its number")
  func shown() {
    for text in ["", "a", "é", "日本", "😀", "\u{fffd}", "\u{10ff7f}"] {
      #expect(String(fileName: Array(text.utf8)) == text)
    }
    #expect(printable(String(fileName: [0x61, 0xff, 0xe9, 0x62])) == "a\\xff\\xe9b")
    #expect(printable(String(fileName: [0xc3, 0xa9, 0x80, 0x1b])) == "é\\x80?")
    #expect(printable(String(fileName: Array("\u{10ffff}".utf8))) == "\\xf4\\x8f\\xbf\\xbf")
    #expect(String(cFileName: [0x61, -1, 0]) == String(fileName: [0x61, 0xff]))
  }
}
