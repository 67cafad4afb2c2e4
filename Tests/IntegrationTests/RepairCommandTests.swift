import Foundation
import Platform
import Testing

/// fsck --repair as people call it, and commands that want the same device at once.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct RepairCommandTests {
  @Test("fsck --repair says what it would do, does it, and the files are back")
  func repair() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "32m")
      try volume.mount()
      let bytes = try volume.add("file", count: 70_000)
      try volume.unmount()
      let sound = try volume.everything()
      let media = Media(volume.device)
      try media.put(Media.log, [UInt8](repeating: 0, count: 32))
      try media.flip(Media.entry(0) + 41)
      try media.flip(60)
      let damaged = try volume.everything()
      #expect(try volume.famfs("fsck", volume.device).status == 1)
      let dry = try volume.famfs("fsck", "--repair", "-n", volume.device)
      #expect(dry.status == 1)
      for word in ["would repair the superblock", "log header made anew: 1 entries", "log entry 0 (file)"] {
        #expect(dry.stdout.contains(word), "\(dry)")
      }
      let asClient = try volume.famfs("fsck", "--repair", volume.device, as: .client)
      expectRefusal(asClient, naming: ["only its master"], status: 2)
      #expect(try volume.everything() == damaged)
      let done = try volume.famfs("fsck", "--repair", volume.device)
      try succeed(done)
      #expect(done.stdout.contains("famfs fsck: repaired the superblock: "), "\(done)")
      #expect(try volume.everything() == sound)
      #expect(try volume.famfs("fsck", "--repair", volume.device).stdout.contains("nothing that can be repaired"))
      #expect(try volume.famfs("fsck", "--repair", "--json", volume.device).stdout.contains("\"repairs\":[]"))
      #expect(try volume.famfs("fsck", "--json", volume.device).stdout.contains("\"repairs\":null"))
      try volume.mount()
      expect(volume.master + "/file", holds: bytes)
      try volume.unmount()
    }
  }

  @Test("entries at the end that nobody can read are cut off with --save, which keeps them")
  func save() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "32m")
      try volume.mount()
      try volume.add("first", count: 10)
      try volume.add("second", count: 10)
      try volume.unmount()
      let media = Media(volume.device)
      try media.put(Media.entry(1) + 50, [1, 2, 3, 4, 5, 6, 7])
      let kept = try media.get(Media.entry(1), 544)
      let damaged = try volume.everything()
      #expect(try volume.famfs("fsck", "--repair", volume.device).status == 1)
      let taken = try room.file("taken", [1])
      expectRefusal(
        try volume.famfs("fsck", "--repair", "--save", taken, volume.device), naming: [taken, "new file"], status: 2)
      let file = room.at("kept")
      #expect(try volume.famfs("fsck", "--repair", "-n", "--save", file, volume.device).status == 1)
      #expect(failure { access(file, F_OK) } == .noEntry)
      #expect(try volume.everything() == damaged)
      try succeed(volume.famfs("fsck", "--repair", "--save", file, volume.device))
      let hexadecimal = kept.map { String(format: "%02x", $0) }.joined()
      #expect(try String(contentsOfFile: file, encoding: .utf8).hasSuffix("\n1 \(hexadecimal)\n"))
      try volume.mount()
      try volume.add("third", count: 10)
      try volume.unmount()
      try succeed(volume.famfs("fsck", volume.device))
    }
  }

  @Test("a mounted volume is not repaired, neither by its device nor by a path")
  func mounted() throws {
    try withVolume(size: "16m") { volume in
      for words in [[volume.device], [volume.master], ["--force", volume.device], ["-n", volume.device]] {
        let outcome = try run(["famfs", "fsck", "--repair"] + words, environment: Host.master.environment)
        expectRefusal(outcome, naming: [volume.master, "unmount"], status: 16)
      }
    }
  }

  @Test("commands that make, repair and read one device at once leave it whole, and see it whole")
  func crowd() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      for _ in 0..<5 {
        let makers = try (0..<3).map { _ in
          try Child(["mkfs.famfs", "--force", volume.device], environment: Host.master.environment)
        }
        let others = try [[], ["--repair"], []].map { options in
          try Child(["famfs", "fsck"] + options + [volume.device], environment: Host.master.environment)
        }
        for maker in makers {
          let outcome = try maker.wait()
          #expect(outcome.status == 0 || outcome.stderr.contains("still uses it"), "\(outcome)")
        }
        for other in others {
          let outcome = try other.wait()
          let isLate = outcome.stderr.contains("still uses it") || outcome.stderr.contains("being formatted")
          #expect(outcome.status == 0 || isLate && outcome.status == 2, "\(outcome)")
        }
        try succeed(volume.famfs("fsck", volume.device))
      }
    }
  }

  @Test("--dry-run and --save need --repair")
  func usage() throws {
    for option in [["-n"], ["--save", "x"]] {
      expectRefusal(try run(["famfs", "fsck"] + option + ["/none"]), naming: ["--repair"])
    }
  }

  @Test("readers share a device that is not mounted; who changes it has it alone")
  func locks() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      let shared: [[String]] = [["famfs", "fsck", volume.device], ["famfs", "logplay", volume.device]]
      let alone: [[String]] = [
        ["famfs", "fsck", "--repair", volume.device], ["mkfs.famfs", "--force", volume.device],
        ["mkfs.famfs", "--kill", "--force", volume.device],
      ]
      let mount: [String] = ["famfs", "mount", volume.device, volume.master]
      let file = try FileDescriptor(opening: volume.device, .readWrite)
      try file.lock(byte: 0, exclusive: false)  // as one who reads
      for words in shared { try succeed(run(words, environment: Host.master.environment)) }
      let before = try volume.everything()
      for words in alone {
        let outcome = try run(words, environment: Host.master.environment)
        expectRefusal(outcome, naming: [volume.device, "still uses it"], status: words[1] == "fsck" ? 2 : 1)
      }
      try file.lock(byte: 0, exclusive: true)  // as one who changes it
      for words in shared + alone + [mount] {
        let outcome = try run(words, environment: Host.master.environment)
        #expect(outcome.status == (words[1] == "fsck" ? 2 : 1) && outcome.complaints.count == 1, "\(outcome)")
      }
      #expect(try volume.everything() == before)
    }
  }
}
