/// How long requests took, from their arrival to their reply, in buckets that double: up to 1 µs, up to 2 µs, up to
/// 4 µs, ... up to 8.4 s, and longer.
public struct LatencyHistogram: Equatable, Sendable {
  /// Buckets with an upper bound; one more has what took longer.
  @inlinable public static var boundCount: Int { 24 }

  /// Requests in each bucket alone, the one without a bound last.
  public private(set) var counts: [UInt64]
  /// The sum of all times, in nanoseconds.
  public private(set) var sum: UInt64

  /// A histogram of nothing.
  public init() { (counts, sum) = (Array(repeating: 0, count: LatencyHistogram.boundCount + 1), 0) }

  /// A histogram with these counts and this sum.
  /// - Returns: nil when there are not just as many counts as buckets.
  public init?(counts: [UInt64], sum: UInt64) {
    guard counts.count == LatencyHistogram.boundCount + 1 else { return nil }
    (self.counts, self.sum) = (counts, sum)
  }

  /// The most that a bucket's requests took, in nanoseconds; nil for the last bucket.
  public static func bound(of bucket: Int) -> UInt64? { (0..<boundCount).contains(bucket) ? 1000 << bucket : nil }

  /// The bucket of a time in nanoseconds.
  @inlinable public static func bucket(of time: UInt64) -> Int {
    if time <= 1000 { return 0 }
    // The bound of bucket k is 2^k µs: of the whole microseconds below the time, one more bit than they have.
    return min(64 - ((time - 1) / 1000).leadingZeroBitCount, boundCount)
  }

  /// All requests.
  public var count: UInt64 { counts.reduce(0, &+) }

  /// The mean time in nanoseconds; nil of nothing.
  public var mean: UInt64? { count == 0 ? nil : sum / count }

  /// The time in nanoseconds that this part of the requests did not exceed, as far as buckets tell: within one, times
  /// are taken to be spread evenly. What lies in the last bucket counts as its lower bound.
  /// - Parameter part: between 0 and 1.
  /// - Returns: nil of nothing.
  public func percentile(_ part: Double) -> UInt64? {
    let total = count
    guard total > 0 else { return nil }
    let rank = min(max(part, 0), 1) * Double(total)
    var below: Double = 0
    for (bucket, count) in counts.enumerated() where count > 0 {
      let lower = bucket == 0 ? 0 : LatencyHistogram.bound(of: bucket - 1) ?? 0
      guard below + Double(count) >= rank else {
        below += Double(count)
        continue
      }
      guard let upper = LatencyHistogram.bound(of: bucket) else { return lower }
      return lower + UInt64(Double(upper - lower) * max(0, rank - below) / Double(count))
    }
    return LatencyHistogram.bound(of: LatencyHistogram.boundCount - 1)
  }

  /// Adds another one's requests.
  public mutating func add(_ other: LatencyHistogram) {
    for bucket in counts.indices { counts[bucket] &+= other.counts[bucket] }
    sum &+= other.sum
  }

  /// What came since an earlier state of the same histogram; where that has more, it was another one's, and all did.
  public func since(_ earlier: LatencyHistogram) -> LatencyHistogram {
    guard sum >= earlier.sum, zip(counts, earlier.counts).allSatisfy({ $0 >= $1 }) else { return self }
    return LatencyHistogram(counts: zip(counts, earlier.counts).map { $0 - $1 }, sum: sum - earlier.sum) ?? self
  }
}
