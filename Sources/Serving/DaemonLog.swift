import CLinux
import Glibc
import Platform
import Synchronization

/// Where a daemon says what happens to it: standard error in the foreground, else the system log.
public final class DaemonLog: Sendable {
  private let isForeground: Bool
  /// Whether standard error is the journal's, which heeds priorities.
  private let isJournal = standardErrorIsJournal()
  private let program: String
  private let name: String
  private let threshold = Atomic<Int32>(LOG_NOTICE)

  /// The least important that is said, as syslog(3) numbers it: 3 errors, 4 warnings, 5 notices.
  package var level: Int32 {
    get { threshold.load(ordering: .relaxed) }
    set { threshold.store(newValue, ordering: .relaxed) }
  }

  /// A log of the daemon that serves the device of this name.
  /// - Parameter program: what each line begins with.
  public init(of program: String, isForeground: Bool, name: String) {
    self.program = program
    self.isForeground = isForeground
    self.name = name
  }

  /// Something that a person should look into.
  package func error(_ sentence: String) { write(LOG_ERR, sentence) }

  /// Something odd that does no harm by itself.
  package func warning(_ sentence: String) { write(LOG_WARNING, sentence) }

  /// Something that is as it should be.
  package func notice(_ sentence: String) { write(LOG_NOTICE, sentence) }

  private func write(_ priority: Int32, _ sentence: String) {
    if priority > level { return }
    if isForeground {
      printError("\(isJournal ? "<\(priority)>" : "")\(program): \(name): \(sentence)")
    } else {
      weft_syslog(priority, oneLine("\(program): \(name): \(sentence)"))
    }
  }
}
