import Platform
import Testing

@testable import Famfs

/// Damages a small volume in thousands of ways. Whatever comes of it: nothing traps, and what is shown can be used.
@Suite struct FuzzTests {
  static func small() -> HandMadeVolume {
    var hand = HandMadeVolume()
    hand.append(.directory("dir"))
    hand.append(.file("one", size: 5000, [hand.units(0, 2)]))
    hand.append(.file("dir/two", size: 12_000, [hand.units(2), hand.units(4), hand.units(6)]))
    hand.append(.file("dir/striped", size: 20_000, [hand.units(8, 4), hand.units(12, 4)], chunkSize: 8192))
    hand.append(.file("clone", size: 4097, [hand.units(0, 2)]))
    hand.append(.directory("dir/sub"))
    hand.append(.file("dir/sub/sixteen", size: 60_000, (0..<16).map { hand.units(20 + $0 * 2) }))
    hand.append(.addDevice(size: 1 << 30, uuid: HandMade.hostBytes, index: 1))
    hand.append(.attributes("dir/two", of: 2, mode: 0o600, modified: (1_000_000_000, 999_999_999)))
    hand.append(.attributes("", of: .max, mode: 0o1777))
    hand.append(HandMade.file("dir/stamped", size: 1, [hand.units(60)]).stamped((1_100_000_000, 1)))
    hand.append(.attributes("dir", of: 0, mode: 0o2755, modified: (-5, 0)))
    return hand
  }

  /// A structure on the device: where it is, what its CRC covers, where its CRC stands.
  struct Structure {
    let place: UInt64
    let count, checked, crc: Int

    func bytes(on device: RamDevice) -> HandMade {
      var made = HandMade(count: 0)
      made.bytes = device.peek(place, count)
      return made
    }
  }

  static let superblock = Structure(place: 0, count: 200, checked: 96, crc: 96)
  static let header = Structure(place: HandMade.logStart, count: 48, checked: 24, crc: 24)
  static func entry(_ index: UInt64) -> Structure {
    Structure(place: HandMadeVolume.place(of: index), count: 544, checked: 536, crc: 536)
  }

  /// Numbers that code is likely to trip over.
  static let nasty: [UInt64] = [
    0, 1, 2, 15, 16, 17, 255, 4095, 4096, 4097, 1 << 21, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 62, 1 << 63, .max,
    .max - 1, .max - 4095, .max - (2 << 20) + 1, 10 << 20, (10 << 20) + 4096, 16 << 20, (16 << 20) - 4096,
  ]

