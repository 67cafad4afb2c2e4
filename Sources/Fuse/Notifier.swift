import CFuse
import Glibc
import Platform

/// Tells the kernel that what it remembers has changed behind its back.
///
/// Call it from a thread of its own (a follower of a log, say) and never from a method of a `FileSystem`: the kernel takes
/// the lock of the file or directory concerned before it returns, a request that is being answered may hold that very
/// lock until its reply is there, and the two would wait for each other. For the same reason hold no lock meanwhile that
/// a `FileSystem` method takes.
///
/// What waits for a lock cannot be killed. A process that is killed while it drops a name, in a directory in which another
/// one waits for its answer, never ends, nor does the other, until `umount -f`: a daemon that may be killed at any moment
/// uses `expireNames`, or short lifetimes.
public struct Notifier: Sendable {
  private let channel: any NotificationChannel

  /// A notifier of the session whose transport has this channel.
  public init(_ channel: any NotificationChannel) { self.channel = channel }

  /// Drops cached attributes of a node and its cached pages in a range; FUSE_NOTIFY_INVAL_INODE. Nothing happens when
  /// the kernel does not know the node.
  /// - Parameters:
  ///   - offset: first byte; negative to drop attributes only.
  ///   - length: bytes; zero or less for all behind `offset`.
  public func invalidate(_ node: NodeID, from offset: Int64 = 0, count length: Int64 = 0) throws(Errno) {
    try send(FUSE_NOTIFY_INVAL_INODE, bodyByteCount: fuse_notify_inval_inode_out.byteCount) { body in
      body.store(fuse_notify_inval_inode_out(ino: node.rawValue, off: offset, len: length))
    }
  }

  /// Drops a name in a directory, found or absent; FUSE_NOTIFY_INVAL_ENTRY. Nothing happens when the kernel does not
  /// know the directory or the name.
  /// - Parameters:
  ///   - name: 1 to 255 bytes.
  ///   - expireOnly: the name is asked for again when next used, but what is open or mounted below stays reachable.
  ///     Kernels without `InitFlags.expireOnly` drop it.
  /// - Throws: EINVAL for a name of another length.
  public func invalidate(_ name: RawSpan, in directory: NodeID, expireOnly: Bool = false) throws(Errno) {
    let length = name.byteCount
    guard (1...DirectoryReply.longestName).contains(length) else { throw .invalidArgument }
    // Closures cannot take a RawSpan along; a pointer for the duration of the call they can.
    try name.withUnsafeBytes { (pointer) throws(Errno) in
      let start = fuse_notify_inval_entry_out.byteCount
      try send(FUSE_NOTIFY_INVAL_ENTRY, bodyByteCount: start + length + 1) { body in
        let flags = expireOnly ? UInt32(FUSE_EXPIRE_ONLY) : 0
        body.store(fuse_notify_inval_entry_out(parent: directory.rawValue, namelen: UInt32(length), flags: flags))
        body.set(start, bytes: pointer.bytes)
        body.set(start + length, UInt8(0))
      }
    }
  }

  /// Has the kernel ask again for every name when it is next used; FUSE_NOTIFY_INC_EPOCH. Unlike the others this waits for
  /// no lock, so a process that is killed meanwhile leaves nobody waiting for it.
  /// - Throws: EINVAL before Linux 6.16.
  public func expireNames() throws(Errno) { try send(FUSE_NOTIFY_INC_EPOCH, bodyByteCount: 0) { _ in } }

  private func send(
    _ code: fuse_notify_code, bodyByteCount: Int, _ encode: (inout MutableRawSpan) -> Void
  ) throws(Errno) {
    let start = ReplyHeader.byteCount
    let failure = withUnsafeTemporaryAllocation(byteCount: start + bodyByteCount, alignment: 8) { bytes -> Errno? in
      var header = UnsafeMutableRawBufferPointer(rebasing: bytes[..<start]).mutableBytes
      ReplyHeader(notification: Int32(code.rawValue), bodyByteCount: bodyByteCount).encode(into: &header)
      var body = UnsafeMutableRawBufferPointer(rebasing: bytes[start...]).mutableBytes
      encode(&body)
      do throws(Errno) {
        try channel.notify(UnsafeRawBufferPointer(bytes))
        return nil
      } catch {
        return error
      }
    }
    if let failure, failure != .noEntry { throw failure }
  }
}
