import Erofs
import Famfs
import Platform
import Serving
import Synchronization

/// Publishes a mounted volume for EROFS: when a command asks for it, and after commits if the mount is to. Each view is
/// written by a thread of its own, for the one that answers commands must not be kept.
final class Publishing: Sendable {
  private struct State {
    /// Views asked for, and written or failed.
    var asked: UInt64 = 0
    var done: UInt64 = 0
    var outcome: Result<View, FamfsError>?
  }

  private let volume: Volume
  private let publisher: Publisher
  private let log: DaemonLog
  private let state = Mutex(State())
  /// Nanoseconds between two views that nobody asked for; at least so many times what one takes; after a failure.
  private static let (interval, patience): (UInt64, UInt64) = (1_000_000_000, 30_000_000_000)
  private static let pauses: UInt64 = 10
  /// Such views take at most one part in so many of the first device.
  private static let share: UInt64 = 8

  init(of volume: Volume, log: DaemonLog) {
    self.volume = volume
    self.log = log
    publisher = Publisher(of: volume)
  }

  /// Begins to publish what the log has now.
  /// - Parameter force: although files can be removed.
  /// - Returns: a number by which to ask what became of it.
  func begin(force: Bool) throws -> UInt64 {
    if !force { try Publisher.checkKeeps(volume) }
    let (number, isFirst) = state.withLock { state in
      state.asked += 1
      return (state.asked, state.asked == state.done + 1)
    }
    if isFirst {
      do { try Thread.detached(named: "famfs-publish") { self.publishAll() } } catch {
        let failure = FamfsError.other("no thread can be started to publish: \(error)")
        state.withLock { ($0.done, $0.outcome) = ($0.asked, .failure(failure)) }
        throw failure
      }
    }
    return number
  }

  /// What became of a view; nil while it is being written.
  func outcome(of number: UInt64) -> Result<View, FamfsError>? {
    state.withLock { state in state.done >= number ? state.outcome : nil }
  }

  private func publishAll() {
    while true {
      let number = state.withLock { $0.asked }
      let outcome = Result { () throws(FamfsError) in try publisher.publish() }
      let isLast = state.withLock { state in
        (state.done, state.outcome) = (number, outcome)
        return state.asked == number
      }
      if isLast { return }
    }
  }

  /// Publishes after each commit, at most once a second, for as long as the process lives and this host is the master.
  func run() {
    var trouble: String?
    // That the view takes account of, as far as was looked at.
    var known: UInt64?
    while true {
      let start = Clock.monotonic()
      let entries = volume.usage().entries
      do throws(FamfsError) {
        if volume.role == .master && entries != known {
          let isThere = try publisher.publishedEntries() == entries
          known =
            isThere ? entries : try publisher.publish(mostOfAreas: volume.device.size / Publishing.share).entries
        }
        trouble = nil
      } catch {
        if trouble != "\(error)" { log.warning("what is new is not published for EROFS: \(error)") }
        trouble = "\(error)"
      }
      let pause = max(Publishing.interval, (Clock.monotonic() - start) * Publishing.pauses)
      Clock.sleep(nanoseconds: trouble == nil ? pause : Publishing.patience)
    }
  }

  /// Checks that a file to be removed does not hold the view that hosts find now.
  func checkRemovable(_ path: EntryPath) throws(FamfsError) {
    if try publisher.isInUse(path) {
      throw .other(
        "\(path) holds what hosts that mount the volume by EROFS read; it can go after a later famfs publish")
    }
  }

  /// The same for a mount that is to publish by itself.
  static func checkMountKeeps(_ volume: Volume) throws(FamfsError) {
    guard volume.isReclaiming else { return }
    throw .other(
      "\(volume.device.path): files of this volume can be removed, and nobody knows what hosts still read by EROFS; mount it "
        + "without publish, and see famfs publish --force")
  }
}
