/// Decides what a look at the log's index means: a state machine without I/O.
///
/// The index is one number that any host can store, so it is not believed further than entries bear it out: see
/// docs/decisions/log-index.md.
struct LogFollower: Sendable {
  /// The most entries that are played at a time, with the log's end locked.
  static let batch: UInt64 = 4096
  /// So many slots in a row that hold no entry end the log: the index is not believed.
  static let mostEmpty: UInt64 = 8192

  /// Entries played so far.
  private(set) var played: UInt64
  /// How many slots before `played` hold no entry.
  private var emptyRun: UInt64 = 0
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
    /// Behind this many entries the log has only slots without entries, as far as this host has looked.
    case hollow(UInt64)
  }

  /// Says what an index calls for. A step of entries counts as played when it is handed out.
  /// - Parameter limit: the most entries to hand out.
  mutating func see(_ nextIndex: UInt64, atMost limit: UInt64 = .max) -> Step {
    if let loss { return loss }
    if nextIndex == played { return .rest }
    if nextIndex < played || nextIndex > capacity {
      let step: Step = nextIndex < played ? .wentBack : .beyond
      loss = step
      return step
    }
    let end = played + min(limit, nextIndex - played)
    defer { played = end }
    return .play(played..<end)
  }

  /// Takes in what the next slot of a step holds. When too many in a row hold no entry, the log ends where they begin,
  /// and `isHollow` is true from then on: nothing more is to be taken in.
  mutating func take(_ index: UInt64, _ slot: Result<LogEntry, EntryProblem>) {
    precondition(!isHollow && index < played, "a slot is taken in that was not handed out")
    if case .failure(let problem) = slot, problem.leavesNoEntry { emptyRun += 1 } else { emptyRun = 0 }
    guard emptyRun == LogFollower.mostEmpty else { return }
    played = index + 1 - emptyRun
    loss = .hollow(played)
  }

  /// Whether too many slots in a row held no entry.
  var isHollow: Bool { if case .hollow = loss { true } else { false } }

  /// What to say of a log whose index is not believed; nil when it is.
  func problem(of nextIndex: UInt64) -> String? {
    switch loss {
    case .beyond: "the log header claims \(nextIndex) entries, and there is room for \(capacity)"
    case .hollow(let count):
      "the log header claims \(nextIndex) entries, and behind the first \(count) there are \(LogFollower.mostEmpty) slots "
        + "without one"
    default: nil
    }
  }
}
