import Foundation
import Platform
import Testing

/// The mount options coherent and noncoherent, on real mounts.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct CoherenceOptionTests {
  @Test("plain files are coherent if nobody says otherwise; the last option wins, and status tells")
  func options() throws {
    try withVolume(size: "32m") { volume in
      try volume.unmount()
      for (options, expected) in [
        ([], "coherent"), (["-o", "noncoherent"], "noncoherent"), (["-o", "noncoherent,coherent"], "coherent"),
        (["-o", "coherent", "-o", "noncoherent"], "noncoherent"),
      ] {
        try volume.mount(.master, options)
        let status = try volume.famfs("status", volume.master).stdout
        #expect(status.contains("coherence:   \(expected)\n"), "\(options): \(status)")
        #expect(try volume.famfs("status", "--json", volume.master).stdout.contains("\"coherence\":\"\(expected)\""))
        let isDirect = status.contains("data path:   FUSE, direct I/O")
        #expect(isDirect == (expected == "noncoherent"), "\(options): \(status)")
        expectRefusal(
          try volume.famfs("mount", "-R", "-o", "coherent", volume.device, volume.master),
          naming: ["--remount", "options"])
        try volume.unmount()
      }
      try volume.mount(.master, ["-o", "noncoherent", "--cache", "auto"])
      #expect(try volume.famfs("status", volume.master).stdout.contains("data path:   FUSE, page cache"))
      try volume.unmount()
      try succeed(
        run(["mount.famfs", volume.device, volume.master, "-o", "noncoherent"], environment: Host.master.environment))
      #expect(try volume.famfs("status", volume.master).stdout.contains("coherence:   noncoherent\n"))
      expectRefusal(try volume.famfs("mount", "-o", "incoherent", volume.device, volume.client), naming: ["incoherent"])
    }
  }

  @Test("noncoherent: an open file sees what another host writes, without being opened again")
  func reads() throws {
    try withVolume(size: "32m", client: true, mounting: ["-o", "noncoherent"]) { volume in
      let before = try volume.add("file", count: 100_000)
      let seen = volume.client + "/file"
      #expect(seconds(until: { access(seen, F_OK) == 0 }) != nil)
      let file = try FileDescriptor(opening: seen, .readOnly)
      #expect(areSame(try file.bytes(at: 0, count: before.count), before))
      let after = contents(3000, seed: 9)
      try FileDescriptor(opening: volume.master + "/file", .writeOnly).put(after, at: 5001)
      #expect(areSame(try file.bytes(at: 5001, count: 3000), after))
      #expect(areSame(try file.bytes(at: 0, count: 5001), Array(before[..<5001])))
    }
  }

  @Test("flush brings what is stored to a mapping to the other host", arguments: ["coherent", "noncoherent"])
  func flush(option: String) throws {
    try withVolume(size: "32m", client: true, mounting: ["-o", option]) { volume in
      try volume.add("file", count: 8192)
      let (own, seen) = (volume.master + "/file", volume.client + "/file")
      #expect(seconds(until: { access(seen, F_OK) == 0 }) != nil)
      let file = try FileDescriptor(opening: own, .readWrite)
      let mapped = mmap(nil, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0)
      // Before Linux 6.6 what goes past the page cache cannot be mapped.
      guard let start = mapped != MAP_FAILED ? mapped : nil else { return }
      defer { munmap(start, 8192) }
      let other = try FileDescriptor(opening: seen, .readOnly)
      _ = try other.bytes(at: 0, count: 8192)
      let stored = contents(8192, seed: 11)
      memcpy(start, stored, 8192)
      try succeed(volume.famfs("flush", own))
      try succeed(volume.famfs("flush", seen, as: .client))
      #expect(areSame(try other.bytes(at: 0, count: 8192), stored))
    }
  }
}
