import Foundation
import Platform
import Testing

/// The bar of famfs cp.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ProgressTests {
  /// Copies 2 MiB that come from a pipe, the second half once somebody writes to `$R/gate`.
  private static let copy = """
    (head -c 1048576 /dev/zero; read go < "$R/gate"; head -c 1048576 /dev/zero) | famfs cp -v --size 2m - "$M/copy"
    """

  private func environment(_ volume: TestVolume) -> [String: String] {
    let path = Machine.programs + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
    return Host.master.environment.merging(["M": volume.master, "R": volume.room.path, "PATH": path]) { $1 }
  }

  /// Lets the second half go, for as long as what is returned lives.
  private func open(_ gate: String) throws -> FileDescriptor {
    let gate = try FileDescriptor(opening: gate, .readWrite)
    try gate.write("go\n")
    return gate
  }

  @Test(
    "on a terminal famfs cp shows how far it is, and takes that away at the end", .enabled(if: Machine.has("script")))
  func terminal() throws {
    try withVolume { volume in
      let (gate, log) = (volume.room.at("gate"), volume.room.at("typescript"))
      try retrying { mkfifo(gate, 0o600) }
      let child = try Child(["script", "-qefc", Self.copy, log], environment: environment(volume))
      let shown = { String(decoding: (try? read(log)) ?? [], as: UTF8.self) }
      #expect(seconds(until: { shown().contains("[==========          ]  50%  1") }) != nil, "\(shown())")
      let opened = try open(gate)
      try succeed(child.wait())
      _ = consume opened
      // Behind the last bar the line is cleared.
      let behind = try #require(shown().components(separatedBy: " left\r\u{1b}[K").last)
      #expect(!behind.contains("[="), "\(shown())")
      #expect(shown().contains("100%: \(volume.master)/copy\r\n"))
      #expect(try FileStatus(path: volume.master + "/copy").size == 2 << 20)
    }
  }

  @Test("in a pipe famfs cp shows no bar")
  func pipe() throws {
    try withVolume { volume in
      let gate = volume.room.at("gate")
      try retrying { mkfifo(gate, 0o600) }
      let child = try Child(["bash", "-c", Self.copy], environment: environment(volume))
      let opened = try open(gate)
      let outcome = try child.wait()
      _ = consume opened
      #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
      #expect(outcome.stdout == "famfs cp: 100%: \(volume.master)/copy\n")
    }
  }
}
