import Foundation
import Platform
import Testing

/// Volumes of several devices, by the commands that people use.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct SeveralDevicesTests {
  private struct Report: Decodable {
    struct Device: Decodable {
      let index: Int
      let bytes: UInt64
      let path: String?
      let trouble: String?
    }
    let devices: [Device]
  }

  private struct Status: Decodable { let mounts: [Report] }

  /// A volume of two simulated devices, mounted on both hosts, and the path of the second.
  private func withTwo(_ body: (TestVolume, String) throws -> Void) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let second = room.at("second")
      try succeed(
        run(["mkfs.famfs", "--size", "64m", volume.device, second], environment: Host.master.environment))
      for host in Host.allCases { try volume.mount(host, ["--device", second]) }
      try body(volume, second)
      for host in Host.allCases where volume.isMounted(host) { try volume.unmount(host) }
      expectNothingRuns(in: room)
    }
  }

  private func devices(_ volume: TestVolume, _ mount: String) throws -> [Report.Device] {
    let status = try volume.famfs("status", "--json", mount)
    return try JSONDecoder().decode(Status.self, from: Data(status.stdout.utf8)).mounts[0].devices
  }

  @Test("files lie on both devices, are read on the other host, and are there after a remount")
  func use() throws {
    try withTwo { volume, second in
      for seed in ["1", "2"] {
        try succeed(volume.famfs("creat", "-r", "-S", seed, "-s", "40m", volume.master + "/f" + seed))
      }
      try succeed(
        volume.famfs(
          "creat", "-r", "-S", "3", "-s", "9000000", "-N", "4", "-B", "8", "-C", "2m", volume.master + "/striped"))
      #expect(try volume.famfs("getmap", volume.master + "/f1").stdout.contains("device 0 offset 0xa00000"))
      #expect(try volume.famfs("getmap", volume.master + "/f2").stdout.contains("device 1 offset 0x200000"))
      let strips = try volume.famfs("getmap", volume.master + "/striped").stdout
      #expect(strips.contains("device 0 ") && strips.contains("device 1 "), "\(strips)")
      #expect(seconds(until: { access(volume.client + "/striped", F_OK) == 0 }) != nil)
      let verify = { (mount: String) in
        try succeed(run(["famfs", "verify"] + [1, 2].flatMap { ["-m", "\(mount)/f\($0),\($0)"] }))
        try succeed(run(["famfs", "verify", "-S", "3", "-f", mount + "/striped"]))
      }
      for mount in volume.mounts { try verify(mount) }
      // In place, on the second device, from one host to the other.
      do {
        let file = try FileDescriptor(opening: volume.master + "/f2", .readWrite)
        let piece = contents(100_000, seed: 8)
        try file.put(piece, at: 1_000_000)
        let seen = try FileDescriptor(opening: volume.client + "/f2", .readOnly)
        #expect(areSame(try seen.bytes(at: 1_000_000, count: piece.count), piece))
      }
      try succeed(volume.famfs("flush", volume.master + "/f2"))
      try succeed(volume.famfs("check", volume.master))
      try succeed(volume.famfs("fsck", volume.client, as: .client))
      try succeed(volume.famfs("creat", "-r", "-S", "2", volume.master + "/f2"))
      for host in Host.allCases { try volume.unmount(host) }
      try succeed(volume.famfs("fsck", "--device", second, volume.device))
      try volume.mount(.client, ["--device", second])
      try verify(volume.client)
    }
  }

  @Test("devadd makes a mounted volume larger at once, and clients are told where the device is")
  func add() throws {
    try withVolume(client: true) { volume in
      let more = volume.room.at("more")
      let before = try volume.freeBytes()
      let outcome = try volume.famfs("devadd", "-v", "--size", "128m", volume.master, more)
      try succeed(outcome)
      #expect(outcome.stdout == "famfs devadd: \(more) is device 1\n")
      #expect(try volume.freeBytes() == before + 126 << 20)
      try succeed(volume.famfs("creat", "-r", "-S", "5", "-s", "100m", volume.master + "/big"))
      let big = volume.client + "/big"
      #expect(seconds(until: { access(big, F_OK) == 0 }) != nil)
      // A plain file is not found by itself.
      #expect(try run(["head", "-c", "1", big]).stderr.contains("Input/output error"))
      #expect(try volume.famfs("check", volume.client, as: .client).status == 1)
      #expect(try devices(volume, volume.client)[1].trouble?.contains("--device") == true)
      try succeed(volume.famfs("devadd", volume.client, more, as: .client))
      try succeed(volume.famfs("verify", "-S", "5", "-f", big))
      try succeed(volume.famfs("check", volume.client, as: .client))
      #expect(try devices(volume, volume.client)[1].path == more)
      expectRefusal(try volume.famfs("devadd", volume.master, more), naming: [more, "device 1", "already"])
      let log = try run(["famfs", "chkread", "-l", volume.master + "/.meta/.log"]).stdout
      #expect(log.contains("device 1, 134217728 bytes"), "\(log)")
    }
  }

  @Test("devadd works on a volume that is not mounted, and refuses what it must not take")
  func refusals() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make()
      let (more, other) = (room.at("more"), room.at("other"))
      expectRefusal(
        try volume.famfs("devadd", "--size", "64m", volume.device, more, as: .client),
        naming: ["client", Host.master.rawValue])
      #expect(access(more, F_OK) != 0, "the file that was made for it is gone again")
      try succeed(volume.famfs("devadd", "--size", "64m", volume.device, more))
      try succeed(run(["mkfs.famfs", "--size", "32m", other], environment: Host.master.environment))
      expectRefusal(try volume.famfs("devadd", volume.device, other), naming: [other, "--force"])
      expectRefusal(try volume.famfs("devadd", volume.device, volume.device), naming: [volume.device])
      expectRefusal(try volume.famfs("devadd", more, other), naming: [more, "secondary"])
      expectRefusal(try volume.famfs("devadd", volume.device, room.at("none")), naming: ["none", "no such device"])
      expectRefusal(try volume.famfs("devadd", room.path, other), naming: [room.path])
      expectRefusal(try volume.famfs("devadd", volume.device), naming: ["famfs devadd", "--help"])
      expectRefusal(try volume.famfs("mount", more, volume.master), naming: [more, "secondary", "primary"])
      expectRefusal(try volume.famfs("fsck", more), naming: [more, "secondary"], status: 2)
      for words in [[more], [room.at("third"), more], [volume.device, room.at("third"), room.at("third")]] {
        try room.file("third", [])
        truncate(room.at("third"), 64 << 20)
        let outcome = try run(["mkfs.famfs"] + words, environment: Host.master.environment)
        #expect(outcome.status == 1 && outcome.complaints.count == 1, "\(words) \(outcome)")
      }
      try succeed(volume.famfs("fsck", "--device", more, volume.device))
      let alone = try volume.famfs("fsck", volume.device)
      #expect(alone.status == 2 && alone.stdout.contains("not found on this host"), "\(alone)")
      // A device of a mounted volume is in use.
      try volume.mount(.master, ["--device", more])
      let forced = try run(["mkfs.famfs", "--force", more], environment: Host.master.environment)
      expectRefusal(forced, naming: [more, "mounted"])
      expectRefusal(try volume.famfs("devadd", volume.device, other), naming: [volume.device, volume.master])
      try volume.unmount()
    }
  }

  @Test("a copy that is under way goes on on a device that is added meanwhile")
  func addDuringCopy() throws {
    try withVolume(size: "32m") { volume in
      let (source, fifo, more) = (volume.room.directory("source"), volume.room.at("fifo"), volume.room.at("more"))
      for place in 0..<6 { try volume.room.file("source/f\(place)", contents(5_000_000, seed: UInt64(place))) }
      try retrying { mkfifo(fifo, 0o600) }
      // It stops at the first line that it prints, for the pipe is full.
      let script = "exec 3<>\"$1\"; head -c 65536 /dev/zero >&3; exec \"$0\" cp -t 1 -v -r \"$2\" \"$3\" >\"$1\""
      let copy = try Child(
        ["sh", "-c", script, Machine.program("famfs"), fifo, source, volume.master + "/copy"],
        environment: Host.master.environment)
      let isThere = { (place: Int) in access(volume.master + "/copy/f\(place)", F_OK) == 0 }
      #expect(seconds(until: { (0..<6).contains(where: isThere) }) != nil)
      try succeed(volume.famfs("devadd", "--size", "64m", volume.master, more))
      try succeed(run(["sh", "-c", "cat \"$0\" >/dev/null", fifo]))
      try succeed(copy.wait())
      for place in 0..<6 { expect(volume.master + "/copy/f\(place)", holds: contents(5_000_000, seed: UInt64(place))) }
    }
  }

  @Test("devadd takes no file of a mounted famfs, whose mount could never end")
  func inside() throws {
    try withVolume { volume in
      try succeed(volume.famfs("creat", "-s", "16m", volume.master + "/inner"))
      let inner = volume.master + "/inner"
      expectRefusal(try volume.famfs("devadd", volume.master, inner), naming: [inner, volume.master])
      #expect(try devices(volume, volume.master).count == 1)
    }
  }

  @Test("a device that was stamped for a volume and never came into its log is added as any other is")
  func leftOver() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make()
      let (more, copy) = (room.at("more"), room.at("copy"))
      try succeed(run(["cp", "--sparse=always", volume.device, copy]))
      try succeed(volume.famfs("devadd", "--size", "64m", volume.device, more))
      // The copy's log has no such device. It is the other volume's for as long as that is mounted.
      let (one, other) = (room.directory("one"), room.directory("other"))
      try succeed(volume.famfs("mount", "--device", more, volume.device, one))
      try succeed(volume.famfs("mount", copy, other))
      expectRefusal(try volume.famfs("devadd", other, more), naming: [more, "in use"])
      for mount in [one, other] { try succeed(volume.famfs("umount", mount)) }
      try succeed(
        run(["mount.famfs", copy, other, "-o", "ro"], environment: Host.master.environment))
      expectRefusal(try volume.famfs("devadd", other, more), naming: ["read-only"])
      #expect(try devices(volume, other).count == 1)
      try succeed(volume.famfs("umount", other))
      try succeed(volume.famfs("devadd", copy, more))
      try succeed(volume.famfs("fsck", "--device", more, copy))
      expectNothingRuns(in: room)
    }
  }

  @Test("a mount without one of its devices warns, and serves what it can")
  func missing() throws {
    try withTwo { volume, second in
      try volume.add("small", count: 100)
      try volume.unmount()
      let outcome = try volume.famfs("mount", volume.device, volume.master)
      #expect(outcome.status == 0 && outcome.stderr.contains("--device"), "\(outcome)")
      expect(volume.master + "/small", holds: contents(100, seed: 1))
      let full = try volume.famfs("creat", "-s", "60m", volume.master + "/large")
      expectRefusal(full, naming: ["no space", "large"])
      try succeed(volume.famfs("devadd", volume.master, second))
      try succeed(volume.famfs("creat", "-s", "60m", volume.master + "/large"))
    }
  }

  @Test("mount.famfs and famfs_fused take device=")
  func helper() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let names = ["second", "third"].map { room.at($0) }
      let environment = Host.master.environment
      try succeed(run(["mkfs.famfs", "--size", "64m", volume.device] + names, environment: environment))
      let options = names.map { "device=" + $0 }.joined(separator: ",")
      let outcome = try run(
        ["mount.famfs", volume.device, volume.master, "-o", "noatime," + options], environment: environment)
      #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
      #expect(try devices(volume, volume.master).map(\.path) == [volume.device] + names)
      try volume.unmount()
      expectNothingRuns(in: room)
    }
  }
}
