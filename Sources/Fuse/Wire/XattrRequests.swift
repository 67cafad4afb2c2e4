import CFuse
import Glibc
import Platform

extension RawSpan {
  /// Where the name of an extended attribute stands, up to its NUL.
  /// - Throws: ERANGE for an empty name and one of more than 255 bytes, as setxattr(2); EPROTO as `string`.
  func xattrName(from start: Int = 0, isLast: Bool = true) throws(Errno) -> Range<Int> {
    let name = try string(from: start, isLast: isLast)
    guard (1...Int(WEFT_XATTR_NAME_MAX)).contains(name.count) else { throw .outOfRange }
    return name
  }
}

/// `struct fuse_setxattr_in`; the name and the value follow it.
struct SetxattrRequest {
  let name: Range<Int>
  let value: Range<Int>
  let mode: XattrMode
  /// Whether an ACL that is set clears setgid: FUSE_SETXATTR_ACL_KILL_SGID.
  let killsSetGID: Bool

  /// - Parameter isExtended: whether `InitFlags.setxattrExtension` was agreed on. Without it the structure has 8 bytes.
  /// - Throws: E2BIG for a value of more than 64 KiB, EINVAL for flags that setxattr(2) does not have.
  init(parsing bytes: RawSpan, isExtended: Bool) throws(Errno) {
    let start = isExtended ? fuse_setxattr_in.byteCount : Int(FUSE_COMPAT_SETXATTR_IN_SIZE)
    let body = try bytes.load(fuse_setxattr_in.self, first: start)
    let (create, replace) = (UInt32(WEFT_XATTR_CREATE), UInt32(WEFT_XATTR_REPLACE))
    guard body.flags & ~(create | replace) == 0 else { throw .invalidArgument }
    // Both at once never succeeds: the kernel looks for the first, and then for the second.
    mode = body.flags & create != 0 ? .create : body.flags & replace != 0 ? .replace : .set
    killsSetGID = body.setxattr_flags & UInt32(FUSE_SETXATTR_ACL_KILL_SGID) != 0
    name = try bytes.xattrName(from: start, isLast: false)
    value = (name.upperBound + 1)..<bytes.byteCount
    guard value.count == Int(body.size) else { throw .protocolError }
    guard value.count <= Int(WEFT_XATTR_SIZE_MAX) else { throw Errno(rawValue: E2BIG) }
  }
}

/// REMOVEXATTR: the name.
struct RemovexattrRequest {
  let name: Range<Int>

  init(parsing bytes: RawSpan) throws(Errno) { name = try bytes.xattrName() }
}
