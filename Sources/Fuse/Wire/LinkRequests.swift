import CFuse
import Platform

// Symbolic links, hard links, and files without a name. READLINK has no body.

/// What a symbolic link says: the reply to READLINK, and a part of SYMLINK.
enum LinkTarget {
  /// Bytes of the longest: PATH_MAX without its NUL, which is what the kernel has room for.
  static let longest = 4095

  /// Checks the length of a target that a file system answers. The kernel would refuse the reply.
  /// - Throws: EIO.
  static func check(_ length: Int) throws(Errno) {
    guard (1...longest).contains(length) else { throw .inputOutput }
  }
}

/// SYMLINK: the name, and then the target.
struct SymlinkRequest {
  let name: Range<Int>
  let target: Range<Int>

  /// - Throws: ENOENT for an empty target and ENAMETOOLONG for one that is too long, as symlink(2).
  init(parsing bytes: RawSpan) throws(Errno) {
    name = try bytes.entryName(isLast: false)
    target = try bytes.string(from: name.upperBound + 1)
    guard !target.isEmpty else { throw .noEntry }
    guard target.count <= LinkTarget.longest else { throw .nameTooLong }
  }
}

/// `struct fuse_link_in`; the new name follows it. The header's node is the directory.
struct LinkRequest {
  /// The node that gets one more name.
  let node: NodeID
  let name: Range<Int>

  init(parsing bytes: RawSpan) throws(Errno) {
    node = NodeID(rawValue: try bytes.load(fuse_link_in.self).oldnodeid)
    name = try bytes.entryName(from: fuse_link_in.byteCount)
  }
}

/// `struct fuse_create_in` of TMPFILE. The name that follows it is "/" and means nothing.
struct TmpfileRequest {
  let intent: OpenIntent
  let node: NewNode

  init(parsing bytes: RawSpan) throws(Errno) {
    let body = try bytes.load(fuse_create_in.self)
    intent = OpenIntent(flags: body.flags, killsSetID: body.open_flags & UInt32(FUSE_OPEN_KILL_SUIDGID) != 0)
    node = NewNode(mode: body.mode, umask: body.umask)
    _ = try bytes.string(from: fuse_create_in.byteCount)
  }
}
