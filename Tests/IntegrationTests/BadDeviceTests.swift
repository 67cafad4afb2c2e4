import Foundation
import Platform
import Testing

/// Devices that cannot be mounted: one line that names the device and says what to do, and nothing changes.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct BadDeviceTests {
  /// Something wrong with a volume that was made well.
  struct Damage: CustomTestStringConvertible {
    let name: String
    /// Words of the message: what is wrong, and the remedy.
    let words: [String]
    /// Whether fsck finds an error (1); else it cannot check (2).
    var isError = true
    let apply: @Sendable (Media, String) throws -> Void
    var testDescription: String { name }
  }

  static let damages = [
    Damage(name: "zeros", words: ["no famfs", "mkfs.famfs"], isError: false) { media, _ in
      try media.put(0, [UInt8](repeating: 0, count: 4096))
    },
    Damage(name: "noise", words: ["no famfs", "mkfs.famfs"], isError: false) { media, _ in
      try media.put(0, contents(2 << 20))
    },
    Damage(name: "wrong version", words: ["version 47", "48", "use the famfs that made it"], isError: false) {
      media, _ in
      try media.put(8, 47)
      try media.seal(0, 96, at: 96)
    },
    Damage(name: "wrong checksum of the superblock", words: ["checksum", "mkfs.famfs --force"]) { media, _ in
      try media.flip(60)
    },
    Damage(name: "no log header", words: ["log header", "mkfs.famfs --force"]) { media, _ in
      try media.put(Media.log, [UInt8](repeating: 0, count: 48))
    },
    Damage(name: "wrong checksum of the log header", words: ["checksum", "mkfs.famfs --force"]) { media, _ in
      try media.flip(Media.log + 24)
    },
    Damage(name: "log header of another length", words: ["length", "mkfs.famfs --force"]) { media, _ in
      try media.put(Media.log + 8, 16 << 20)
      try media.seal(Media.log, 24, at: Media.log + 24)
    },
    Damage(name: "cut off in its log", words: ["needs at least", "larger device"]) { _, path in
      try retrying { truncate(path, 5 << 20) }
    },
    Damage(name: "cut off behind its superblock", words: ["4096 bytes", "needs at least", "larger device"]) { _, path in
      try retrying { truncate(path, 4096) }
    },
    Damage(name: "empty", words: ["size 0", "mkfs.famfs --size"], isError: false) { _, path in
      try retrying { truncate(path, 0) }
    },
  ]

  @Test("a damaged device is neither mounted nor checked nor played, and stays as it is", arguments: damages)
  func damaged(damage: Damage) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      try damage.apply(Media(volume.device), volume.device)
      let before = try volume.everything()
      for host in Host.allCases {
        expectRefusal(
          try volume.famfs("mount", volume.device, volume.mountPoint(of: host), as: host),
          naming: [volume.device] + damage.words)
      }
      expectRefusal(
        try volume.famfs("fsck", volume.device), naming: [volume.device] + damage.words, status: damage.isError ? 1 : 2)
      expectRefusal(try volume.famfs("logplay", volume.device), naming: [volume.device] + damage.words)
      #expect(try volume.everything() == before)
      expectNothingRuns(in: room)
    }
  }

  @Test("what is no memory device is refused by every command")
  func noDevice() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let fifo = room.at("fifo")
      try retrying { mkfifo(fifo, 0o600) }
      for (path, words) in [
        (room.at("missing"), ["no such device", "--size"]), (room.directory("folder"), ["directory", "dax"]),
        ("/dev/null", ["dax"]), (fifo, ["no memory device", "dax"]),
      ] {
        expectRefusal(try run(["mkfs.famfs", path], environment: Host.master.environment), naming: [path] + words)
        expectRefusal(try volume.famfs("mount", path, volume.master), naming: [path] + words)
        if path != room.at("folder") {
          expectRefusal(try volume.famfs("fsck", path), naming: [path], status: 2)
        }
      }
      expectNothingRuns(in: room)
      #expect(failure { access(room.at("missing"), F_OK) } == .noEntry)
    }
  }

  @Test("a device that is too small is left as it is")
  func tooSmall() throws {
    try withRoom { room in
      let device = try room.file("device", contents(8 << 20))
      let make = ["mkfs.famfs", device]
      expectRefusal(try run(make, environment: Host.master.environment), naming: [device, "16777216", "larger device"])
      expect(device, holds: contents(8 << 20))
      let small = room.at("small")
      expectRefusal(
        try run(["mkfs.famfs", "--size", "8m", small], environment: Host.master.environment), naming: [small])
      #expect(failure { access(small, F_OK) } == .noEntry, "a device that could not be made was left behind")
    }
  }

  @Test("mkfs --size makes a new file; one that exists it takes by --force only, and only if it is the caller's")
  func existing() throws {
    try withRoom { room in
      func make(_ path: String, _ options: String...) throws -> Outcome {
        try run(["mkfs.famfs", "--size", "16m"] + options + [path], environment: Host.master.environment)
      }
      let new = room.at("new")
      try succeed(make(new))
      #expect(try FileStatus(path: new).permissions == 0o600)
      let bytes = contents(16 << 20)
      let path = try room.file("device", bytes)
      chmod(path, 0o666)
      expectRefusal(try make(path), naming: [path, "exists already", "--force"])
      // Another user may have it open, or hold it by another name.
      try retrying { chown(path, 65534, 65534) }
      expectRefusal(try make(path, "--force"), naming: [path, "65534"])
      try retrying { chown(path, 0, 0) }
      try retrying { link(path, room.at("twin")) }
      expectRefusal(try make(path, "--force"), naming: [path, "another name"])
      unlink(room.at("twin"))
      let symbolic = try room.link("link", to: path)
      expectRefusal(try make(symbolic, "--force"), naming: [symbolic, "no plain file"])
      expect(path, holds: bytes)
      let taken = try make(path, "--force")
      try succeed(taken)
      #expect(taken.stderr.contains("\(path) was there already"), "\(taken)")
      try succeed(run(["famfs", "fsck", path], environment: Host.master.environment))
    }
  }

  @Test("mkfs refuses log lengths, units and sizes that cannot be, and changes nothing")
  func badOptions() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      let before = try volume.everything()
      for (options, word) in [
        (["--loglen", "9m"], "power of two"), (["--loglen", "4m"], "power of two"), (["--loglen", "x"], "size"),
        (["--loglen", "16m"], "larger device"), (["--alloc-unit", "8k"], "2m or 4k"), (["--size", "32m"], "--size"),
        (["--size", "-1"], "size"),
      ] {
        let words = ["mkfs.famfs", "--force"] + options + [volume.device]
        expectRefusal(try run(words, environment: Host.master.environment), naming: [word])
      }
      #expect(try volume.everything() == before)
    }
  }

  @Test("mkfs over a valid file system needs --force, which makes it empty")
  func secondMake() throws {
    try withVolume(size: "32m") { volume in
      try volume.add("file", count: 5000)
      try volume.unmount()
      let before = try volume.everything()
      for options in [[], ["--kill"]] {
        let words = ["mkfs.famfs"] + options + [volume.device]
        expectRefusal(try run(words, environment: Host.master.environment), naming: [volume.device, "--force"])
      }
      expectRefusal(
        try run(["mkfs.famfs", volume.device], environment: Host.client.environment), naming: ["--force"])
      #expect(try volume.everything() == before)
      try succeed(run(["mkfs.famfs", "--force", volume.device], environment: Host.master.environment))
      try volume.mount()
      #expect(try run(["ls", volume.master]).stdout == "")
      try volume.unmount()
      try succeed(run(["mkfs.famfs", "--kill", "--force", volume.device], environment: Host.master.environment))
      expectRefusal(try volume.famfs("fsck", volume.device), naming: ["no famfs"], status: 2)
    }
  }

  @Test("mkfs leaves a famfs that it cannot read alone, unless --force")
  func unreadable() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      for damage in Self.damages where ["wrong version", "wrong checksum of the superblock"].contains(damage.name) {
        try damage.apply(Media(volume.device), volume.device)
        let before = try volume.everything()
        for options in [[], ["--kill"]] {
          let words = ["mkfs.famfs"] + options + [volume.device]
          expectRefusal(try run(words, environment: Host.master.environment), naming: [volume.device, "--force"])
        }
        #expect(try volume.everything() == before)
        try succeed(run(["mkfs.famfs", "--force", volume.device], environment: Host.master.environment))
      }
      try Media(volume.device).put(0, [UInt8](repeating: 0, count: 4096))
      try succeed(run(["mkfs.famfs", volume.device], environment: Host.master.environment))
    }
  }

  @Test("mkfs on a mounted device is refused, also with --force, by master and client")
  func mounted() throws {
    try withVolume(size: "32m", client: true) { volume in
      let bytes = try volume.add("file", count: 5000)
      try volume.unmount()  // the client's mount alone keeps mkfs out
      let before = try volume.everything()
      for options in [[], ["--force"], ["--force", "--kill"]] {
        for host in Host.allCases {
          let words = ["mkfs.famfs"] + options + [volume.device]
          expectRefusal(try run(words, environment: host.environment), naming: [volume.device, "mounted", "unmount"])
        }
      }
      #expect(try volume.everything() == before)
      expect(volume.client + "/file", holds: bytes)
    }
  }
}
