import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// Entries that change mode, owner and times of what earlier entries made, and time stamps in entries.
@Suite struct AttributeTests {
  private static let times: [HandMade.Moment] = [
    (0, 0), (0, 999_999_999), (-1, 1), (-62_135_596_800, 0), (253_402_300_799, 5), (.max, 999_999_999), (.min, 0),
  ]

  // MARK: Bytes

  @Test("an attribute entry has every field at its offset, and holds any time", arguments: times)
  func record(time: HandMade.Moment) throws {
    let made = HandMade.attributes(
      "dir/f", of: 2, mode: 0o4751, uid: 0xffff_fffe, gid: 0x8000_0001, modified: time, changed: (1, 2))
    let entry = try LogEntry(parsing: made.sealed(3).span.bytes, index: 3)
    guard case .attributes(let record) = entry.payload else {
      Issue.record("not an attribute entry")
      return
    }
    #expect(record.target == 2 && record.path.map { "\($0)" } == "dir/f")
    #expect([record.permissions, record.userID, record.groupID] == [0o4751, 0xffff_fffe, 0x8000_0001])
    #expect(record.modified.seconds == time.seconds && record.modified.nanoseconds == time.nanoseconds)
    #expect(encoded(LogEntry.size) { entry.encode(into: &$0) } == made.sealed(3))
    let root = HandMade.attributes("", of: .max, mode: 0o700)
    let again = try LogEntry(parsing: root.sealed(9).span.bytes, index: 9)
    #expect(encoded(LogEntry.size) { again.encode(into: &$0) } == root.sealed(9))
  }

  @Test("a time stamp stands behind the extents, and what has none has zeros there", arguments: times)
  func stamp(time: HandMade.Moment) throws {
    let extents = (0..<16).map { Extent(offset: UInt64($0) << 21, length: 1 << 21) }
    for made in [HandMade.file("f", size: 1, extents), .file("f", size: 0, []), .directory("d")] {
      for made in [made, made.stamped(time)] {
        let entry = try LogEntry(parsing: made.sealed(3).span.bytes, index: 3)
        #expect(encoded(LogEntry.size) { entry.encode(into: &$0) } == made.sealed(3))
      }
    }
    // Where strips have all the room there is none.
    let striped = HandMade.file("f", size: 1, extents, chunkSize: 4096)
    guard case .file(var record) = try LogEntry(parsing: striped.sealed(0).span.bytes, index: 0).payload else { return }
    #expect(record.modified == nil)
    record.modified = EntryTime(nanosecondsSince1970: 5)
    #expect(encoded(LogEntry.size) { LogEntry(sequence: 0, .file(record)).encode(into: &$0) } == striped.sealed(0))
  }

  @Test("times go to nanoseconds and back")
  func conversion() {
    for time in [0, 1, -1, 999_999_999, 1_000_000_000, -1_000_000_000, -1_000_000_001, .max, .min] as [Int64] {
      let made = EntryTime(nanosecondsSince1970: time)
      #expect(made.nanosecondsSince1970 == time && made.nanoseconds < 1_000_000_000)
    }
    var far = EntryTime(nanosecondsSince1970: 0)
    far.seconds = 1 << 60
    #expect(far.nanosecondsSince1970 == .max)
    far.seconds = -(1 << 60)
    #expect(far.nanosecondsSince1970 == .min)
  }

