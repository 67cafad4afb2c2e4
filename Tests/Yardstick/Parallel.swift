import Platform
import Synchronization

/// A generator of random numbers that gives the same ones for the same seed, everywhere (SplitMix64).
struct Generator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// A number of 0..<bound.
  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

extension Trial {
  /// Runs something on several threads at once, with their numbers from 0, and waits for all.
  func atOnce(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    let failure = Failure()
    let threads = try (0..<count).map { number in
      try Thread(named: "yardstick \(number)") {
        do { try body(number) } catch { failure.error.withLock { $0 = $0 ?? error } }
      }
    }
    for thread in threads { thread.join() }
    if let error = failure.error.withLock({ $0 }) { throw error }
  }
}

private final class Failure: Sendable {
  let error = Mutex<(any Error)?>(nil)
}
