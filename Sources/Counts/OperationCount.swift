/// How often an operation was asked for, and how long the answers took.
public struct OperationCount: Equatable, Sendable {
  /// The operation, as linux/fuse.h names it in small letters; nil for all that the daemon does not know.
  public let opcode: String?
  /// Requests.
  public let requests: UInt64
  /// Those among them that were answered with an error, or whose answer did not arrive.
  public let errors: UInt64
  /// From the arrival of a request to its reply, or to its end if it is never answered. One that is under way counts as
  /// a request and is not in here yet.
  public let latency: LatencyHistogram

  /// A count.
  public init(
    opcode: String?, requests: UInt64, errors: UInt64, latency: LatencyHistogram = LatencyHistogram()
  ) {
    (self.opcode, self.requests, self.errors, self.latency) = (opcode, requests, errors, latency)
  }
}

/// How many bytes of files came and went.
public struct ByteCount: Equatable, Sendable {
  /// Bytes that READ was answered with.
  public var read: UInt64
  /// Bytes that WRITE was answered to have written.
  public var written: UInt64

  /// So many bytes.
  public init(read: UInt64 = 0, written: UInt64 = 0) { (self.read, self.written) = (read, written) }
}
