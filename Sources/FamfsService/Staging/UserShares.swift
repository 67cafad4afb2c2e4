import Famfs
import Glibc
import Platform
import Synchronization

/// What each user other than root may hold of a mount's daemon and device with what is not committed.
public struct UserLimits: Equatable, Sendable {
  /// Names that are staged; some 600 bytes of the daemon's memory each.
  public var names: UInt64 = 100_000
  /// Directories that are open.
  public var directories: UInt64 = 65_536
  /// Bytes of space that staged files take; nil for fifteen sixteenths of the volume.
  public var bytes: UInt64?

  /// The defaults.
  public init() {}
}

/// Counts what users hold. Root is not counted: it can end the daemon anyhow.
///
/// Its lock is the last that is taken.
final class UserShares: Sendable {
  private struct Share {
    var names: UInt64 = 0
    var directories: UInt64 = 0
    var bytes: UInt64 = 0

    var isEmpty: Bool { names == 0 && directories == 0 && bytes == 0 }
  }

  private let limits: UserLimits
  private let shares: Mutex<[UInt32: Share]> = Mutex([:])

  init(_ limits: UserLimits) { self.limits = limits }

  /// Counts a name that a user has made.
  /// - Throws: ENOSPC when it has too many.
  func takeName(of user: UInt32) throws(Errno) { try take(1, \.names, limits.names, of: user, else: .noSpace) }

  func giveName(of user: UInt32) { give(1, \.names, of: user) }

  /// Counts a directory that a user has opened.
  /// - Throws: EMFILE when it has too many open.
  func takeDirectory(of user: UInt32) throws(Errno) {
    try take(1, \.directories, limits.directories, of: user, else: Errno(rawValue: EMFILE))
  }

  func giveDirectory(of user: UInt32) { give(1, \.directories, of: user) }

  /// Counts space that a user's staged file gets.
  /// - Parameter size: bytes of the volume's devices.
  /// - Throws: ENOSPC when its files have too much.
  func takeBytes(_ count: UInt64, of user: UInt32, volumeSize size: UInt64) throws(Errno) {
    try take(count, \.bytes, limits.bytes ?? size - size / 16, of: user, else: .noSpace)
  }

  func giveBytes(_ count: UInt64, of user: UInt32) { give(count, \.bytes, of: user) }

  private func take(
    _ count: UInt64, _ kind: WritableKeyPath<Share, UInt64>, _ limit: UInt64, of user: UInt32, else error: Errno
  ) throws(Errno) {
    if user == 0 { return }
    try shares.withLock { (shares) throws(Errno) in
      let held = shares[user]?[keyPath: kind] ?? 0
      let (sum, overflow) = held.addingReportingOverflow(count)
      if overflow || sum > limit { throw error }
      shares[user, default: Share()][keyPath: kind] = sum
    }
  }

  private func give(_ count: UInt64, _ kind: WritableKeyPath<Share, UInt64>, of user: UInt32) {
    if user == 0 || count == 0 { return }
    shares.withLock { shares in
      var share = shares[user] ?? Share()
      precondition(share[keyPath: kind] >= count, "a user gives back no more than was taken for it")
      share[keyPath: kind] -= count
      shares[user] = share.isEmpty ? nil : share
    }
  }

  /// Whether no user holds anything.
  var isEmpty: Bool { shares.withLock { $0.isEmpty } }
}

/// Counts the space of a staged file for the user that made it.
struct SpaceShare: Sendable {
  private let shares: UserShares
  private let user: UInt32

  init(of user: UInt32, in shares: UserShares) { (self.user, self.shares) = (user, shares) }

  /// - Throws: ENOSPC when the user's files have too much.
  func take(_ bytes: UInt64, of volume: Volume) throws(Errno) {
    if user != 0 { try shares.takeBytes(bytes, of: user, volumeSize: volume.usage().deviceSize) }
  }

  func give(_ bytes: UInt64) { shares.giveBytes(bytes, of: user) }
}
