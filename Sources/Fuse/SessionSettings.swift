/// What a session offers the kernel.
public struct SessionSettings: Equatable, Sendable {
  /// Bytes of the largest read, write, directory listing and xattr: 1 MiB.
  public static let maxTransfer = 1 << 20

  /// Read-ahead of one open file in bytes, as far as the mount's backing device allows it (`MountOptions.readAhead`).
  public var maxReadahead: UInt32 = 1 << 20
  /// Requests that nobody waits for directly (read-ahead, asynchronous direct I/O, release) and that may be under way
  /// at a time.
  public var maxBackground: UInt16 = 64

  /// The usual settings.
  public init() {}
}