  static func damage(_ made: inout HandMade, _ random: inout SeededRandom) {
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let place = Int.random(in: 0..<made.bytes.count, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: made.bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: made.bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 2: made.put(place & ~3, UInt32(truncatingIfNeeded: nasty.randomElement(using: &random) ?? 0))
      default: made.put(min(place & ~7, made.bytes.count - 8), nasty.randomElement(using: &random) ?? 0)
      }
    }
  }

  /// The superblock or the log's header, before and after it was damaged. Half of them have a CRC that fits.
  /// - Parameter long: one of how many may have an index of thousands of empty slots, which is slow.
  static func damagedHead(
    _ hand: HandMadeVolume, _ random: inout SeededRandom, long: Int
  ) -> (place: UInt64, good: [UInt8], bad: [UInt8]) {
    let isHeader = random.oneIn(2)
    let structure = isHeader ? header : superblock
    let good = structure.bytes(on: hand.device)
    var made = good
    damage(&made, &random)
    if isHeader, made.bytes.span.bytes.u64(40) > 64, !random.oneIn(long) { made.put(40, hand.count) }
    if random.oneIn(2) { made.seal(structure.checked, at: structure.crc) }
    return (structure.place, good.bytes, made.bytes)
  }

  @Test(
    "damaged entries never trap, never share space unseen, and never leave the data area",
    arguments: 1...12 as ClosedRange<UInt64>)
  func entries(seed: UInt64) throws {
    let hand = FuzzTests.small()
    var random = SeededRandom(seed: seed)
    for round in 0..<600 {
      let structure = FuzzTests.entry(UInt64.random(in: 0..<hand.count, using: &random))
      let good = structure.bytes(on: hand.device)
      var made = good
      FuzzTests.damage(&made, &random)
      if !random.oneIn(5) { made.put(0, (structure.place - HandMade.logStart - 48) / 544) }
      if random.oneIn(2) { made.seal(structure.checked, at: structure.crc) }
      hand.device.poke(structure.place, made.bytes)
      try expectUsable(try hand.open(), "seed \(seed), round \(round)")
      hand.device.poke(structure.place, good.bytes)
    }
  }

  @Test("a damaged superblock or header is refused or harmless", arguments: 1...6 as ClosedRange<UInt64>)
  func heads(seed: UInt64) throws {
    let hand = FuzzTests.small()
    var random = SeededRandom(seed: seed)
    for round in 0..<300 {
      let head = FuzzTests.damagedHead(hand, &random, long: 30)
      hand.device.poke(head.place, head.bad)
      if let volume = try? hand.open() { try expectUsable(volume, "seed \(seed), round \(round)") }
      hand.device.poke(head.place, head.good)
    }
  }

  @Test("damage that comes while a volume is followed is met as calmly", arguments: 1...6 as ClosedRange<UInt64>)
  func following(seed: UInt64) throws {
    let hand = FuzzTests.small()
    var random = SeededRandom(seed: seed)
    let goods = (0..<hand.count).map { FuzzTests.entry($0).bytes(on: hand.device) }
    for round in 0..<150 {
      hand.setHeader(count: 0)
      let volume = try hand.open(as: random.oneIn(2) ? Host.master : Host.client)
      var seen: UInt64 = 0
      while seen < hand.count {
        let structure = FuzzTests.entry(seen)
        var made = goods[Int(seen)]
        if random.oneIn(3) { FuzzTests.damage(&made, &random) }
        if random.oneIn(2) { made.seal(structure.checked, at: structure.crc) }
        hand.device.poke(structure.place, made.bytes)
        seen += 1
        hand.setHeader(count: seen)
        if random.oneIn(2) { _ = volume.follow() }
      }
      if random.oneIn(10) { hand.setHeader(count: FuzzTests.nasty.randomElement(using: &random) ?? 0) }
      _ = volume.follow()
      // An index that went back means another volume, of which this one says nothing.
      if volume.isLost { continue }
      try expectUsable(volume, "seed \(seed), round \(round)")
    }
  }

  /// What must hold for any volume that opens.
  private func expectUsable(_ volume: Volume, _ comment: Comment) throws {
    let found = try volume.walk()
    let report = volume.report()
    let (unit, end) = (volume.superblock.allocationUnit, volume.device.size)
    let clones = Set(volume.tree.withLock { tree in tree.clones.map(\.clone) })
    var extents: [Extent] = []
    for (number, _, item) in found {
      if !clones.contains(number) { extents += item.extents }
      for extent in item.extents {
        let isInside =
          extent.offset >= volume.superblock.dataOffset && extent.length > 0
          && extent.length <= end && extent.offset <= end - extent.length
        #expect(extent.device == 0 && isInside, comment)
        #expect(extent.offset % unit == 0 && extent.length % unit == 0, comment)
      }
      if !item.isDirectory { try expectReadable(volume, number, item, comment) }
    }
    #expect(areDisjoint(extents), comment)
    #expect(report.warnings.count >= clones.count, comment)
    #expect(volume.usage().allocated == volume.usage().reserved + extents.reduce(0) { $0 + $1.length }, comment)
    if !report.isClean { #expect(refusal { try volume.makeDirectory("new") } != nil, comment) }
  }

  /// Every byte of a file lies in one of its extents, and no two at the same place.
  private func expectReadable(_ volume: Volume, _ number: NodeNumber, _ item: Item, _ comment: Comment) throws {
    try withUnsafeTemporaryAllocation(of: Extent.self, capacity: 4096) { room in
      let found = try volume.resolve(number, offset: 0, count: .max, into: room)
      let pieces = Array(room[..<found.pieces])
      #expect(found.bytes == item.size, comment)
      #expect(areDisjoint(pieces), comment)
      for piece in pieces {
        let isInside = item.extents.contains {
          piece.offset >= $0.offset && piece.offset + piece.length <= $0.offset + $0.length
        }
        #expect(isInside, comment)
      }
    }
  }
}
