import Glibc

/// An error number of the kernel: what a system call answers, and what a file system answers to the kernel.
public struct Errno: Error, RawRepresentable, Equatable, Hashable, Sendable, CustomStringConvertible {
  /// The number, as in errno(3).
  public let rawValue: Int32

  /// An error of this number.
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// The error that the calling thread's last failed call left behind.
  public static var current: Errno { Errno(rawValue: errno) }

  /// The words of strerror(3), such as "No such file or directory".
  public var description: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let start = buffer.baseAddress, strerror_r(rawValue, start, buffer.count) == 0 else {
        return "error \(rawValue)"
      }
      return String(cString: start)
    }
  }
}

extension Errno {
  /// The C constant is `EPERM`.
  public static let notPermitted = Errno(rawValue: EPERM)
  /// The C constant is `ENOENT`.
  public static let noEntry = Errno(rawValue: ENOENT)
  /// The C constant is `EINTR`.
  public static let interrupted = Errno(rawValue: EINTR)
  /// The C constant is `EIO`.
  public static let inputOutput = Errno(rawValue: EIO)
  /// The C constant is `ENXIO`.
  public static let noSuchAddress = Errno(rawValue: ENXIO)
  /// The C constant is `EAGAIN`.
  public static let tryAgain = Errno(rawValue: EAGAIN)
  /// The C constant is `ENOMEM`.
  public static let noMemory = Errno(rawValue: ENOMEM)
  /// The C constant is `EACCES`.
  public static let accessDenied = Errno(rawValue: EACCES)
  /// The C constant is `EFAULT`.
  public static let badAddress = Errno(rawValue: EFAULT)
  /// The C constant is `EBUSY`.
  public static let busy = Errno(rawValue: EBUSY)
  /// The C constant is `EEXIST`.
  public static let exists = Errno(rawValue: EEXIST)
  /// The C constant is `ENODEV`.
  public static let noDevice = Errno(rawValue: ENODEV)
  /// The C constant is `ENOTDIR`.
  public static let notDirectory = Errno(rawValue: ENOTDIR)
  /// The C constant is `EISDIR`.
  public static let isDirectory = Errno(rawValue: EISDIR)
  /// The C constant is `ENOTTY`.
  public static let notTerminal = Errno(rawValue: ENOTTY)
  /// The C constant is `EINVAL`.
  public static let invalidArgument = Errno(rawValue: EINVAL)
  /// The C constant is `EFBIG`.
  public static let fileTooLarge = Errno(rawValue: EFBIG)
  /// The C constant is `ENOSPC`.
  public static let noSpace = Errno(rawValue: ENOSPC)
  /// The C constant is `EROFS`.
  public static let readOnlyFileSystem = Errno(rawValue: EROFS)
  /// The C constant is `ERANGE`.
  public static let outOfRange = Errno(rawValue: ERANGE)
  /// The C constant is `ENAMETOOLONG`.
  public static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
  /// The C constant is `EXDEV`.
  public static let crossDevice = Errno(rawValue: EXDEV)
  /// The C constant is `EDEADLK`.
  public static let deadlock = Errno(rawValue: EDEADLK)
  /// The C constant is `ENOLCK`.
  public static let noLocks = Errno(rawValue: ENOLCK)
  /// The C constant is `ELOOP`.
  public static let tooManyLinks = Errno(rawValue: ELOOP)
  /// The C constant is `ENOSYS`.
  public static let noSystemCall = Errno(rawValue: ENOSYS)
  /// The C constant is `ENOTEMPTY`.
  public static let notEmpty = Errno(rawValue: ENOTEMPTY)
  /// The C constant is `ENODATA`.
  public static let noData = Errno(rawValue: ENODATA)
  /// The C constant is `EPROTO`.
  public static let protocolError = Errno(rawValue: EPROTO)
  /// The C constant is `EOPNOTSUPP`.
  public static let notSupported = Errno(rawValue: EOPNOTSUPP)
  /// The C constant is `E2BIG`.
  public static let argumentsTooLong = Errno(rawValue: E2BIG)
  /// The C constant is `EOVERFLOW`.
  public static let overflow = Errno(rawValue: EOVERFLOW)
  /// The C constant is `EBADMSG`: what file systems call EFSBADCRC, a wrong checksum.
  public static let badMessage = Errno(rawValue: EBADMSG)
  /// The C constant is `EUCLEAN`: what file systems call EFSCORRUPTED.
  public static let needsCleaning = Errno(rawValue: EUCLEAN)
  /// The C constant is `ENOKEY`: an encrypted file without its key.
  public static let noKey = Errno(rawValue: ENOKEY)
  /// The C constant is `ESTALE`.
  public static let stale = Errno(rawValue: ESTALE)
}

/// Runs a system call again while signals interrupt it, and throws what it failed with.
/// - Returns: the call's result, which is not negative.
@inlinable @discardableResult
public func retrying<Result: FixedWidthInteger & SignedInteger>(_ call: () -> Result) throws(Errno) -> Result {
  while true {
    let result = call()
    if result >= 0 { return result }
    let error = Errno.current
    if error != .interrupted { throw error }
  }
}
