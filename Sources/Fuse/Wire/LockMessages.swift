import CFuse
import Glibc
import Platform

extension FileLock.Kind {
  /// `l_type` of fcntl(2).
  fileprivate init(type: UInt32) throws(Errno) {
    switch Int32(bitPattern: type) {
    case F_RDLCK: self = .shared
    case F_WRLCK: self = .exclusive
    case F_UNLCK: self = .unlock
    default: throw .invalidArgument
    }
  }

  fileprivate var type: UInt32 {
    switch self {
    case .shared: UInt32(F_RDLCK)
    case .exclusive: UInt32(F_WRLCK)
    case .unlock: UInt32(F_UNLCK)
    }
  }
}

/// `struct fuse_lk_in`, of GETLK, SETLK and SETLKW.
struct LockRequest {
  let handle: FileHandle
  let owner: LockOwner
  let lock: FileLock
  /// Whether flock(2) asks: for the whole file, and apart from the locks of fcntl(2).
  let isFlock: Bool

  /// - Throws: EINVAL for another kind of lock, and for a range that ends before it starts or beyond what off_t can hold.
  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_lk_in.self)
    handle = FileHandle(rawValue: body.fh)
    owner = LockOwner(rawValue: body.owner)
    isFlock = body.lk_flags & UInt32(FUSE_LK_FLOCK) != 0
    guard body.lk.start <= body.lk.end, body.lk.end <= UInt64(Int64.max) else { throw .invalidArgument }
    lock = FileLock(
      try FileLock.Kind(type: body.lk.type), from: body.lk.start, through: body.lk.end, processID: body.lk.pid)
  }
}

/// `struct fuse_lk_out`: the lock that is in the way, or one of kind `unlock`.
struct LockReply {
  static var byteCount: Int { fuse_lk_out.byteCount }

  let lock: FileLock?

  func encode(into bytes: inout MutableRawSpan) {
    var out = fuse_lk_out()
    out.lk.type = (lock?.kind ?? .unlock).type
    (out.lk.start, out.lk.end, out.lk.pid) = (lock?.start ?? 0, lock?.end ?? 0, lock?.processID ?? 0)
    bytes.store(out)
  }
}

/// `struct fuse_interrupt_in`. The request that it names is answered, with EINTR or as if nothing had happened. To answer
/// INTERRUPT itself with EAGAIN has the kernel send it again; with ENOSYS it sends no more of them.
struct InterruptRequest {
  /// The number of the request that shall end early.
  let request: RequestID

  init(parsing bytes: RawSpan) throws(Errno) {
    request = RequestID(rawValue: try bytes.load(fuse_interrupt_in.self).unique)
  }
}
