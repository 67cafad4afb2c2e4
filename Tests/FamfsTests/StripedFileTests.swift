import Testing

@testable import Famfs
@testable import FamfsTestSupport

extension Volume {
  /// Makes a whole striped file, range by range.
  @discardableResult
  fileprivate func createStriped(_ path: String, _ contents: [UInt8], _ striping: Striping) throws -> NodeNumber {
    let reservation = try reserve(
      path: EntryPath(path), size: UInt64(contents.count), permissions: 0o640, userID: 7, groupID: 8,
      striping: striping)
    try reservation.layout.forEachRange(size: UInt64(contents.count)) { range, offset in
      try device.write(Array(contents[Int(offset)..<Int(offset + range.length)]), at: range.offset)
    }
    device.fence()
    return try commit(reservation.id)
  }
}

private func contents(_ count: Int, _ salt: Int = 0) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 / 64 &+ $0 / 4096 &* 31 &+ salt) }
}

@Suite struct StripedFileTests {
  @Test(
    "a striped file reads back on another host, byte for byte",
    arguments: [8192, 8193, 16384, 24576, 24577, 100_000, 1, 8191])
  func roundTrip(count: Int) throws {
    let device = try newVolume(size: 32 << 20)
    let volume = try Volume(on: device, host: Host.master)
    let before = volume.usage().free
    let bytes = contents(count)
    let striping = try #require(Striping(strips: 3, buckets: 5, chunkSize: 8192))
    let number = try volume.createStriped("file", bytes, striping)
    #expect(volume.layout(of: number).chunkSize == (count < 8192 ? 0 : 8192))
    #expect(try volume.contents(of: number) == bytes)
    let client = try Volume(on: device, host: Host.client)
    let there = try client.number(of: "file")
    #expect(try client.contents(of: there) == bytes)
    #expect(client.layout(of: there) == volume.layout(of: number))
    #expect(client.report().isClean && client.report().warnings.isEmpty)
    let taken = client.extents(of: there).reduce(0) { $0 + $1.length }
    #expect(before - taken == client.usage().free && client.usage().free == volume.usage().free)
  }

  @Test("striped and contiguous files side by side share nothing", arguments: [4096, 2 << 20] as [UInt64])
  func mixed(unit: UInt64) throws {
    let device = try newVolume(size: unit == 4096 ? 32 << 20 : 512 << 20, unit: unit)
    let volume = try Volume(on: device, host: Host.master)
    var random = SeededRandom(seed: unit)
    var made: [String: [UInt8]] = [:]
    for number in 0..<40 {
      let buckets = UInt64.random(in: 2...8, using: &random)
      let strips = UInt64.random(in: 1...min(4, buckets), using: &random)
      let striping = try #require(Striping(strips: strips, buckets: buckets, chunkSize: unit))
      let bytes = contents(Int.random(in: 1...Int(unit) * 2, using: &random), number)
      let isStriped = random.oneIn(2)
      let path = "f\(number)"
      let problem =
        isStriped
        ? refusal { try volume.createStriped(path, bytes, striping) } : refusal { try volume.create(path, bytes) }
      // Superblock and log fill whole buckets, and with 2 MiB units the device fills up.
      if problem == nil { made[path] = bytes }
      #expect(problem == nil || problem == "noStrips" || unit > 4096 && problem == "noSpace")
      if unit > 4096 && number == 12 { break }
    }
    let client = try Volume(on: device, host: Host.client)
    #expect(client.report().isClean && client.report().warnings.isEmpty)
    let items = try client.items()
    #expect(areDisjoint(items.values.flatMap(\.extents)))
    #expect(Set(items.keys) == Set(made.keys))
    for (path, bytes) in made {
      let isSame = try client.contents(of: client.number(of: path)) == bytes
      #expect(isSame, "\(path)")
    }
  }

  @Test("a chunk that is no multiple of the allocation unit is refused, and nothing is taken")
  func badChunk() throws {
    let volume = try Volume(on: newVolume(size: 64 << 20, unit: 2 << 20), host: Host.master)
    let free = volume.usage().free
    let striping = try #require(Striping(strips: 2, buckets: 4, chunkSize: 1 << 20))
    let error = #expect(throws: FamfsError.self) { try volume.createStriped("file", contents(100), striping) }
    #expect(error.map { "\($0)".contains("2097152") && "\($0)".contains("--chunksize") } == true)
    #expect(volume.usage().free == free)
    try volume.create("file", contents(100))
  }

  @Test("too few buckets with room are told as such, and a cancelled striped file gives all strips back")
  func noStrips() throws {
    var hand = HandMadeVolume()
    // 6 MiB of data behind 10 MiB of superblock and log: of 16 buckets of 1 MiB only 6 have room.
    hand.append(.file("one", size: 1, [hand.units(0)]))
    let volume = try hand.open()
    let free = volume.usage().free
    let wide = try #require(Striping(strips: 7, buckets: 16, chunkSize: 4096))
    let error = #expect(throws: FamfsError.self) { try volume.createStriped("file", contents(50_000), wide) }
    #expect(error.map { "\($0)".contains("7 strips") && "\($0)".contains("16 buckets") } == true, "\(error as Any)")
    #expect(error?.errno == .noSpace)
    let fitting = try #require(Striping(strips: 6, buckets: 16, chunkSize: 4096))
    let reservation = try volume.reserve(
      path: EntryPath("file"), size: 50_000, permissions: 0, userID: 0, groupID: 0, striping: fitting)
    #expect(reservation.extents.count == 6)
    #expect(volume.usage().free == free - 6 * 3 * 4096)
    volume.cancel(reservation.id)
    #expect(volume.usage().free == free)
  }

