import Foundation
import Platform
import Testing

/// Striped files through creat and cp.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct StripedFileTests {
  @Test("creat stripes, and the contents are right on both hosts, also after a remount")
  func create() throws {
    try withVolume(size: "256m", client: true) { volume in
      let sizes = [2 << 20, 2 << 20 + 1, 10_000_000, 24 << 20, 100]
      for size in sizes {
        try succeed(
          volume.famfs(
            "creat", "-N3", "-B", "6", "--chunksize", "2m", "-s", "\(size)", "-r", "-S", "\(size)",
            volume.master + "/f\(size)"))
      }
      let check = { (mount: String) in
        try succeed(run(["famfs", "verify"] + sizes.flatMap { ["-m", "\(mount)/f\($0),\($0)"] }))
      }
      #expect(seconds(until: { access(volume.client + "/f100", F_OK) == 0 }) != nil)
      for mount in volume.mounts { try check(mount) }
      // A chunk-wise refill goes to the same places.
      try succeed(volume.famfs("creat", "-r", "-S", "77", volume.master + "/f10000000"))
      try succeed(volume.famfs("verify", "-S", "77", "-f", volume.client + "/f10000000"))
      try succeed(volume.famfs("creat", "-r", "-S", "10000000", volume.master + "/f10000000"))
      try succeed(volume.famfs("fsck", volume.master))
      let free = try volume.freeBytes()
      // Strips of 2, 2, 4 and 8 MiB, three each, and 2 MiB for the file smaller than a chunk.
      #expect(free == (256 - 10 - 3 * (2 + 2 + 4 + 8) - 2) << 20)
      try volume.unmount()
      try volume.mount()
      try check(volume.master)
      #expect(try volume.freeBytes() == free)
    }
  }

  @Test("cp stripes, in trees too, with small units and every way of reading", arguments: ["0", "2"])
  func copy(threads: String) throws {
    try withVolume(size: "64m", ["--alloc-unit", "4k"], client: true) { volume in
      let tree = volume.room.directory("tree")
      let sizes = [1, 65_535, 65_536, 65_537, 1_000_003, 5 << 20]
      for size in sizes { try write(contents(size, seed: UInt64(size)), to: tree + "/f\(size)") }
      try succeed(
        volume.famfs("cp", "-r", "-t", threads, "-N", "4", "-B", "8", "-C", "64k", tree, volume.master + "/tree"))
      #expect(seconds(until: { access(volume.client + "/tree/f\(5 << 20)", F_OK) == 0 }) != nil)
      for mount in volume.mounts {
        #expect(seconds(until: { sizes.allSatisfy { access(mount + "/tree/f\($0)", F_OK) == 0 } }) != nil)
        for size in sizes { expect(mount + "/tree/f\(size)", holds: contents(size, seed: UInt64(size))) }
      }
      for reading in Reading.allCases {
        let isSame = areSame(
          try reading.contents(of: volume.client + "/tree/f1000003"), contents(1_000_003, seed: 1_000_003))
        #expect(isSame, "\(reading)")
      }
      // Written in place across chunks.
      let file = try FileDescriptor(opening: volume.master + "/tree/f1000003", .readWrite)
      let piece = contents(300_000, seed: 8)
      try file.put(piece, at: 12_345)
      let isThere = areSame(try file.bytes(at: 12_345, count: 300_000), piece)
      #expect(isThere)
      try succeed(volume.famfs("fsck", volume.client, as: .client))
    }
  }

  @Test("what cannot be striped is refused, and nothing is taken")
  func refusals() throws {
    try withVolume(size: "64m") { volume in
      let source = try volume.room.file("source", contents(5 << 20))
      let before = try volume.everything()
      let free = try volume.freeBytes()
      for (words, wanted) in [
        (["-N3", "-B2", "-C2m"], "--nbuckets"), (["-N2", "-B4", "-C3m"], "power of two"),
        (["-N2", "-B4", "-C1m"], "allocation unit"), (["-N2"], "--nbuckets"), (["-B4", "-C2m"], "--nstrips"),
        (["-N0", "-B4", "-C2m"], "16"),
        (["-N16", "-B64", "-C2m"], "16 strips"), (["-N2", "-B2", "-C32m", "-s", "40m"], "2 strips"),
      ] {
        let path = volume.master + "/new"
        let size = words.contains("-s") ? [] : ["-s", "5m"]
        expectRefusal(
          try run(["famfs", "creat"] + words + size + [path], environment: Host.master.environment), naming: [wanted])
        if words.contains("-s") { continue }
        expectRefusal(
          try run(["famfs", "cp"] + words + [source, path], environment: Host.master.environment), naming: [wanted])
      }
      #expect(try volume.everything() == before)
      #expect(try volume.freeBytes() == free)
    }
  }
}
