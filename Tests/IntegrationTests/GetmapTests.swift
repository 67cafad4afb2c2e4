import Foundation
import Platform
import Testing

/// famfs getmap: where a file's bytes lie.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct GetmapTests {
  private struct Map: Decodable {
    struct Extent: Decodable {
      let device, offset, length: UInt64
    }
    let path: String
    let size: UInt64
    let layout: String
    let chunkSize: UInt64?
    let extents: [Extent]
  }

  @Test("getmap prints a file's size and extents, and the bytes are there")
  func simple() throws {
    try withVolume(client: true) { volume in
      let bytes = try volume.add("file", count: 3_000_001)
      let path = volume.master + "/file"
      let outcome = try volume.famfs("getmap", path)
      try succeed(outcome)
      #expect(outcome.stdout.contains("size:    3000001\n"))
      #expect(outcome.stdout.contains("extents: 1\n"))
      let map: Map = try decode(volume.famfs("getmap", "--json", path))
      #expect(map.path == path)
      #expect((map.size, map.layout, map.chunkSize) == (3_000_001, "simple", nil))
      #expect(map.extents.count == 1 && map.extents[0].length == 4 << 20 && map.extents[0].device == 0)
      let stored = try Media(volume.device).get(Int(map.extents[0].offset), bytes.count)
      let isSame = areSame(stored, bytes)
      #expect(isSame)
      #expect(seconds(until: { access(volume.client + "/file", F_OK) == 0 }) != nil)
      let seen: Map = try decode(volume.famfs("getmap", "--json", volume.client + "/file", as: .client))
      #expect(seen.extents.map(\.offset) == map.extents.map(\.offset))
    }
  }

  @Test("getmap shows the strips and the chunk size of an interleaved file")
  func interleaved() throws {
    try withVolume { volume in
      let path = volume.master + "/striped"
      try succeed(volume.famfs("creat", "-s", "5m", "-N", "3", "-B", "3", "-C", "2m", path))
      #expect(try volume.famfs("getmap", path).stdout.contains("strips:  3\n  chunk:   2097152\n"))
      let map: Map = try decode(volume.famfs("getmap", "--json", path))
      #expect((map.layout, map.chunkSize) == ("interleaved", 2 << 20))
      #expect(map.extents.map(\.length) == [2 << 20, 2 << 20, 2 << 20])
    }
  }

  @Test("getmap --quiet says it by its status alone, and accepts -c")
  func quiet() throws {
    try withVolume { volume in
      try volume.add("file", count: 1)
      for options in [["-q"], ["--quiet"], ["-qc"]] {
        let outcome = try run(["famfs", "getmap"] + options + [volume.master + "/file"])
        #expect(outcome.status == 0 && outcome.stdout == "" && outcome.stderr == "", "\(outcome)")
      }
      #expect(try volume.famfs("getmap", "-c", volume.master + "/.meta/.log").status == 0)
      expectRefusal(try volume.famfs("getmap", "-q", "--json", volume.master + "/file"), naming: ["--json"])
    }
  }

  @Test("getmap gives 1 for what is no famfs file, and 2 when the daemon is gone")
  func strangers() throws {
    try withVolume { volume in
      let plain = try volume.room.file("plain", [1])
      expectRefusal(try volume.famfs("getmap", plain), naming: [plain])
      expectRefusal(try volume.famfs("getmap", "-q", plain), naming: [plain])
      expectRefusal(try volume.famfs("getmap", volume.master + "/none"), naming: ["/none"])
      expectRefusal(try volume.famfs("getmap", volume.master), naming: ["no file"])
      try volume.add("file", count: 1)
      let daemon = try volume.daemon()
      kill(daemon, SIGKILL)
      #expect(seconds(until: { !Machine.isRunning(daemon) }) != nil)
      expectRefusal(try volume.famfs("getmap", volume.master + "/file"), naming: ["gone"], status: 2)
      let shown = try volume.famfs("status", volume.master)
      #expect(shown.status == 0 && shown.stdout.contains("  dead: "), "\(shown)")
    }
  }
}

/// What a command printed with --json; nothing else may be there.
func decode<Value: Decodable>(_ outcome: Outcome, status: Int32 = 0) throws -> Value {
  try #require(outcome.status == status, "\(outcome)")
  #expect(outcome.stdout.split(separator: "\n").count == 1)
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  return try decoder.decode(Value.self, from: Data(outcome.stdout.utf8))
}
