import Memory
import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// A damage, and whether a repair can put it right.
struct Wreck: CustomTestStringConvertible, Sendable {
  let testDescription: String
  /// Words of the step that mends it; nil when it is left alone.
  let mends: String?
  let apply: @Sendable (RamDevice) -> Void

  init(_ name: String, mends: String?, _ apply: @escaping @Sendable (RamDevice) -> Void) {
    testDescription = name
    self.mends = mends
    self.apply = apply
  }

  static let log = HandMade.logStart

  static let all = [
    Wreck("a cut-off append", mends: "set back") { $0.poke64(log + 32, 5) },
    Wreck("a next sequence number of noise", mends: "4 entries") { $0.poke64(log + 32, 0xdead_beef) },
    Wreck("a next index beyond the log", mends: "4 entries") { $0.poke64(log + 40, .max) },
    Wreck("both numbers beyond the log", mends: "4 entries") {
      $0.poke64(log + 32, 1 << 40)
      $0.poke64(log + 40, 1 << 41)
    },
    Wreck("a header of zeros", mends: "made anew: 4 entries") { $0.poke(log, Array(repeating: 0, count: 48)) },
    Wreck("a header of noise", mends: "made anew: 4 entries") { $0.poke(log, Array(repeating: 0xa5, count: 48)) },
    Wreck("a wrong checksum of the header", mends: "made anew: 4 entries") { $0.poke(log + 24, [1, 2, 3]) },
    Wreck("one wrong bit in an entry", mends: "log entry 1 (dir/old): one wrong bit") {
      $0.flip(HandMadeVolume.place(of: 1) + 45, 3)
    },
    Wreck("one wrong bit in an entry's checksum", mends: "log entry 0 (dir): one wrong bit") {
      $0.flip(HandMadeVolume.place(of: 0) + 539, 7)
    },
    Wreck("one wrong bit in the superblock", mends: "UUID of the file system put right") { $0.flip(50, 0) },
    Wreck("a superblock without its magic", mends: "magic put right") { $0.poke64(0, 0) },
    Wreck("a superblock whose first line's fields are gone", mends: "log length, allocation unit, format put right") {
      $0.poke(0, Array(repeating: 0, count: 48))
    },
    Wreck("a superblock without its master", mends: "UUID of the master put right") {
      $0.poke(80, Array(repeating: 0xff, count: 16))
    },
    Wreck("a superblock without its device's UUID", mends: "UUID of the device put right") {
      $0.poke(64, Array(repeating: 0xff, count: 16))
    },
    Wreck("a wrong checksum of the superblock", mends: "checksum put right") { $0.poke(96, [9, 9, 9, 9]) },
    Wreck("a header of zeros, and one wrong bit in two entries", mends: "made anew: 4 entries") {
      $0.poke(log, Array(repeating: 0, count: 48))
      $0.flip(HandMadeVolume.place(of: 0) + 30, 2)
      $0.flip(HandMadeVolume.place(of: 3) + 45, 3)
    },
    Wreck("superblock, header and an entry", mends: "superblock") {
      $0.poke64(8, 7)
      $0.poke(log, Array(repeating: 0xa5, count: 32))
      $0.flip(HandMadeVolume.place(of: 3) + 45, 3)
    },
  ]

  static let hopeless = [
    Wreck("noise behind the entries, and a header of zeros", mends: nil) {
      $0.poke(log, Array(repeating: 0, count: 48))
      $0.poke(HandMadeVolume.place(of: 9) + 100, [1])
    },
    Wreck("a lost entry before good ones, and a header of zeros", mends: nil) {
      $0.poke(log, Array(repeating: 0, count: 48))
      $0.poke(HandMadeVolume.place(of: 1) + 100, [1, 2, 3, 4, 5, 6])
    },
    Wreck("an entry of noise", mends: nil) { $0.poke(HandMadeVolume.place(of: 1) + 100, [1, 2, 3, 4, 5, 6]) },
    Wreck("a superblock of noise", mends: nil) { $0.poke(0, Array(repeating: 0xa5, count: 200)) },
    Wreck("UUID of the file system and checksum lost", mends: nil) {
      $0.poke(48, Array(repeating: 7, count: 40))
      $0.poke(96, [1, 2, 3, 4])
    },
    Wreck("another version, with a right checksum", mends: nil) { device in
      var made = HandMade.superblock()
      made.put(8, UInt64(47))
      made.seal(96, at: 96)
      device.poke(0, made.bytes)
    },
  ]
}

extension RamDevice {
  fileprivate func poke64(_ offset: UInt64, _ value: UInt64) {
    poke(offset, withUnsafeBytes(of: value.littleEndian) { Array($0) })
  }

  fileprivate func flip(_ offset: UInt64, _ bit: UInt8) { poke(offset, [peek(offset, 1)[0] ^ 1 << bit]) }

  /// Superblock and log, as one number.
  fileprivate var metadata: UInt64 { sum(0, Int(HandMadeVolume.dataStart)) }
}

