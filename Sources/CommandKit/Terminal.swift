import Glibc
import Platform

/// What standard output can show.
public enum Terminal {
  /// Whether standard output is a terminal.
  public static var isOutput: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Whether colours are wanted: on a terminal that has them, unless NO_COLOR says otherwise (no-color.org).
  public static var hasColours: Bool {
    isOutput && environment("NO_COLOR") == nil && environment("TERM") != "dumb"
  }

  /// Whether the locale is one of UTF-8, as setlocale(3) would find it.
  public static var isUnicode: Bool {
    let name = environment("LC_ALL") ?? environment("LC_CTYPE") ?? environment("LANG") ?? ""
    let encoding = name.lowercased().filter { $0 != "-" }
    return encoding.hasSuffix(".utf8") || encoding.contains(".utf8@")
  }

  /// Columns and lines of the terminal; 80 and 24 where there is none, or it does not say.
  public static var size: (columns: Int, lines: Int) {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }
}
