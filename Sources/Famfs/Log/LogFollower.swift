/// Decides what a look at the log's index means: a state machine without I/O.
struct LogFollower: Sendable {
  /// Entries played so far.
  private(set) var played: UInt64
  /// Slots that the log has.
  let capacity: UInt64
  /// Why the log is lost, once it is: what its index says later is about some other log.
  private var loss: Step?

  init(played: UInt64, capacity: UInt64) {
    self.played = played
    self.capacity = capacity
  }

  /// What to do next.
  enum Step: Equatable {
    /// The log is as it was.
    case rest
    /// Play these entries.
    case play(Range<UInt64>)
    /// The index is smaller than it was, which no append does: this is not the log that was followed.
    case wentBack
    /// The index lies beyond the last slot.
    case beyond
  }

  /// Says what an index calls for. A step of entries counts as played when it is handed out.
  mutating func see(_ nextIndex: UInt64) -> Step {
    if let loss { return loss }
    if nextIndex == played { return .rest }
    if nextIndex < played || nextIndex > capacity {
      let step: Step = nextIndex < played ? .wentBack : .beyond
      loss = step
      return step
    }
    defer { played = nextIndex }
    return .play(played..<nextIndex)
  }
}
