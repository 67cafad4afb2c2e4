import Ext4
import Serving
import Synchronization

/// Tells of damage, each sentence once: what is wrong is come across again and again.
final class DamageLog: Sendable {
  private let log: DaemonLog
  private let told = Mutex<Set<String>>([])

  /// Sentences that are told.
  private static let most = 200

  init(_ log: DaemonLog) { self.log = log }

  func note(_ error: Ext4Error) {
    let sentence = "\(error)"
    let (isNew, count) = told.withLock { told -> (Bool, Int) in
      guard told.count < DamageLog.most else { return (false, told.count) }
      return (told.insert(sentence).inserted, told.count)
    }
    guard isNew else { return }
    log.error(sentence)
    if count == DamageLog.most { log.error("there is more damage, and no more of it is told") }
  }
}