  @Test("after a power cut while striped files are made, each is there whole or not at all", arguments: [false, true])
  func powerCut(onDisk: Bool) throws {
    let start = try newVolume()
    for offset in stride(from: UInt64(10 << 20), to: start.size, by: 4096) {
      start.poke(offset, Array(repeating: 0xdd, count: 64))
    }
    let striping = try #require(Striping(strips: 2, buckets: 8, chunkSize: 4096))
    let files = [("first", contents(3 * 4096 + 5, 1)), ("second", contents(4096, 2)), ("third", contents(9000, 3))]
    var random = SeededRandom(seed: 11)
    var seen: Set<String> = []
    for cut in 1... {
      let device = PowerCutDevice(copying: start, isDisk: onDisk)
      device.cutAt = cut
      var done = 0
      if let volume = try? Volume(on: device, host: Host.master) {
        for (path, bytes) in files {
          guard (try? volume.createStriped(path, bytes, striping)) != nil, !device.isOff else { break }
          done += 1
        }
      }
      for luck in PowerCutDevice.Luck.allCases {
        let comment: Comment = "cut at step \(cut), \(luck) of the rest survived"
        let image = device.survivor(luck, &random)
        let volume = try Volume(on: image, host: Host.master)
        #expect(volume.report().isClean, comment)
        let count = try volume.items().count
        #expect(count == done || count == done + 1, comment)
        seen.insert(count == done ? "behind" : "ahead")
        for (path, bytes) in files[..<count] {
          #expect(try volume.contents(of: volume.number(of: path)) == bytes, comment)
        }
        try volume.createStriped("after", contents(20_000, 4), striping)
        let again = try Volume(on: image, host: Host.client)
        #expect(again.report().isClean && again.report().warnings.isEmpty, comment)
        #expect(areDisjoint(try again.items().values.flatMap(\.extents)), comment)
      }
      if done == files.count { break }
    }
    #expect(seen == ["ahead", "behind"])
  }
}

@Suite struct CloneTests {
  private func withTree(_ body: (RamDevice, Volume) throws -> Void) throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    try volume.create("file", contents(10_000))
    try volume.makeDirectory("dir")
    try body(device, volume)
  }

  private func clone(_ volume: Volume, _ source: String, _ path: String) throws {
    try volume.clone(EntryPath(source), to: EntryPath(path))
  }

  @Test("a clone is a second file of the same extents, takes no space, and fsck warns of it")
  func clones() throws {
    try withTree { device, volume in
      let striping = try #require(Striping(strips: 2, buckets: 8, chunkSize: 4096))
      try volume.createStriped("striped", contents(30_000, 1), striping)
      let free = volume.usage().free
      try clone(volume, "file", "dir/copy")
      try clone(volume, "striped", "dir/striped")
      try clone(volume, "dir/copy", "third")
      #expect(volume.usage().free == free)
      for volume in [volume, try Volume(on: device, host: Host.client), try Volume(on: device, host: Host.master)] {
        let report = volume.report()
        #expect(report.isClean && volume.usage().free == free)
        #expect(report.warnings.count == 3)
        for name in ["dir/copy", "dir/striped", "third"] {
          #expect(report.warnings.contains { $0.hasPrefix("\(name) is a clone") }, "\(report.warnings)")
        }
        let items = try volume.items()
        #expect(items["file"] == items["dir/copy"] && items["file"] == items["third"])
        #expect(items["striped"] == items["dir/striped"])
        let copy = try volume.number(of: "dir/striped")
        #expect(try volume.contents(of: copy) == contents(30_000, 1))
        #expect(volume.layout(of: copy) == volume.layout(of: try volume.number(of: "striped")))
      }
      // Life goes on, and nothing lands on what two files hold.
      try volume.create("more", contents(5000, 2))
      let after = try Volume(on: device, host: Host.client)
      #expect(after.report().isClean && after.report().warnings.count == 3)
      #expect(try after.contents(of: after.number(of: "third")) == contents(10_000))
    }
  }

  @Test("what cannot be cloned is refused, and nothing changes")
  func refusals() throws {
    try withTree { device, volume in
      let log = device.sum(2 << 20, 8 << 20)
      for (source, path, wanted) in [
        ("none", "new", "notFound"), ("none/deeper", "new", "notFound"), ("file/deeper", "new", "notFound"),
        ("dir", "new", "other"), (".meta", "new", "other"), ("file", "dir", "exists"), ("file", "file", "exists"),
        ("file", "none/new", "noParent"), ("file", "file/new", "parentIsFile"), ("file", ".meta/new", "reserved"),
        (".meta/.superblock", "new", "reserved"), (".meta/.log", "new", "reserved"),
      ] {
        #expect(refusal { try clone(volume, source, path) } == wanted, "\(source) to \(path)")
      }
      _ = try volume.reserve("reserved", size: 1)
      #expect(refusal { try clone(volume, "file", "reserved") } == "exists")
      let client = try Volume(on: device, host: Host.client)
      #expect(refusal { try clone(client, "file", "new") } == "notMaster")
      #expect(device.sum(2 << 20, 8 << 20) == log)
    }
  }

  @Test("a file that is not committed cannot be cloned, and clones take the log's last slots but those reserved")
  func slots() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    try volume.create("file", [1])
    let reservation = try volume.reserve("pending", size: 1)
    #expect(refusal { try clone(volume, "pending", "new") } == "notFound")
    for number in 0..<15_420 - 2 { try clone(volume, "file", "c\(number)") }
    #expect(refusal { try clone(volume, "file", "last") } == "logFull")
    try volume.commit(reservation.id)
    #expect(try Volume(on: device, host: Host.client).report().isClean)
  }
}
