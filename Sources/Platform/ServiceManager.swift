import CLinux
import Glibc

/// The service manager that started this process, by the protocol of sd_notify(3): datagrams of lines `NAME=value` to
/// the socket that NOTIFY_SOCKET names.
public struct ServiceManager: Sendable {
  private let socketName: String

  /// The one that waits for word of this process; nil when there is none.
  public init?() {
    guard let name = environment("NOTIFY_SOCKET") else { return nil }
    self.init(socketName: name)
  }

  /// The one that listens at an absolute path, or, with an `@` before the name, in the abstract name space; nil for
  /// another kind of name.
  public init?(socketName: String) {
    guard socketName.utf8.count > 1, socketName.hasPrefix("/") || socketName.hasPrefix("@") else { return nil }
    self.socketName = socketName
  }

  /// Sends one message.
  /// - Parameter lines: such as `READY=1`.
  public func tell(_ lines: [String]) throws(Errno) {
    let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let file = FileDescriptor(owning: try retrying { socket(AF_UNIX, kind, 0) })
    let number = file.rawValue
    let message = Array(lines.map { oneLine($0) }.joined(separator: "\n").utf8)
    try withUnixAddress(socketName) { (address, length) throws(Errno) in
      _ = try message.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in
        try retrying { sendto(number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), address, length) }
      }
    }
  }
}

/// Whether standard error goes to the journal, which takes a priority such as `<3>` at a line's beginning
/// (systemd.exec(5), JOURNAL_STREAM).
public func standardErrorIsJournal() -> Bool {
  guard let stream = environment("JOURNAL_STREAM") else { return false }
  var status = stat()
  return fstat(STDERR_FILENO, &status) == 0 && stream == "\(status.st_dev):\(status.st_ino)"
}
