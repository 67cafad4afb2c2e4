import Counts
import FamfsControl

/// What a mount has done between two looks; since it began when there was no look before.
struct TopFigures {
  let facts: MountFacts
  /// Nanoseconds between the looks, by the daemon's clock.
  let interval: UInt64
  /// Whether that is since the mount began.
  let isWhole: Bool
  /// What came between, most frequent first.
  let operations: [OperationCount]
  /// Bytes that came and went between.
  let bytes: ByteCount

  init(_ facts: MountFacts, since before: MountFacts?) {
    let activity = facts.activity
    self.facts = facts
    // Another daemon has served since if a count has become less.
    guard let before, before.status.processID == facts.status.processID, before.activity.uptime < activity.uptime else {
      (interval, isWhole, bytes) = (max(1, activity.uptime), true, activity.bytes)
      operations = TopFigures.sorted(activity.operations)
      return
    }
    (interval, isWhole) = (activity.uptime - before.activity.uptime, false)
    bytes = ByteCount(
      read: activity.bytes.read &- before.activity.bytes.read,
      written: activity.bytes.written &- before.activity.bytes.written)
    operations = TopFigures.sorted(
      activity.operations.map { now in
        guard let then = before.activity.operations.first(where: { $0.opcode == now.opcode }) else { return now }
        return OperationCount(
          opcode: now.opcode, requests: now.requests &- then.requests, errors: now.errors &- then.errors,
          latency: now.latency.since(then.latency))
      })
  }

  private static func sorted(_ operations: [OperationCount]) -> [OperationCount] {
    operations.filter { $0.requests > 0 || $0.latency.count > 0 }.sorted { $0.requests > $1.requests }
  }

  /// All requests.
  var requests: UInt64 { operations.reduce(0) { $0 &+ $1.requests } }
  /// Those that failed.
  var errors: UInt64 { operations.reduce(0) { $0 &+ $1.errors } }
  /// All latencies.
  var latency: LatencyHistogram { operations.reduce(into: LatencyHistogram()) { $0.add($1.latency) } }

  /// So many in the interval, for each second.
  func perSecond(_ count: UInt64) -> Double { Double(count) * 1e9 / Double(interval) }
}
