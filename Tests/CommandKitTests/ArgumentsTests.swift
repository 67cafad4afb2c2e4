import Testing

@testable import CommandKit

@Suite(.serialized) struct ArgumentsTests {
  private static let options = [
    Option("s", "size", "SIZE", "a size"), Option("r", "randomize", nil, "a flag"),
    Option("v", "verbose", nil, "another"), Option("m", "mode", "MODE", "a mode"),
    Option("t", "threads", "N", "a number"), Option("M", "multi", "X", "collected"),
    Option(nil, "nofuse", nil, nil), Option(nil, "nodax", nil, nil),
  ]

  private func parse(_ words: String...) throws -> Arguments { try Arguments(words, options: Self.options) }

  private func sentence(_ words: String...) -> String? {
    do { _ = try Arguments(words, options: Self.options) } catch { return "\(error)" }
    return nil
  }

  @Test("nothing is nothing")
  func nothing() throws {
    let arguments = try parse()
    #expect(arguments.operands == [] && !arguments.has("size") && arguments["size"] == nil)
    #expect(arguments.all("size") == [] && arguments.count("size") == 0)
    #expect(try arguments.size("size") == nil && arguments.mode() == nil)
    #expect(try arguments.number("threads", in: 1...2) == nil)
  }

  @Test("an argument may stand behind, at the letter, or behind =")
  func forms() throws {
    for words in [["-s", "5"], ["-s5"], ["--size", "5"], ["--size=5"]] {
      let arguments = try Arguments(words + ["path"], options: Self.options)
      #expect(arguments["size"] == "5" && arguments.operands == ["path"], "\(words)")
    }
    #expect(try parse("--size=")["size"] == "")
    #expect(try parse("-s", "")["size"] == "")
    #expect(try parse("-s", "-r")["size"] == "-r")
    #expect(try parse("--size", "--")["size"] == "--")
  }

  @Test("letters may stand together, the last with its argument")
  func clusters() throws {
    let arguments = try parse("-rvs", "7", "-vvm644", "x")
    #expect(arguments.has("randomize") && arguments.count("verbose") == 3)
    #expect(arguments["size"] == "7" && arguments["mode"] == "644" && arguments.operands == ["x"])
    #expect(try parse("-srv")["size"] == "rv")
  }

  @Test("an option that leads a cluster takes the next word, wherever its letter stands")
  func leaders() throws {
    let options = Self.options + [Option("S", "shadow", "DIR", "a folder", leadsCluster: true)]
    for words in [
      ["-Srv", "d"], ["-rSv", "d"], ["-rvS", "d"], ["-Sr", "d", "-v"], ["-v", "-S", "d", "-r"], ["-rv", "-Sd"],
      ["-rv", "--shadow", "d"],
    ] {
      let arguments = try Arguments(words + ["path"], options: options)
      #expect(arguments["shadow"] == "d" && arguments.operands == ["path"], "\(words)")
      #expect(arguments.count("randomize") == 1 && arguments.count("verbose") == 1, "\(words)")
    }
    // Other options' arguments and operands are left as they are, and so is a folder that is no cluster.
    let arguments = try Arguments(["-s", "-Sr", "--mode", "-Sr", "-S/r", "--", "-Sr"], options: options)
    #expect(arguments["size"] == "-Sr" && arguments["mode"] == "-Sr" && arguments["shadow"] == "/r")
    #expect(arguments.operands == ["-Sr"])
    #expect(throws: UsageError.self) { try Arguments(["-Sr"], options: options) }
  }

  @Test("words may be cut short as long as they are clear")
  func abbreviations() throws {
    #expect(try parse("--si", "5")["size"] == "5")
    #expect(try parse("--si=5")["size"] == "5")
    #expect(try parse("--ran").has("randomize"))
    #expect(try parse("--nof").has("nofuse"))
    #expect(sentence("--no")?.contains("--no") == true)
    #expect(sentence("--m", "1") != nil)  // mode or multi
  }