/// Plans and does it.
@discardableResult
private func repair(_ device: any MemoryDevice, host: UUID = Host.master, cutting: Bool = false) throws -> RepairPlan {
  let plan = try RepairPlan(for: device, host: host, cutting: cutting)
  for step in plan.steps { try plan.carryOut(step, on: device) }
  return plan
}

private func volume() -> RamDevice {
  var hand = HandMadeVolume()
  hand.append(.directory("dir", mode: 0o750, uid: 7, gid: 8))
  hand.append(.file("dir/old", size: 5000, [hand.units(3, 2)]))
  hand.append(.file("split", size: 4096, [hand.units(6)]))
  hand.append(.file("last", size: 100, [hand.units(8)]))
  return hand.device
}

@Suite struct RepairTests {
  @Test("a sound volume is left as it is")
  func sound() throws {
    let device = volume()
    let before = device.metadata
    let plan = try repair(device, cutting: true)
    #expect(plan.steps.isEmpty && plan.remarks.isEmpty && plan.cutEntries.isEmpty)
    #expect(device.metadata == before)
  }

  @Test("what is damaged is put back as it was", arguments: Wreck.all)
  func mended(wreck: Wreck) throws {
    let device = volume()
    let before = device.metadata
    wreck.apply(device)
    let damaged = device.metadata
    let words = try #require(wreck.mends)
    let plan = try RepairPlan(for: device, host: Host.master)
    #expect(device.metadata == damaged, "a plan changes nothing")
    #expect(plan.steps.contains { $0.description.contains(words) }, "\(plan.steps)")
    for step in plan.steps { try plan.carryOut(step, on: device) }
    #expect(device.metadata == before, "not what it was")
    #expect(try RepairPlan(for: device, host: Host.master).steps.isEmpty)
    #expect(try Volume(on: device, host: Host.master).report().isClean)
  }

  @Test("what leaves a doubt is left as it is", arguments: Wreck.hopeless)
  func hopeless(wreck: Wreck) throws {
    let device = volume()
    wreck.apply(device)
    let damaged = device.metadata
    _ = try? repair(device)
    #expect(device.metadata == damaged)
  }

  @Test("only the master repairs", arguments: Wreck.all)
  func client(wreck: Wreck) throws {
    let device = volume()
    wreck.apply(device)
    let damaged = device.metadata
    #expect(throws: FamfsError.self) { try repair(device, host: Host.client) }
    #expect(device.metadata == damaged)
  }

  @Test("random bytes over the metadata never cost a file that was shown")
  func random() throws {
    var random = SeededRandom(seed: 5)
    for round in 0..<80 {
      let device = volume()
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let places: [UInt64] = [0, Wreck.log, HandMadeVolume.place(of: 0)]
        let place = places.randomElement(using: &random) ?? 0
        let size: UInt64 = place == 0 ? 200 : 2000
        let offset = place + UInt64.random(in: 0..<size, using: &random)
        device.poke(offset, random.bytes(Int.random(in: 1...12, using: &random)))
      }
      let before = (try? Volume(on: device, host: Host.master).items()) ?? [:]
      _ = try? repair(device)
      let after = (try? Volume(on: device, host: Host.master).items()) ?? [:]
      for (path, item) in before { #expect(after[path] == item, "round \(round): \(path)") }
      for path in after.keys { #expect(["dir", "dir/old", "split", "last"].contains(path), "round \(round): \(path)") }
    }
  }

  @Test("an entry whose append was cut off does not come to count where the sequence number is damaged")
  func cutAppend() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    for name in ["one", "two", "cut"] { try volume.create(name, [1]) }
    device.poke(HandMade.logStart + 32, encoded(8) { $0.set(0, UInt64(0xa5a5)) } + encoded(8) { $0.set(0, UInt64(2)) })
    let before = try Volume(on: device, host: Host.master).items()
    let plan = try RepairPlan(for: device, host: Host.master)
    for step in plan.steps { try plan.carryOut(step, on: device) }
    let after = try Volume(on: device, host: Host.master)
    #expect(try plan.steps.count == 1 && after.items() == before && before.count == 2)
    #expect(try after.create("three", [1]) == .entry(2))
  }

  @Test("an entry is not mended where a file that is shown would be lost by it")
  func conflict() throws {
    var hand = HandMadeVolume()
    hand.append(.file("a", size: 5000, [hand.units(3, 2)]))
    hand.append(.file("b", size: 5000, [hand.units(4, 2)]))  // by somebody who did not see the first
    hand.device.flip(HandMadeVolume.place(of: 0) + 200, 1)
    let before = hand.device.metadata
    let plan = try repair(hand.device)
    #expect(plan.steps.isEmpty && plan.remarks.count == 1, "\(plan.steps)")
    #expect(hand.device.metadata == before)
    #expect(try hand.open().items().keys.sorted() == ["b"])
  }

