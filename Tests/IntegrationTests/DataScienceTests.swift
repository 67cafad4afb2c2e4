import Foundation
import Platform
import Testing

/// Programs that map files, from PyPI: the same with and without `famfs exec`, and with it the memory itself.
@Suite(.realMounts, .enabled(if: Science.isThere, Science.isMissing), .timeLimit(.minutes(15)))
struct DataScienceTests {
  /// A volume on two hosts, with the files of `science.py`.
  private func withFiles(_ body: (TestVolume) throws -> Void) throws {
    try withVolume(size: "128m", ["--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      let folder = volume.room.directory("files")
      try succeed(Science.run("make", folder))
      try succeed(volume.famfs("cp", "-r", folder, volume.master + "/files"))
      try #require(seconds(until: { access(volume.client + "/files/made.duckdb", F_OK) == 0 }) != nil)
      try body(volume)
    }
  }

  @Test("numpy, pyarrow, safetensors and DuckDB see the same, and map memory under famfs exec")
  func same() throws {
    try withFiles { volume in
      let plain = try Science.run("use", volume.master + "/files", "plain")
      let direct = try Science.run("use", volume.master + "/files", "exec", directly: true)
      try succeed(plain)
      try succeed(direct)
      let lines = plain.stdout.split(separator: "\n")
      #expect(lines.count == 14 && lines.last == "memory False False", "\(plain.stdout)")
      #expect(direct.stdout.split(separator: "\n").last == "memory True True")
      #expect(direct.stdout.split(separator: "\n").dropLast() == lines.dropLast())
      // A local copy gives the same, too.
      let local = try Science.run("use", volume.room.at("files"), "plain")
      #expect(local.stdout == plain.stdout)
      // What one wrote is there for the other host, and nothing else is changed.
      for tag in ["plain", "exec"] {
        let arrays = [volume.room.path, volume.client].enumerated().map { number, place in
          place + "/files/array-\(number == 0 ? "plain" : tag).raw"
        }
        try succeed(IntegrationTests.run(["cmp"] + arrays))
      }
      try succeed(
        IntegrationTests.run(
          ["diff", "-r", "-x", "array-*.raw", volume.room.at("files"), volume.client + "/files"]))
    }
  }

  @Test("a store into a numpy array by one process is seen by another, on another host's mount, with nothing between")
  func shared() throws {
    try withFiles { volume in
      let (file, mark) = ("/files/array-plain.raw", volume.room.at("mark"))
      let watcher = try Science.start("watch", volume.client + file, "4711", mark, directly: true)
      // From here on it opens nothing and reads nothing.
      try #require(seconds(until: { access(mark, F_OK) == 0 }) != nil)
      try succeed(Science.run("tell", volume.master + file, "4711", directly: true))
      let outcome = try watcher.wait()
      #expect(outcome.stdout == "True False\n4711\n", "\(outcome.stderr)")
    }
  }

  @Test("DuckDB makes a database on the mount under a passing name")
  func database() throws {
    try withFiles { volume in
      for directly in [false, true] {
        let outcome = try Science.run("database", volume.master + "/files", "new\(directly)", directly: directly)
        #expect(outcome.stdout == "[(200000, 2663999966701400)]\n", "\(outcome.stdout) \(outcome.stderr)")
      }
    }
  }
}

/// The Python that `make test` makes.
enum Science {
  static let python = Machine.sources + "/.build/python/bin/python"
  static let isThere =
    Machine.hasPython
    && (try? IntegrationTests.run([python, "-c", "import duckdb, numpy, pyarrow, safetensors"]))?.status == 0
  static let isMissing: Comment = "needs .build/python, which make test makes of packages from PyPI"

  private static func words(_ arguments: [String], directly: Bool) -> [String] {
    (directly ? ["famfs", "exec", "--"] : []) + [python, "-B", Machine.sources + "/Tests/Python/science.py"] + arguments
  }

  static func run(_ arguments: String..., directly: Bool = false) throws -> Outcome {
    try IntegrationTests.run(words(arguments, directly: directly))
  }

  static func start(_ arguments: String..., directly: Bool = false) throws -> Child {
    try Child(words(arguments, directly: directly))
  }
}
