import CommandKit
import FamfsControl
import Glibc
import Platform

/// The live view: draws at every look, heeds keys and signals, also while a daemon does not answer.
struct TopScreen {
  private let looker: TopLooker
  private let delay: UInt64
  private var rest: UInt32
  private var looks = TopLooks()
  private var lines: [String] = ["famfs top looks at the mounts ..."]
  private var note = ""

  init(_ sampler: TopSampler, delay: UInt64, count: UInt32) throws(Errno) {
    looker = try TopLooker(sampler)
    self.delay = delay
    rest = count
  }

  /// Shows until it is told to end.
  mutating func run() throws(Errno) {
    let screen = try LiveScreen()
    let ending = try show(on: screen)
    if let ending { screen.end(by: ending) }
  }

  /// - Returns: the signal that ended it, if one did.
  private mutating func show(on screen: borrowing LiveScreen) throws(Errno) -> Int32? {
    var next = Clock.monotonic()
    while true {
      let now = Clock.monotonic()
      if now >= next {
        // One that does not come back is waited for, and said so.
        note = try looker.begin() ? "" : "; waiting for an answer"
        next = now + delay
        screen.show(text)
      }
      let milliseconds = Int32(clamping: (next - min(next, Clock.monotonic())) / 1_000_000 + 1)
      switch screen.wait(milliseconds: milliseconds, for: looker.descriptor) {
      case .readable:
        lines = TopCommand.lines(looks.add(looker.take()))
        note = ""
        screen.show(text)
        rest -= 1
        if rest == 0 { return nil }
      case .key(UInt8(ascii: "q")), .key(UInt8(ascii: "Q")), .end: return nil
      case .key(UInt8(ascii: " ")): next = Clock.monotonic()
      case .signal(SIGTSTP):
        screen.suspend()
        screen.show(text)
      case .signal(SIGWINCH), .signal(SIGCONT): screen.show(text)
      case .signal(let number): return number
      case .key, .timeout: break
      }
    }
  }

  private var text: [String] {
    ["famfs top, \(timestamp(Clock.realtime())), every \(TopText.time(delay)); q quits\(note)", ""] + lines
  }
}
