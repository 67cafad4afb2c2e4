import Foundation
import Platform
import Testing

/// famfs flush.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct FlushTests {
  @Test("what was written through a mapping is in the memory after flush", arguments: ["never", "auto", "always"])
  func mapping(cache: String) throws {
    try withVolume(client: true, mounting: ["--cache", cache]) { volume in
      let bytes = try volume.add("file", count: 100_000)
      #expect(seconds(until: { access(volume.client + "/file", F_OK) == 0 }) != nil)
      let file = try FileDescriptor(opening: volume.master + "/file", .readWrite)
      let start = mmap(nil, bytes.count, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0)
      let memory = try #require(start == MAP_FAILED ? nil : start)
      defer { munmap(memory, bytes.count) }
      for place in [0, 5000, 99_999] { memory.storeBytes(of: ~bytes[place], toByteOffset: place, as: UInt8.self) }
      let outcome = try volume.famfs("flush", "-v", volume.master + "/file")
      #expect(outcome.status == 0 && outcome.stderr == "")
      #expect(outcome.stdout == "famfs flush: flushed \(volume.master)/file\n")
      var wanted = bytes
      for place in [0, 5000, 99_999] { wanted[place] = ~wanted[place] }
      // The first file lies behind superblock and log.
      let device = try FileDescriptor(opening: volume.device, .readOnly)
      let isThere = areSame(try device.bytes(at: 10 << 20, count: bytes.count), wanted)
      #expect(isThere)
      expect(volume.client + "/file", holds: wanted)
    }
  }

  @Test("a host that has cached a file sees the other's writes after its flush")
  func invalidating() throws {
    try withVolume(client: true, mounting: ["--cache", "always"]) { volume in
      var bytes = try volume.add("file", count: 50_000)
      #expect(seconds(until: { access(volume.client + "/file", F_OK) == 0 }) != nil)
      for mount in volume.mounts { expect(mount + "/file", holds: bytes) }
      bytes[20_000] = ~bytes[20_000]
      try FileDescriptor(opening: volume.master + "/file", .readWrite).put([bytes[20_000]], at: 20_000)
      try succeed(volume.famfs("flush", volume.master + "/file"))
      try succeed(volume.famfs("flush", volume.client + "/file", as: .client))
      expect(volume.client + "/file", holds: bytes)
    }
  }

  @Test("a directory is an error and the others are flushed all the same; files elsewhere are refused")
  func refusals() throws {
    try withVolume(size: "128m") { volume in
      let bytes = try volume.add("a", count: 5000)
      try succeed(volume.famfs("creat", "-s", "9m", "-N2", "-B4", "-C2m", volume.master + "/b"))
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let (m, outside) = (volume.master, try volume.room.file("outside", [1]))
      let outcome = try volume.famfs("flush", "-v", m + "/dir", m + "/a", m, outside, m + "/none", m + "/b")
      #expect(outcome.status == 1)
      #expect(outcome.stdout == "famfs flush: flushed \(m)/a\nfamfs flush: flushed \(m)/b\n")
      #expect(outcome.complaints.count == 4, "\(outcome.stderr)")
      for word in ["dir is a directory", "\(m) is a directory", "outside is not in", "none"] {
        #expect(outcome.stderr.contains(word), "\(outcome.stderr)")
      }
      expect(m + "/a", holds: bytes)
      expectRefusal(try volume.famfs("flush"), naming: ["name a file"])
    }
  }
}
