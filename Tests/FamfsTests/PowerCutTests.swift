import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// What a volume holds, contents included.
private struct Holdings: Equatable {
  var items: [String: Item]
  var contents: [String: [UInt8]]

  init(_ volume: Volume) throws {
    items = try volume.items()
    contents = [:]
    for (path, item) in items where !item.isDirectory {
      contents[path] = try volume.contents(of: volume.number(of: path))
    }
  }
}

/// A volume with something in it, and things to do with it.
private enum Script {
  static func start() throws -> RamDevice {
    var hand = HandMadeVolume()
    // Old bytes everywhere: nothing may look right by being zero. A part of the log too.
    for offset in stride(from: HandMadeVolume.dataStart, to: hand.device.size, by: 4096) {
      hand.device.poke(offset, Array(repeating: 0xdd, count: 64))
    }
    hand.device.poke(HandMadeVolume.place(of: 2), Array(repeating: 0xee, count: 544 * 8))
    hand.append(.directory("dir", mode: 0o750, uid: 7, gid: 8))
    hand.append(.file("dir/old", size: 5000, [hand.units(3, 2)]))
    hand.append(.file("split", size: 4096, [hand.units(6)]))
    return hand.device
  }

  static let steps: [@Sendable (Volume) throws -> Void] = [
    { try $0.create("dir/first", (0..<9000).map { UInt8(truncatingIfNeeded: $0 / 16) }) },
    { try $0.makeDirectory("dir/sub") },
    { try $0.create("dir/sub/second", Array(repeating: 0x55, count: 4096 * 5 + 1)) },
    { try $0.create("last", [1]) },
  ]

  /// What is there after none, one, two, ... of the steps.
  static func states() throws -> [Holdings] {
    let device = try start()
    let volume = try Volume(on: device, host: Host.master)
    return try [Holdings(volume)]
      + steps.map { step in
        try step(volume)
        return try Holdings(Volume(on: device, host: Host.client))
      }
  }
}

@Suite struct PowerCutTests {
  @Test("after a power cut at any step, each file is there whole or not at all", arguments: [false, true])
  func appends(onDisk: Bool) throws {
    let states = try Script.states()
    let start = try Script.start()
    var random = SeededRandom(seed: 1)
    var seen: Set<String> = []
    for cut in 1... {
      let device = PowerCutDevice(copying: start, isDisk: onDisk)
      device.cutAt = cut
      var done = 0
      if let volume = try? Volume(on: device, host: Host.master) {
        for step in Script.steps {
          guard (try? step(volume)) != nil, !device.isOff else { break }
          done += 1
        }
      }
      for luck in PowerCutDevice.Luck.allCases {
        let comment: Comment = "cut at step \(cut), \(luck) of the rest survived"
        let image = device.survivor(luck, &random)
        let volume = try Volume(on: image, host: Host.master)
        #expect(volume.report().isClean, comment)
        let found = try Holdings(volume)
        let isAhead = done + 1 < states.count && found == states[done + 1]
        #expect(isAhead || found == states[done], comment)
        seen.insert(isAhead ? "ahead" : "behind")
        try expectGoesOn(volume, image, found, comment)
      }
      if done == Script.steps.count { break }
    }
    #expect(seen.count == 2, "both outcomes are met")
  }

  /// A volume that came through a power cut takes new files, and loses nothing by it.
  private func expectGoesOn(_ volume: Volume, _ image: RamDevice, _ before: Holdings, _ comment: Comment) throws {
    try volume.create("after", Array(repeating: 0x77, count: 12_345))
    let again = try Volume(on: image, host: Host.client)
    #expect(again.report().isClean && again.report().warnings.isEmpty, comment)
    var after = try Holdings(again)
    #expect(after.contents["after"] == Array(repeating: 0x77, count: 12_345), comment)
    after.items["after"] = nil
    after.contents["after"] = nil
    #expect(after == before, comment)
  }

