import Counts
import Synchronization

/// One thread's counts by opcode. Only that thread writes, so that plain loads and stores will do and no cache line
/// moves between processors; others may read at any time.
final class Counters: Sendable {
  static let slots = 64
  private static let buckets = LatencyHistogram.boundCount + 1

  private let requests = InlineArray<64, Atomic<UInt64>> { (_: Int) in Atomic(0) }
  private let errors = InlineArray<64, Atomic<UInt64>> { (_: Int) in Atomic(0) }
  private let times = InlineArray<64, Atomic<UInt64>> { (_: Int) in Atomic(0) }
  /// The buckets of slot 0, then those of slot 1, ...
  private let latencies = InlineArray<1600, Atomic<UInt64>> { (_: Int) in Atomic(0) }
  private let read = Atomic<UInt64>(0)
  private let written = Atomic<UInt64>(0)

  func countRequest(_ opcode: UInt32) { Counters.add(1, to: requests[Counters.slot(opcode)]) }

  func countError(_ opcode: UInt32) { Counters.add(1, to: errors[Counters.slot(opcode)]) }

  func countTime(_ nanoseconds: UInt64, of opcode: UInt32) {
    let slot = Counters.slot(opcode)
    Counters.add(nanoseconds, to: times[slot])
    Counters.add(1, to: latencies[slot * Counters.buckets + LatencyHistogram.bucket(of: nanoseconds)])
  }

  func countRead(_ bytes: Int) { Counters.add(UInt64(bytes), to: read) }

  func countWritten(_ bytes: Int) { Counters.add(UInt64(bytes), to: written) }

  func values(_ slot: Int) -> (requests: UInt64, errors: UInt64) {
    (requests[slot].load(ordering: .relaxed), errors[slot].load(ordering: .relaxed))
  }

  func latency(_ slot: Int) -> LatencyHistogram {
    let first = slot * Counters.buckets
    let counts = (first..<first + Counters.buckets).map { latencies[$0].load(ordering: .relaxed) }
    return LatencyHistogram(counts: counts, sum: times[slot].load(ordering: .relaxed)) ?? LatencyHistogram()
  }

  var bytes: ByteCount {
    ByteCount(read: read.load(ordering: .relaxed), written: written.load(ordering: .relaxed))
  }

  private static func add(_ number: UInt64, to counter: borrowing Atomic<UInt64>) {
    counter.store(counter.load(ordering: .relaxed) &+ number, ordering: .relaxed)
  }

  /// Unknown opcodes share slot 0, which is no opcode.
  private static func slot(_ opcode: UInt32) -> Int { opcode < slots ? Int(opcode) : 0 }
}
