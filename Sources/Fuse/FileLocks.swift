/// Who holds a lock: a number of the kernel's choosing, one for each process (fcntl(2)) or open file (flock(2), OFD locks).
public struct LockOwner: RawRepresentable, Hashable, Sendable {
  /// The number.
  public let rawValue: UInt64
  /// The owner of this number.
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A lock on a range of a file.
public struct FileLock: Equatable, Sendable {
  /// What others may not do meanwhile.
  public enum Kind: Sendable {
    /// F_RDLCK, LOCK_SH: lock it exclusively.
    case shared
    /// F_WRLCK, LOCK_EX: lock it at all.
    case exclusive
    /// F_UNLCK, LOCK_UN: the range is let go of.
    case unlock
  }

  /// The kind.
  public var kind: Kind
  /// The first byte.
  public var start: UInt64
  /// The last byte; Int64.max for the end of the file, wherever that is.
  public var end: UInt64
  /// Which process fcntl(2) names as the holder; zero where it is not known.
  public var processID: UInt32

  /// A lock of these parts.
  /// - Parameter end: not before `start`.
  public init(_ kind: Kind, from start: UInt64 = 0, through end: UInt64 = UInt64(Int64.max), processID: UInt32 = 0) {
    precondition(start <= end, "a lock's range ends before it starts")
    (self.kind, self.start, self.end, self.processID) = (kind, start, end, processID)
  }
}

/// How a lock is asked for.
public struct LockIntent: Equatable, Sendable {
  /// Who asks.
  public let owner: LockOwner
  /// Whether it is flock(2): of the whole file, and independent of the locks of fcntl(2).
  public let isFlock: Bool
  /// Whether the process waits until no other owner's lock is in the way.
  public let waits: Bool
  /// The request, which `FileSystem.interrupt` may name while the process waits.
  public let request: RequestID

  /// An intent of these parts.
  public init(
    _ owner: LockOwner, isFlock: Bool = false, waits: Bool = false, request: RequestID = RequestID(rawValue: 0)
  ) {
    (self.owner, self.isFlock, self.waits, self.request) = (owner, isFlock, waits, request)
  }
}

/// A request by its number, from its arrival to its answer.
public struct RequestID: RawRepresentable, Hashable, Sendable {
  /// The number.
  public let rawValue: UInt64
  /// The request of this number.
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}
