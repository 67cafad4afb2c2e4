import Glibc

/// Who is to own what is made: -u and -g, else the caller.
package struct Ownership: Sendable {
  package let userID: UInt32
  package let groupID: UInt32

  package init(_ arguments: Arguments) throws(UsageError) {
    userID = try arguments.number("uid", in: 0...UInt32.max - 1) ?? getuid()
    groupID = try arguments.number("gid", in: 0...UInt32.max - 1) ?? getgid()
  }
}

/// The process's umask.
package func currentUmask() -> UInt32 {
  let mask = umask(0o022)
  umask(mask)
  return UInt32(mask)
}
