import CLinux
import Glibc
import Platform

/// The terminal of standard output, taken for a view that changes: on its second screen, without a cursor, and with keys
/// that come one by one and are not shown. When it ends all is as before.
public struct LiveScreen: ~Copyable {
  /// What one waits for.
  public enum Event: Equatable, Sendable {
    /// A key, as the byte that it sends; of those that send several, each.
    case key(UInt8)
    /// One of `signals`.
    case signal(Int32)
    /// The descriptor that was given can be read.
    case readable
    /// The time is over.
    case timeout
    /// The terminal is gone.
    case end
  }

  /// Signals that are events while the screen is there.
  public static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH]

  private let signalFile: FileDescriptor
  private let settings: termios?
  private var before = sigset_t()

  /// Takes the terminal. Before other threads begin: they must have the signals blocked.
  /// - Throws: an error number where standard output is no terminal.
  public init() throws(Errno) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in LiveScreen.signals { sigaddset(&set, signal) }
    guard isatty(STDOUT_FILENO) == 1 else { throw Errno.current }
    let signals = LiveScreen.signals
    let number = try retrying { weft_signal_descriptor(signals, signals.count) }
    signalFile = FileDescriptor(owning: number)
    var settings = termios()
    // Without a keyboard there are no keys, which is no reason not to show anything.
    self.settings = tcgetattr(STDIN_FILENO, &settings) == 0 ? settings : nil
    pthread_sigmask(SIG_BLOCK, &set, &before)
    enter()
  }

  deinit {
    leave()
    var before = before
    pthread_sigmask(SIG_SETMASK, &before, nil)
  }

  private func enter() {
    if var settings {
      settings.c_lflag &= ~UInt32(ICANON | ECHO)
      tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
    }
    // Second screen, no cursor, no wrapping.
    printStyled("\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l")
  }

  private func leave() {
    printStyled("\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l")
    if var settings { tcsetattr(STDIN_FILENO, TCSADRAIN, &settings) }
  }

  /// Shows lines from the top, as many as there is room for.
  public func show(_ lines: [String]) {
    let room = Terminal.size.lines
    var shown = lines.prefix(room)
    if lines.count > room { shown[shown.endIndex - 1] = "..." }
    printStyled("\u{1b}[H" + shown.map { oneLine($0) + "\u{1b}[K" }.joined(separator: "\r\n") + "\u{1b}[J")
  }

  /// Waits for the next event.
  /// - Parameter descriptor: one more to look at; -1 for none.
  public func wait(milliseconds: Int32, for descriptor: Int32 = -1) -> Event {
    let keys = settings == nil ? -1 : STDIN_FILENO
    var files = [signalFile.rawValue, keys, descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    guard poll(&files, nfds_t(files.count), milliseconds) > 0 else { return .timeout }
    if files[0].revents != 0 {
      let signal = weft_next_signal(signalFile.rawValue)
      return signal < 0 ? .timeout : .signal(signal)
    }
    if files[1].revents != 0 {
      var key: UInt8 = 0
      return read(STDIN_FILENO, &key, 1) == 1 ? .key(key) : .end
    }
    return .readable
  }

  /// Gives the terminal back, stops as SIGTSTP would, and takes it again when the shell lets it go on.
  public func suspend() {
    leave()
    kill(getpid(), SIGSTOP)
    enter()
  }

  /// Gives the terminal back and ends the process by a signal, so that whoever started it sees by which.
  public consuming func end(by number: Int32) {
    do { _ = consume self }
    signal(number, SIG_DFL)
    kill(getpid(), number)
  }
}
