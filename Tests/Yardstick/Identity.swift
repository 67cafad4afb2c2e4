import CYardstick
import Glibc
import Platform

/// Users and groups of the cases; none has a name, and all are other than root.
enum User {
  static let alice = 20001, bob = 20002, carol = 20003
  static let staff = 30001, guests = 30002
}

extension Trial {
  /// Runs something as another user: a thread with its identity, which has no privileges.
  /// - Parameters:
  ///   - group: by default the number of the user.
  ///   - groups: the supplementary ones.
  func asUser(
    _ user: Int, group: Int? = nil, groups: [Int] = [], _ body: @escaping @Sendable () throws -> Void
  ) throws {
    try onThread {
      let list = groups.map { UInt32($0) }
      let group = group ?? user
      _ = try list.withUnsafeBytes { try self.call("setgroups", SYS_setgroups, list.count, $0.address).ok() }
      try self.call("setresgid", SYS_setresgid, group, group, group).ok()
      try self.call("setresuid", SYS_setresuid, user, user, user).ok()
      try body()
    }
  }

  /// Runs something with another umask.
  @discardableResult
  func withUmask<Result>(_ mask: UInt32, _ body: () throws -> Result) rethrows -> Result {
    let old = Glibc.umask(mask)
    defer { Glibc.umask(old) }
    return try body()
  }
}
