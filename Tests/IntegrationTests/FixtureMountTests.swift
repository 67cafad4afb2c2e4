import Foundation
import Platform
import Testing

/// Volumes that the public famfs wrote, mounted.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct FixtureMountTests {
  static let names = ["a_empty", "b_files"]

  private struct Manifest: Decodable {
    struct Entry: Decodable {
      let type, path, mode: String
      let uid, gid: UInt32
      let size: UInt64?
      let sha256: String?
      let extents: [Extent]?
    }
    struct Extent: Decodable {
      let devindex, offset, len: UInt64
    }
    let entries: [Entry]
  }

  /// The host that made them.
  private static let maker = ["FAMFS_SYSTEM_UUID": "11111111-2222-3333-4444-555566667777"]

  /// Lends a volume whose device is a copy of the fixture, not mounted.
  private func withFixture(_ name: String, _ body: (TestVolume, [Manifest.Entry]) throws -> Void) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let packed = Machine.fixtures + "/" + name
      let data = try Data(contentsOf: URL(fileURLWithPath: packed + ".manifest.json"))
      let script = "gzip -dc '\(packed).img.gz' > '\(volume.device)'"
      try succeed(run(["sh", "-c", script]))
      try body(volume, JSONDecoder().decode(Manifest.self, from: data).entries)
      expectNothingRuns(in: room)
    }
  }

  /// Expects a mount to show the manifest's entries, these names besides, and nothing else.
  private func expect(_ mount: String, shows entries: [Manifest.Entry], and more: Set<String> = []) throws {
    let found = try run(["find", mount, "-mindepth", "1", "-path", "*/.meta", "-prune", "-o", "-printf", "%P\n"])
    let names = Set(found.stdout.split(separator: "\n").map(String.init)).subtracting([""])
    #expect(names == Set(entries.map(\.path)).union(more))
    for entry in entries {
      var status = stat()
      try retrying { lstat(mount + "/" + entry.path, &status) }
      let isDirectory = entry.type == "dir"
      #expect(status.st_mode & S_IFMT == (isDirectory ? S_IFDIR : S_IFREG), "\(entry.path)")
      #expect(status.st_mode & 0o7777 == UInt32(entry.mode, radix: 8), "\(entry.path)")
      #expect(status.st_uid == entry.uid, "\(entry.path)")
      #expect(status.st_gid == entry.gid, "\(entry.path)")
      if isDirectory { continue }
      #expect(UInt64(status.st_size) == entry.size, "\(entry.path)")
    }
    let files = entries.filter { $0.type == "file" }
    if files.isEmpty { return }
    let sums = try run(["sha256sum"] + files.map { mount + "/" + $0.path }).stdout.split(separator: "\n")
    #expect(sums.map { String($0.prefix(64)) } == files.map { $0.sha256 })
  }

  @Test("a client sees every path, mode, owner, size and byte, and changes nothing", arguments: names)
  func asClient(name: String) throws {
    try withFixture(name) { volume, entries in
      let before = try volume.everything()
      try volume.mount(.client)
      try expect(volume.client, shows: entries)
      let refused = try volume.famfs("mkdir", volume.client + "/new", as: .client)
      expectRefusal(refused, naming: ["11111111-2222-3333-4444-555566667777"])
      let checked = try volume.famfs("fsck", volume.client, as: .client)
      #expect(checked.status == 0, "\(checked)")
      #expect(checked.stdout.contains("role of this node: Client"))
      try volume.unmount(.client)
      #expect(try volume.everything() == before)
    }
  }

  @Test("getmap tells where the public famfs has put every file", arguments: names)
  func maps(name: String) throws {
    struct Map: Decodable {
      struct Extent: Decodable {
        let device, offset, length: UInt64
      }
      let size: UInt64
      let layout: String
      let extents: [Extent]
    }
    try withFixture(name) { volume, entries in
      try volume.mount(.client)
      for entry in entries {
        let outcome = try volume.famfs("getmap", "--json", volume.client + "/" + entry.path, as: .client)
        guard let extents = entry.extents else {
          expectRefusal(outcome, naming: ["only files have extents"])
          continue
        }
        let map: Map = try decode(outcome)
        #expect(map.size == entry.size && map.layout == "simple", "\(entry.path)")
        #expect(
          map.extents.map { [$0.device, $0.offset, $0.length] } == extents.map { [$0.devindex, $0.offset, $0.len] })
      }
      try volume.unmount(.client)
    }
  }

  @Test("its master goes on where the public tools stopped", arguments: names)
  func asMaster(name: String) throws {
    try withFixture(name) { volume, entries in
      try succeed(run(["famfs", "mount", volume.device, volume.master], environment: Self.maker))
      try volume.mount(.client)
      try succeed(volume.famfs("mkdir", volume.master + "/made"))
      let bytes = try volume.add("made/file", count: 3_000_001, seed: 4)
      #expect(seconds(until: { access(volume.client + "/made/file", F_OK) == 0 }) != nil)
      for mount in volume.mounts {
        try expect(mount, shows: entries, and: ["made", "made/file"])
        IntegrationTests.expect(mount + "/made/file", holds: bytes)
      }
      let checked = try volume.famfs("fsck", volume.master)
      #expect(checked.status == 0, "\(checked)")
      #expect(checked.stdout.contains("  \(entries.count + 2) of 15420 entries used\n"))
      try volume.unmount(.client)
      try volume.unmount(.master)
      try succeed(run(["famfs", "mount", volume.device, volume.master], environment: Self.maker))
      try expect(volume.master, shows: entries, and: ["made", "made/file"])
      IntegrationTests.expect(volume.master + "/made/file", holds: bytes)
      try volume.unmount(.master)
    }
  }
}
