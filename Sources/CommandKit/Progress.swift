import Glibc
import Platform
import Synchronization

/// A progress line with rate and time left on a terminal; nothing in a pipe.
package final class Progress: Sendable {
  private let total: UInt64
  private let done = Atomic<UInt64>(0)
  private let isFinished = Atomic<Bool>(false)
  private let began: UInt64 = Clock.monotonic()
  private let isShown: Bool = isatty(STDERR_FILENO) == 1
  /// Keeps lines and the bar apart.
  private let terminal = Mutex(())

  /// Progress towards `total` bytes.
  package init(total: UInt64) { self.total = total }

  /// Counts bytes as done.
  package func add(_ bytes: UInt64) { done.add(bytes, ordering: .relaxed) }

  /// Draws from now on, if there is a terminal.
  /// - Returns: the thread that draws; join it after `finish`.
  package func start() -> Thread? {
    guard isShown else { return nil }
    return try? Thread(named: "progress") { [self] in
      while !isFinished.load(ordering: .acquiring) {
        terminal.withLock { _ in write("\r\u{1b}[K" + line()) }
        usleep(100_000)
      }
    }
  }

  /// Takes the bar away.
  package func finish() {
    isFinished.store(true, ordering: .releasing)
    terminal.withLock { _ in if isShown { write("\r\u{1b}[K") } }
  }

  /// Prints a line that stays.
  package func printAbove(_ line: String, isResult: Bool = false) {
    terminal.withLock { _ in
      if isShown { write("\r\u{1b}[K") }
      if isResult { printLine(line) } else { printError(line) }
    }
  }

  private func write(_ text: String) {
    var text = text
    text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  /// Such as: [==========          ]  50%  1.20G of 2.40G  3.10G/s  0:01 left
  private func line() -> String {
    let bytes = min(done.load(ordering: .relaxed), total)
    let seconds = max(Double(Clock.monotonic() - began) / 1e9, 0.001)
    let share = total == 0 ? 1 : Double(bytes) / Double(total)
    let rate = Double(bytes) / seconds
    let left = rate < 1 ? 0 : Int(min((Double(total - bytes) / rate).rounded(.up), 359_999))
    let bar = String(repeating: "=", count: Int(share * 20))
    let percent = "\(Int(share * 100))"
    return "[\(bar)\(String(repeating: " ", count: 20 - bar.count))] "
      + String(repeating: " ", count: 3 - percent.count) + "\(percent)%  "
      + "\(humanSize(bytes)) of \(humanSize(total))  \(humanSize(UInt64(rate)))/s  "
      + "\(left / 60):\(left % 60 < 10 ? "0" : "")\(left % 60) left"
  }
}
