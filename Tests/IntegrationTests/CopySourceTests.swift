import Foundation
import Platform
import Testing

/// Sources that are no usual files: pipes, and files with holes.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct CopySourceTests {
  private func shell(_ line: String, _ words: String...) throws -> Outcome {
    try run(["sh", "-c", line, Machine.program("famfs")] + words, environment: Host.master.environment)
  }

  @Test(
    "a pipe is copied when its size is given, to new files and to those that exist", arguments: [1, 5000, 5_000_001])
  func pipe(count: Int) throws {
    try withVolume(client: true) { volume in
      for (seed, line) in [
        "\"$0\" cp --size \"$1\" - \"$2\" < \"$3\"", "cat \"$3\" | \"$0\" cp --size \"$1\" - \"$2\"",
        "! cat \"$3\" | \"$0\" cp -c --size=\"$1\" /dev/stdin \"$2\"",
        "cat \"$3\" | \"$0\" cp -N2 -B2 -C2m --size=\"$1\" - \"$2$1\"",
      ].enumerated() {
        let bytes = contents(count, seed: UInt64(seed))
        let source = try volume.room.file("source", bytes)
        let name = seed == 3 ? "/new\(count)" : "/new"
        try succeed(shell(line, "\(count)", volume.master + "/new", source))
        for mount in volume.mounts {
          #expect(seconds(until: { access(mount + name, F_OK) == 0 }) != nil)
          expect(mount + name, holds: bytes)
        }
      }
    }
  }

  @Test("a fifo is copied when its size is given, and else left out with status 22 and the remedy")
  func fifo() throws {
    try withVolume { volume in
      let fifo = volume.room.at("fifo")
      try retrying { mkfifo(fifo, 0o644) }
      expectRefusal(try volume.famfs("cp", fifo, volume.master), naming: [fifo, "--size"], status: 22)
      expectRefusal(try volume.famfs("cp", "-", volume.master + "/x"), naming: ["--size"], status: 22)
      let bytes = contents(300_000)
      let source = try volume.room.file("source", bytes)
      let copy = try Child(
        ["famfs", "cp", "-v", "--size", "300000", fifo, volume.master], environment: Host.master.environment)
      try succeed(run(["cp", source, volume.room.at("other")]))
      try succeed(run(["sh", "-c", "cat \"$0\" > \"$1\"", source, fifo]))
      let outcome = try copy.wait()
      try succeed(outcome)
      #expect(outcome.stdout == "famfs cp: 100%: \(volume.master)/fifo\n")
      expect(volume.master + "/fifo", holds: bytes)
    }
  }

  @Test("fewer or more bytes than promised leave nothing behind")
  func wrongSize() throws {
    try withVolume(client: true) { volume in
      let (before, free) = (try volume.metadata(), try volume.freeBytes())
      let path = volume.master + "/new"
      for (count, words) in [
        (4999, ["ended after 4999", "5000"]), (0, ["ended after 0", "5000"]), (5001, ["more", "5000"]),
        (900_000, ["more", "5000"]),
      ] {
        let source = try volume.room.file("source", contents(count))
        for line in ["cat \"$2\" | \"$0\" cp --size 5000 - \"$1\"", "\"$0\" cp --size 5000 \"$2\" \"$1\""] {
          expectRefusal(try shell(line, path, source), naming: words)
        }
      }
      expectRefusal(try volume.famfs("cp", "--size", "5000", "/dev/zero", path), naming: ["more", "/dev/zero"])
      #expect(try seconds(until: { try volume.freeBytes() == free }) != nil)
      #expect(try volume.metadata() == before)
      for mount in volume.mounts { #expect(failure { access(mount + "/new", F_OK) } == .noEntry) }
      for (words, wanted) in [
        (["--size", "5", "a", "b", volume.master], "one source"), (["--size", "5", "-r", "a", path], "--recursive"),
        (["--size", "x", "-", path], "'x'"),
        (["--size", "5", "-", volume.master], "no name"), (["--size", "5", volume.room.path, path], "directory"),
        (["--size", "5", volume.room.at("none"), path], "none"), (["-T", "a", "b", volume.master], "one source"),
      ] {
        expectRefusal(try run(["famfs", "cp"] + words, environment: Host.master.environment), naming: [wanted])
      }
      #expect(try volume.metadata() == before)
    }
  }

  @Test(
    "the holes of a sparse file are zeros on space that was used before, and take no memory",
    arguments: [[], ["-c"], ["-N2", "-B2", "-C2m"]])
  func sparse(options: [String]) throws {
    try withVolume(size: "48m") { volume in
      // Old bytes everywhere.
      try volume.add("old", count: 37 << 20)
      try volume.unmount()
      try succeed(run(["mkfs.famfs", "--force", volume.device], environment: Host.master.environment))
      try volume.mount()
      if options == ["-c"] {
        try succeed(volume.famfs("creat", "-s", "\(20 << 20)", "-r", "-S", "3", volume.master + "/file"))
      }
      let path = volume.room.at("sparse")
      let file = try FileDescriptor(opening: path, [.readWrite, .create])
      try file.truncate(to: 20 << 20)
      var bytes = [UInt8](repeating: 0, count: 20 << 20)
      for (offset, count) in [(0, 1), (70_000, 9000), (3 << 20, 2 << 20), ((12 << 20) - 5, 10), ((20 << 20) - 1, 1)] {
        let piece = contents(count, seed: UInt64(offset + 1))
        try file.put(piece, at: offset)
        bytes.replaceSubrange(offset..<offset + count, with: piece)
      }
      let copied = try run(
        ["famfs", "cp"] + options + [path, volume.master + "/file"], environment: Host.master.environment)
      #expect(copied.status == (options == ["-c"] ? 1 : 0) && copied.stderr == "", "\(copied)")
      if options != ["-c"] {
        // Before anything reads it, which takes memory again.
        let used = try run(["stat", "-c", "%b", volume.device]).stdout.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(try #require(UInt64(used)) * 512 < 30 << 20)
      }
      expect(volume.master + "/file", holds: bytes)
    }
  }
}
