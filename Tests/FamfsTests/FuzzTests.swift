import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// Damages a small volume in thousands of ways. Whatever comes of it: nothing traps, and what is shown can be used.
@Suite struct FuzzTests {
  @Test(
    "damaged entries never trap, never share space unseen, and never leave the data area",
    arguments: 1...12 as ClosedRange<UInt64>)
  func entries(seed: UInt64) throws {
    let hand = Damage.small()
    var random = SeededRandom(seed: seed)
    for round in 0..<600 {
      let structure = Damage.entry(UInt64.random(in: 0..<hand.count, using: &random))
      let good = structure.bytes(on: hand.device)
      var made = good
      Damage.change(&made, &random)
      if !random.oneIn(5) { made.put(0, (structure.place - HandMade.logStart - 48) / 544) }
      if random.oneIn(2) { made.seal(structure.checked, at: structure.crc) }
      hand.device.poke(structure.place, made.bytes)
      try expectUsable(try hand.open(), "seed \(seed), round \(round)")
      hand.device.poke(structure.place, good.bytes)
    }
  }

  @Test("a damaged superblock or header is refused or harmless", arguments: 1...6 as ClosedRange<UInt64>)
  func heads(seed: UInt64) throws {
    let hand = Damage.small()
    var random = SeededRandom(seed: seed)
    for round in 0..<300 {
      let head = Damage.damagedHead(hand, &random, long: 30)
      hand.device.poke(head.place, head.bad)
      if let volume = try? hand.open() { try expectUsable(volume, "seed \(seed), round \(round)") }
      hand.device.poke(head.place, head.good)
    }
  }

  @Test("damage that comes while a volume is followed is met as calmly", arguments: 1...6 as ClosedRange<UInt64>)
  func following(seed: UInt64) throws {
    let hand = Damage.small()
    var random = SeededRandom(seed: seed)
    let goods = (0..<hand.count).map { Damage.entry($0).bytes(on: hand.device) }
    for round in 0..<150 {
      hand.setHeader(count: 0)
      let volume = try hand.open(as: random.oneIn(2) ? Host.master : Host.client)
      var seen: UInt64 = 0
      while seen < hand.count {
        let structure = Damage.entry(seen)
        var made = goods[Int(seen)]
        if random.oneIn(3) { Damage.change(&made, &random) }
        if random.oneIn(2) { made.seal(structure.checked, at: structure.crc) }
        hand.device.poke(structure.place, made.bytes)
        seen += 1
        hand.setHeader(count: seen)
        if random.oneIn(2) { _ = volume.follow() }
      }
      if random.oneIn(10) { hand.setHeader(count: Damage.nasty.randomElement(using: &random) ?? 0) }
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
    let clones = Set(volume.replayed.withLock { tree in tree.clones.map(\.clone) })
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
