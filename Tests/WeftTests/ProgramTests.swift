import Testing

@testable import weft

/// What the program does before a command reads its options, by exit statuses: 3 for a command that does not exist, 1
/// without one. Options are read by getopt, whose state is the process's, so commands themselves run as programs of their
/// own: see `IntegrationTests/CommandLineTests.swift`.
@Suite struct ProgramTests {
  @Test(
    "versions, overviews and completions are there by every name",
    arguments: [
      ["weft", "--version"], ["famfs", "--version"], ["/usr/bin/famfs", "--version"], ["weft", "famfs", "--version"],
      ["weft", "--help"], ["famfs", "--help"], ["weft", "--completions"],
    ])
  func overviews(words: [String]) { #expect(Program.pick(words) == 0) }

  @Test(
    "what does not exist is said to be so",
    arguments: [
      ["famfs", "mkfs.famfs"], ["famfs", "pcq"], ["weft", "cp"], ["weft", "famfs", "weft"], ["weft", "none"],
    ])
  func unknown(words: [String]) { #expect(Program.pick(words) == 3) }

  @Test("without a command the programs show their usage", arguments: [["famfs"], ["weft"], ["weft", "famfs"]])
  func nothing(words: [String]) { #expect(Program.pick(words) == 1) }
}
