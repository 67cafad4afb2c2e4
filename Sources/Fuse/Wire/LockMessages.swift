import CFuse
import Glibc
import Platform

/// A lock as GETLK, SETLK and SETLKW have it: `struct fuse_file_lock`.
struct WireLock: Equatable {
  /// `l_type` of fcntl(2).
  enum Kind: Equatable {
    /// F_RDLCK, LOCK_SH.
    case shared
    /// F_WRLCK, LOCK_EX.
    case exclusive
    /// F_UNLCK, LOCK_UN: there is no lock.
    case none

    fileprivate init(_ type: UInt32) throws(Errno) {
      switch Int32(bitPattern: type) {
      case F_RDLCK: self = .shared
      case F_WRLCK: self = .exclusive
      case F_UNLCK: self = .none
      default: throw .invalidArgument
      }
    }

    fileprivate var type: UInt32 {
      switch self {
      case .shared: UInt32(F_RDLCK)
      case .exclusive: UInt32(F_WRLCK)
      case .none: UInt32(F_UNLCK)
      }
    }
  }

  var kind: Kind
  /// The first byte.
  var start: UInt64
  /// The last byte; Int64.max for the end of the file, wherever that is.
  var end: UInt64
  /// Whose it is; zero where the process has no number here.
  var processID: UInt32

  /// The answer that nothing is in the way.
  static let none = WireLock(kind: .none, start: 0, end: 0, processID: 0)
}

/// `struct fuse_lk_in`, of GETLK, SETLK and SETLKW.
struct LockRequest {
  let handle: FileHandle
  /// A number for each process, or for each open file.
  let owner: UInt64
  let lock: WireLock
  /// Whether flock(2) asks: for the whole file, and apart from the locks of fcntl(2).
  let isFlock: Bool

  /// - Throws: EINVAL for another kind of lock, and for a range that ends before it starts or beyond what off_t can hold.
  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_lk_in.self)
    handle = FileHandle(rawValue: body.fh)
    owner = body.owner
    isFlock = body.lk_flags & UInt32(FUSE_LK_FLOCK) != 0
    guard body.lk.start <= body.lk.end, body.lk.end <= UInt64(Int64.max) else { throw .invalidArgument }
    lock = WireLock(
      kind: try WireLock.Kind(body.lk.type), start: body.lk.start, end: body.lk.end, processID: body.lk.pid)
  }
}

/// `struct fuse_lk_out`: the lock that is in the way, or `WireLock.none`.
struct LockReply {
  static var byteCount: Int { fuse_lk_out.byteCount }

  let lock: WireLock

  func encode(into bytes: inout MutableRawSpan) {
    let (start, end) = (lock.start, lock.end)
    bytes.store(
      fuse_lk_out(lk: fuse_file_lock(start: start, end: end, type: lock.kind.type, pid: lock.processID)))
  }
}

/// `struct fuse_interrupt_in`. The request that it names is answered, with EINTR or as if nothing had happened. To answer
/// INTERRUPT itself with EAGAIN has the kernel send it again; with ENOSYS it sends no more of them.
struct InterruptRequest {
  /// The number of the request that shall end early.
  let unique: UInt64

  init(parsing bytes: RawSpan) throws(Errno) { unique = try bytes.load(fuse_interrupt_in.self).unique }
}
