import Glibc
import Synchronization

/// A question that may never be answered, put on a thread of its own: a system call on a mount waits for as long as whoever
/// serves that mount does not answer. Who has waited long enough goes on, and the thread is left behind.
public final class AbandonableCall<Answer: Sendable>: Sendable {
  private let answer = Mutex<Answer?>(nil)
  /// Becomes readable with the answer.
  private let end: FileDescriptor

  /// Puts the question.
  public init(_ question: @escaping @Sendable () -> Answer) throws(Errno) {
    let pipe = try Spawn.pipe()
    end = FileDescriptor(owning: pipe.reading)
    do throws(Errno) {
      try Thread.detached(named: "famfs-call") { [self] in
        let found = question()
        answer.withLock { $0 = found }
        close(pipe.writing)
      }
    } catch {
      close(pipe.writing)
      throw error
    }
  }

  /// Waits until a time by `Clock.monotonic`, at most; a time that has passed does not wait.
  /// - Returns: the answer; nil when there is none yet.
  public func wait(until deadline: UInt64) -> Answer? {
    while true {
      if let found = answer.withLock({ $0 }) { return found }
      let now = Clock.monotonic()
      if now >= deadline { return nil }
      _ = end.waitForHangup(milliseconds: Int32(clamping: (deadline - now) / 1_000_000 + 1))
    }
  }
}
