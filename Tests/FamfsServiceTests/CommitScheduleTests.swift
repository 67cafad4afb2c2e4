import Fuse
import Testing

@testable import FamfsService

/// When what is staged is committed.
@Suite(.timeLimit(.minutes(15)))
struct CommitScheduleTests {
  @Test("what is due comes out at its time, as a plain table says", arguments: 1...20)
  func model(_ seed: UInt64) {
    var random = Noise(seed: seed)
    var (times, table) = (CommitSchedule<NodeID>(), [NodeID: UInt64]())
    for now: UInt64 in 1...20_000 {
      let id = NodeID(rawValue: random.next(below: 3000))
      if random.next(below: 3) == 0 {
        (times[id], table[id]) = (nil, nil)
      } else {
        let time = now + random.next(below: 2000)
        (times[id], table[id]) = (time, time)
      }
      #expect(times[id] == table[id])
      if random.next(below: 50) > 0 { continue }
      let due = table.filter { $0.value <= now }.keys
      if let earliest = table.values.min(), let next = times.next {
        #expect(next <= earliest)
      } else {
        #expect(table.isEmpty)
      }
      #expect(Set(times.take(until: now)) == Set(due))
      for id in due { table[id] = nil }
    }
    #expect(Set(times.take(until: .max - 1)) == Set(table.keys))
    #expect(times.next == nil)
  }

  /// A generator that can begin again.
  private struct Noise {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next(below limit: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % limit
    }
  }
}
