import CommandKit
import Testing

@testable import FamfsCommands

@Suite struct StripingChoiceTests {
  @Test("each of the options for striping has its limits, and together they must make sense")
  func striping() throws {
    for words in [[], ["-N2"], ["-C2m"], ["-N", "3", "--nbuckets=5", "-C2m"]] {
      _ = try StripingChoice(Arguments(words, options: Arguments.stripingOptions))
    }
    for words in [
      ["-N3", "-B2", "-C2m"], ["-N0", "-B2", "-C2m"], ["-N17", "-B64", "-C2m"], ["-N2", "-B65", "-C2m"],
      ["-N2", "-B2", "-C3m"], ["-N2", "-B2", "-C1k"], ["-N2", "-B2", "-C0"], ["-N2", "-B2", "-Cx"],
    ] {
      #expect(throws: UsageError.self, "\(words)") {
        try StripingChoice(Arguments(words, options: Arguments.stripingOptions))
      }
    }
  }

  @Test("the text of .alloc.cfg is read, whatever its layout")
  func allocationDefaults() throws {
    func parse(_ text: String) throws -> (UInt64, UInt64, UInt64)? {
      try StripingChoice.parse(Array(text.utf8), "F").map { ($0.strips, $0.buckets, $0.chunkSize) }
    }
    for text in ["", "\n\n", "# a\n---\n...\n"] { #expect(try parse(text) == nil) }
    for text in [
      "interleaved_alloc:\n  nbuckets: 6\n  nstrips: 5\n  chunk_size: 2m\n",
      "---\ninterleaved_alloc: # ours\r\n chunk_size: 0x200000\r\n\r\n nstrips: 5\r\n nbuckets:   6\r\n...",
    ] {
      let found = try #require(try parse(text))
      #expect(found == (5, 6, 2 << 20))
    }
    for bytes in [[0xff], Array("interleaved_alloc:\n \u{0}: 1".utf8), Array("interleaved_alloc:\n".utf8)] as [[UInt8]]
    {
      #expect(throws: (any Error).self) { try StripingChoice.parse(bytes, "F") }
    }
  }
}
