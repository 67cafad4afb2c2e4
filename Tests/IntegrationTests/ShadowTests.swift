import Foundation
import Platform
import Testing

/// famfs logplay --shadow: the log as files in a plain folder.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ShadowTests {
  private struct Manifest: Decodable {
    struct Entry: Decodable { let type, path, mode: String }
    let entries: [Entry]
    let shadowYAML: [String: String]

    enum CodingKeys: String, CodingKey {
      case entries
      case shadowYAML = "shadow_yaml"
    }
  }

  /// Lends the fixture's device, what it is to give, and a folder with an empty `root`.
  private func withFixture(_ body: (TestVolume, Manifest, String) throws -> Void) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let packed = Machine.fixtures + "/b_files"
      try succeed(run(["sh", "-c", "gzip -dc '\(packed).img.gz' > '\(volume.device)'"]))
      let data = try Data(contentsOf: URL(fileURLWithPath: packed + ".manifest.json"))
      let shadow = room.directory("shadow")
      _ = room.directory("shadow/root")
      try body(volume, JSONDecoder().decode(Manifest.self, from: data), shadow)
      expectNothingRuns(in: room)
    }
  }

  private func play(_ volume: TestVolume, _ words: [String]) throws -> Outcome {
    try run(["famfs", "logplay"] + words, environment: Host.client.environment)
  }

  private func expect(_ root: String, holds manifest: Manifest) throws {
    let found = try run(["find", root, "-mindepth", "1", "-printf", "%P\n"]).stdout
    #expect(Set(found.split(separator: "\n").map(String.init)) == Set(manifest.entries.map(\.path)))
    for (path, text) in manifest.shadowYAML { IntegrationTests.expect(root + "/" + path, holds: Array(text.utf8)) }
    for entry in manifest.entries where entry.type == "dir" {
      let status = try FileStatus(path: root + "/" + entry.path)
      #expect(status.kind == .directory)
      #expect(status.permissions == UInt32(entry.mode, radix: 8), "\(entry.path)")
    }
  }

  @Test("the public tool's volume gives the public tool's files, byte for byte, however the options are written")
  func fixture() throws {
    try withFixture { volume, manifest, shadow in
      let dax = ["--daxdev", volume.device]
      let line = "famfs logplay: \(volume.device): 17 log entries; 12 new files; 5 new directories\n"
      for words in [
        ["--shadow", shadow] + dax, ["-sS", shadow] + dax, ["-Ss", shadow] + dax, ["-Ssvc" + "r", shadow] + dax,
        dax + ["-s", "-S", shadow + "/root/"],
      ] {
        let outcome = try play(volume, words)
        #expect(outcome.status == 0 && outcome.stderr == "" && outcome.stdout == line, "\(outcome)")
        try expect(shadow + "/root", holds: manifest)
        // Once more is no harm, and brings nothing new.
        let again = try play(volume, words)
        #expect(again.status == 0 && again.stdout.contains("; 0 new files; 0 new directories"), "\(again)")
        try succeed(run(["find", shadow + "/root", "-mindepth", "1", "-delete"]))
      }
      let json = try play(volume, ["--json", "--dryrun", "-S", shadow] + dax)
      #expect(json.stdout.hasSuffix("\"entries\":17,\"new_files\":12,\"new_directories\":5,\"bad_entries\":0}\n"))
      #expect(try run(["ls", shadow + "/root"]).stdout == "")
    }
  }

  @Test("a mounted volume is played by a path in it, and refused by its device")
  func mounted() throws {
    try withFixture { volume, manifest, shadow in
      try volume.mount(.client)
      expectRefusal(try play(volume, ["-S", shadow, "--daxdev", volume.device]), naming: [volume.client])
      try succeed(play(volume, ["-Ss", shadow, volume.client]))
      try expect(shadow + "/root", holds: manifest)
      try volume.unmount(.client)
    }
  }

  @Test("a folder that is none, has no root, is given twice, or goes without a device is refused")
  func refusals() throws {
    try withFixture { volume, _, shadow in
      let dax = ["--daxdev", volume.device]
      let (file, empty) = (try volume.room.file("file", [1]), volume.room.directory("empty"))
      for (words, expected) in [
        (["--shadow", file] + dax, [file]), (["--shadow", "/none"] + dax, ["/none"]),
        (["--shadow", empty] + dax, [empty, "'root'"]), (dax, ["--shadow"]), (["--shadow", shadow], ["--daxdev"]),
        (["--shadow", shadow, "--shadow", shadow] + dax, ["--shadow"]), (["-s", volume.device], ["--shadow"]),
        (["--shadow", shadow] + dax + [volume.device], ["--daxdev"]),
        (["--shadow", shadow, "--daxdev", file], [file]),
        (["--shadow", shadow, "--daxdev", "/none/dev"], ["/none/dev"]),
        (["--shadow", shadow, "-m", "-r"] + dax, ["--mmap"]),
      ] {
        expectRefusal(try play(volume, words), naming: expected)
      }
      #expect(try run(["ls", shadow + "/root"]).stdout == "")
    }
  }

  @Test("a file that says something else is left alone and named")
  func existing() throws {
    try withFixture { volume, _, shadow in
      let old = try volume.room.file("shadow/root/mib1", [1, 2, 3])
      expectRefusal(try play(volume, ["-S", shadow, "--daxdev", volume.device]), naming: ["mib1"])
      IntegrationTests.expect(old, holds: [1, 2, 3])
    }
  }

  @Test("no symbolic link is followed out of the folder")
  func links() throws {
    try withFixture { volume, _, shadow in
      let outside = volume.room.directory("outside")
      let words = ["-S", shadow, "--daxdev", volume.device]
      let directory = try volume.room.link("shadow/root/dir1", to: outside)
      expectRefusal(try play(volume, words), naming: [shadow])
      #expect(try run(["ls", outside]).stdout == "")
      unlink(directory)
      unlink(shadow + "/root/one_byte")
      let target = volume.room.at("outside/target")
      let file = try volume.room.link("shadow/root/one_byte", to: target)
      expectRefusal(try play(volume, words), naming: [shadow])
      unlink(file)
      try succeed(run(["rm", "-rf", shadow + "/root"]))
      _ = try volume.room.link("shadow/root", to: outside)
      expectRefusal(try play(volume, words), naming: ["'root'"])
      #expect(try run(["ls", outside]).stdout == "")
    }
  }

  @Test("only who may write to the folder can play into it", .enabled(if: Machine.usersCanRun))
  func notAllowed() throws {
    try withFixture { volume, _, shadow in
      chmod(volume.device, 0o644)
      let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", Machine.program("famfs")]
      let words = user + ["logplay", "-S", shadow, "--daxdev", volume.device]
      expectRefusal(try run(words, environment: Host.client.environment), naming: [shadow, "Permission denied"])
      chmod(shadow + "/root", 0o777)
      try succeed(run(words, environment: Host.client.environment))
    }
  }

  @Test("bad entries are left out, and the status is 1")
  func badEntry() throws {
    try withFixture { volume, _, shadow in
      try Media(volume.device).flip(Media.entry(9) + 300)
      let outcome = try play(volume, ["-S", shadow, "--daxdev", volume.device])
      #expect(outcome.status == 1 && outcome.complaints.count == 1, "\(outcome)")
      #expect(access(shadow + "/root/mib1", F_OK) == -1)
      #expect(access(shadow + "/root/au_exact", F_OK) == 0)
    }
  }

  @Test("a play that is interrupted leaves no half of a file under its name")
  func interrupted() throws {
    try withFixture { volume, manifest, shadow in
      // The kernel ends the program in the middle of its first write to a file.
      let words = "ulimit -f 0; exec famfs logplay --shadow '\(shadow)' --daxdev '\(volume.device)'"
      let path = Machine.programs + ":/usr/bin:/bin"
      let outcome = try run(["sh", "-c", words], environment: Host.client.environment.merging(["PATH": path]) { $1 })
      #expect(outcome.status != 0, "\(outcome)")
      for name in manifest.shadowYAML.keys {
        #expect(failure { access(shadow + "/root/" + name, F_OK) } == .noEntry, "\(name)")
      }
      try succeed(play(volume, ["-sS", shadow, "--daxdev", volume.device]))
      for (name, text) in manifest.shadowYAML {
        IntegrationTests.expect(shadow + "/root/" + name, holds: Array(text.utf8))
      }
    }
  }

  @Test("directories get the owners and modes of the log, setgid too")
  func owners() throws {
    try withVolume(size: "32m") { volume in
      for (name, mode, user, group) in [("a", "2750", "7", "8"), ("a/b", "500", "65534", "0")] {
        try succeed(volume.famfs("mkdir", "-m", mode, "-u", user, "-g", group, volume.master + "/" + name))
      }
      let shadow = volume.room.directory("shadow")
      _ = volume.room.directory("shadow/root")
      try succeed(play(volume, ["-S", shadow, volume.master]))
      let found = try run(["stat", "-c", "%a %u %g", shadow + "/root/a", shadow + "/root/a/b"]).stdout
      #expect(found == "2750 7 8\n500 65534 0\n")
    }
  }

  @Test("what chmod and chown changed is in the folder, also when it is played again")
  func changed() throws {
    try withVolume(size: "32m") { volume in
      try succeed(volume.famfs("mkdir", "-m", "700", volume.master + "/dir"))
      try volume.add("dir/file", count: 5)
      let shadow = volume.room.directory("shadow")
      _ = volume.room.directory("shadow/root")
      try succeed(play(volume, ["-sS", shadow, volume.master]))
      #expect(try FileStatus(path: shadow + "/root/dir").permissions == 0o700)
      #expect(failure { chmod(volume.master + "/dir", 0o755) } == nil)
      #expect(failure { chown(volume.master + "/dir/file", 12, 34) } == nil)
      #expect(failure { chmod(volume.master + "/dir/file", 0o4604) } == nil)
      try volume.unmount()
      for _ in 0..<2 {
        let outcome = try play(volume, ["-sS", shadow, "--daxdev", volume.device])
        #expect(outcome.status == 0 && outcome.stdout.contains("; 0 new files; 0 new directories"), "\(outcome)")
        #expect(try FileStatus(path: shadow + "/root/dir").permissions == 0o755)
        let text = String(decoding: try read(shadow + "/root/dir/file"), as: UTF8.self)
        #expect(text.contains("mode: 04604") && text.contains("uid: 12") && text.contains("gid: 34"), "\(text)")
      }
      #expect(try run(["ls", "-A", shadow + "/root/dir"]).stdout == "file\n")
    }
  }

  @Test("a play that fails has given the directories that it made their modes")
  func failing() throws {
    try withVolume(size: "32m") { volume in
      try succeed(volume.famfs("mkdir", "-m", "751", volume.master + "/dir"))
      try volume.add("file", count: 5)
      let shadow = volume.room.directory("shadow")
      _ = volume.room.directory("shadow/root")
      try write([1, 2, 3], to: shadow + "/root/file")
      expectRefusal(try play(volume, ["-S", shadow, volume.master]), naming: ["'file'", "something else"])
      #expect(try FileStatus(path: shadow + "/root/dir").permissions == 0o751)
    }
  }
}