  @Test("after a power cut in mkfs the device has the old volume, none or the new one", arguments: [false, true])
  func mkfs(onDisk: Bool) throws {
    let start = try Script.start()
    let old = try Holdings(Volume(on: start, host: Host.master))
    var random = SeededRandom(seed: 2)
    var seen: Set<String> = []
    for cut in 1... {
      let device = PowerCutDevice(copying: start, isDisk: onDisk)
      device.cutAt = cut
      let isDone = (try? make(on: device, unit: 2 << 20, force: true)) != nil && !device.isOff
      for luck in PowerCutDevice.Luck.allCases {
        let comment: Comment = "cut at step \(cut), \(luck) of the rest survived"
        let image = device.survivor(luck, &random)
        let outcome = try outcomeOfMaking(image, old, comment)
        seen.insert(outcome)
        if isDone { #expect(outcome == "new", comment) }
      }
      if isDone { break }
    }
    #expect(seen == ["old", "none", "new"])
  }

  private func outcomeOfMaking(_ image: RamDevice, _ old: Holdings, _ comment: Comment) throws -> String {
    let volume: Volume
    do { volume = try Volume(on: image, host: Host.master) } catch {
      guard case .superblock(_, .notFamfs) = error else {
        Issue.record("\(error), \(comment)")
        return "\(error)"
      }
      return "none"
    }
    let isNew = volume.superblock.allocationUnit == 2 << 20
    #expect(volume.report().isClean && volume.report().warnings.isEmpty, comment)
    if isNew { #expect(try volume.items().isEmpty, comment) } else { #expect(try Holdings(volume) == old, comment) }
    try volume.makeDirectory("new")
    #expect(try Volume(on: image, host: Host.client).report().isClean, comment)
    return isNew ? "new" : "old"
  }

  @Test("wiping the superblock leaves the old volume or none, wherever it is cut off", arguments: [false, true])
  func wiping(onDisk: Bool) throws {
    let start = try Script.start()
    let old = try Holdings(Volume(on: start, host: Host.master))
    var random = SeededRandom(seed: 3)
    for cut in 1...5 {
      let device = PowerCutDevice(copying: start, isDisk: onDisk)
      device.cutAt = cut
      try? Volume.destroySuperblock(of: device)
      for luck in PowerCutDevice.Luck.allCases {
        let outcome = try outcomeOfMaking(device.survivor(luck, &random), old, "cut at step \(cut), \(luck)")
        #expect(outcome == "old" || outcome == "none")
      }
    }
  }
}

@Suite struct FailingDeviceTests {
  @Test(
    "memory that fails at any access leaves whole files only, and the volume refuses or goes on",
    arguments: [false, true])
  func appends(isLasting: Bool) throws {
    let states = try Script.states()
    let start = try Script.start()
    var refusals: Set<String> = []
    for failing in 1... {
      let comment: Comment = "access \(failing) fails"
      let device = FailingDevice(copying: start)
      let volume = try Volume(on: device, host: Host.master)
      device.failAt = device.accesses + failing
      device.isLasting = isLasting
      var done = 0
      for step in Script.steps {
        guard let refusal = refusal({ try step(volume) }) else {
          done += 1
          continue
        }
        refusals.insert(refusal)
        break
      }
      let isDone = done == Script.steps.count
      if isDone { #expect(device.accesses < device.failAt, comment) }
      device.failAt = .max
      device.isLasting = false

      let fresh = try Volume(on: device, host: Host.client)
      let found = try Holdings(fresh)
      #expect(fresh.report().isClean, comment)
      #expect(found == states[done] || (!isDone && found == states[done + 1]), comment)
      // The volume itself sees the same as the others, once it looks.
      _ = volume.follow()
      #expect(try Holdings(volume) == found, comment)
      if refusal({ try volume.create("after", [1, 2, 3]) }) == nil {
        var after = try Holdings(Volume(on: device, host: Host.client))
        #expect(after.contents["after"] == [1, 2, 3], comment)
        (after.items["after"], after.contents["after"]) = (nil, nil)
        #expect(after == found, comment)
      }
      let last = try Volume(on: device, host: Host.master)
      #expect(last.report().isClean, comment)
      try last.makeDirectory("good as new")
      if isDone { break }
    }
    #expect(refusals.contains("disabled"))
  }

  @Test("after an append failed, the volume adds nothing more: its slot may already be another host's entry")
  func disabled() throws {
    let device = FailingDevice(copying: try Script.start())
    let volume = try Volume(on: device, host: Host.master)
    let reservation = try volume.reserve("file", size: 1)
    let free = volume.usage().free
    device.failAt = device.accesses + 1
    device.isLasting = true
    let error = #expect(throws: FamfsError.self) { try volume.commit(reservation.id) }
    #expect(error?.errno == .inputOutput)
    device.failAt = .max
    #expect(refusal { try volume.makeDirectory("more") } == "disabled")
    #expect(refusal { _ = try volume.reserve("more", size: 1) } == "disabled")
    #expect(refusal { try volume.commit(reservation.id) } == "noReservation")
    #expect(volume.usage().free == free + 4096)
  }

  @Test("mkfs on memory that fails leaves the old volume, none, or the new one")
  func mkfs() throws {
    let start = try Script.start()
    var outcomes: Set<String> = []
    for failing in 1... {
      let device = FailingDevice(copying: start)
      device.failAt = failing
      device.isLasting = true
      let error = refusal { try make(on: device, unit: 2 << 20, force: true) }
      let isDone = device.accesses < failing
      #expect(error == (isDone ? nil : "memory"), "access \(failing) fails")
      device.failAt = .max
      let volume = try? Volume(on: device, host: Host.master)
      outcomes.insert(volume.map { $0.superblock.allocationUnit == 4096 ? "old" : "new" } ?? "none")
      if let volume { #expect(volume.report().isClean) }
      if isDone { break }
    }
    #expect(outcomes == ["old", "none", "new"])
  }

  @Test("mkfs goes on where a word cannot be stored, and writing the whole page makes it good", arguments: 1...2)
  func cured(failing: Int) throws {
    let device = FailingDevice(copying: try Script.start())
    device.failAt = failing
    try make(on: device, unit: 2 << 20, force: true)
    #expect(try Volume(on: device, host: Host.master).superblock.allocationUnit == 2 << 20)
  }
}
