import CFuse
import Platform

/// The 40 bytes in front of every request: `struct fuse_in_header`.
struct RequestHeader: Equatable {
  static var byteCount: Int { fuse_in_header.byteCount }

  /// Bytes of the whole request, this header among them.
  let length: UInt32
  /// Which operation; may be none that `Opcode` knows.
  let opcode: UInt32
  /// The number that the reply repeats.
  let unique: UInt64
  /// Which node it is about.
  let node: NodeID
  /// Who asks.
  let caller: Caller
  /// Bytes of extensions at the request's end (since 7.38).
  let extensionByteCount: Int

  /// A header of nothing, until a request comes.
  init() {
    (length, opcode, unique, node, extensionByteCount) = (0, 0, 0, NodeID(rawValue: 0), 0)
    caller = Caller(userID: 0, groupID: 0, processID: 0)
  }

  /// Reads the header; nil when there are too few bytes for one.
  @inline(__always)
  init?(parsing bytes: RawSpan) {
    guard let header = try? bytes.load(fuse_in_header.self) else { return nil }
    length = header.len
    opcode = header.opcode
    unique = header.unique
    node = NodeID(rawValue: header.nodeid)
    caller = Caller(userID: header.uid, groupID: header.gid, processID: header.pid)
    extensionByteCount = Int(header.total_extlen) * 8
  }
}

/// The 16 bytes in front of every reply and notification: `struct fuse_out_header`.
struct ReplyHeader {
  static var byteCount: Int { fuse_out_header.byteCount }

  /// Bytes of the whole reply, this header among them.
  var length: UInt32
  /// Zero, a negative errno, or for a notification its code.
  var error: Int32
  /// The request's number; zero for a notification.
  var unique: UInt64

  /// The header of a successful reply that `bodyByteCount` bytes follow.
  @inline(__always)
  init(unique: UInt64, bodyByteCount: Int) {
    length = UInt32(clamping: ReplyHeader.byteCount + bodyByteCount)
    error = 0
    self.unique = unique
  }

  /// The header that is a whole refusal.
  init(unique: UInt64, refusal: Errno) {
    length = UInt32(ReplyHeader.byteCount)
    error = ReplyHeader.wireError(refusal)
    self.unique = unique
  }

  /// The header of a notification.
  init(notification code: Int32, bodyByteCount: Int) {
    length = UInt32(clamping: ReplyHeader.byteCount + bodyByteCount)
    error = code
    unique = 0
  }

  var encoded: fuse_out_header { fuse_out_header(len: length, error: error, unique: unique) }

  func encode(into bytes: inout MutableRawSpan) { bytes.store(encoded) }

  /// The kernel takes 1...511 for error numbers; anything else would make it ignore the reply, and its caller wait for
  /// good.
  private static func wireError(_ error: Errno) -> Int32 {
    (1...511).contains(error.rawValue) ? -error.rawValue : -Errno.inputOutput.rawValue
  }
}
