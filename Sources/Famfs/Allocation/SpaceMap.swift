/// Which allocation units of one device are taken: one bit each. Nothing on media says so but the log's entries.
///
/// In chunks of 4096 units. One that is wholly free or wholly taken shares its words with all others of its kind, so
/// that a hostile log that claims huge devices and files costs little memory. Runs are found chunk by chunk, and by
/// groups of 1024 chunks that are wholly free or taken: each entry may have the whole of a huge device looked through.
struct SpaceMap: Sendable {
  /// Bytes of an allocation unit.
  let unit: UInt64
  /// Units of the whole device.
  let unitCount: UInt64
  private(set) var freeCount: UInt64
  /// No unit below it is free.
  private var lowestFree: UInt64
  /// Bit set: taken.
  private var chunks: [[UInt64]]
  /// Units taken in each chunk.
  private var takenCounts: [UInt16]
  /// Units taken in each group of chunks.
  private var groupCounts: [UInt32]

  private static let chunkUnits: UInt64 = 4096
  private static let groupUnits: UInt64 = 4096 * 1024
  private static let freeChunk = [UInt64](repeating: 0, count: 64)
  private static let takenChunk = [UInt64](repeating: .max, count: 64)

  /// A device of `size` bytes of which the first `reserved` (superblock, and log) are taken.
  init(size: UInt64, unit: UInt64, reserved: UInt64) {
    self.unit = unit
    unitCount = size / unit
    let count = Int((unitCount + SpaceMap.chunkUnits - 1) / SpaceMap.chunkUnits)
    chunks = Array(repeating: SpaceMap.freeChunk, count: count)
    takenCounts = Array(repeating: 0, count: count)
    groupCounts = Array(repeating: 0, count: Int(unitCount / SpaceMap.groupUnits) + 1)
    freeCount = unitCount
    lowestFree = 0
    mark(0, min(unitCount, reserved / unit), taken: true)
  }

  var memoryUse: Int {
    let mixed = takenCounts.count { $0 != 0 && UInt64($0) != SpaceMap.chunkUnits }
    return chunks.capacity * (MemoryLayout<[UInt64]>.stride + 2) + mixed * (64 * 8 + 32)
  }

  /// Whether any byte of an aligned range is taken already.
  func isTaken(_ extent: Extent) -> Bool {
    let start = extent.offset / unit
    return firstUnit(from: start, taken: true, before: start + extent.length / unit) != nil
  }

  /// Takes an aligned range that is free.
  mutating func take(_ extent: Extent) {
    precondition(countTaken(of: extent) == 0, "space that is taken belongs to another file already")
    mark(extent.offset / unit, extent.length / unit, taken: true)
  }

  /// Gives an aligned range back that was taken.
  mutating func release(_ extent: Extent) {
    precondition(countTaken(of: extent) == extent.length / unit, "space that is given back was taken, and once")
    mark(extent.offset / unit, extent.length / unit, taken: false)
  }

  /// How many units of an aligned range are taken.
  private func countTaken(of extent: Extent) -> UInt64 {
    precondition(extent.offset % unit == 0 && extent.length % unit == 0, "space is taken in allocation units")
    let start = extent.offset / unit
    precondition(
      start <= unitCount && extent.length / unit <= unitCount - start, "space that is taken lies in the device")
    return takenUnits(from: start, before: start + extent.length / unit)
  }

  private mutating func mark(_ start: UInt64, _ count: UInt64, taken: Bool) {
    let end = start + count
    var position = start
    while position < end {
      let (chunk, within) = position.quotientAndRemainder(dividingBy: SpaceMap.chunkUnits)
      let length = min(SpaceMap.chunkUnits - within, end - position)
      if length == SpaceMap.chunkUnits {
        chunks[Int(chunk)] = taken ? SpaceMap.takenChunk : SpaceMap.freeChunk
      } else {
        SpaceMap.mark(&chunks[Int(chunk)], within, length, taken: taken)
      }
      let group = Int(position / SpaceMap.groupUnits)
      if taken {
        takenCounts[Int(chunk)] += UInt16(length)
        groupCounts[group] += UInt32(length)
      } else {
        takenCounts[Int(chunk)] -= UInt16(length)
        groupCounts[group] -= UInt32(length)
      }
      position += length
    }
    if taken {
      freeCount -= count
      if start <= lowestFree && lowestFree < end { lowestFree = end }
    } else {
      freeCount += count
      lowestFree = min(lowestFree, start)
    }
  }

  /// Bits of one chunk.
  private static func mark(_ words: inout [UInt64], _ start: UInt64, _ count: UInt64, taken: Bool) {
    let end = start + count
    var position = start
    while position < end {
      let bit = position % 64
      let length = min(64 - bit, end - position)
      let mask = (length == 64 ? UInt64.max : (1 << length) - 1) << bit
      if taken { words[Int(position / 64)] |= mask } else { words[Int(position / 64)] &= ~mask }
      position += length
    }
  }

  /// The first unit in `start..<end` that is taken, or free, as asked.
  private func firstUnit(from start: UInt64, taken: Bool, before end: UInt64) -> UInt64? {
    let unwanted = UInt16(taken ? 0 : SpaceMap.chunkUnits)
    let unwantedGroup = UInt32(taken ? 0 : SpaceMap.groupUnits)
    var position = start
    while position < end {
      let group = position / SpaceMap.groupUnits
      if groupCounts[Int(group)] == unwantedGroup {
        position = (group + 1) * SpaceMap.groupUnits
        continue
      }
      let (chunk, within) = position.quotientAndRemainder(dividingBy: SpaceMap.chunkUnits)
      if takenCounts[Int(chunk)] != unwanted {
        let word = chunks[Int(chunk)][Int(within / 64)]
        let wanted = (taken ? word : ~word) >> (position % 64)
        if wanted != 0 {
          let found = position + UInt64(wanted.trailingZeroBitCount)
          return found < end ? found : nil
        }
        position = (position / 64 + 1) * 64
      } else {
        position = (chunk + 1) * SpaceMap.chunkUnits
      }
    }
    return nil
  }

  /// How many units of a range are taken.
  func takenUnits(from start: UInt64, before end: UInt64) -> UInt64 {
    var count: UInt64 = 0
    var position = start
    while position < end {
      let (chunk, within) = position.quotientAndRemainder(dividingBy: SpaceMap.chunkUnits)
      if within == 0 && end - position >= SpaceMap.chunkUnits {
        count += UInt64(takenCounts[Int(chunk)])
        position += SpaceMap.chunkUnits
        continue
      }
      let length = min(64 - position % 64, end - position)
      let mask = length == 64 ? UInt64.max : (1 << length) - 1
      count += UInt64((chunks[Int(chunk)][Int(within / 64)] >> (position % 64) & mask).nonzeroBitCount)
      position += length
    }
    return count
  }

  /// The next run of free units from `start` on.
  func freeRun(from start: UInt64) -> Range<UInt64>? {
    guard let first = firstUnit(from: max(start, lowestFree), taken: false, before: unitCount) else { return nil }
    return first..<(firstUnit(from: first, taken: true, before: unitCount) ?? unitCount)
  }

  /// Where a run of so many free units begins that lies in a range.
  func freeRun(of units: UInt64, from start: UInt64, before end: UInt64) -> UInt64? {
    var position = max(start, lowestFree)
    while let first = firstUnit(from: position, taken: false, before: end), end - first >= units {
      guard let obstacle = firstUnit(from: first, taken: true, before: first + units) else { return first }
      position = obstacle
    }
    return nil
  }
}
