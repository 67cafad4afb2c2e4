import Erofs
import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// What a view has to show: everything but `.meta` and the views' own files; times and contents included.
private func shown(_ volume: Volume) throws -> [String: ErofsReader.Found] {
  var found: [String: ErofsReader.Found] = [:]
  var directories: [NodeNumber: UInt32] = [:]
  let items = try volume.walk().filter { !$0.path.hasPrefix(".erofs-") }
  for (number, _, item) in items where item.isDirectory {
    directories[try volume.node(number).parent, default: 2] += 1
  }
  for (number, path) in [(NodeNumber.root, "")] + items.map({ ($0.number, $0.path) }) {
    let node = try volume.node(number)
    let isDirectory = node.kind == .directory
    found[path] = ErofsReader.Found(
      mode: node.permissions | (isDirectory ? 0o040000 : 0o100000), userID: node.userID, groupID: node.groupID,
      // The root has a new file by the view itself.
      seconds: path.isEmpty ? 0 : UInt64(node.modified / 1_000_000_000),
      linkCount: isDirectory ? directories[number] ?? 2 : 1,
      contents: isDirectory ? [] : try volume.contents(of: number))
  }
  return found
}

/// What the view on some devices shows.
private func read(_ reader: ErofsReader) throws -> [String: ErofsReader.Found] {
  var found = try reader.all().mapValues { item in
    var item = item
    if item.mode & 0o170000 == 0o040000 { item.contents = [] }
    return item
  }
  found[""]?.seconds = 0
  return found
}

private func bytes(_ count: Int, _ salt: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 / 64 &+ $0 / 4096 &* 31 &+ salt) }
}

/// A device on which something happens once, before something is written behind the log.
private final class HookedDevice: RamDevice, @unchecked Sendable {
  var hook: (() throws -> Void)?

  override func will(_ access: Access, _ offset: UInt64, _ count: UInt64) throws(Errno) {
    guard access == .write, offset >= 10 << 20, let hook else { return }
    self.hook = nil
    do { try hook() } catch { throw .inputOutput }
  }
}

@Suite struct ViewTests {
  @Test("a view shows every name, attribute and byte of the volume, whatever its layout")
  func everything() throws {
    let device = try newVolume(size: 40 << 20)
    let volume = try Volume(on: device, host: Host.master)
    try volume.makeDirectory("dir")
    try volume.makeDirectory("dir/empty")
    for (place, name) in ["a", "!first", "-dash", "..dots", "dir/ü", "dir/b"].enumerated() {
      try volume.create(name, bytes(1 + place * 5000, place))
    }
    // More than a block of names, with one that fits exactly nowhere.
    for number in 0..<300 { try volume.create("dir/file-\(String(repeating: "x", count: number % 40))\(number)", [1]) }
    // Fragments: every other unit of a run is free.
    let holes = try (0..<20).map { try volume.reserve("hole\($0)", size: UInt64($0 % 3 + 1) * 4096) }
    var rest: [Reservation] = []
    while let one = try? volume.reserve("rest\(rest.count)", size: max(4096, volume.usage().free / 2)) {
      rest.append(one)
    }
    for (place, hole) in holes.enumerated() where place % 2 == 0 { volume.cancel(hole.id) }
    let fragmented = try volume.create("fragmented", bytes(19 * 4096 - 100, 3))
    #expect(volume.extents(of: fragmented).count > 8)
    for one in rest + holes { volume.cancel(one.id) }
    let striping = try #require(Striping(strips: 3, buckets: 5, chunkSize: 16384))
    let striped = try volume.reserve(
      path: EntryPath("striped"), size: 100_000, permissions: 0o4755, userID: 1, groupID: 2, striping: striping)
    let contents = bytes(100_000, 9)
    try striped.layout.forEachRange(size: 100_000) { range, offset in
      try device.write(Array(contents[Int(offset)..<Int(offset + range.length)]), at: range.offset)
    }
    try volume.commit(striped.id)
    let view = try Publisher(of: volume).publish()
    let reader = try #require(try ErofsReader(device))
    #expect(try read(reader) == shown(volume))
    #expect(view.files == volume.usage().files - 1 && view.directories == 2 && reader.inodeCount == view.files + 3)
    #expect(view.entries == volume.usage().entries)
    #expect(try Volume(on: device, host: Host.client).report().isClean)
  }

