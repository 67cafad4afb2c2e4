import Foundation
import Platform
import Testing

/// Striped files through creat and cp; clone; flush.
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

@Suite(.realMounts, .timeLimit(.minutes(15)))
struct CloneCommandTests {
  @Test("a clone shows what its source shows, now and later, and fsck warns")
  func clones() throws {
    try withVolume(client: true) { volume in
      let bytes = try volume.add("file", count: 100_000)
      let free = try volume.freeBytes()
      let (source, clone) = (volume.master + "/file", volume.master + "/clone")
      let outcome = try volume.famfs("clone", source, clone)
      #expect(outcome.status == 0 && outcome.stdout == "" && outcome.stderr == "")
      #expect(try volume.freeBytes() == free)
      #expect(seconds(until: { access(volume.client + "/clone", F_OK) == 0 }) != nil)
      for mount in volume.mounts { expect(mount + "/clone", holds: bytes) }
      try FileDescriptor(opening: clone, .readWrite).put([9, 9, 9], at: 50)
      for mount in volume.mounts {
        #expect(try FileDescriptor(opening: mount + "/file", .readOnly).bytes(at: 50, count: 3) == [9, 9, 9])
      }
      let check = try volume.famfs("fsck", volume.master)
      #expect(check.status == 0 && check.stderr.contains("clone is a clone"))
      try volume.unmount()
      try volume.mount()
      #expect(try volume.freeBytes() == free)
    }
  }

  @Test("what cannot be cloned is refused, and nothing changes")
  func refusals() throws {
    try withVolume(client: true) { volume in
      try volume.add("file", count: 100)
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let outside = try volume.room.file("outside", [1])
      let before = try volume.everything()
      let (m, c) = (volume.master, volume.client)
      for (words, wanted) in [
        ([m + "/none", m + "/new"], ["none", "no such"]), ([m + "/dir", m + "/new"], ["dir", "directory"]),
        ([m + "/file", m + "/file"], ["exists"]), ([m + "/file", m + "/none/new"], ["mkdir -p"]),
        ([m + "/file", outside], ["outside", "mount"]), ([outside, m + "/new"], ["outside", "mount"]),
        ([m + "/file", c + "/new"], ["same mounted famfs"]), ([c + "/file", c + "/new"], [Host.master.rawValue]),
        ([m + "/.meta/.superblock", m + "/new"], [".meta"]), ([m + "/.meta/.log", m + "/new"], [".meta"]),
        ([m, m + "/new"], []), ([m + "/file"], ["name a file"]), ([m + "/file", m + "/a", m + "/b"], ["name a file"]),
        ([], ["name a file"]),
      ] {
        expectRefusal(try run(["famfs", "clone"] + words, environment: Host.master.environment), naming: wanted)
      }
      #expect(try volume.everything() == before)
    }
  }
}

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