  @Test("options may stand behind operands, and -- ends them")
  func order() throws {
    let arguments = try parse("a", "-r", "b", "-s", "5", "--", "-v", "--size", "--")
    #expect(arguments.operands == ["a", "b", "-v", "--size", "--"])
    #expect(arguments.has("randomize") && arguments["size"] == "5" && !arguments.has("verbose"))
    #expect(try parse("-", "-r").operands == ["-"])
    #expect(try parse("").operands == [""])
    #expect(try parse("--").operands == [])
  }

  @Test("the last of several wins, and all are kept in order")
  func repeated() throws {
    let arguments = try parse("-M", "a", "--multi", "b", "x", "-Mc")
    #expect(arguments.all("multi") == ["a", "b", "c"] && arguments["multi"] == "c" && arguments.count("multi") == 3)
  }

  @Test("a wrong word is named")
  func wrong() {
    for (words, wanted) in [
      (["-s"], ["'-s'", "argument"]), (["--size"], ["'--size'", "argument"]), (["-rs"], ["s'", "argument"]),
      (["-x"], ["'-x'", "unknown"]), (["-rx"], ["'-x'", "unknown"]), (["--none"], ["'--none'", "unknown"]),
      (["--none=5"], ["--none", "unknown"]), (["--randomize=5"], ["--randomize", "takes no argument"]),
      (["a", "-x", "b"], ["'-x'"]), (["a", "b", "--none", "c"], ["'--none'"]), (["a", "b", "c", "-s"], ["'-s'"]),
    ] {
      var sentence: String?
      do { _ = try Arguments(words, options: Self.options) } catch { sentence = "\(error)" }
      for part in wanted { #expect(sentence?.contains(part) == true, "\(words): \(sentence ?? "no error")") }
    }
  }

  @Test("-? asks for help, also in a cluster, and one parse leaves nothing to the next")
  func help() throws {
    #expect(try parse("-?").has("help"))
    #expect(try parse("-r?").has("help"))
    #expect(sentence("-x") != nil)
    #expect(try parse("-r", "a").operands == ["a"])
    #expect(sentence("-rs") != nil)
    #expect(try parse("-v").has("verbose"))
  }

  @Test("modes are octal and numbers are in their range")
  func numbers() throws {
    #expect(try parse("-m", "0644").mode() == 0o644)
    #expect(try parse("-m", "7777").mode() == 0o7777)
    for text in ["", "8", "0o644", "10000", "-1", "644 ", "rw"] {
      #expect(throws: UsageError.self, "\(text)") { try parse("-m", text).mode() }
    }
    #expect(try parse("-t", "256").number("threads", in: 1...256) == 256)
    for text in ["0", "257", "", "-1", "1.5", "4294967297", "x"] {
      #expect(throws: UsageError.self, "\(text)") { try parse("-t", text).number("threads", in: 1...256) }
    }
  }
}

@Suite struct SizeTests {
  @Test(
    "sizes are digits, or 0x and hexadecimal digits, with k, m, g or t behind them",
    arguments: [
      ("0", 0), ("1", 1), ("4096", 4096), ("007", 7), ("1k", 1024), ("1K", 1024), ("64m", 64 << 20), ("3M", 3 << 20),
      ("2g", 2 << 30), ("2G", 2 << 30), ("1t", 1 << 40), ("0x10", 16), ("0X1F", 31), ("0xffk", 255 << 10),
      ("0x200000", 2 << 20), ("18446744073709551615", .max), ("0xffffffffffffffff", .max),
      ("16777215t", 16_777_215 << 40),
    ] as [(String, UInt64)])
  func good(text: String, size: UInt64) { #expect(parseSize(text) == size) }

  @Test(
    "everything else is none",
    arguments: [
      "", " ", "k", "0x", "0xk", "x", "-1", "+1", "1 ", " 1", "1kk", "1kb", "1.5m", "1e3", "1_000", "0x1g1", "m5",
      "18446744073709551616", "16777216t", "0x10000000000000000", "١", "1\0", "0x-1", "0x+1",
    ])
  func bad(text: String) { #expect(parseSize(text) == nil) }
}
