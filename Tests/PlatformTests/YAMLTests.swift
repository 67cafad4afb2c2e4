import Foundation
import Platform
import Testing

struct YAMLTests {
  private func scalar(_ text: [UInt8]) -> String {
    String(decoding: text.withUnsafeBytes { yamlScalar($0) }, as: UTF8.self)
  }

  @Test(
    "a text is plain where no reader takes it for something else, and quoted where one might",
    arguments: [
      ("dir/name", "dir/name"), ("Dir With Space/five MiB", "Dir With Space/five MiB"), ("a:b#c", "a:b#c"),
      ("a: b", "'a: b'"), ("a #b", "'a #b'"), ("it's", "it's"), ("'it'", "'''it'''"), ("-a", "'-a'"), ("-", "'-'"),
      ("- a", "'- a'"), ("[x]", "'[x]'"), ("*", "'*'"), ("a ", "'a '"), (" a", "' a'"), ("a:", "'a:'"),
      ("...", "'...'"), ("~", "'~'"), ("null", "'null'"), ("True", "'True'"), ("no", "'no'"), ("Y", "'Y'"),
      ("123", "'123'"), ("1e5", "'1e5'"), ("2026-11-21", "'2026-11-21'"), ("=", "'='"), ("<<", "'<<'"),
      ("nullable", "nullable"), ("", "''"),
      ("a\n...\nb\"\\", #""a\x0A...\x0Ab\"\\""#), ("é", #""\xE9""#), ("漢🙂", #""\u6F22\U0001F642""#),
    ])
  func rules(text: String, expected: String) { #expect(scalar(Array(text.utf8)) == expected) }

  private static let hasReader: Bool = {
    guard let child = try? Spawn.start("python3", ["python3", "-c", "import yaml"]) else { return false }
    return (try? Spawn.wait(for: child)) == 0
  }()

  @Test("a YAML reader gets back every text", .enabled(if: hasReader, "needs python3 and its yaml"))
  func readBack() throws {
    let pieces = [
      "~", "null", "true", "no", "on", "y", "0", "1", "0x1f", "1:30", ".inf", ".nan", "1e3", "+", "-", "- ", "? ", ": ",
      " ", "#", " #", ":", ",", "[", "]", "{", "}", "&", "*", "!", "|", ">", "'", "\"", "%", "@", "`", "\\", "\n", "\t",
      "\r", "\u{7f}", "\u{85}", "\u{a0}", "\u{2028}", "\u{feff}", "\u{1}", "é", "🙂", "=", "<<", "---", "...", "a", "Z",
      "/", "_", "e",
    ]
    var texts = pieces + pieces.flatMap { first in pieces.map { first + $0 } }
    for count in 3...6 {
      for _ in 0..<500 { texts.append((0..<count).map { _ in pieces.randomElement() ?? "" }.joined()) }
    }
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("weft-yaml-\(getpid())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let document = "---\nfile:\n" + texts.map { "- path: \(scalar(Array($0.utf8)))\n  size: 5\n" }.joined() + "...\n"
    try Data(document.utf8).write(to: folder.appendingPathComponent("a.yaml"))
    try JSONEncoder().encode(texts).write(to: folder.appendingPathComponent("a.json"))
    let script = """
      import json, sys, yaml
      got = [item["path"] for item in yaml.safe_load(open("a.yaml", "rb"))["file"]]
      want = json.load(open("a.json"))
      wrong = [pair for pair in zip(got, want) if pair[0] != pair[1] or type(pair[0]) != str]
      print(wrong[:5])
      sys.exit(0 if len(got) == len(want) and not wrong else 1)
      """
    let child = try Spawn.start("python3", ["python3", "-c", "import os; os.chdir('\(folder.path)')\n" + script])
    #expect(try Spawn.wait(for: child) == 0)
  }
}
