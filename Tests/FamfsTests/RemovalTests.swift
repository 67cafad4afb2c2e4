import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct RemovalTests {
  private static let unit: UInt64 = 4096

  /// A new volume whose files can be removed.
  private func newDevice(size: UInt64 = 16 << 20) throws -> RamDevice {
    let device = RamDevice(size: size)
    var options = MakeOptions()
    (options.allocationUnit, options.reclaim) = (RemovalTests.unit, true)
    try Volume.make(on: device, host: Host.master, options)
    return device
  }

  private func remove(_ path: String, from volume: Volume) throws { try volume.remove(try EntryPath(path)) }

  // MARK: Bytes

  @Test("a removal has every field at its offset")
  func record() throws {
    let made = HandMade.removal("dir/gone", of: 2)
    let entry = try LogEntry(parsing: made.sealed(3).span.bytes, index: 3)
    guard case .removal(let record) = entry.payload else {
      Issue.record("not a removal")
      return
    }
    #expect(record.target == 2 && "\(record.path)" == "dir/gone")
    #expect(encoded(LogEntry.size) { entry.encode(into: &$0) } == made.sealed(3))
  }

  @Test(
    "a removal that cannot be is a bad entry, and leaves no trace",
    arguments: [
      (HandMade.entry(type: 2), EntryProblem.unknownRemoval), (.removal("none", of: 0), .nothingToRemove),
      (.removal("good", of: 0), .nothingToRemove), (.removal("dir", of: 0), .directoryInUse),
      (.removal("dir/good", of: 9), .nothingToRemove), (.removal("dir/good", of: .max), .nothingToRemove),
      (.removal(".meta/.log", of: 0), .nothingToRemove), (.removal("../dir", of: 0), .badPath(.dots)),
      (.removal("dir/twin", of: 3), .sharedRemoval), (.removal("dir/first", of: 2), .sharedRemoval),
    ])
  func bad(_ made: HandMade, _ problem: EntryProblem) throws {
    var hand = HandMadeVolume()
    hand.append(.directory("dir"))
    hand.append(.file("dir/good", size: 1, [hand.units(0)]))
    hand.append(.file("dir/first", size: 1, [hand.units(1)]))
    hand.append(.file("dir/twin", size: 1, [hand.units(1)]))
    hand.append(made)
    let volume = try hand.open()
    #expect(volume.report().problems.map(\.problem) == [problem])
    #expect(try volume.items().count == 4)
  }

  // MARK: Names and space

  @Test("what was removed is gone, on this host, on one that follows and on one that mounts later", arguments: 1...12)
  func model(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let device = try newDevice()
    let (master, follower) = (
      try Volume(on: device, host: Host.master), try Volume(on: device, host: Host.client)
    )
    var items: [String: [UInt8]?] = [:]  // nil: a directory
    for step in 0..<600 {
      let directories = [""] + items.filter { $0.value == nil }.keys.sorted()
      let parent = directories.randomElement(using: &random) ?? ""
      let path = (parent.isEmpty ? "" : parent + "/") + "\(Int.random(in: 0..<12, using: &random))"
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<4 where items[path] == nil && path.utf8.count < 80:
        let contents = random.bytes(Int.random(in: 1...20_000, using: &random))
        try master.create(path, contents)
        items[path] = .some(contents)
      case 4 where items[path] == nil && path.utf8.count < 30:
        try master.makeDirectory(path)
        items.updateValue(nil, forKey: path)
      default:
        guard let victim = items.keys.sorted().randomElement(using: &random) else { continue }
        let isInUse = items.keys.contains { $0.hasPrefix(victim + "/") }
        #expect((refusal { try remove(victim, from: master) } != nil) == isInUse)
        if !isInUse { items[victim] = nil }
      }
      if random.oneIn(10) { master.settle(before: .max) }
      if random.oneIn(20) { _ = follower.follow() }
      if step % 100 == 99 {
        _ = follower.follow()
        for volume in [master, follower, try Volume(on: device, host: Host.master)] {
          let found = try volume.walk()
          #expect(Set(found.map(\.path)) == Set(items.keys))
          for (number, path, item) in found where !item.isDirectory {
            #expect(try volume.contents(of: number) == items[path])
          }
          #expect(volume.usage().problemCount == 0)
          #expect(volume.usage().files == UInt64(items.values.count { $0 != nil }))
          #expect(volume.usage().fileBytes == items.values.reduce(0) { $0 + UInt64(($1 ?? []).count) })
        }
        master.settle(before: .max)
        #expect(master.usage().free == follower.usage().free)
        #expect(areDisjoint(try master.items().values.flatMap(\.extents)))
      }
    }
  }

  @Test("one who reads a directory while it is emptied sees each name at most once, and all that stay")
  func reading() throws {
    let volume = try Volume(on: try newDevice(), host: Host.master)
    for name in 0..<20 { try volume.makeDirectory("\(name)") }
    var seen: [String] = []
    var last: NodeNumber?
    for step in 0..<20 {
      try volume.children(of: .root, after: last) { number, _, name in
        if number == .meta { return true }
        seen.append(String(decoding: name, as: UTF8.self))
        last = number
        return false
      }
      // The one just seen, and one far ahead.
      if step % 2 == 0, let name = seen.last { try remove(name, from: volume) }
      if step == 3 { try remove("15", from: volume) }
    }
    #expect(seen == (0..<20).filter { $0 != 15 }.map { "\($0)" })
  }

  @Test("space of a removed file is given out again only when all have let go, also by the next master")
  func held() throws {
    let device = try newDevice()
    var master = try Volume(on: device, host: Host.master)
    let free = master.usage().free
    let contents = [UInt8](repeating: 1, count: Int(free) - 8 * 4096)
    try master.create("large", contents)
    try remove("large", from: master)
    #expect(master.heldBytes == free - 8 * 4096 && master.usage().free == 8 * 4096)
    #expect(refusal { _ = try master.reserve("next", size: 9 * 4096) } == "noSpaceYet")
    master.settle(before: 1)
    #expect(master.isHolding, "entry 1 is the removal")
    // Nobody knows yet who reads what.
    master = try Volume(on: device, host: Host.master)
    #expect(master.usage().free == 8 * 4096)
    master.settle(before: 2)
    #expect(master.usage().free == free && master.heldBytes == 0)
    // A part of it is another file's now, and removed later: the later removal counts.
    try master.create("part", [UInt8](repeating: 2, count: 4096))
    try remove("part", from: master)
    master = try Volume(on: device, host: Host.master)
    master.settle(before: 2)
    #expect(master.usage().free == free - 4096)
    master.settle(before: 4)
    #expect(master.usage().free == free)
  }

  @Test("who has a file open keeps it, and says so, until it is closed or this mount was given up")
  func open() throws {
    let device = try newDevice()
    let master = try Volume(on: device, host: Host.master)
    let contents: [UInt8] = [1, 2, 3]
    for name in ["a", "b", "c"] { try master.create(name, contents) }
    let client = try Volume(on: device, host: Host.client)
    let (a, b, c) = (try client.number(of: "a"), try client.number(of: "b"), try client.number(of: "c"))
    for number in [a, a, b] { try client.opened(number) }
    for name in ["a", "b", "c"] { try remove(name, from: master) }
    #expect(client.released == 3)
    #expect(client.follow().removals.map(\.name) == ["a", "b", "c"].map { Array($0.utf8) })
    #expect(client.released == 3, "a is open")
    #expect(try client.contents(of: a) == contents && client.node(a).size == 3)
    #expect(throws: Errno.noEntry) { try client.node(c) }
    #expect(throws: Errno.noEntry) { try client.opened(c) }
    client.closed(a)
    #expect(try client.contents(of: a) == contents)
    client.closed(a)
    #expect(throws: Errno.noEntry) { try client.contents(of: a) }
    #expect(client.released == 4)
    client.reload()
    #expect(throws: Errno.noEntry) { try client.contents(of: b) }
    #expect(client.released == 6)
  }

  @Test("a mount that was given up learns of it, however its slot is used later")
  func marks() throws {
    let volume = try Volume(on: try newDevice(), host: Host.master)
    var heartbeat = Heartbeat(host: Host.client, mount: 77, isMaster: false, since: 0, hostName: "h")
    (heartbeat.released, heartbeat.entries) = (5, 6)
    var slot: Int?
    try volume.leave(&heartbeat, at: &slot)
    let place = try #require(slot)
    #expect(try volume.heartbeats().map(\.heartbeat) == [heartbeat] && volume.heartbeats()[0].slot == place)
    #expect(try volume.counts(mount: 77, in: place))
    try volume.revoke(mount: 76, in: place)
    #expect(try volume.counts(mount: 77, in: place))
    try volume.revoke(mount: 77, in: place)
    #expect(try !volume.counts(mount: 77, in: place))
    try volume.leave(&heartbeat, at: &slot)
    #expect(try !volume.counts(mount: 77, in: place), "a heartbeat does not undo it")
    // Another mount whose heartbeat is there now is not taken away with this one's.
    var other = Heartbeat(host: Host.client, mount: 77 + 1024, isMaster: false, since: 0, hostName: "o")
    try volume.withdraw(heartbeat, from: place)
    var otherSlot: Int?
    try volume.leave(&other, at: &otherSlot)
    #expect(otherSlot == place)
    try volume.withdraw(heartbeat, from: place)
    #expect(try volume.heartbeats().count == 1)
  }

  @Test("a heartbeat that is being written is not an empty slot, and no other mount may take it")
  func tornSign() throws {
    let device = try newDevice()
    let volume = try Volume(on: device, host: Host.master)
    var heartbeat = Heartbeat(host: Host.client, mount: 77, isMaster: false, since: 0, hostName: "h")
    var slot: Int?
    try volume.leave(&heartbeat, at: &slot)
    let place = try #require(slot)
    try device.store64(at: Heartbeat.areaOffset + UInt64(place * Heartbeat.size) + 56, 99)  // its count
    let found = try volume.allHeartbeats()
    #expect(found.heartbeats.isEmpty && found.torn.map(\.slot) == [place] && found.torn.map(\.mount) == [77])
    var other = Heartbeat(host: Host.client, mount: 77 + 1024, isMaster: false, since: 0, hostName: "o")
    var otherSlot: Int?
    try volume.leave(&other, at: &otherSlot)
    #expect(otherSlot == place + 1)
    try volume.leave(&heartbeat, at: &slot)
    #expect(try slot == place && volume.allHeartbeats().heartbeats.count == 2 && volume.allHeartbeats().torn.isEmpty)
  }

  // MARK: Refusals and repairs

  @Test("what cannot be removed is refused with a sentence, and nothing changes")
  func refusals() throws {
    let device = try newDevice()
    let volume = try Volume(on: device, host: Host.master)
    try volume.makeDirectory("dir")
    try volume.create("dir/f", [1])
    try volume.create("original", [1])
    try volume.clone(try EntryPath("original"), to: try EntryPath("clone"))
    let reservation = try volume.reserve("dir/coming", size: 1)
    for path in ["none", "dir", ".meta", ".meta/.log", "original", "clone"] {
      #expect(refusal { try remove(path, from: volume) } != nil, "\(path)")
    }
    try remove("dir/f", from: volume)
    #expect(refusal { try remove("dir", from: volume) } == "other", "a command is making something in it")
    volume.cancel(reservation.id)
    try remove("dir", from: volume)
    let client = try Volume(on: device, host: Host.client)
    #expect(refusal { try remove("clone", from: client) } == "notMaster")
    let plain = try Volume(on: try newVolume(), host: Host.master)
    try plain.create("f", [1])
    #expect(refusal { try remove("f", from: plain) } == "other")
    #expect(!plain.isReclaiming && volume.isReclaiming && client.isReclaiming)
    device.poke(Features.offset + 8, [0])
    let damaged = try Volume(on: device, host: Host.master)
    #expect(damaged.isReclaiming && refusal { try remove("clone", from: damaged) } == "other")
  }

  @Test("a removal with one wrong bit is mended, although a file goes with it")
  func repair() throws {
    let device = try newDevice()
    var volume = try Volume(on: device, host: Host.master)
    try volume.create("gone", [1])
    try remove("gone", from: volume)
    volume.settle(before: .max)
    try volume.create("new", [UInt8](repeating: 2, count: 5000))
    device.poke((2 << 20) + 48 + 544 + 40, [0x80])
    volume = try Volume(on: device, host: Host.master)
    #expect(try volume.items().keys.sorted() == ["gone"] && volume.usage().problemCount == 2)
    let plan = try RepairPlan(for: device, host: Host.master)
    for step in plan.steps { try plan.carryOut(step, on: device) }
    volume = try Volume(on: device, host: Host.master)
    #expect(try volume.items().keys.sorted() == ["new"] && volume.usage().problemCount == 0)
  }
}
