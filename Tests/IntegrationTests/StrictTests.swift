import Foundation
import Platform
import Testing

/// FAMFS_STRICT=1 and the mount option strict: no more than the public famfs does.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct StrictTests {
  private struct Status: Decodable {
    struct Mount: Decodable { let strict: Bool }
    let mounts: [Mount]
  }

  private func isStrict(_ volume: TestVolume, _ host: Host = .master) throws -> Bool {
    let outcome = try volume.famfs("status", "--json", volume.mountPoint(of: host))
    return try #require(JSONDecoder().decode(Status.self, from: Data(outcome.stdout.utf8)).mounts.first).strict
  }

  @Test("a strict client sees what the master adds after logplay, and status says that it is strict")
  func following() throws {
    try withVolume(size: "64m") { volume in
      try volume.mount(.client, ["--strict"])
      #expect(try isStrict(volume, .client) && !isStrict(volume))
      #expect(try volume.famfs("status", volume.client).stdout.contains("strict:      yes"))
      let bytes = try volume.add("file", count: 5000)
      // A client that follows has it by the time that a second mount, made later, has it and more.
      let other = volume.room.directory("other")
      try succeed(run(["famfs", "mount", volume.device, other], environment: Host.client.environment))
      try volume.add("later", count: 1)
      #expect(seconds(until: { access(other + "/later", F_OK) == 0 }) != nil)
      #expect(failure { access(volume.client + "/file", F_OK) } == .noEntry)
      let played = try volume.famfs("logplay", volume.client, as: .client)
      try succeed(played)
      #expect(played.stdout.contains("2 new files"), "\(played)")
      expect(volume.client + "/file", holds: bytes)
      // The listing that the kernel may have kept is told, too.
      #expect(seconds(until: { (try? run(["ls", volume.client]))?.stdout == "file\nlater\n" }) != nil)
      try succeed(run(["famfs", "umount", other]))
    }
  }

  @Test("strict comes by the environment and by each way to mount, and is refused where it is neither 0 nor 1")
  func ways() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "32m")
      let environment = Host.master.environment
      let strict = environment.merging(["FAMFS_STRICT": "1"]) { $1 }
      let ways: [([String], [String: String], Bool)] = [
        (["famfs", "mount", volume.device, volume.master], strict, true),
        (["famfs", "mount", "--strict", volume.device, volume.master], environment, true),
        (["mount.famfs", volume.device, volume.master, "-o", "strict"], environment, true),
        (["mount.famfs", volume.device, volume.master], environment.merging(["FAMFS_STRICT": "0"]) { $1 }, false),
      ]
      for (words, environment, expected) in ways {
        try succeed(run(words, environment: environment))
        #expect(try isStrict(volume) == expected, "\(words)")
        try volume.unmount()
      }
      for words in [
        ["famfs", "status"], ["mkfs.famfs", room.at("new")], ["famfs", "mount", volume.device, volume.master],
      ] {
        expectRefusal(try run(words, environment: ["FAMFS_STRICT": "yes"]), naming: ["FAMFS_STRICT=yes", "unset"])
      }
    }
  }

  @Test("a strict mount refuses empty files")
  func empty() throws {
    try withVolume(size: "64m", mounting: ["--strict"]) { volume in
      let source = try volume.room.file("source", [])
      let before = try volume.metadata()
      for words in [["cp", source], ["creat", "-s", "0"]] {
        let outcome = try run(["famfs"] + words + [volume.master + "/new"], environment: Host.master.environment)
        expectRefusal(outcome, naming: [volume.master + "/new", "empty", "strict"])
      }
      #expect(try volume.metadata() == before)
    }
  }

  @Test("a strict mkfs refuses devices under 4 GiB, and a strict mount buckets under 1 GiB")
  func sizes() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let strict = Host.master.environment.merging(["FAMFS_STRICT": "1"]) { $1 }
      expectRefusal(
        try run(["mkfs.famfs", "--size", "4095m", volume.device], environment: strict), naming: ["4 GiB", "larger"])
      #expect(failure { access(volume.device, F_OK) } == .noEntry)
      try succeed(run(["mkfs.famfs", "--size", "4g", volume.device], environment: strict))
      try volume.mount(.master, ["--strict"])
      let create = ["famfs", "creat", "-s", "8m", "-N", "2", "-C", "2m", "-B"]
      expectRefusal(
        try run(create + ["5", volume.master + "/file"], environment: Host.master.environment),
        naming: ["1 GiB", "fewer buckets"])
      try succeed(run(create + ["4", volume.master + "/file"], environment: Host.master.environment))
      try volume.unmount()
      try volume.mount()
      try succeed(run(create + ["8", volume.master + "/more"], environment: Host.master.environment))
      try volume.unmount()
    }
  }
}
