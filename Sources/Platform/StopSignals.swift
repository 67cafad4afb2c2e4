import Glibc

/// The signals that end a program in order: SIGINT, SIGTERM and SIGHUP. SIGUSR1 is included, so that one of the program's own
/// threads can send it; from outside it does nothing.
public struct StopSignals: Sendable {
  private let signals: sigset_t

  /// Blocks them in the calling thread and in all that it starts. Call it before the first thread starts.
  public init() {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    self.signals = signals
  }

  /// Waits for the next one.
  public func wait() -> Int32 {
    var signals = signals
    var number: Int32 = 0
    while sigwait(&signals, &number) != 0 {}
    return number
  }

  /// Waits for the next one until a time.
  /// - Parameter time: of `Clock.monotonic`, in nanoseconds. It returns after an hour at most.
  /// - Returns: nil when no signal came until then.
  public func wait(until time: UInt64) -> Int32? {
    var signals = signals
    let now = Clock.monotonic()
    let left = min(time > now ? time - now : 0, 3_600_000_000_000)
    var limit = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
    let number = sigtimedwait(&signals, nil, &limit)
    return number > 0 ? number : nil
  }
}
