import Famfs
import Platform
import Serving
import Synchronization

/// Brings into the log what programs change of the attributes of committed files and directories, a moment later.
///
/// Locks, in this order: `saving`, the volume's own, `pending`.
final class DurableAttributes: Sendable {
  private let volume: Volume
  private let log: DaemonLog
  private let pending = Mutex(PendingAttributes())
  /// Held while one file is taken out and appended, so that fsync(2) waits for an entry that is on its way.
  private let saving = Mutex(())
  private let isInUse = Atomic(false)
  private let hasWarned = Atomic(false)

  init(of volume: Volume, log: DaemonLog) {
    self.volume = volume
    self.log = log
  }

  /// Notes a change that this mount's memory has already. A client's changes stay there.
  func note(_ number: NodeNumber, _ change: PendingAttributes.Change) {
    guard volume.role == .master else { return }
    withPending { $0.note(number, change, now: Clock.monotonic()) }
  }

  /// Notes what a program has changed.
  /// - Parameter setsTime: whether the time was asked for; what writes do to it is not worth an entry.
  func note(_ number: NodeNumber, from old: NodeAttributes, to new: NodeAttributes, setsTime: Bool) {
    if (old.permissions, old.userID, old.groupID) != (new.permissions, new.userID, new.groupID) {
      note(number, .access)
    } else if setsTime && old.modified != new.modified {
      note(number, .times)
    }
  }

  /// When something is due, by `Clock.monotonic`; nil when nothing is.
  var next: UInt64? { isInUse.load(ordering: .acquiring) ? withPending { $0.next } : nil }

  /// Saves what is due.
  func saveDue() {
    guard isInUse.load(ordering: .acquiring) else { return }
    let now = Clock.monotonic()
    for number in withPending({ $0.takeDue(by: now) }) { tellingFailure { () throws(FamfsError) in try save(number) } }
  }

  /// Saves all there is.
  /// - Throws: the first reason why something could not be; the rest is saved.
  func saveAll() throws(FamfsError) {
    var failure: FamfsError?
    for number in withPending({ $0.all }) {
      do throws(FamfsError) { try save(number) } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
  }

  /// Saves all there is, and tells of what cannot be.
  func saveRest() { tellingFailure { () throws(FamfsError) in try saveAll() } }

  /// Saves one file's or directory's attributes, if they are not in the log yet.
  /// - Throws: a sentence; then they are this mount's alone.
  func save(_ number: NodeNumber) throws(FamfsError) {
    try saving.withLock { _ throws(FamfsError) in
      guard let change = withPending({ $0.begin(number) }) else { return }
      do throws(FamfsError) {
        try volume.saveAttributes(of: number)
        withPending { $0.saved(number, change, now: Clock.monotonic()) }
      } catch {
        if volume.role == .master { withPending { $0.failed(number, change) } } else { withPending { $0.drop() } }
        throw error
      }
    }
  }

  private func withPending<Result>(_ body: (inout PendingAttributes) -> Result) -> Result {
    pending.withLock { pending in
      defer { isInUse.store(!pending.isEmpty, ordering: .releasing) }
      return body(&pending)
    }
  }

  private func tellingFailure(_ body: () throws(FamfsError) -> Void) {
    do throws(FamfsError) { try body() } catch {
      if !hasWarned.exchange(true, ordering: .relaxed) {
        log.warning("changed modes, owners and times hold until the unmount: \(error)")
      }
    }
  }
}
