import CLinux
import Glibc

/// One message that was received, and the open file that came with it: closed unless it is taken out.
public struct ReceivedMessage: ~Copyable {
  /// The message's bytes, in the buffer that was given; empty when the peer is gone.
  public let bytes: UnsafeRawBufferPointer
  /// The file that was attached.
  public var file: FileDescriptor?
}

/// A unix socket that keeps messages apart (SOCK_SEQPACKET): what is sent in one call arrives in one call.
public struct MessageSocket: ~Copyable, Sendable {
  /// The open socket.
  public let file: FileDescriptor

  private init(owning file: consuming FileDescriptor) { self.file = file }

  private static func open() throws(Errno) -> FileDescriptor {
    FileDescriptor(owning: try retrying { socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | closeOnExec, 0) })
  }

  /// A socket that listens at a path, which must be free. Only the owner may connect.
  public static func listening(at path: String) throws(Errno) -> MessageSocket {
    let file = try open()
    let number = file.rawValue
    try withUnixAddress(path) { (address, length) throws(Errno) in try retrying { bind(number, address, length) } }
    try retrying { chmod(path.cFileName, 0o600) }
    try retrying { listen(number, 128) }
    return MessageSocket(owning: file)
  }

  /// A socket connected to the one that listens at a path.
  /// - Parameter patience: nanoseconds until connecting, and each later wait for the peer, fails with EAGAIN; 0 for ever.
  public static func connected(to path: String, patience: UInt64 = 0) throws(Errno) -> MessageSocket {
    let file = try open()
    let number = file.rawValue
    try setPatience(patience, of: number)
    try withUnixAddress(path) { (address, length) throws(Errno) in try retrying { connect(number, address, length) } }
    return MessageSocket(owning: file)
  }

  /// Sets how many nanoseconds a wait for the peer takes at most before it fails with EAGAIN; 0 for ever.
  public func setPatience(_ nanoseconds: UInt64) throws(Errno) {
    try MessageSocket.setPatience(nanoseconds, of: file.rawValue)
  }

  private static func setPatience(_ nanoseconds: UInt64, of number: Int32) throws(Errno) {
    var limit = timeval(
      tv_sec: time_t(clamping: nanoseconds / 1_000_000_000),
      tv_usec: suseconds_t(nanoseconds % 1_000_000_000 / 1000))
    for option in [SO_SNDTIMEO, SO_RCVTIMEO] {
      try retrying { setsockopt(number, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size)) }
    }
  }

  /// The next connection to a listening socket.
  public func accept() throws(Errno) -> MessageSocket {
    MessageSocket(owning: FileDescriptor(owning: try retrying { weft_accept(file.rawValue) }))
  }

  /// The user at the other end, as the kernel vouches for.
  public func peerUser() throws(Errno) -> UInt32 {
    var (pid, user, group) = (Int32(0), UInt32(0), UInt32(0))
    try retrying { weft_peer(file.rawValue, &pid, &user, &group) }
    return user
  }

  /// Sends one message. A peer that is gone gives EPIPE and no signal.
  /// - Parameters:
  ///   - descriptor: an open file of this process that the peer gets a copy of; -1 for none.
  ///   - waiting: whether to wait for a peer that does not read what it was sent; else EAGAIN.
  public func send(_ message: [UInt8], descriptor: Int32 = -1, waiting: Bool = true) throws(Errno) {
    let flags = Int32(MSG_NOSIGNAL) | (waiting ? 0 : Int32(MSG_DONTWAIT))
    _ = try message.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in
      try retrying { weft_send(file.rawValue, bytes.baseAddress, bytes.count, descriptor, flags) }
    }
  }

  /// Receives one message; what is longer than the buffer is cut off. An empty one means that the peer is gone.
  /// - Throws: EPROTO when more than one file is attached: all of them are closed. EAGAIN when `setPatience` says so.
  public func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> ReceivedMessage {
    var descriptor: Int32 = -1
    let count = try retrying { weft_receive(file.rawValue, buffer.baseAddress, buffer.count, &descriptor) }
    return ReceivedMessage(
      bytes: UnsafeRawBufferPointer(rebasing: buffer[..<count]),
      file: descriptor < 0 ? nil : FileDescriptor(owning: descriptor))
  }
}

/// The address of a socket at a path, or, with an `@` before the name, in the abstract name space.
func withUnixAddress(
  _ name: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(Errno) -> Void
) throws(Errno) {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  let isAbstract = name.utf8.first == UInt8(ascii: "@")
  let bytes = isAbstract ? [0] + name.utf8.dropFirst() : name.fileNameBytes
  let fits = withUnsafeMutableBytes(of: &address.sun_path) { field in
    guard bytes.count < field.count else { return false }
    field.copyBytes(from: bytes)
    return true
  }
  guard fits else { throw .nameTooLong }
  // An abstract name is as long as is said; a path ends with a zero.
  let whole = MemoryLayout<sockaddr_un>.size
  let length = isAbstract ? MemoryLayout<sa_family_t>.size + bytes.count : whole
  let result = Result { () throws(Errno) in
    try withUnsafePointer(to: &address) { (pointer) throws(Errno) in
      try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { (pointer) throws(Errno) in
        try body(pointer, socklen_t(length))
      }
    }
  }
  try result.get()
}

/// A stream socket that listens at a path, which must be free. Only the owner may connect.
public func listeningStream(at path: String) throws(Errno) -> FileDescriptor {
  let kind = Int32(SOCK_STREAM.rawValue) | closeOnExec | Int32(SOCK_NONBLOCK.rawValue)
  let file = FileDescriptor(owning: try retrying { socket(AF_UNIX, kind, 0) })
  let number = file.rawValue
  try withUnixAddress(path) { (address, length) throws(Errno) in
    try retrying { bind(number, address, length) }
  }
  try retrying { chmod(path.cFileName, 0o600) }
  try retrying { listen(number, 128) }
  return file
}

private let closeOnExec = Int32(SOCK_CLOEXEC.rawValue)