  @Test("garbage where a time stamp would be is no stamp, and harms nothing")
  func garbage() throws {
    var hand = HandMadeVolume()
    var made = HandMade.file("f", size: 1, [hand.units(0)]).stamped((1, 1_000_000_000))
    hand.append(made)
    made = HandMade.directory("d").stamped((1, 0))
    made.put(532, UInt32(7))
    hand.append(made)
    let begin = Clock.fileTime()
    let volume = try hand.open()
    #expect(volume.report().isClean)
    for name in ["f", "d"] { #expect(try volume.node(volume.number(of: name)).modified >= begin) }
  }

  // MARK: Reading

  private func volume() -> HandMadeVolume {
    var hand = HandMadeVolume()
    hand.append(.directory("dir"))
    hand.append(.file("dir/f", size: 1, [hand.units(0)]))
    hand.append(.file("gone", size: 1, [hand.units(1)]))
    hand.append(.removal("gone", of: 2))
    hand.append(.addDevice(size: 1 << 30, uuid: HandMade.hostBytes, index: 1))
    return hand
  }

  private static func broken(_ change: (inout HandMade) -> Void) -> HandMade {
    var made = HandMade.attributes("dir/f", of: 1, mode: 0)
    change(&made)
    return made
  }

  private static let cases: [(HandMade, EntryProblem)] = [
    (broken { $0.put(24, UInt32(0)) }, .unknownAttributes),
    (broken { $0.put(108, UInt32(2)) }, .unknownAttributes), (broken { $0.put(108, UInt32(0)) }, .unknownAttributes),
    (.attributes("dir/f", of: 1, mode: 0o100644), .badAttributes),
    (.attributes("dir/f", of: 1, mode: 0o10000), .badAttributes),
    (.attributes("dir/f", of: 1, mode: 0, modified: (0, 1_000_000_000)), .badAttributes),
    (.attributes("dir/f", of: 1, mode: 0, changed: (0, .max)), .badAttributes),
    (.attributes("dir/f", of: 1, mode: 0, accessed: (0, .max)), .badAttributes),
    (.attributes("dir/f", of: 0, mode: 0), .nothingToChange), (.attributes("dir", of: 1, mode: 0), .nothingToChange),
    (.attributes("dir/f", of: 5, mode: 0), .nothingToChange),  // itself
    (.attributes("dir/f", of: 6, mode: 0), .nothingToChange),
    (.attributes("dir/f", of: .max - 1, mode: 0), .nothingToChange),
    (.attributes("dir/f", of: .max - 3, mode: 0), .nothingToChange),
    (.attributes("dir/f", of: 0xffff_fffd, mode: 0), .nothingToChange),
    (.attributes("gone", of: 2, mode: 0), .nothingToChange), (.attributes("gone", of: 3, mode: 0), .nothingToChange),
    (.attributes("", of: 4, mode: 0), .badPath(.empty)), (.attributes("dir/f", of: .max, mode: 0), .nothingToChange),
    (.attributes(".meta/.log", of: 0, mode: 0), .nothingToChange),
    (.attributes(".meta", of: .max - 2, mode: 0), .nothingToChange),
    (.attributes("dir/../dir/f", of: 1, mode: 0), .badPath(.dots)),
    (.attributes(String(repeating: "x", count: 80), of: 1, mode: 0), .badPath(.tooLong)),
  ]

  @Test(
    "an attribute entry that cannot be is a bad entry, and leaves no trace",
    arguments: cases)
  func bad(_ made: HandMade, _ problem: EntryProblem) throws {
    var hand = volume()
    let before = try hand.open()
    let follower = try hand.open(as: Host.client)
    hand.append(made)
    hand.append(.directory("next"))
    _ = follower.follow()
    for volume in [try hand.open(), follower] {
      #expect(volume.report().problems.map(\.problem) == [problem])
      var items = try volume.items()
      #expect(items.removeValue(forKey: "next") != nil)
      #expect(try items == before.items())
      #expect(try volume.node(.root).permissions == 0o755 && volume.node(.meta).permissions == 0o700)
      #expect(try volume.number(of: "next") == .entry(6), "a bad entry uses its number up")
      #expect(refusal { try volume.saveAttributes(of: .root) } == (volume.role == .master ? "badEntries" : "notMaster"))
    }
  }

  @Test("the last entry about a file or directory counts, for one that follows and one that opens later")
  func last() throws {
    var hand = volume()
    let follower = try hand.open(as: Host.client)
    hand.append(.attributes("dir/f", of: 1, mode: 0o600))
    hand.append(.attributes("", of: .max, mode: 0o1777, uid: 8))
    hand.append(.attributes("dir/f", of: 1, mode: 0o4755, uid: 11, gid: 12, modified: (1_000_000_000, 1)))
    hand.append(.attributes("dir", of: 0, mode: 0o2770, modified: (2_000_000_000, 0), accessed: (3, 4)))
    let news = follower.follow()
    #expect(try news.attributes.map(\.rawValue) == [5, 0, 5, 4] && follower.number(of: "dir/f").rawValue == 5)
    #expect(news.directories.isEmpty && news.problems == 0)
    for volume in [try hand.open(), follower] {
      #expect(volume.report().isClean && volume.usage().entries == 9)
      let (file, directory) = (try volume.node(volume.number(of: "dir/f")), try volume.node(volume.number(of: "dir")))
      #expect([UInt32(file.permissions), file.userID, file.groupID] == [0o4755, 11, 12])
      #expect(EntryTime(file.modified) == EntryTime(nanosecondsSince1970: 1_000_000_000_000_000_001))
      #expect(directory.permissions == 0o2770 && directory.kind == .directory)
      #expect(EntryTime(directory.modified).seconds == 2_000_000_000 && EntryTime(directory.accessed).seconds == 3)
      #expect(try volume.node(.root).permissions == 0o1777 && volume.node(.root).userID == 8)
    }
    var shown: [String: UInt32] = [:]
    try hand.open().forEachEntry { number, entry in
      if case .file(let record) = entry.payload { shown["\(record.path)"] = record.permissions }
    }
    #expect(shown == ["dir/f": 0o4755])
  }

  @Test(
    "a directory has changed when its entry, or what was made in it, says; and when that came, for one that follows")
  func stamps() throws {
    var hand = HandMadeVolume()
    hand.append(HandMade.directory("d").stamped((100, 0)))
    let follower = try hand.open(as: Host.client)
    let begin = Clock.fileTime()
    hand.append(HandMade.file("d/a", size: 1, [hand.units(0)]).stamped((300, 7)))
    hand.append(HandMade.file("d/b", size: 1, [hand.units(1)]).stamped((200, 0)))
    _ = follower.follow()
    let opened = try hand.open()
    #expect(try EntryTime(opened.node(opened.number(of: "d")).modified).seconds == 300)
    #expect(try follower.node(follower.number(of: "d")).modified >= begin)
    for volume in [opened, follower] {
      #expect(try EntryTime(volume.node(volume.number(of: "d/a")).modified).seconds == 300)
      #expect(try volume.node(volume.number(of: "d/a")).changed >= begin)
    }
  }

  // MARK: Writing

  private func change(_ volume: Volume, _ path: String, mode: UInt32) throws {
    _ = try volume.update(path.isEmpty ? .root : volume.number(of: path)) { $0.permissions = mode }
  }

  @Test("saved attributes are there on all hosts, and what changed meanwhile is not undone", arguments: 1...6)
  func model(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let device = try newVolume()
    let master = try Volume(on: device, host: Host.master)
    let client = try Volume(on: device, host: Host.client)
    var numbers: [NodeNumber] = [.root]
    var (saved, current): ([NodeNumber: UInt32], [NodeNumber: UInt32]) = ([.root: 0o755], [.root: 0o755])
    for step in 0..<400 {
      let number = numbers.randomElement(using: &random) ?? .root
      switch Int.random(in: 0..<6, using: &random) {
      case 0:
        let made = random.oneIn(2) ? try master.create("f\(step)", [1]) : try master.makeDirectory("d\(step)")
        numbers.append(made)
        saved[made] = UInt32(try master.node(made).permissions)
        current[made] = saved[made]
      case 1...3:
        let mode = UInt32.random(in: 0...0o7777, using: &random)
        _ = try master.update(number) { $0.permissions = mode }
        current[number] = mode
      default:
        let entries = master.usage().entries
        #expect(try master.saveAttributes(of: number))
        #expect(master.usage().entries == entries + 1)
        saved[number] = current[number]
      }
      if random.oneIn(5) { _ = client.follow() }
      if step % 50 < 49 { continue }
      _ = client.follow()
      for (volume, wanted) in [(master, current), (client, saved), (try Volume(on: device, host: Host.client), saved)] {
        for (number, mode) in wanted { #expect(try UInt32(volume.node(number).permissions) == mode, "step \(step)") }
        #expect(volume.report().isClean)
      }
    }
    #expect(refusal { try client.saveAttributes(of: .root) } == "notMaster")
    #expect(try !master.saveAttributes(of: .meta) && !master.saveAttributes(of: .log))
    #expect(try !master.saveAttributes(of: NodeNumber(1_000_000)))
  }

  @Test("a volume on which no attribute was saved is what it would be without: byte for byte")
  func untouched() throws {
    let (one, other) = (try newVolume(), try newVolume())
    for (device, changes) in [(one, false), (other, true)] {
      device.poke(48, Array(repeating: 1, count: 32))
      device.poke(120, Array(repeating: 1, count: 16))
      var sealed = HandMade(count: 0)
      sealed.bytes = device.peek(0, 200)
      sealed.seal(96, at: 96)
      device.poke(0, sealed.bytes)
      let volume = try Volume(on: device, host: Host.master)
      try volume.makeDirectory("d")
      try volume.create("d/f", [1, 2, 3])
      if changes { try change(volume, "d", mode: 0o700) }
    }
    #expect(one.peek(0, Int(one.size)) == other.peek(0, Int(other.size)))
  }

  private func save(on volume: Volume) throws(Errno) {
    do throws(FamfsError) { try volume.saveAttributes(of: .root) } catch { throw error.errno }
  }

  @Test("the last quarter of the log is for new files: attributes are refused there, and files are not")
  func full() throws {
    let device = try newVolume()
    let master = try Volume(on: device, host: Host.master)
    try master.makeDirectory("d")
    let capacity = master.usage().entryCapacity
    // What is being made counts.
    let term = try master.takeSlot()
    while refusal({ try master.saveAttributes(of: .root) }) == nil {}
    #expect(throws: Errno.noSpace) { try save(on: master) }
    #expect(master.usage().entries + 1 == capacity - capacity / 4)
    #expect(FamfsError.noAttributeSlots.errno == .noSpace)
    master.giveSlot(of: term)
    #expect(refusal { try master.saveAttributes(of: .root) } == nil)
    #expect(throws: Errno.noSpace) { try save(on: master) }
    for number in 0..<capacity / 4 { try master.makeDirectory("d/\(number)") }
    #expect(refusal { try master.makeDirectory("more") } == "logFull")
    #expect(try Volume(on: device, host: Host.client).report().isClean)
  }

  @Test(
    "after a power cut at any step a file has its old attributes or the new ones, and the log goes on",
    arguments: [false, true])
  func powerCut(isDisk: Bool) throws {
    let start = try newVolume()
    let before = try Volume(on: start, host: Host.master)
    try before.makeDirectory("d")
    try before.create("d/f", [1, 2, 3])
    var random = SeededRandom(seed: 1)
    var seen: Set<[UInt32]> = []
    for cut in 1... {
      let device = PowerCutDevice(copying: start, isDisk: isDisk)
      device.cutAt = cut
      var done = 0
      if let volume = try? Volume(on: device, host: Host.master) {
        for path in ["d/f", "d"] {
          try? change(volume, path, mode: 0o4111)
          guard let number = try? volume.number(of: path), (try? volume.saveAttributes(of: number)) != nil,
            !device.isOff
          else { break }
          done += 1
        }
      }
      for luck in PowerCutDevice.Luck.allCases {
        let comment: Comment = "cut at step \(cut), \(luck) of the rest survived"
        let image = device.survivor(luck, &random)
        let volume = try Volume(on: image, host: Host.master)
        #expect(volume.report().isClean, comment)
        let items = try volume.items()
        let modes = ["d/f", "d"].map { items[$0]?.permissions ?? 0 }
        let states: [[UInt32]] = [[0o640, 0o750], [0o4111, 0o750], [0o4111, 0o4111]]
        let state = try #require(states.firstIndex(of: modes), comment)
        #expect(state == done || state == done + 1, comment)
        seen.insert(modes)
        #expect(try volume.contents(of: volume.number(of: "d/f")) == [1, 2, 3], comment)
        try volume.saveAttributes(of: .root)
        #expect(try Volume(on: image, host: Host.client).report().isClean, comment)
      }
      if done == 2 { break }
    }
    #expect(seen.count == 3, "all states are met")
  }
}
