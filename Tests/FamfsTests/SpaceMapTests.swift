import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct SpaceMapTests {
  private static let unit: UInt64 = 4096

  /// A map of which only these units are free.
  private func map(units: UInt64, free: [Range<UInt64>]) -> Space {
    var map = Space(size: units * SpaceMapTests.unit, unit: SpaceMapTests.unit, reserved: 0)
    map.take(extent(0..<units))
    for range in free { map.release(extent(range)) }
    return map
  }

  private func extent(_ range: Range<UInt64>) -> Extent {
    Extent(offset: range.lowerBound * SpaceMapTests.unit, length: UInt64(range.count) * SpaceMapTests.unit)
  }

  private func allocate(_ map: inout Space, units: UInt64) throws -> [Extent] {
    try map.allocate(bytes: units * SpaceMapTests.unit).array
  }

  @Test("the first run that holds all of it is taken")
  func firstFit() throws {
    var map = map(units: 300, free: [5..<7, 60..<70, 100..<200])
    #expect(try allocate(&map, units: 10) == [extent(60..<70)])
    #expect(try allocate(&map, units: 2) == [extent(5..<7)])
    #expect(try allocate(&map, units: 3) == [extent(100..<103)])
    #expect(map.freeCount == 97)
  }

  @Test("what no run holds is put together from the fewest runs, the longest first")
  func fewest() throws {
    var map = map(units: 300, free: [1..<4, 10..<30, 63..<65, 127..<140, 299..<300])
    #expect(try allocate(&map, units: 34) == [extent(10..<30), extent(127..<140), extent(1..<2)])
    #expect(map.freeCount == 5)
  }

  @Test("16 runs are possible, 17 are not, and a refusal takes nothing")
  func sixteen() throws {
    let runs = (0..<UInt64(17)).map { number in number * 10..<number * 10 + 1 }
    var map = map(units: 300, free: runs)
    #expect(throws: AllocationError.fragmented) { try allocate(&map, units: 17) }
    #expect(map.freeCount == 17)
    #expect(try allocate(&map, units: 16).count == 16)
    #expect(throws: AllocationError.full) { try allocate(&map, units: 2) }
    #expect(try allocate(&map, units: 1).count == 1)
    #expect(map.freeCount == 0)
  }

  @Test("bytes are rounded up to units, also at the end of all numbers")
  func rounding() throws {
    var map = map(units: 10, free: [0..<10])
    #expect(try map.allocate(bytes: 1).array == [extent(0..<1)])
    #expect(try map.allocate(bytes: 4097).array == [extent(1..<3)])
    #expect(try map.allocate(bytes: 0).count == 0)
    #expect(throws: AllocationError.full) { try map.allocate(bytes: .max) }
    #expect(map.freeCount == 7)
  }

  @Test("a map of random takes and releases is a set of units", arguments: 1...20 as ClosedRange<UInt64>)
  func model(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let units = UInt64.random(in: 1...400, using: &random)
    let reserved = UInt64.random(in: 0...units, using: &random)
    var map = Space(
      size: units * SpaceMapTests.unit + 100, unit: SpaceMapTests.unit, reserved: reserved * SpaceMapTests.unit)
    var free = Set(reserved..<units)
    var held: [Extent] = []
    for _ in 0..<60 {
      let wanted = UInt64.random(in: 1...30, using: &random)
      if random.oneIn(2), let extent = held.randomElement(using: &random) {
        held.removeAll { $0 == extent }
        map.release(extent)
        free.formUnion(numbers(extent))
      } else if let extents = try? allocate(&map, units: wanted) {
        #expect(extents.reduce(0) { $0 + $1.length } == wanted * SpaceMapTests.unit)
        for extent in extents {
          #expect(free.isSuperset(of: numbers(extent)))
          free.subtract(numbers(extent))
          held.append(extent)
        }
      } else {
        let longest = runs(free).sorted(by: >).prefix(16).reduce(0, +)
        #expect(longest < wanted)
      }
      #expect(map.freeCount == UInt64(free.count))
      let start = UInt64.random(in: 0..<units, using: &random)
      let range = start..<UInt64.random(in: start...units, using: &random)
      #expect(map.isTaken(extent(range)) == !range.allSatisfy(free.contains))
    }
  }

  private func numbers(_ extent: Extent) -> Range<UInt64> {
    extent.offset / SpaceMapTests.unit..<(extent.offset + extent.length) / SpaceMapTests.unit
  }

  private func runs(_ free: Set<UInt64>) -> [UInt64] {
    var runs: [UInt64] = []
    for unit in free.sorted() {
      if free.contains(unit &- 1) { runs[runs.count - 1] += 1 } else { runs.append(1) }
    }
    return runs
  }
}

@Suite struct FragmentationTests {
  @Test("a file on a crowded volume has the fewest extents, and every byte in its place")
  func crowded() throws {
    var hand = HandMadeVolume()
    // Every other unit of the first 40 is taken, and all from unit 50 on.
    for number in 0..<20 { hand.append(.file("f\(number)", size: 1, [hand.units(UInt64(number) * 2)])) }
    hand.append(.file("rest", size: 1, [hand.units(50, 1536 - 50)]))
    let volume = try hand.open()
    // Units 39 to 49 are one run of 11; units 1, 3, ... 37 are alone.
    let contents = (0..<14 * 4096 - 100).map { UInt8(truncatingIfNeeded: $0 / 64) }
    let number = try volume.create("split", contents)
    let wanted = [hand.units(39, 11), hand.units(1), hand.units(3), hand.units(5)]
    #expect(volume.extents(of: number) == wanted)
    #expect(try volume.contents(of: number) == contents)
    let again = try hand.open(as: Host.client)
    #expect(try again.contents(of: again.number(of: "split")) == contents)
    // 16 single units are left.
    let error = refusal { _ = try volume.reserve("many", size: 17 * 4096) }
    #expect(error == "noSpace")
    let most = try volume.reserve("most", size: 16 * 4096)
    #expect(most.extents.count == 16)
    try volume.commit(most.id)
    #expect(try hand.open().report().isClean)
    #expect(volume.usage().free == 0)
  }

  @Test("free space in more than 16 pieces is told as such")
  func fragmented() throws {
    var hand = HandMadeVolume()
    for number in 0..<17 { hand.append(.file("f\(number)", size: 1, [hand.units(UInt64(number) * 2)])) }
    hand.append(.file("rest", size: 1, [hand.units(34, 1536 - 34)]))
    let volume = try hand.open()
    let error = #expect(throws: FamfsError.self) { try volume.reserve("file", size: 17 * 4096) }
    #expect(
      error.map { "\($0)" }
        == "file: 69632 bytes are free, but 69632 cannot be had in 16 pieces; make smaller files")
    #expect(error?.errno == .noSpace)
    #expect(try volume.reserve("file", size: 16 * 4096).extents.count == 16)
  }
}
