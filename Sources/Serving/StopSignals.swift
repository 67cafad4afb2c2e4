import Glibc

/// SIGINT, SIGTERM and SIGHUP, taken by the main thread, and SIGUSR1, by which the session says that it has ended.
package struct StopSignals {
  private var signals = sigset_t()

  package init() {
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Waits for the next one.
  package func wait() -> Int32 {
    var signals = signals
    var number: Int32 = 0
    while sigwait(&signals, &number) != 0 {}
    return number
  }
}
