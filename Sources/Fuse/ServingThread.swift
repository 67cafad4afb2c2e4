import Glibc
import Platform
import Synchronization

/// One thread that takes requests.
final class ServingThread: Sendable {
  let counters = Counters()
  /// Requests that it has handed to the file system and that are not over.
  let inFlight = Atomic(0)
  private let handle = Atomic<UInt>(0)

  /// Says that the calling thread is this one.
  func begin() { handle.store(UInt(pthread_self()), ordering: .relaxed) }

  /// Whether this is the calling thread.
  var isCurrent: Bool { handle.load(ordering: .relaxed) == UInt(pthread_self()) }
}

/// A request whose frame has been checked.
///
/// It is valid for as long as its slot holds the request.
struct Request {
  private let state: UnsafeMutablePointer<SlotState>
  /// What follows the header, without extensions.
  let body: UnsafeRawBufferPointer

  /// Checks the lengths that the slot's header states against what came; nil where they differ.
  /// - Parameter bytes: the request without data that lies elsewhere; not fewer than a header has.
  @inline(__always)
  init?(in slot: RequestSlot, _ bytes: UnsafeRawBufferPointer) {
    state = slot.state
    let extensionByteCount = state.pointee.header.extensionByteCount
    let count = bytes.count - RequestHeader.byteCount - extensionByteCount
    guard Int(state.pointee.header.length) == bytes.count + slot.dataCount, count >= 0, let start = bytes.baseAddress
    else { return nil }
    body = UnsafeRawBufferPointer(start: start + RequestHeader.byteCount, count: count)
  }

  var header: RequestHeader { state.pointee.header }

  /// What follows the body.
  private var extensions: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: body.baseAddress.map { $0 + body.count }, count: header.extensionByteCount)
  }

  /// What a new node shall be, with the security labels among the extensions.
  func withLabels(_ node: NewNode) throws(Errno) -> NewNode {
    if extensions.isEmpty { return node }
    var node = node
    let found = try RequestExtensions(parsing: extensions.bytes)
    node.labels = found.contexts.map {
      SecurityLabel(name: Array(extensions[$0.name]), value: Array(extensions[$0.value]))
    }
    return node
  }
}

/// What a handler has prepared in the slot.
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

  /// Bytes of the body.
  var byteCount: Int {
    switch self {
    case .done: 0
    case .body(let count), .lookup(_, let count), .opened(_, _, let count), .created(_, _, let count),
      .lookups(let count):
      count
    }
  }
}

extension RequestSlot {
  /// Has `encode` write a body of a fixed size.
  final func body(_ byteCount: Int, _ encode: (inout MutableRawSpan) -> Void) -> Reply {
    var bytes = UnsafeMutableRawBufferPointer(rebasing: replies.body[..<byteCount]).mutableBytes
    encode(&bytes)
    return .body(byteCount)
  }
}
