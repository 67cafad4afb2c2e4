import Foundation
import Platform
import Testing

/// Mastership goes from one host to another.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct TakeOverTests {
  private struct Status: Decodable {
    struct Mount: Decodable {
      struct Host: Decodable {
        let systemUuid: String
        let role: String
        let alive: Bool
        let entries: UInt64
      }
      let role: String
      let masterUuid: String
      let badEntries: UInt64
      let freeBytes: UInt64
      let hosts: [Host]
    }
    let mounts: [Mount]
  }

  private func status(_ volume: TestVolume, _ host: Host) throws -> Status.Mount {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let outcome = try volume.famfs("status", "--json", volume.mountPoint(of: host))
    return try #require(try decoder.decode(Status.self, from: Data(outcome.stdout.utf8)).mounts.first)
  }

  private func role(_ volume: TestVolume, _ host: Host) -> String? { try? status(volume, host).role }

  @Test("status lists who has the volume mounted, whether they live, and how far they have followed")
  func hosts() throws {
    try withVolume(client: true) { volume in
      try volume.add("file", count: 10)
      let areBoth: () -> Bool = {
        guard let hosts = try? status(volume, .master).hosts else { return false }
        return hosts.count == 2 && hosts.allSatisfy { $0.alive && $0.entries == 1 }
      }
      #expect(seconds(until: areBoth) != nil)
      let hosts = try status(volume, .client).hosts
      #expect(
        Set(hosts.map { $0.systemUuid + $0.role }) == [
          Host.master.rawValue + "master", Host.client.rawValue + "client",
        ])
      try volume.unmount(.client)
      #expect(seconds(until: { (try? status(volume, .master).hosts.count) == 1 }) != nil)
    }
  }

  @Test("status lists all mounts that have left heartbeats, also more than one message holds")
  func many() throws {
    try withVolume { volume in
      let media = Media(volume.device)
      let slots = stride(from: 4096, to: 4096 + (256 << 10), by: 256)
      let isFree: (Int) throws -> Bool = { try media.get($0, 8) == [UInt8](repeating: 0, count: 8) }
      #expect(try seconds(until: { try !slots.allSatisfy(isFree) }) != nil)
      let own = try #require(slots.first { try !isFree($0) })
      var heartbeat = try media.get(own, 256)
      for (number, slot) in try slots.filter(isFree).prefix(400).enumerated() {
        heartbeat.replaceSubrange(24..<32, with: [UInt8(number & 0xff), UInt8(number >> 8), 1, 2, 3, 4, 5, 6])
        try media.put(slot, heartbeat)
        try media.seal(slot, 248, at: slot + 248)
      }
      #expect(seconds(until: { (try? status(volume, .master).hosts.count) == 401 }) != nil)
    }
  }

  @Test("a master that lives is taken over only by force, and is a client from then on")
  func forced() throws {
    try withVolume(client: true) { volume in
      try volume.add("old", count: 10)
      #expect(seconds(until: { access(volume.client + "/old", F_OK) == 0 }) != nil)
      var refused = try volume.famfs("takeover", volume.client, as: .client)
      try seconds(until: {
        if refused.status != 0 { return true }
        // On a busy machine the master left no heartbeat for 5 s. It takes the volume back, for another try.
        try succeed(volume.famfs("takeover", "--force", volume.master))
        refused = try volume.famfs("takeover", volume.client, as: .client)
        return false
      })
      expectRefusal(refused, naming: ["alive", Host.master.rawValue, "--force"])
      let file = try FileDescriptor(opening: volume.master + "/staged", [.readWrite, .create], mode: 0o644)
      try file.put(contents(3 << 20, seed: 1), at: 0)
      try succeed(volume.famfs("takeover", "--force", volume.client, as: .client))
      #expect(role(volume, .client) == "master")
      #expect(seconds(until: { role(volume, .master) == "client" }) != nil)
      #expect(failure { fsync(file.rawValue) } == .readOnlyFileSystem)
      #expect(failure { mkdir(volume.master + "/no", 0o755) } == .readOnlyFileSystem)
      expectRefusal(try volume.famfs("creat", "-s", "1", volume.master + "/no"), naming: [Host.client.rawValue])
      // The new master adds, natively and by commands, and the old one sees it.
      try succeed(volume.famfs("creat", "-s", "100", "-r", "-S", "7", volume.client + "/made", as: .client))
      try write([7, 8, 9], to: volume.client + "/plain")
      try succeed(volume.famfs("commit", volume.client, as: .client))
      for name in ["made", "plain"] {
        #expect(seconds(until: { access(volume.master + "/" + name, F_OK) == 0 }) != nil)
      }
      expect(volume.master + "/plain", holds: [7, 8, 9])
      try succeed(volume.famfs("fsck", volume.client, as: .client))
      // The staged file's space is the new master's to give out: nothing of it may be written or read any more.
      #expect(throws: Errno.readOnlyFileSystem) { try file.put([1], at: 0) }
      try succeed(volume.famfs("verify", "-S", "7", "-f", volume.master + "/made"))
      #expect(try status(volume, .master).badEntries == 0)
      #expect(try status(volume, .master).freeBytes == status(volume, .client).freeBytes)
      #expect(
        try run(["stat", "-c", "%a", volume.client + "/.meta/.log", volume.master + "/.meta/.log"]).stdout
          == "644\n444\n")
    }
  }

  @Test(
    "an old master of this machine whose daemon is stopped is not taken over, and nothing changes until it is ended")
  func stoppedHere() throws {
    try withVolume(client: true) { volume in
      try volume.add("old", count: 10)
      let daemon = try volume.daemon()
      do {
        defer { kill(daemon, SIGCONT) }
        try Machine.stop(daemon)
        // Also by force, and also once it is silent.
        for options in [["--force"], []] {
          var refused = try run(
            ["famfs", "takeover"] + options + [volume.client], environment: Host.client.environment)
          // Without force it counts as alive until it has been silent for long enough.
          try seconds(until: {
            if !refused.stderr.contains("is alive") { return true }
            refused = try run(["famfs", "takeover"] + options + [volume.client], environment: Host.client.environment)
            return false
          })
          expectRefusal(refused, naming: ["stopped", "lock", "try again"])
          let status = try status(volume, .client)
          #expect(status.role == "client" && status.masterUuid == Host.master.rawValue)
          let words = try volume.famfs("mkdir", volume.client + "/no", as: .client)
          expectRefusal(words, naming: [Host.master.rawValue])
        }
      }
      // It goes on as if nothing had been.
      try succeed(volume.famfs("mkdir", volume.master + "/made"))
      #expect(role(volume, .master) == "master")
      kill(daemon, SIGSTOP)
      kill(daemon, SIGKILL)
      #expect(seconds(until: { !Machine.isRunning(daemon) }) != nil)
      try run(["famfs", "umount", volume.master])
      let isTaken: () throws -> Bool = { try volume.famfs("takeover", volume.client, as: .client).status == 0 }
      #expect(try seconds(until: isTaken) != nil)
      try succeed(volume.famfs("mkdir", volume.client + "/new", as: .client))
      try succeed(volume.famfs("fsck", volume.client, as: .client))
    }
  }

  @Test("a master that was stopped while another machine took it over goes on as a client, and harms nothing")
  func stopped() throws {
    try withVolume(client: true, mounting: ["--commit", "600"]) { volume in
      try volume.add("old", count: 10)
      // Nothing of the mount is open while its daemon stands still: whoever has, waits for it at each fork.
      try write(contents(3 << 20, seed: 1), to: volume.master + "/staged")
      let daemon = try volume.daemon()
      do {
        defer { kill(daemon, SIGCONT) }
        try Machine.stop(daemon)
        // As another machine does it: the superblock names the new master.
        let media = Media(volume.device)
        try media.put(80, [UInt8](repeating: 0xbb, count: 4) + [0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 2])
        try media.seal(0, 96, at: 96)
        #expect(seconds(until: { (try? status(volume, .client))?.masterUuid == Host.client.rawValue }) != nil)
        #expect(role(volume, .client) == "client")
        // The host that the superblock names is not told that only that host may write.
        let words = try volume.famfs("mkdir", volume.client + "/no", as: .client)
        expectRefusal(words, naming: ["lock of an old master", "famfs takeover"])
        let copied = try volume.famfs("creat", "-s", "1", volume.client + "/no", as: .client)
        expectRefusal(copied, naming: ["lock of an old master", "famfs takeover"])
      }
      let takeover = try Child(
        ["famfs", "takeover", "--force", volume.client], environment: Host.client.environment)
      try succeed(takeover.wait())
      #expect(role(volume, .client) == "master")
      #expect(seconds(until: { role(volume, .master) == "client" }) != nil)
      expectRefusal(
        try volume.famfs("commit", volume.master + "/staged"), naming: [Host.client.rawValue])
      #expect(failure { mkdir(volume.master + "/no", 0o755) } == .readOnlyFileSystem)
      // What the old one had taken for its staged file is the new one's to give out.
      try succeed(
        volume.famfs("creat", "-s", "40M", "-r", "-S", "7", volume.client + "/new", as: .client))
      #expect(seconds(until: { access(volume.master + "/new", F_OK) == 0 }) != nil)
      try succeed(volume.famfs("verify", "-S", "7", "-f", volume.master + "/new"))
      try succeed(volume.famfs("fsck", volume.client, as: .client))
    }
  }

  @Test("a master whose daemon was killed is taken over without force, and is a client when it comes back")
  func dead() throws {
    try withVolume(client: true) { volume in
      try volume.add("old", count: 10)
      let daemon = try volume.daemon()
      kill(daemon, SIGKILL)
      #expect(seconds(until: { !Machine.isRunning(daemon) }) != nil)
      try run(["famfs", "umount", volume.master])
      let isTaken: () throws -> Bool = { try volume.famfs("takeover", volume.client, as: .client).status == 0 }
      #expect(try seconds(until: isTaken) != nil)
      try succeed(volume.famfs("mkdir", volume.client + "/new", as: .client))
      try volume.mount(.master)
      #expect(role(volume, .master) == "client")
      #expect(access(volume.master + "/new", F_OK) == 0)
      // And back again, when nobody has it mounted.
      for host in Host.allCases { try volume.unmount(host) }
      try succeed(volume.famfs("takeover", volume.device))
      try volume.mount(.master)
      #expect(role(volume, .master) == "master")
      try succeed(volume.famfs("creat", "-s", "1", volume.master + "/again"))
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("a copy that waits for its source while the volume is taken over stores nothing any more")
  func copying() throws {
    try withVolume(["--alloc-unit", "4k"], client: true) { volume in
      let gate = volume.room.at("gate")
      try retrying { mkfifo(gate, 0o600) }
      let script = """
        (head -c 1048576 /dev/zero; read go < "$R/gate"; head -c 3145728 /dev/zero) | famfs cp --size 4m - "$M/copy"
        """
      let path = Machine.programs + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
      let variables = ["M": volume.master, "R": volume.room.path, "PATH": path]
      let before = try volume.freeBytes()
      let copy = try Child(["bash", "-c", script], environment: variables.merging(Host.master.environment) { $1 })
      #expect(try seconds(until: { try volume.freeBytes() < before }) != nil, "no space was taken")
      try succeed(volume.famfs("takeover", "--force", volume.client, as: .client))
      #expect(seconds(until: { role(volume, .client) == "master" }) != nil)
      // The space that the copy had is free for the new master, and the first that there is.
      try succeed(volume.famfs("creat", "-s", "8m", "-r", "-S", "7", volume.client + "/made", as: .client))
      let opened = try FileDescriptor(opening: gate, .readWrite)
      try opened.write("go\n")
      expectRefusal(try copy.wait(), naming: ["taken"])
      _ = consume opened
      try succeed(volume.famfs("verify", "-S", "7", "-f", volume.client + "/made"))
      #expect(try run(["ls", volume.client]).stdout == "made\n")
      try succeed(volume.famfs("fsck", volume.client, as: .client))
    }
  }

  @Test("files that a stopped command was making are not made, by whichever host, when it goes on after a takeover")
  func creating() throws {
    try withVolume(size: "512m", client: true) { volume in
      let before = try volume.freeBytes()
      let files = (0..<8).flatMap { ["-M", "\(volume.master)/f\($0),40m,\($0 + 1)"] }
      let command = try Child(["famfs", "creat"] + files, environment: Host.master.environment)
      #expect(try seconds(until: { try volume.freeBytes() < before }) != nil)
      command.send(SIGSTOP)
      try succeed(volume.famfs("takeover", "--force", volume.client, as: .client))
      #expect(seconds(until: { role(volume, .client) == "master" }) != nil)
      command.send(SIGCONT)
      let outcome = try command.wait()
      // On a fast machine it may have been done before it was stopped.
      #expect(
        outcome.status == 0 || outcome.stderr.contains("taken") || outcome.stderr.contains("master"), "\(outcome)")
      try succeed(volume.famfs("creat", "-s", "20m", "-r", "-S", "7", volume.client + "/made", as: .client))
      try succeed(volume.famfs("verify", "-S", "7", "-f", volume.client + "/made"))
      for place in 0..<8 {
        let path = volume.client + "/f\(place)"
        if access(path, F_OK) == 0 { try succeed(volume.famfs("verify", "-S", "\(place + 1)", "-f", path)) }
      }
      try succeed(volume.famfs("fsck", volume.client, as: .client))
    }
  }

  @Test("what cannot be taken over is refused")
  func refusals() throws {
    try withVolume { volume in
      try succeed(volume.famfs("takeover", volume.master))  // it is the master
      expectRefusal(try volume.famfs("takeover", volume.device, as: .client), naming: [volume.device, volume.master])
      try volume.unmount()
      try volume.mount(.client, ["--strict"])
      expectRefusal(try volume.famfs("takeover", volume.client, as: .client), naming: ["strict"])
      expectRefusal(try volume.famfs("takeover"), naming: ["famfs takeover --help"])
      expectRefusal(try volume.famfs("takeover", "/none"), naming: ["/none"])
    }
  }
}