  @Test("unreadable entries at the end are cut off only when asked for, and are handed out first")
  func cut() throws {
    let device = volume()
    let noise = Array(repeating: UInt8(0xee), count: 544)
    for index in 2...3 { device.poke(HandMadeVolume.place(of: UInt64(index)), noise) }
    #expect(try repair(device).steps.isEmpty)
    let plan = try repair(device, cutting: true)
    #expect(plan.cutEntries.map(\.index) == [2, 3] && plan.cutEntries.allSatisfy { $0.bytes == noise })
    let mended = try Volume(on: device, host: Host.master)
    #expect(mended.report().isClean)
    #expect(try mended.items().keys.sorted() == ["dir", "dir/old"])
    try mended.create("new", [1, 2, 3])
  }

  @Test(
    "a power cut while entries are cut off loses no good one, and the next repair ends it", arguments: [false, true])
  func powerCutCutting(onDisk: Bool) throws {
    let start = volume()
    for index in 2...3 { start.poke(HandMadeVolume.place(of: UInt64(index)), Array(repeating: 0xee, count: 544)) }
    var random = SeededRandom(seed: 4)
    for cut in 1... {
      let device = PowerCutDevice(copying: start, isDisk: onDisk)
      device.cutAt = cut
      let isDone = (try? repair(device, cutting: true)) != nil && !device.isOff
      for luck in PowerCutDevice.Luck.allCases {
        let image = device.survivor(luck, &random)
        try repair(image, cutting: true)
        let mended = try Volume(on: image, host: Host.master)
        #expect(mended.report().isClean && mended.report().warnings.isEmpty, "cut at \(cut), \(luck)")
        #expect(try mended.items().keys.sorted() == ["dir", "dir/old"], "cut at \(cut), \(luck)")
      }
      if isDone { break }
    }
  }

  @Test("an index that no entries bear out is set back, and slots that were never written are not kept")
  func hollow() throws {
    for sequence in [4, 15_420] as [UInt64] {
      let device = volume()
      device.poke(HandMade.logStart, HandMade.logHeader(nextSequence: sequence, nextIndex: 15_420).bytes)
      // Where one of the two numbers is right, it says how many entries there are.
      if sequence > 4 { #expect(try repair(device).steps.isEmpty) }
      let plan = try repair(device, cutting: sequence > 4)
      #expect(plan.steps.count == 1 && plan.cutEntries.isEmpty && plan.remarks.isEmpty)
      let mended = try Volume(on: device, host: Host.master)
      #expect(mended.report().isClean && mended.usage().entries == 4)
      try mended.create("new", [1, 2, 3])
    }
  }

  @Test("more unreadable entries than can be kept are left as they are")
  func tooMany() throws {
    let (size, logLength, count): (UInt64, UInt64, UInt64) = (80 << 20, 64 << 20, 65_537)
    let device = RamDevice(size: size)
    device.poke(0, HandMade.superblock(logLength: logLength, deviceSize: size).bytes)
    let header = HandMade.logHeader(
      logLength: logLength, lastIndex: (logLength - 48) / 544 - 1, nextSequence: count, nextIndex: count)
    device.poke(HandMade.logStart, header.bytes)
    device.poke(HandMadeVolume.place(of: 0), Array(repeating: 0xee, count: Int(count) * 544))
    let plan = try repair(device, cutting: true)
    #expect(plan.steps.isEmpty && plan.cutEntries.isEmpty)
    #expect(plan.remarks.contains { $0.contains("65536") && $0.contains("left as they are") }, "\(plan.remarks)")
  }

  @Test("bad entries before good ones are never cut off")
  func middle() throws {
    let device = volume()
    device.poke(HandMadeVolume.place(of: 2), Array(repeating: 0xee, count: 544))
    let before = device.metadata
    #expect(try repair(device, cutting: true).cutEntries.isEmpty)
    #expect(device.metadata == before)
  }

  @Test(
    "a power cut in the middle of a repair loses nothing, and the next repair ends it",
    arguments: Wreck.all, [false, true])
  func powerCut(wreck: Wreck, onDisk: Bool) throws {
    let original = volume()
    let sound = original.metadata
    let start = RamDevice(copying: original)
    wreck.apply(start)
    let shown = (try? Volume(on: start, host: Host.master).items()) ?? [:]
    var random = SeededRandom(seed: 3)
    for cut in 1... {
      let device = PowerCutDevice(copying: start, isDisk: onDisk)
      device.cutAt = cut
      let isDone = (try? repair(device)) != nil && !device.isOff
      for luck in [PowerCutDevice.Luck.none, .some] {
        let image = device.survivor(luck, &random)
        let found = (try? Volume(on: image, host: Host.master).items()) ?? [:]
        for path in shown.keys { #expect(found[path] == shown[path], "cut at \(cut), \(luck): \(path) is gone") }
        try repair(image)
        #expect(image.metadata == sound, "cut at \(cut), \(luck)")
      }
      if isDone { break }
    }
  }
}
