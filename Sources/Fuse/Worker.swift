import Glibc
import Platform

/// What one thread of a session keeps from request to request, so that none of them allocates.
struct Worker: ~Copyable {
  /// Where requests arrive. Its start lies so that the data of a WRITE, behind 40 bytes of header and 40 of its own
  /// struct, starts a page.
  let request: UnsafeMutableRawBufferPointer
  let replies: ReplyMemory
  let counters: Counters
  private let room: UnsafeMutableRawBufferPointer
  private let buffers: ReplyBuffers

  init(_ counters: Counters) {
    let page = pageSize
    let lead = RequestHeader.byteCount + WriteRequest.byteCount
    room = .allocate(byteCount: page + SessionSettings.maxTransfer, alignment: page)
    request = UnsafeMutableRawBufferPointer(rebasing: room[(page - lead)...])
    buffers = ReplyBuffers()
    replies = buffers.memory
    self.counters = counters
  }

  deinit { room.deallocate() }

  /// Has `encode` write a body of a fixed size.
  func body(_ byteCount: Int, _ encode: (inout MutableRawSpan) -> Void) -> Reply {
    var bytes = UnsafeMutableRawBufferPointer(rebasing: replies.body[..<byteCount]).mutableBytes
    encode(&bytes)
    return .body(byteCount)
  }
}

/// A request whose frame has been checked.
struct Request {
  let header: RequestHeader
  /// What follows the header, without extensions (of which none are agreed on).
  let body: UnsafeRawBufferPointer
}

/// What a handler has prepared in the worker's buffers.
enum Reply {
  /// A header alone.
  case done
  /// So many bytes of the body.
  case body(Int)
  /// A body of this size that counts a lookup of a node.
  case lookup(NodeID, Int)
  /// A body of this size that opens a file or directory: the request's node.
  case opened(FileHandle, isDirectory: Bool, Int)
  /// A body of this size that counts a lookup of a node and opens it.
  case created(NodeID, FileHandle, Int)
  /// So many bytes of readdirplus records, which count lookups.
  case lookups(Int)
  /// Ranges of memory, and their bytes in all.
  case ranges(Int, byteCount: Int)
}
