import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct StripingTests {
  /// A map of which only these units are free.
  private func map(units: UInt64, unit: UInt64 = 4096, free: [Range<UInt64>]) -> Space {
    var map = Space(size: units * unit, unit: unit, reserved: 0)
    map.take(Extent(offset: 0, length: units * unit))
    for range in free { map.release(Extent(offset: range.lowerBound * unit, length: UInt64(range.count) * unit)) }
    return map
  }

  private func striping(_ strips: UInt64, of buckets: UInt64, chunk: UInt64 = 4096) throws -> Striping {
    try #require(Striping(strips: strips, buckets: buckets, chunkSize: chunk))
  }

  @Test("numbers that cannot be are refused")
  func limits() {
    for (strips, buckets, chunk) in [
      (0, 1, 4096), (17, 64, 4096), (2, 65, 4096), (1, 0, 4096), (3, 2, 4096), (2, 2, 0), (2, 2, 2048),
      (2, 2, 4097), (2, 2, 12288), (2, 2, .max),
    ] as [(UInt64, UInt64, UInt64)] {
      #expect(Striping(strips: strips, buckets: buckets, chunkSize: chunk) == nil, "\(strips) \(buckets) \(chunk)")
    }
    for (strips, buckets, chunk) in [(1, 1, 4096), (16, 16, 4096), (16, 64, 1 << 63)] as [(UInt64, UInt64, UInt64)] {
      #expect(Striping(strips: strips, buckets: buckets, chunkSize: chunk) != nil, "\(strips) \(buckets) \(chunk)")
    }
  }

  @Test("one strip, and what is smaller than a chunk, is contiguous and goes by runs, not by buckets")
  func contiguous() throws {
    var map = map(units: 40, free: [3..<17])
    let one = try map.allocate(bytes: 12 * 4096, striping(1, of: 20))
    #expect(one == FileLayout(ExtentList([Extent(offset: 3 * 4096, length: 12 * 4096)])))
    let small = try map.allocate(bytes: 8191, striping(4, of: 20, chunk: 8192))
    #expect(small == FileLayout(ExtentList([Extent(offset: 15 * 4096, length: 8192)])))
    #expect(map.freeCount == 0)
  }

  @Test("a file of one chunk has all its strips, of one chunk each")
  func oneChunk() throws {
    var map = map(units: 40, free: [0..<40])
    let layout = try map.allocate(bytes: 8192, striping(3, of: 4, chunk: 8192))
    #expect(layout.chunkSize == 8192)
    #expect(layout.extents.array.map(\.length) == [8192, 8192, 8192])
    #expect(map.freeCount == 34)
  }

  @Test("buckets with too short runs are passed over; too few are a refusal that takes nothing")
  func passedOver() throws {
    // Buckets of 10 units. Two hold runs of 4, two runs of 3 twice, and one run of 8 lies across a border.
    let free: [Range<UInt64>] = [2..<6, 10..<13, 15..<18, 20..<24, 30..<33, 35..<38, 46..<54]
    var map = map(units: 60, free: free)
    let before = map.freeCount
    #expect(throws: AllocationError.fragmented) { try map.allocate(bytes: 13 * 4096, striping(5, of: 6, chunk: 8192)) }
    #expect(map.freeCount == before)
    let layout = try map.allocate(bytes: 16 * 4096, striping(4, of: 6, chunk: 8192))
    #expect(layout.extents.array.map { $0.offset / 4096 }.sorted() == [2, 20, 46, 50])
    #expect(throws: AllocationError.full) { try map.allocate(bytes: before * 4096, striping(2, of: 6)) }
    #expect(map.freeCount == before - 16)
  }

  @Test("sizes and chunks beyond all devices are refused as no space")
  func huge() throws {
    var map = map(units: 100, free: [0..<100])
    for bytes in [.max, 1 << 62, 101 * 4096] as [UInt64] {
      #expect(throws: AllocationError.full) { try map.allocate(bytes: bytes, striping(16, of: 64)) }
    }
    // The rows' length itself passes the end of all numbers.
    #expect(throws: AllocationError.full) { try map.allocate(bytes: .max, striping(2, of: 2, chunk: 1 << 63)) }
    #expect(map.freeCount == 100)
  }

  @Test("more buckets than units: none has room, and nothing traps")
  func tinyDevice() throws {
    var map = map(units: 40, free: [0..<40])
    #expect(throws: AllocationError.fragmented) { try map.allocate(bytes: 8192, striping(2, of: 64)) }
    #expect(map.freeCount == 40)
  }

  @Test("files that follow each other begin in different buckets")
  func turns() throws {
    var map = map(units: 64, free: [0..<64])
    var firsts: Set<UInt64> = []
    for _ in 0..<4 {
      let layout = try map.allocate(bytes: 8192, striping(2, of: 4))
      firsts.insert(layout.extents[0].offset / (16 * 4096))
    }
    #expect(firsts == [0, 1, 2, 3])
  }

  /// Whether a set of free units has a run of so many in a range.
  private func hasRun(_ free: Set<UInt64>, of units: UInt64, in range: Range<UInt64>) -> Bool {
    var length: UInt64 = 0
    for unit in range {
      length = free.contains(unit) ? length + 1 : 0
      if length >= units { return true }
    }
    return false
  }

  private func outcome(
    _ map: inout Space, bytes: UInt64, _ striping: Striping
  ) -> Result<FileLayout, AllocationError> {
    do throws(AllocationError) { return .success(try map.allocate(bytes: bytes, striping)) } catch {
      return .failure(error)
    }
  }

  @Test("striped files on random maps are as the naive model has them", arguments: 1...40 as ClosedRange<UInt64>)
  func model(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let unit: UInt64 = random.oneIn(2) ? 4096 : 2 << 20
    let units = UInt64.random(in: 1...700, using: &random)
    var map = Space(size: units * unit + 100, unit: unit, reserved: 0)
    var free = Set(0..<units)
    var held: [Extent] = []
    for _ in 0..<40 {
      if random.oneIn(3), let extent = held.randomElement(using: &random) {
        held.removeAll { $0 == extent }
        map.release(extent)
        free.formUnion(extent.offset / unit..<(extent.offset + extent.length) / unit)
        continue
      }
      let buckets = UInt64.random(in: 1...64, using: &random)
      let strips = UInt64.random(in: 1...min(16, buckets), using: &random)
      let chunk = unit << UInt64.random(in: 0...2, using: &random)
      let bytes = UInt64.random(in: 1...chunk * strips * 3, using: &random)
      let before = free
      let result = try outcome(&map, bytes: bytes, striping(strips, of: buckets, chunk: chunk))
      if case .success(let layout) = result {
        for extent in layout.extents.array {
          let numbers = extent.offset / unit..<(extent.offset + extent.length) / unit
          #expect(free.isSuperset(of: numbers))
          free.subtract(numbers)
          held.append(extent)
        }
      }
      #expect(map.freeCount == UInt64(free.count))
      if strips == 1 || bytes < chunk {
        if case .success(let layout) = result { #expect(layout.chunkSize == 0) }
        continue
      }
      let chunks = bytes / chunk + (bytes % chunk > 0 ? 1 : 0)
      let length = (chunks / strips + (chunks % strips > 0 ? 1 : 0)) * chunk
      let size = units / buckets
      let fitting = (0..<buckets).filter { hasRun(before, of: length / unit, in: $0 * size..<($0 + 1) * size) }
      switch result {
      case .success(let layout):
        #expect(UInt64(fitting.count) >= strips)
        #expect(layout.chunkSize == chunk)
        #expect(UInt64(layout.extents.count) == strips)
        #expect(layout.extents.array.allSatisfy { $0.length == length && $0.device == 0 })
        let used = layout.extents.array.map { $0.offset / unit / size }
        #expect(Set(used).count == used.count, "two strips in one bucket")
        #expect(used.allSatisfy { fitting.contains($0) })
        let ends = layout.extents.array.map { ($0.offset + $0.length - 1) / unit / size }
        #expect(ends == used, "a strip across a border")
      case .failure(.full): #expect(length / unit * strips > UInt64(before.count) && free == before)
      case .failure(.fragmented): #expect(UInt64(fitting.count) < strips && free == before)
      }
    }
  }
}

@Suite struct RangeTests {
  /// Byte `x` of a file, by the facts page's own words.
  private func place(of x: UInt64, _ layout: FileLayout) -> UInt64 {
    let extents = layout.extents.array
    if layout.chunkSize > 0 {
      let (chunk, strips) = (x / layout.chunkSize, UInt64(extents.count))
      return extents[Int(chunk % strips)].offset + chunk / strips * layout.chunkSize + x % layout.chunkSize
    }
    var rest = x
    for extent in extents {
      if rest < extent.length { return extent.offset + rest }
      rest -= extent.length
    }
    return .max
  }

  private func collect(_ layout: FileLayout, _ size: UInt64) -> [(range: Extent, offset: UInt64)] {
    var ranges: [(range: Extent, offset: UInt64)] = []
    layout.forEachRange(size: size) { range, offset in ranges.append((range, offset)) }
    return ranges
  }

  @Test("a layout's ranges follow each other through the file, where the arithmetic has them", arguments: 1...40)
  func ranges(seed: Int) {
    var random = SeededRandom(seed: UInt64(seed))
    for isStriped in [false, true] {
      let chunk: UInt64 = isStriped ? 4096 << UInt64.random(in: 0...3, using: &random) : 0
      let count = UInt64.random(in: isStriped ? 2...16 : 1...16, using: &random)
      let rows = UInt64.random(in: 1...5, using: &random)
      let extents = (0..<count).map { number in
        Extent(
          offset: (count - number) << 30,
          length: isStriped ? rows * chunk : 4096 * UInt64.random(in: 1...20, using: &random))
      }
      let layout = FileLayout(ExtentList(extents), chunkSize: chunk)
      let room = extents.reduce(0) { $0 + $1.length }
      for size in [0, 1, room, room - 1, UInt64.random(in: 0...room, using: &random)] {
        var position: UInt64 = 0
        for (range, offset) in collect(layout, size) {
          #expect(offset == position && range.length > 0)
          #expect(range.offset == place(of: offset, layout))
          #expect(range.offset + range.length - 1 == place(of: offset + range.length - 1, layout))
          if chunk > 0 { #expect(range.length <= chunk) }
          position += range.length
        }
        #expect(position == size)
      }
    }
  }

  /// Ends a walk.
  private struct Enough: Error {}

  private final class Counter {
    var count = 0
  }

  @Test("a body that throws ends the walk, and nothing is a walk of nothing")
  func ending() {
    let layout = FileLayout(ExtentList([Extent(offset: 0, length: 8192), Extent(offset: 8192, length: 8192)]))
    let seen = Counter()
    #expect(throws: Enough.self) {
      try layout.forEachRange(size: 16384) { _, _ in
        seen.count += 1
        throw Enough()
      }
    }
    #expect(seen.count == 1)
    #expect(collect(layout, 0).isEmpty)
    #expect(collect(FileLayout(ExtentList()), 0).isEmpty)
  }
}
