import Glibc
import Synchronization

/// Writes a line to standard error, in one call, so that lines of several threads do not mix. Names of unknown origin
/// may be in it: see `printable`.
public func printError(_ line: String) {
  write(oneLine(line) + "\n", to: STDERR_FILENO)
}

/// Writes a text of several lines to standard error.
public func printErrorText(_ text: String) { write(printable(text), to: STDERR_FILENO) }

/// A text that shows as one line: see `printable`.
public func oneLine(_ text: String) -> String {
  String(String.UnicodeScalarView(printable(text).unicodeScalars.map { $0 == "\n" ? "?" : $0 }))
}

/// Writes text to standard output at once. What fails is kept for `StandardStreams.failure`.
public func printOut(_ text: String) {
  StandardStreams.note(write(printable(text), to: STDOUT_FILENO))
}

/// Writes text to standard output as it is, with what steers a terminal in it: names of unknown origin must be made
/// `printable` before.
public func printStyled(_ text: String) { StandardStreams.note(write(text, to: STDOUT_FILENO)) }

/// Writes one line to standard output, also when a name in it has a newline: scripts read lines.
public func printLine(_ line: String) { printOut(oneLine(line) + "\n") }

/// Writes a line that a command's success does not hang on to standard output: it may be lost.
public func printCourtesy(_ line: String) { write(oneLine(line) + "\n", to: STDOUT_FILENO) }

/// A command's standard input, output and error, which belong to the process as a whole.
public enum StandardStreams {
  /// The first error number of a write to standard output; 0 for none.
  private static let failed = Atomic<Int32>(0)

  /// Makes them safe to write to; to be called before anything is opened.
  ///
  /// One that is closed is taken up, so that no device is opened under its number and written to as if it were the
  /// terminal; writing to it fails with EBADF all the same. A reader that goes away kills nobody half-way: SIGPIPE is
  /// ignored.
  public static func secure() {
    signal(SIGPIPE, SIG_IGN)
    for stream in STDIN_FILENO...STDERR_FILENO where fcntl(stream, F_GETFD) == -1 {
      // The lowest free number is this one; opened the wrong way round on purpose.
      _ = open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  /// What the first write to standard output failed with. A reader that went away is no failure, as in `fsck | head`.
  public static var failure: Errno? {
    let number = failed.load(ordering: .relaxed)
    return number == 0 ? nil : Errno(rawValue: number)
  }

  fileprivate static func note(_ error: Errno?) {
    guard let error, error.rawValue != EPIPE else { return }
    _ = failed.compareExchange(expected: 0, desired: error.rawValue, ordering: .relaxed)
  }
}

/// A text that a terminal shows and does not obey: what is not printable becomes `?`, but for newline and tab. A byte of a
/// file's name that is not UTF-8 becomes `\xff`. All text that leaves this program goes through it, or is escaped where a
/// format has escapes: names come from other hosts.
public func printable(_ text: String) -> String {
  let isHarmless: (Unicode.Scalar) -> Bool = { scalar in
    scalar == "\n" || scalar == "\t" || isPrintable(scalar) && scalar.fileNameByte == nil
  }
  if text.unicodeScalars.allSatisfy(isHarmless) { return text }
  return text.unicodeScalars.reduce(into: "") { text, scalar in
    if isHarmless(scalar) { text.unicodeScalars.append(scalar) } else { text += scalar.fileNameEscape ?? "?" }
  }
}

/// Whether a terminal only shows a character: it is no control, of ASCII or from 128 to 159, and does not have what
/// follows shown in another order or on another line.
public func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 32..<127: true
  case 0x61c, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: false
  default: scalar.value >= 160
  }
}

/// - Returns: why not all of it was written.
@discardableResult
private func write(_ text: String, to file: Int32) -> Errno? {
  var text = text
  return text.withUTF8 { bytes in
    var done = 0
    while done < bytes.count {
      do throws(Errno) {
        done += try retrying { Glibc.write(file, bytes.baseAddress.map { $0 + done }, bytes.count - done) }
      } catch {
        return error
      }
    }
    return nil
  }
}
