/// Blocks in use, as ranges. A new file system has few of them, whatever its size.
struct UsedBlocks {
  /// Ascending, not empty, with free blocks between.
  private(set) var ranges: [Range<UInt64>] = []

  /// The place of the first range that ends behind a block.
  private func place(of block: UInt64) -> Int {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound > block { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// The ranges that share blocks with `range`, cut to it.
  func within(_ range: Range<UInt64>) -> [Range<UInt64>] {
    var found: [Range<UInt64>] = []
    for used in ranges[place(of: range.lowerBound)...] {
      if used.lowerBound >= range.upperBound { break }
      found.append(used.clamped(to: range))
    }
    return found
  }

  /// The first free run of `count` blocks that begins at `start` or later and ends before `end`.
  func firstFree(_ count: UInt64, from start: UInt64, before end: UInt64) -> UInt64? {
    var block = start
    var next = place(of: start)
    while block < end, count <= end - block {
      guard next < ranges.count, ranges[next].lowerBound < block + count else { return block }
      block = ranges[next].upperBound
      next += 1
    }
    return nil
  }

  /// The first free run of at most `longest` blocks that begins at `start` or later and ends before `end`.
  func firstRun(atMost longest: UInt64, from start: UInt64, before end: UInt64) -> Range<UInt64>? {
    guard let first = firstFree(1, from: start, before: end) else { return nil }
    let next = place(of: first)
    let limit = next < ranges.count ? min(end, ranges[next].lowerBound) : end
    return first..<(first + min(longest, limit - first))
  }

  /// Marks free blocks as used.
  mutating func take(_ range: Range<UInt64>) {
    var next = place(of: range.lowerBound)
    precondition(next == ranges.count || ranges[next].lowerBound >= range.upperBound, "blocks are taken once")
    var merged = range
    if next < ranges.count && ranges[next].lowerBound == range.upperBound {
      merged = merged.lowerBound..<ranges[next].upperBound
      ranges.remove(at: next)
    }
    if next > 0 && ranges[next - 1].upperBound == range.lowerBound {
      next -= 1
      merged = ranges[next].lowerBound..<merged.upperBound
      ranges.remove(at: next)
    }
    ranges.insert(merged, at: next)
  }
}
