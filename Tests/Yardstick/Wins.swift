import Synchronization

/// Counts what several threads do.
final class Wins: Sendable {
  private let count = Atomic(0)

  func add() { count.add(1, ordering: .relaxed) }

  /// The count, which starts again.
  func take() -> Int { count.exchange(0, ordering: .relaxed) }
}
