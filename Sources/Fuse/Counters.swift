import Synchronization

/// How often an operation was asked for, and how long the answers took.
public struct OperationCount: Equatable, Sendable {
  /// Which; nil for all that `Opcode` does not know.
  public let opcode: Opcode?
  /// Requests.
  public let requests: UInt64
  /// Those among them that were answered with an error, or whose answer did not arrive.
  public let errors: UInt64
  /// From the arrival of a request to its reply, or to its end if it is never answered. One that is under way counts as
  /// a request and is not in here yet.
  public let latency: LatencyHistogram

  /// A count.
  public init(
    opcode: Opcode?, requests: UInt64, errors: UInt64, latency: LatencyHistogram = LatencyHistogram()
  ) {
    (self.opcode, self.requests, self.errors, self.latency) = (opcode, requests, errors, latency)
  }
}

/// How many bytes of files came and went.
public struct ByteCount: Equatable, Sendable {
  /// Bytes that READ was answered with.
  public var read: UInt64
  /// Bytes that WRITE was answered to have written.
  public var written: UInt64

  /// So many bytes.
  public init(read: UInt64 = 0, written: UInt64 = 0) { (self.read, self.written) = (read, written) }
}

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
