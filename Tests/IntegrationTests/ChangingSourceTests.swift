import Foundation
import Platform
import Testing

/// famfs cp -r of a tree that another program changes while it is copied.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ChangingSourceTests {
  /// Copies `tree` to `copy` and calls `change` in between: all is planned, the first file is copied, and the next one is
  /// not open yet. The line about the first file waits in a full pipe until then.
  private func copy(_ volume: TestVolume, _ tree: String, first: String, change: () throws -> Void) throws -> Outcome {
    let fifo = volume.room.at("lines")
    try retrying { mkfifo(fifo, 0o600) }
    let pipe = try FileDescriptor(opening: fifo, [.readWrite, .nonBlocking])
    let byte: [UInt8] = [UInt8(ascii: "\n")]
    while write(pipe.rawValue, byte, 1) == 1 {}
    let copy = try Child(
      ["sh", "-c", "exec \"$0\" cp -r -v -t 0 \"$1\" \"$2\" > \"$3\"", Machine.program("famfs"), tree]
        + [volume.master + "/copy", fifo], environment: Host.master.environment)
    try #require(seconds(until: { access(volume.master + "/copy/" + first, F_OK) == 0 }) != nil)
    try change()
    var lines = [UInt8](repeating: 0, count: 1 << 20)
    while read(pipe.rawValue, &lines, lines.count) > 0 {}
    return try copy.wait()
  }

  @Test(
    "a file that is exchanged while its tree is copied is left out, whatever it is exchanged for",
    arguments: ["link", "file", "fifo", "directory"])
  func exchanged(what: String) throws {
    try withVolume { volume in
      let room = volume.room
      let tree = room.directory("tree")
      for folder in ["tree/d", "other"] { _ = room.directory(folder) }
      try room.file("tree/a", contents(10))
      try room.file("tree/z", contents(20))
      let planned = try room.file("tree/d/b", contents(5000))
      let secret = try room.file("other/b", contents(5000, seed: 9))
      chmod(secret, 0o600)
      let outcome = try copy(volume, tree, first: "a") {
        switch what {
        case "link":
          unlink(planned)
          try retrying { symlink(secret, planned) }
        case "file": try retrying { rename(secret, planned) }
        case "fifo":
          unlink(planned)
          try retrying { mkfifo(planned, 0o644) }
        default:
          try retrying { rename(tree + "/d", room.at("d")) }
          try retrying { symlink(room.at("other"), tree + "/d") }
        }
      }
      expectRefusal(outcome, naming: [planned, "exchanged"])
      #expect(failure { access(volume.master + "/copy/d/b", F_OK) } == .noEntry)
      expect(volume.master + "/copy/a", holds: contents(10))
      expect(volume.master + "/copy/z", holds: contents(20))
    }
  }

  @Test("a copy has the mode and the size that its source has when it is opened")
  func changed() throws {
    try withVolume { volume in
      let tree = volume.room.directory("tree")
      try volume.room.file("tree/a", contents(10))
      let path = try volume.room.file("tree/b", contents(5000))
      chmod(path, 0o644)
      let outcome = try copy(volume, tree, first: "a") {
        chmod(path, 0o600)
        try FileDescriptor(opening: path, .writeOnly).put(contents(9000, seed: 2), at: 0)
      }
      try succeed(outcome)
      #expect(try FileStatus(path: volume.master + "/copy/b").permissions == 0o600)
      expect(volume.master + "/copy/b", holds: contents(9000, seed: 2))
    }
  }

  @Test("symbolic links are followed, also the source itself; with -P they are left out and named")
  func links() throws {
    try withVolume { volume in
      let tree = volume.room.directory("tree")
      _ = volume.room.directory("tree/d")
      let file = try volume.room.file("tree/d/file", contents(100))
      _ = try volume.room.link("tree/link", to: file)
      _ = try volume.room.link("tree/linked", to: tree + "/d")
      let source = try volume.room.link("source", to: tree)
      try succeed(volume.famfs("cp", "-r", source, volume.master + "/followed"))
      for name in ["d/file", "link", "linked/file"] {
        expect(volume.master + "/followed/" + name, holds: contents(100))
      }
      let outcome = try volume.famfs("cp", "-r", "-P", tree, source, volume.master)
      #expect(outcome.status == 22 && outcome.stdout == "" && outcome.complaints.count == 3, "\(outcome)")
      for path in [tree + "/link", tree + "/linked", source] {
        #expect(outcome.complaints.contains { $0.contains(path + " was left out") }, "\(path): \(outcome)")
      }
      expect(volume.master + "/tree/d/file", holds: contents(100))
      #expect(try run(["ls", volume.master + "/tree"]).stdout == "d\n")
    }
  }
}
