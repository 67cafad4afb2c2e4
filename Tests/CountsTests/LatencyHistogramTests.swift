import Counts
import Testing

@Suite("How long requests took") struct LatencyHistogramTests {
  private func histogram(_ times: [UInt64]) -> LatencyHistogram {
    var counts = [UInt64](repeating: 0, count: LatencyHistogram.boundCount + 1)
    for time in times { counts[LatencyHistogram.bucket(of: time)] += 1 }
    return LatencyHistogram(counts: counts, sum: times.reduce(0, +)) ?? LatencyHistogram()
  }

  @Test("a time lies in the first bucket whose bound it does not exceed")
  func buckets() {
    for bucket in 0..<LatencyHistogram.boundCount {
      let bound = LatencyHistogram.bound(of: bucket) ?? 0
      #expect(bound == 1000 << UInt64(bucket))
      #expect(LatencyHistogram.bucket(of: bound) == bucket)
      #expect(LatencyHistogram.bucket(of: bound - 1) == bucket)
      #expect(LatencyHistogram.bucket(of: bound + 1) == bucket + 1)
    }
    #expect(LatencyHistogram.bucket(of: 0) == 0)
    #expect(LatencyHistogram.bucket(of: 2001) == 2)
    #expect(LatencyHistogram.bucket(of: .max) == LatencyHistogram.boundCount)
    #expect(LatencyHistogram.bound(of: LatencyHistogram.boundCount) == nil)
  }

  @Test("mean and percentiles of nothing, of one, of many, and of what took too long for a bucket")
  func percentiles() {
    #expect(LatencyHistogram().mean == nil && LatencyHistogram().percentile(0.99) == nil)
    #expect(histogram([1500]).mean == 1500)
    #expect(histogram([1500]).percentile(1) == 2000)
    #expect(histogram([1500]).percentile(0.5) == 1500)
    let many = histogram(Array(repeating: 900, count: 99) + [3_000_000])
    #expect(many.percentile(0.99) == 1000)
    #expect(many.percentile(0.5) == UInt64(1000.0 * 50 / 99))
    #expect((2_048_000...4_096_000).contains(many.percentile(0.995) ?? 0))
    #expect(histogram([100_000_000_000]).percentile(0.5) == 8_388_608_000)
    for part in [-1, 0, 0.5, 1, 2, Double.nan, .infinity] { #expect(many.percentile(part) != nil) }
  }

  @Test("the difference of two states has what came between, and another daemon's has all")
  func differences() {
    let (before, after) = (histogram([500, 5000]), histogram([500, 5000, 5001, 70_000]))
    #expect(after.since(before) == histogram([5001, 70_000]))
    #expect(before.since(after) == before)
    var sum = before
    sum.add(histogram([5001, 70_000]))
    #expect(sum == after)
  }

  @Test("a histogram of the wrong shape is none")
  func shape() {
    #expect(LatencyHistogram(counts: [], sum: 0) == nil)
    #expect(LatencyHistogram(counts: Array(repeating: 0, count: 26), sum: 0) == nil)
  }
}
