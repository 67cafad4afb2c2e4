import Foundation
import Platform
import Testing

/// Paths, mount points and identities that cannot be: one line that says what to do, and nothing changes.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct BadOperandTests {
  @Test("paths that cannot be made are refused by cp, creat and mkdir")
  func paths() throws {
    try withVolume(size: "32m") { volume in
      try volume.add("file", count: 100)
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let before = try volume.everything()
      let source = volume.room.at("source")
      let long = String(repeating: "x", count: 80)
      for (name, expected) in [
        (long, [long, "79", "choose another name"]), ("dir/" + long.dropLast(4), ["79", "choose another name"]),
        ("file/below", ["file", "choose another name"]), ("none/below", ["none/below", "famfs mkdir -p"]),
        (".meta/new", [".meta", "choose another"]),
      ] {
        for command in [["cp", source], ["creat", "-s", "5"], ["mkdir"]] {
          let words = ["famfs"] + command + [volume.master + "/" + name]
          expectRefusal(try run(words, environment: Host.master.environment), naming: expected)
        }
      }
      #expect(try volume.everything() == before)
      // The longest that there is.
      try succeed(volume.famfs("creat", "-s", "5", volume.master + "/dir/" + long.dropLast(5)))
    }
  }

  @Test("what exists is never replaced by something of another kind or size")
  func existing() throws {
    try withVolume(size: "32m") { volume in
      let bytes = try volume.add("file", count: 100)
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let before = try volume.everything()
      let other = try volume.room.file("other", contents(200, seed: 5))
      for words in [
        ["mkdir", volume.master + "/file"], ["mkdir", volume.master + "/dir"],
        ["mkdir", "-p", volume.master + "/file"], ["creat", "-s", "200", volume.master + "/file"],
        ["creat", "-s", "200", volume.master + "/dir"],
        ["cp", other, volume.master + "/file"],
      ] {
        let name = words.last?.split(separator: "/").last.map(String.init) ?? ""
        expectRefusal(try run(["famfs"] + words, environment: Host.master.environment), naming: [name, "exists"])
      }
      try succeed(volume.famfs("mkdir", "-p", volume.master + "/dir"))
      #expect(try volume.everything() == before)
      expect(volume.master + "/file", holds: bytes)
    }
  }

  @Test("without space nothing is made, and what fits still is")
  func noSpace() throws {
    try withVolume(size: "16m") { volume in
      let before = try volume.everything()
      let free = try volume.freeBytes()
      let source = try volume.room.file("large", contents(7 << 20))
      let words = ["no space", "\(6 << 20) are free", "larger device"]
      expectRefusal(try volume.famfs("creat", "-s", "7m", volume.master + "/new"), naming: ["new"] + words)
      expectRefusal(try volume.famfs("cp", source, volume.master + "/new"), naming: ["new"] + words)
      expectRefusal(try volume.famfs("creat", "-s", "0x7fffffffffffffff", volume.master + "/new"), naming: ["no space"])
      #expect(try volume.everything() == before)
      #expect(try volume.freeBytes() == free)
      try succeed(volume.famfs("creat", "-s", "6m", volume.master + "/new"))
      #expect(try volume.freeBytes() == 0)
    }
  }

  @Test("a bad size and a path outside of a mount are refused")
  func otherOperands() throws {
    try withVolume(size: "16m") { volume in
      let outside = volume.room.at("outside")
      for (words, expected) in [
        (["creat", "-s", "many", volume.master + "/new"], ["many", "size"]),
        (["creat", "-s", "20000000000000000000", volume.master + "/new"], ["size"]),
        (["creat", "-s", "5", "-m", "99", volume.master + "/new"], ["99", "octal"]),
        (["creat", "-s", "5", outside], [outside, "famfs mount"]), (["mkdir", outside], [outside, "famfs mount"]),
        (["mkdir", ""], ["empty path"]), (["cp", volume.device, outside], [outside, "famfs mount"]),
        (["cp", volume.room.at("missing"), volume.master + "/new"], ["missing", "No such file"]),
        (["cp", "-t", "257", volume.device, volume.master], ["257", "256"]),
        (["logplay", outside], [outside]), (["umount", outside], [outside]),
        (["umount", volume.room.path], [volume.room.path]), (["fsck", volume.room.path], [volume.room.path]),
      ] {
        expectRefusal(
          try run(["famfs"] + words, environment: Host.master.environment), naming: expected,
          status: words[0] == "fsck" ? 2 : 1)
      }
      #expect(failure { access(outside, F_OK) } == .noEntry)
    }
  }

  @Test("a mount point must be an empty directory")
  func mountPoints() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      let before = try volume.everything()
      let file = try room.file("file", [1])
      let full = room.directory("full")
      try room.file("full/file", [1])
      for (path, words) in [
        (file, ["not a directory"]), (full, ["not empty", "empty directory"]), (room.at("missing"), ["mkdir"]),
        (file + "/below", ["mount point"]),
      ] {
        expectRefusal(try volume.famfs("mount", volume.device, path), naming: [path] + words)
      }
      expectNothingRuns(in: room)
      #expect(try volume.everything() == before)
    }
  }

  @Test("a master mounts its volume once, and nobody mounts over a mount")
  func twice() throws {
    try withVolume(size: "16m") { volume in
      let other = volume.room.directory("other")
      expectRefusal(
        try volume.famfs("mount", volume.device, other),
        naming: [volume.device, "mounted at \(volume.master)", "use that"])
      for host in Host.allCases {
        expectRefusal(
          try volume.famfs("mount", volume.device, volume.master, as: host),
          naming: [volume.master, "unmount it first"])
      }
      #expect(Machine.mounts(in: volume.room.path) == [volume.master])
      // Clients may come as often as they like.
      try volume.mount(.client)
      try succeed(volume.famfs("mount", volume.device, other, as: .client))
      try succeed(volume.famfs("umount", other))
    }
  }

  @Test("fsck of a mounted device by its name gives status 16, and works by path or with --force")
  func checkMounted() throws {
    try withVolume(size: "16m") { volume in
      try volume.add("file", count: 5)
      expectRefusal(
        try volume.famfs("fsck", volume.device), naming: [volume.device, volume.master, "--force"], status: 16)
      for words in [["--force", volume.device], [volume.master], [volume.master + "/file"]] {
        let outcome = try run(["famfs", "fsck"] + words, environment: Host.master.environment)
        try succeed(outcome)
        #expect(outcome.stderr == "")
        #expect(outcome.stdout.contains("  role of this node: Owner\n"))
        #expect(outcome.stdout.contains("  1 files\n"))
      }
    }
  }

  @Test("a FAMFS_SYSTEM_UUID that is no UUID is refused", arguments: ["none", "1234", Host.master.rawValue + "0"])
  func badIdentity(text: String) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      let before = try volume.everything()
      let environment = ["FAMFS_SYSTEM_UUID": text]
      for words in [
        ["mkfs.famfs", "--force", volume.device], ["mkfs.famfs", "--size", "16m", room.at("new")],
        ["famfs", "mount", volume.device, volume.master], ["famfs", "fsck", volume.device],
      ] {
        expectRefusal(
          try run(words, environment: environment), naming: ["FAMFS_SYSTEM_UUID", "'\(text)'", "set it"],
          status: words[1] == "fsck" ? 2 : 1)
      }
      #expect(try volume.everything() == before)
      #expect(failure { access(room.at("new"), F_OK) } == .noEntry)
      expectNothingRuns(in: room)
    }
  }
}
