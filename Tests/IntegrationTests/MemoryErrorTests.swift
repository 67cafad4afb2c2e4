import Foundation
import Platform
import Testing

/// Memory that fails under a mount: EIO for what lies there, and nothing else happens to anybody.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct MemoryErrorTests {
  /// Bytes of a file at an offset, or why not.
  private func look(_ path: String, at offset: Int, count: Int, direct: Bool = false) -> Result<[UInt8], Errno> {
    Result { () throws(Errno) in
      let flags: Int32 = direct ? 0x4000 : 0  // O_DIRECT
      return try FileDescriptor(opening: path, OpenOptions(rawValue: O_RDONLY | flags)).bytes(at: offset, count: count)
    }
  }

  @Test("a page of a file that fails is EIO there and nowhere else, for reading, writing and mapping; status names it")
  func fileContents() throws {
    try withPoisonedVolume { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      let bytes = try volume.add("good", count: 100_000)
      let other = try volume.add("bad", count: 400_000, seed: 2)
      let (bad, good) = (volume.master + "/bad", volume.master + "/good")
      let daemon = try volume.daemon()
      try poisoned.poison("bad", pages: 10..<12)
      let start = try poisoned.offset(of: "bad") + 10 * 4096
      for direct in [false, true] {
        #expect(look(bad, at: 10 * 4096, count: 4096, direct: direct) == .failure(.inputOutput))
        #expect(look(bad, at: 11 * 4096, count: 4096, direct: direct) == .failure(.inputOutput))
        let before = try look(bad, at: 9 * 4096, count: 4096, direct: direct).get()
        #expect(areSame(before, Array(other[9 * 4096..<10 * 4096])))
        let after = try look(bad, at: 12 * 4096, count: 4096, direct: direct).get()
        #expect(areSame(after, Array(other[12 * 4096..<13 * 4096])))
      }
      // A program that has it mapped gets SIGBUS, as with any file.
      let script = """
        import mmap
        f = open('\(bad)', 'rb')
        m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        print(m[0] + m[13 * 4096] >= 0, flush=True)
        m[10 * 4096]
        """
      if Machine.hasPython {
        let outcome = try run(["python3", "-c", script])
        #expect(outcome.status == 128 + SIGBUS && outcome.stdout == "True\n", "\(outcome)")
      }
      let writer = try FileDescriptor(opening: bad, .readWrite)
      // The small one first: of whole pages that could not be written the cache below the device may keep the bytes.
      #expect(throws: Errno.inputOutput) { try writer.put([1, 2, 3], at: 11 * 4096 + 50) }
      #expect(throws: Errno.inputOutput) { try writer.put(other, at: 0) }
      #expect(try writer.put(Array(other[..<4096]), at: 0) == 4096)
      expect(good, holds: bytes)
      let status = try poisoned.status()
      #expect(status.contains("\"disabled\":null"), "\(status)")
      #expect(status.contains("\"offset\":\(start),\"bytes\":8192,\"fault\":\"unreadable\""), "\(status)")
      #expect(status.contains("\"files\":[\"bad\"],\"file_count\":1"), "\(status)")
      let text = try volume.famfs("status", volume.master).stdout
      #expect(text.contains("bad memory:  device 0, 8192 bytes at \(start) (bad): it cannot be read, met "), "\(text)")
      // Nothing else is disturbed, and new files go elsewhere.
      let more = try volume.add("more", count: 50_000, seed: 3)
      expect(volume.master + "/more", holds: more)
      #expect(try volume.daemon() == daemon)
    }
  }

  @Test("a page that fails in free space costs one copy, and the next goes elsewhere")
  func freeSpace() throws {
    try withPoisonedVolume { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      try volume.add("first", count: 5000)
      let next = try poisoned.offset(of: "first") + (2 << 20)
      try poisoned.poison(next + 8192..<next + 12288)
      let source = try volume.room.file("source", contents(300_000, seed: 4))
      let copy = try volume.famfs("cp", source, volume.master + "/copy")
      #expect(copy.status == 1 && copy.stderr.contains("famfs status"), "\(copy)")
      #expect(failure { access(volume.master + "/copy", F_OK) } == .noEntry)
      let status = try poisoned.status()
      #expect(status.contains("\"offset\":\(next + 8192),\"bytes\":4096"), "\(status)")
      #expect(status.contains("\"contents\":\"no file\""), "\(status)")
      try succeed(volume.famfs("cp", source, volume.master + "/copy"))
      expect(volume.master + "/copy", holds: contents(300_000, seed: 4))
      // What a program makes goes around it as well.
      try write(contents(300_000, seed: 5), to: volume.master + "/plain")
      expect(volume.master + "/plain", holds: contents(300_000, seed: 5))
    }
  }

  @Test("a program that makes a file where memory fails gets EIO, and can make it again")
  func staged() throws {
    try withPoisonedVolume { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      try volume.add("first", count: 5000)
      let next = try poisoned.offset(of: "first") + (2 << 20)
      try poisoned.poison(next + 8192..<next + 12288)
      let path = volume.master + "/made"
      #expect(throws: Errno.inputOutput) { try write(contents(100_000), to: path) }
      #expect(failure { unlink(path) } == nil)
      // Space that was given up lies fallow for a moment.
      #expect(seconds(until: { (try? write(contents(100_000), to: path)) != nil || unlink(path) < 0 }) != nil)
      try succeed(volume.famfs("commit", path))
      expect(path, holds: contents(100_000))
    }
  }

  /// A part of the metadata, and words of what is said when it fails.
  static let places: [(place: Int, words: [String])] = [
    (0, ["cannot be read"]), (Media.log, ["cannot be read"]), (Media.entry(60) / 4096 * 4096, ["log"]),
  ]

  @Test("metadata that fails ends all appending; files are read on, and the unmount is clean", arguments: places)
  func metadata(part: (place: Int, words: [String])) throws {
    try withPoisonedVolume { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      for number in 0..<55 { try succeed(volume.famfs("mkdir", "\(volume.master)/d\(number)")) }
      let bytes = try volume.add("file", count: 200_000)
      try poisoned.poison(part.place..<part.place + 4096)
      let source = try volume.room.file("source", contents(5000))
      var refusal = Outcome(status: 0, stdout: "", stderr: "")
      let isRefused: () throws -> Bool = {
        refusal = try volume.famfs("cp", source, volume.master + "/new\(contents(8)[0])-\(Clock.monotonic())")
        return refusal.status != 0
      }
      #expect(try seconds(until: isRefused) != nil)
      for word in part.words + ["mkfs.famfs --force"] { #expect(refusal.stderr.contains(word), "\(refusal)") }
      let status = try poisoned.status()
      #expect(!status.contains("\"disabled\":null") && status.contains("\"state\":\"serving\""), "\(status)")
      #expect(status.contains("\"offset\":\(part.place),"), "\(status)")
      #expect(try volume.famfs("status", volume.master).stdout.contains("disabled:    "))
      expect(volume.master + "/file", holds: bytes)
      let made = failure { open(volume.master + "/made", O_CREAT | O_WRONLY, 0o644) }
      #expect(made == .inputOutput, "\(String(describing: made))")
    }
  }

  @Test("a volume with failing metadata is refused with a sentence, and mkfs --force makes the device usable again")
  func makeAgain() throws {
    try withPoisonedVolume { poisoned in
      let volume = poisoned.volume
      try poisoned.poison(0..<4096)
      try poisoned.poison(Media.log..<Media.log + 8192)
      for words in [["mount", volume.device, volume.master], ["logplay", volume.device]] {
        expectRefusal(
          try run(["famfs"] + words, environment: Host.master.environment),
          naming: [volume.device, "mkfs.famfs --force"])
      }
      let check = try volume.famfs("fsck", volume.device)
      #expect([1, 2].contains(check.status) && check.stderr.contains(volume.device), "\(check)")
      expectRefusal(
        try run(["mkfs.famfs", volume.device], environment: Host.master.environment),
        naming: [volume.device, "--force"])
      // Where writing does not help mkfs says so, and does not die.
      expectRefusal(
        try run(["mkfs.famfs", "--force", volume.device], environment: Host.master.environment), naming: [volume.device]
      )
      poisoned.file.allowCure()
      try succeed(run(["mkfs.famfs", "--force", volume.device], environment: Host.master.environment))
      try volume.mount()
      let bytes = try volume.add("file", count: 100_000)
      expect(volume.master + "/file", holds: bytes)
      let status = try poisoned.status()
      #expect(status.contains("\"memory_errors\":[]") && status.contains("\"disabled\":null"), "\(status)")
    }
  }

  @Test("commands that read a failing page name the file, and end with status 1")
  func commands() throws {
    try withPoisonedVolume { poisoned in
      let volume = poisoned.volume
      try volume.mount()
      let path = volume.master + "/file"
      try succeed(volume.famfs("creat", "-s", "400k", "-r", "-S", "7", path))
      try poisoned.poison("file", pages: 30..<31)
      for words in [
        ["verify", "-S", "7", "-f", path], ["cp", path, volume.master + "/copy"], ["chkread", path],
        ["creat", "-r", "-S", "8", path],
      ] {
        let outcome = try run(["famfs"] + words, environment: Host.master.environment)
        #expect(outcome.status == 1 && outcome.stderr.contains("file"), "\(words): \(outcome)")
        #expect(outcome.stderr.split(separator: "\n").count == 1, "\(words): \(outcome)")
      }
      #expect(failure { access(volume.master + "/copy", F_OK) } == .noEntry)
    }
  }

  @Test("a device that is cut short under its mount: what is gone is EIO, status says why, the rest is there")
  func cutShort() throws {
    try withVolume(client: true) { volume in
      let bytes = try volume.add("near", count: 100_000)
      try volume.add("far", count: 5 << 20, seed: 2)
      for mount in volume.mounts { #expect(seconds(until: { access(mount + "/far", F_OK) == 0 }) != nil) }
      try retrying { truncate(volume.device, 14 << 20) }
      for mount in volume.mounts {
        #expect(look(mount + "/far", at: 4 << 20, count: 4096) == .failure(.inputOutput))
        expect(mount + "/near", holds: bytes)
      }
      for host in Host.allCases {
        let status = try volume.famfs("status", "--json", volume.mountPoint(of: host), as: host).stdout
        #expect(status.contains("\"fault\":\"cutShort\"") && status.contains("\"files\":[\"far\"]"), "\(status)")
        #expect(status.contains("\"disabled\":null"), "\(status)")
      }
      // Its metadata as well: the mounts live on, and end cleanly.
      try retrying { truncate(volume.device, 0) }
      #expect(
        try seconds(until: { try !volume.famfs("status", "--json", volume.master).stdout.contains("\"disabled\":null") }
        )
          != nil)
      expectRefusal(try volume.famfs("mkdir", volume.master + "/d"), naming: ["mkfs.famfs --force"])
      try retrying { truncate(volume.device, 64 << 20) }
      for host in Host.allCases { try volume.unmount(host) }
      try succeed(run(["mkfs.famfs", "--force", volume.device], environment: Host.master.environment))
      try volume.mount()
    }
  }
}
