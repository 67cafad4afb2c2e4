import Famfs

/// Which attributes of committed files are to be written into the log, and when: a state machine without I/O. Times are
/// those of `Clock.monotonic`.
///
/// What has changed is due a second later, and a file at most once a second, whatever happens to it meanwhile. Each entry
/// takes a slot of the log for good, so where times alone change again and again the pause doubles.
struct PendingAttributes {
  /// What has changed of a file.
  enum Change {
    /// Mode or owner.
    case access
    /// Times and nothing else.
    case times
  }

  /// Nanoseconds from a change to its entry, and between two entries of a file.
  static let second: UInt64 = 1_000_000_000
  /// Between two entries of a file whose times alone change.
  static let longestPause = 1024 * second

  /// What is not in the log yet; `due` has when it shall be, but for what there was no room for.
  private var waiting: [NodeNumber: Change] = [:]
  private var due = CommitSchedule<NodeNumber>()
  /// Of files whose times alone changed: when they were written last, and how long they wait after that.
  private var paces: [NodeNumber: (last: UInt64, pause: UInt64)] = [:]
  private static let mostPaces = 1 << 16

  var isEmpty: Bool { waiting.isEmpty }
  /// When something is due; nil when nothing is.
  var next: UInt64? { due.next }
  /// All that is not in the log.
  var all: [NodeNumber] { waiting.keys.sorted() }

  /// Notes a change.
  mutating func note(_ number: NodeNumber, _ change: Change, now: UInt64) {
    if change == .access || waiting[number] == nil { waiting[number] = change }
    var time = now + PendingAttributes.second
    if change == .times, let pace = paces[number] { time = max(time, pace.last + pace.pause) }
    if time < due[number] ?? .max { due[number] = time }
  }

  /// What is to be saved by now. It waits until `begin`.
  mutating func takeDue(by now: UInt64) -> [NodeNumber] { due.take(until: now).filter { waiting[$0] != nil } }

  /// Takes a file out, to be saved: what changes from now on is noted anew.
  /// - Returns: nil when all of it is in the log.
  mutating func begin(_ number: NodeNumber) -> Change? {
    due[number] = nil
    return waiting.removeValue(forKey: number)
  }

  /// Notes that what `begin` gave out is in the log.
  mutating func saved(_ number: NodeNumber, _ change: Change, now: UInt64) {
    if change == .access { return }
    var pause = PendingAttributes.second
    if let pace = paces[number], !PendingAttributes.hasRested(pace, now) {
      pause = min(2 * pace.pause, PendingAttributes.longestPause)
    }
    paces[number] = (now, pause)
    if paces.count < PendingAttributes.mostPaces { return }
    paces = paces.filter { !PendingAttributes.hasRested($0.value, now) }
    // So many files at a time come to an entry a second each, as at first.
    if paces.count >= PendingAttributes.mostPaces { paces = [:] }
  }

  private static func hasRested(_ pace: (last: UInt64, pause: UInt64), _ now: UInt64) -> Bool {
    now - min(pace.last, now) >= 2 * pace.pause
  }

  /// Notes that what `begin` gave out could not be saved. It waits until it changes again, or until a caller asks for all.
  mutating func failed(_ number: NodeNumber, _ change: Change) {
    if waiting[number] != .access { waiting[number] = change }
  }

  /// Forgets all: the log is another host's to write.
  mutating func drop() { self = PendingAttributes() }
}
