import Foundation
import Platform
import Testing

/// Changing a live mount, and having it forget what it has cached.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct RemountTests {
  @Test("--remount changes cache and timeout of a live mount, and nothing else")
  func remount() throws {
    try withVolume(size: "32m", client: true) { volume in
      let bytes = try volume.add("file", count: 5000)
      let mount = ["famfs", "mount", "-R"]
      #expect(try volume.famfs("status", volume.client).stdout.contains("data path:   FUSE, page cache"))
      let change = try run(
        mount + ["-c", "never", "-t", "1.5", volume.device, volume.client], environment: Host.client.environment)
      try succeed(change)
      #expect(change.stdout.contains("\(volume.client) changed"))
      #expect(try volume.famfs("status", volume.client).stdout.contains("data path:   FUSE, direct I/O"))
      #expect(try volume.famfs("status", volume.master).stdout.contains("data path:   FUSE, page cache"))
      #expect(seconds(until: { access(volume.client + "/file", F_OK) == 0 }) != nil)
      expect(volume.client + "/file", holds: bytes)
      for (words, expected) in [
        (["-c", "sometimes", volume.device, volume.client], ["sometimes"]),
        (["-t", "x", volume.device, volume.client], ["x"]),
        (["-u", volume.device, volume.client], ["--remount", "nouseraccess"]),
        (["--strict", volume.device, volume.client], ["--remount", "strict"]),
        ([volume.device, volume.room.directory("none")], ["none", "not mounted"]),
        ([volume.room.at("source"), volume.client], ["not mounted"]),
      ] {
        expectRefusal(try run(mount + words, environment: Host.client.environment), naming: expected)
      }
    }
  }

  @Test("after flush a client sees what the master wrote in place, in mapped pages too, also with --cache always")
  func flush() throws {
    try withVolume(size: "32m", client: true, mounting: ["--cache", "always"]) { volume in
      let before = try volume.add("file", count: 100_000)
      let seen = volume.client + "/file"
      #expect(seconds(until: { access(seen, F_OK) == 0 }) != nil)
      expect(seen, holds: before)  // and is cached for good
      let file = try FileDescriptor(opening: seen, .readOnly)
      let mapped = mmap(nil, before.count, PROT_READ, MAP_SHARED, file.rawValue, 0)
      let start = try #require(mapped != MAP_FAILED ? mapped : nil)
      defer { munmap(start, before.count) }
      #expect(memcmp(start, before, before.count) == 0)
      let after = contents(100_000, seed: 77)
      try FileDescriptor(opening: volume.master + "/file", .writeOnly).put(after, at: 0)
      try succeed(volume.famfs("flush", volume.master + "/file"))
      try succeed(volume.famfs("flush", seen, as: .client))
      #expect(memcmp(start, after, after.count) == 0, "the mapping is not what the memory holds")
      let bytes = try file.bytes(at: 0, count: after.count)
      #expect(areSame(bytes, after))
      expect(seen, holds: after)
    }
  }
}
