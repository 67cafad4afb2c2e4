import Foundation
import Platform
import Testing

/// A line of a table: a command, and what it has to answer. In its words and in what is expected `@D` stands for the
/// device, `@M` and `@C` for the mounts of master and client, `@R` for the room, and `''` for an empty word.
struct Expected: Sendable {
  let line: String
  let status: Int32
  /// Pieces of standard output, which is empty where there are none.
  let out: [String]
  /// Pieces of the one line on standard error, which is empty where there are none.
  let complaint: [String]

  /// A command that succeeds and says nothing.
  init(_ line: String) { (self.line, status, out, complaint) = (line, 0, [], []) }

  /// A command that succeeds, or ends with another status, and says these things.
  init(_ line: String, status: Int32 = 0, says first: String, _ rest: String...) {
    (self.line, self.status, out, complaint) = (line, status, [first] + rest, [])
  }

  /// A command that is refused with one line, which names these things.
  init(_ line: String, status: Int32 = 1, refused first: String, _ rest: String...) {
    (self.line, self.status, out, complaint) = (line, status, [], [first] + rest)
  }
}

extension TestVolume {
  /// A text with what stands for this volume's paths filled in.
  func fill(_ text: some StringProtocol) -> String {
    if text == "''" { return "" }
    return [("@D", device), ("@M", master), ("@C", client), ("@R", room.path)].reduce(String(text)) {
      $0.replacingOccurrences(of: $1.0, with: $1.1)
    }
  }

  /// Runs every line of a table, as root of a host or as nobody.
  func expect(
    _ table: [Expected], as host: Host = .master, nobody: Bool = false, environment: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let switching = nobody ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] : []
    for expected in table {
      var words = expected.line.split(separator: " ").map { fill($0) }
      if nobody { words[0] = Machine.program(words[0]) }
      let outcome = try run(switching + words, environment: host.environment.merging(environment) { $1 })
      let told = "\(expected.line): \(outcome)"
      #expect(outcome.status == expected.status, "\(told)", sourceLocation: sourceLocation)
      #expect(outcome.stdout.isEmpty == expected.out.isEmpty, "\(told)", sourceLocation: sourceLocation)
      let lines = expected.complaint.isEmpty ? 0 : 1
      #expect(outcome.complaints.count == lines, "\(told)", sourceLocation: sourceLocation)
      for piece in expected.out {
        #expect(outcome.stdout.contains(fill(piece)), "'\(piece)': \(told)", sourceLocation: sourceLocation)
      }
      for piece in expected.complaint {
        #expect(outcome.stderr.contains(fill(piece)), "'\(piece)': \(told)", sourceLocation: sourceLocation)
      }
    }
  }
}
