import Foundation
import Platform
import Testing

/// Standard streams that are closed or full, or that nobody reads, and what programs read of them.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ContractStreamTests {
  /// Runs a line of shell with the programs' folder in PATH, and `$1` a word.
  private func shell(_ line: String, _ word: String) throws -> Outcome {
    try run(["sh", "-c", "PATH=\"$0:$PATH\"; " + line, Machine.programs, word], environment: Host.master.environment)
  }

  @Test(
    "with standard streams closed nothing is written into the device, and lost output is told",
    arguments: [">&-", "2>&-", "<&- >&- 2>&-"])
  func closed(redirection: String) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make()
      let mayFail: Int32 = redirection.contains(">&- ") || redirection.hasPrefix(">") ? 1 : 0
      #expect(try shell("mkfs.famfs -f \"$1\" \(redirection)", volume.device).status == mayFail)
      try succeed(volume.famfs("fsck", volume.device))
      let before = try volume.everything()
      // Status 1 says that a volume is damaged.
      #expect(try shell("famfs fsck -v \"$1\" \(redirection)", volume.device).status == 2 * mayFail)
      #expect(try volume.everything() == before)
      // A mount that is there does not say that it failed.
      #expect(try shell("famfs mount \"$1\" '\(volume.master)' \(redirection)", volume.device).status == 0)
      let source = try room.file("source", contents(5000))
      #expect(try shell("famfs cp -v \"$1\" '\(volume.master)/file' \(redirection)", source).status == mayFail)
      expect(volume.master + "/file", holds: contents(5000))
      try succeed(volume.famfs("fsck", volume.master))
      try volume.unmount()
    }
  }

  @Test("a full standard output gives status 1 and one line, and 2 in fsck")
  func full() throws {
    try withVolume { volume in
      try volume.add("file", count: 100)
      for line in ["famfs --version", "famfs cp --help", "famfs status", "famfs getmap \"$1\"", "famfs check \"$1\""] {
        let outcome = try shell(line + " > /dev/full", volume.master + "/file")
        expectRefusal(outcome, naming: ["standard output", "No space left on device"])
      }
      for line in ["famfs fsck \"$1\"", "famfs fsck --json \"$1\""] {
        let outcome = try shell(line + " > /dev/full", volume.master)
        expectRefusal(outcome, naming: ["standard output", "No space left on device"], status: 2)
      }
    }
  }

  @Test("a reader that goes away kills no command, and is no error")
  func brokenPipe() throws {
    try withVolume { volume in
      for name in ["one", "two"] { try volume.room.file(name, contents(5000)) }
      try volume.room.file("lines", [])
      // A fifo that had a reader.
      let ending = "mkfifo \"$1\"; exec 4<>\"$1\"; exec 5>\"$1\" 4<&-; rm \"$1\"; "
      let (room, mount) = (volume.room.path, volume.master)
      for line in [
        "famfs fsck -v \(mount)", "famfs status --json", "famfs cp -v -t 0 \(room)/one \(room)/two \(mount)",
        "famfs chkread -l \(mount)/.meta/.log", "famfs creat -v -s 5 \(mount)/three",
      ] {
        let outcome = try shell(ending + line + " >&5", volume.room.at("fifo"))
        #expect(outcome.status == 0, "\(line): \(outcome)")
        #expect(outcome.stderr == "", "\(line)")
      }
      #expect(try run(["ls", mount]).stdout == "one\nthree\ntwo\n")
    }
  }

  @Test("a name with a newline in it stays on the one line that is printed about it")
  func newline() throws {
    try withVolume { volume in
      let path = volume.master + "/two\nlines"
      let source = try volume.room.file("source\nof it", contents(5000))
      for words in [
        ["cp", "-v", source, path], ["creat", "-v", "-rS3", path], ["verify", "-S3", "-f", path],
        ["flush", "-v", path],
        ["clone", "-v", path, path + "2"], ["chkread", path], ["mkdir", "-v", path + "3"], ["logplay", path],
      ] {
        let outcome = try run(["famfs"] + words, environment: Host.master.environment)
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.stdout.hasSuffix("\n") && outcome.stdout.split(separator: "\n").count == 1, "\(outcome)")
        #expect(outcome.stdout.contains("/two?lines"), "\(outcome)")
      }
      expectRefusal(try volume.famfs("creat", "-s", "5", path), naming: ["two?lines", "5000"])
    }
  }

  /// What a command printed, as JSON; fails the test when it is none, or more than one line.
  private func json(_ outcome: Outcome, sourceLocation: SourceLocation = #_sourceLocation) -> [String: Any] {
    let value = try? JSONSerialization.jsonObject(with: Data(outcome.stdout.utf8))
    #expect(value is [String: Any], "\(outcome)", sourceLocation: sourceLocation)
    #expect(outcome.stdout.filter { $0 == "\n" }.count == 1, "\(outcome)", sourceLocation: sourceLocation)
    return value as? [String: Any] ?? [:]
  }

  @Test("--json is one object in every state: clean, strict, bad entry, missing device", arguments: [[], ["--strict"]])
  func states(options: [String]) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let second = room.at("second \"device\"\n")
      try succeed(
        run(["mkfs.famfs", "-s", "64m", volume.device, second], environment: Host.master.environment))
      try volume.mount(.master, options + ["--device", second])
      try succeed(volume.famfs("creat", "-s", "100m", volume.master + "/both"))
      for name in ["a\"b", "c\\d", "e\nf", "g\u{1}h"] {
        try succeed(volume.famfs("creat", "-s", "5", volume.master + "/" + name))
        let map = json(try volume.famfs("getmap", "--json", volume.master + "/" + name))
        #expect(map["path"] as? String == volume.master + "/" + name)
      }
      try all(volume, status: 0, clean: true)
      #expect((json(try volume.famfs("getmap", "--json", volume.master + "/both"))["extents"] as? [Any])?.count == 2)
      try volume.unmount()
      unlink(second)
      try volume.mount(.master, options)
      try all(volume, status: 2, clean: true)
      try volume.unmount()
      // The second file's name; entry 0 is the device's.
      try Media(volume.device).flip(Media.entry(2) + 41)
      try volume.mount(.master, options)
      try all(volume, status: 1, clean: false)
      try volume.unmount()
    }
  }

  /// Runs every command that reports.
  private func all(_ volume: TestVolume, status: Int32, clean: Bool) throws {
    let fsck = try volume.famfs("fsck", "--json", "-B", "2", volume.master)
    #expect(fsck.status == status)
    #expect(json(fsck)["clean"] as? Bool == clean)
    let check = try volume.famfs("check", "--json", volume.master)
    #expect(json(check)["status"] as? Int == Int(check.status))
    #expect((check.status == 0) == (status == 0))
    #expect(json(try volume.famfs("logplay", "--json", volume.master))["bad_entries"] as? Int == (clean ? 0 : 1))
    let mounts = json(try volume.famfs("status", "--json", volume.master))["mounts"] as? [[String: Any]]
    #expect(mounts?.count == 1)
    #expect(mounts?.first?["state"] as? String == "serving")
  }

  @Test("--json leaves standard output empty where there is nothing to report on")
  func nothing() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try room.file("device", contents(16 << 20))
      for command in ["fsck", "check", "logplay", "getmap", "status"] {
        expectRefusal(
          try volume.famfs(command, "--json", volume.device), naming: [volume.device], status: command == "fsck" ? 2 : 1
        )
      }
    }
  }
}