  @Test("an empty volume has an empty view, and a directory of thousands of names is found whole")
  func sizes() throws {
    let device = try newVolume(size: 40 << 20)
    let volume = try Volume(on: device, host: Host.master)
    try Publisher(of: volume).publish()
    #expect(try read(try #require(try ErofsReader(device))).keys.sorted() == [""])
    for number in 0..<5000 { try volume.makeDirectory("d\(number)") }
    let view = try Publisher(of: volume).publish()
    #expect(view.directories == 5000)
    #expect(try read(try #require(try ErofsReader(device))) == shown(volume))
  }

  @Test("files on further devices are shown, too")
  func devices() throws {
    let (first, second) = (try newVolume(size: 16 << 20), RamDevice(size: 16 << 20))
    let volume = try Volume(on: first, host: Host.master)
    try Publisher(of: volume).publish()
    try volume.create("before", bytes(5000, 1))
    try volume.addDevice(second)
    let large = try volume.create("large", bytes(9 << 20, 2))
    #expect(volume.extents(of: large).contains { $0.device == 1 })
    try Publisher(of: volume).publish()
    #expect(try read(try #require(try ErofsReader(first, second))) == shown(volume))
  }

  @Test("no byte of an earlier view is ever written again, by whatever mount")
  func keeps() throws {
    let device = try newVolume(size: 24 << 20)
    var kept: [(offset: UInt64, bytes: [UInt8])] = []
    var areas: Set<String> = []
    for round in 0..<40 {
      let volume = try Volume(on: device, host: Host.master)
      try volume.create("f\(round)", bytes(100 + round, round))
      for number in 0..<20 { try volume.makeDirectory("d\(round)-\(number)") }
      let view = try Publisher(of: volume).publish()
      #expect(try read(try #require(try ErofsReader(device))) == shown(volume))
      kept.append((view.offset, device.peek(view.offset, Int(view.size))))
      areas.insert(view.area)
      for (offset, bytes) in kept { #expect(device.peek(offset, bytes.count) == bytes) }
    }
    #expect(areas.count > 1, "the first area is filled")
    #expect(try Volume(on: device, host: Host.client).report().isClean)
  }

  @Test("whatever stands in its place, a view harms no file and is found")
  func hostile() throws {
    var random = SeededRandom(seed: 5)
    let device = try newVolume(size: 24 << 20)
    let volume = try Volume(on: device, host: Host.master)
    try volume.create(".erofs-7", bytes(1 << 20, 1))
    try volume.create("file", bytes(1 << 20, 2))
    for round in 0..<60 {
      switch round % 3 {
      case 0: device.poke(1024, random.bytes(128))
      case 1: device.poke(1024 + 40, random.bytes(4))
      default: device.poke(1024 + UInt64.random(in: 0..<3072, using: &random), random.bytes(1))
      }
      guard (try? Publisher(of: volume).publish()) != nil else { break }  // full
      let reader = try #require(try ErofsReader(device))
      #expect(try read(reader) == shown(volume))
      #expect(try volume.contents(of: volume.number(of: "file")) == bytes(1 << 20, 2))
      #expect(try volume.contents(of: volume.number(of: ".erofs-7")) == bytes(1 << 20, 1))
    }
    #expect(try Volume(on: device, host: Host.client).report().isClean)
  }

  @Test(
    "after a power cut at any step there is the old view or the new one, each whole",
    arguments: [false, true], [false, true])
  func powerCut(isFirst: Bool, onDisk: Bool) throws {
    let start = try newVolume(size: 16 << 20)
    let volume = try Volume(on: start, host: Host.master)
    for offset in stride(from: UInt64(10 << 20), to: 16 << 20, by: 4096) {
      start.poke(offset, Array(repeating: 0xdd, count: 64))
    }
    try volume.create("old", bytes(5000, 1))
    if !isFirst { try Publisher(of: volume).publish() }
    let old = isFirst ? nil : try shown(volume)
    try volume.makeDirectory("dir")
    for number in 0..<80 { try volume.makeDirectory("dir/with a long name that fills blocks \(number)") }
    try volume.create("new", bytes(7000, 2))
    let new = try shown(volume).mapValues { $0.withoutTime }
    var random = SeededRandom(seed: 3)
    var seen: Set<String> = []
    for cut in 1... {
      let device = PowerCutDevice(copying: start, isDisk: onDisk)
      device.cutAt = cut
      var isDone = false
      if let volume = try? Volume(on: device, host: Host.master) {
        isDone = (try? Publisher(of: volume).publish()) != nil && !device.isOff
      }
      for luck in PowerCutDevice.Luck.allCases {
        let comment: Comment = "cut at step \(cut), \(luck) of the rest survived"
        let image = device.survivor(luck, &random)
        let found = try ErofsReader(image).map { try read($0).mapValues { $0.withoutTime } }
        let isNew = found == new
        #expect(isNew || found == old?.mapValues { $0.withoutTime }, comment)
        if isDone { #expect(isNew, comment) }
        seen.insert(isNew ? "new" : "old")
        let again = try Volume(on: image, host: Host.master)
        #expect(again.report().isClean, comment)
        if luck != .none && luck != .some { continue }
        try Publisher(of: again).publish()
        #expect(try ErofsReader(image).map { try read($0).mapValues { $0.withoutTime } } == new, comment)
      }
      if isDone { break }
    }
    #expect(seen == ["old", "new"])
  }

  @Test("clients and masters of old do not publish, and a full device says so; then the view is as before")
  func refusals() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    try volume.create("f", [1])
    try Publisher(of: volume).publish()
    let before = device.peek(1024, 3072)
    let client = try Volume(on: device, host: Host.client)
    #expect(refusal { try Publisher(of: client).publish() } == "notMaster")
    while (try? volume.create("x\(volume.usage().entries)", bytes(1 << 20, 1))) != nil {}
    while (try? volume.create("y\(volume.usage().entries)", [1])) != nil {}
    var isFull = false
    for _ in 0..<3000 where !isFull { isFull = (try? Publisher(of: volume).publish()) == nil }
    #expect(isFull)
    let after = device.peek(1024, 3072)
    #expect(refusal { try Publisher(of: volume).publish() } == "noSpace")
    #expect(device.peek(1024, 3072) == after && after != before)
    try client.claimMastership()
    #expect(refusal { try Publisher(of: volume).publish() } == "notMaster")
  }

  @Test("a view that is being written while another host takes the volume over, and gives it back, is not shown")
  func takenOver() throws {
    let device = HookedDevice()
    try Volume.make(on: device, host: Host.master)
    let volume = try Volume(on: device, host: Host.master)
    try volume.create("f", [1])
    try Publisher(of: volume).publish()
    let before = device.peek(1024, 3072)
    try volume.create("g", [2])
    device.hook = {
      for taker in [try Volume(on: device, host: Host.client), volume] {
        _ = taker.follow()
        try taker.claimMastership()
        try taker.becomeMaster()
        _ = volume.follow()
      }
    }
    #expect(refusal { try Publisher(of: volume).publish() } == "other")
    #expect(device.hook == nil && volume.role == .master && volume.term == 1)
    #expect(device.peek(1024, 3072) == before)
  }

  @Test("what a view may take of the device can be limited, and a log whose entries are bad is not added to")
  func limits() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    #expect(refusal { try Publisher(of: volume).publish(mostOfAreas: 1000) } == "other")
    #expect(try ErofsReader(device)?.inodeCount == nil)
    #expect(try Publisher(of: volume).publishedEntries() == nil)
    let view = try Publisher(of: volume).publish(mostOfAreas: 1 << 20)
    #expect(volume.extents(of: try volume.number(of: view.area)).reduce(0) { $0 + $1.length } <= 1 << 20)
    #expect(try Publisher(of: volume).publishedEntries() == volume.usage().entries)
  }
}

extension ErofsReader.Found {
  /// The mount's own time of a directory differs from mount to mount.
  fileprivate var withoutTime: ErofsReader.Found {
    var copy = self
    copy.seconds = 0
    return copy
  }
}
