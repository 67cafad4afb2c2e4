import Fuse
import Glibc
import Platform
import Synchronization

/// A kernel made of two lists: requests that are to come and replies that came.
final class MemoryTransport: Transport {
  private struct State {
    var requests: [[UInt8]]
    var replies: [ReplyMessage] = []
    var rangeCounts: [Int] = []
    var failures: [Errno] = []
  }

  private let state: Mutex<State>
  private let isSendable: Bool
  private let ending: Ending

  /// - Parameters:
  ///   - failures: what the first sends fail with, one after the other.
  ///   - isSendable: whether memory can be sent from where it is.
  init(_ requests: [[UInt8]], failures: [Errno] = [], isSendable: Bool = true, ending: Ending = .unmounted) {
    state = Mutex(State(requests: requests.reversed(), failures: failures.reversed()))
    self.isSendable = isSendable
    self.ending = ending
  }

  var replies: [ReplyMessage] { state.withLock { $0.replies } }
  /// Ranges that each reply was sent in.
  var rangeCounts: [Int] { state.withLock { $0.rangeCounts } }

  func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Received {
    guard let request = state.withLock({ $0.requests.popLast() }) else { return .end(ending) }
    buffer.copyBytes(from: request)
    return .request(request.count)
  }

  func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) {
    if let failure = state.withLock({ $0.failures.popLast() }) { throw failure }
    let bytes = parts.flatMap { Array(UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)) }
    state.withLock {
      $0.replies.append(ReplyMessage(bytes: bytes))
      $0.rangeCounts.append(parts.count - 1)
    }
  }

  func canSend(from range: UnsafeRawBufferPointer) -> Bool { isSendable }

  func another() throws(Errno) -> MemoryTransport { self }
}

/// Runs a session over these requests, behind an INIT, to its end.
/// - Returns: the replies without INIT's.
func replies(of fileSystem: some FileSystem, to requests: [[UInt8]]) throws -> [ReplyMessage] {
  let transport = MemoryTransport([Message.offer()] + requests)
  _ = try Session(fileSystem, over: transport).run(threads: 1)
  return Array(transport.replies.dropFirst())
}

/// The reply to one request.
func reply(of fileSystem: some FileSystem, to request: [UInt8]) throws -> ReplyMessage {
  let all = try replies(of: fileSystem, to: [request])
  guard let first = all.first, all.count == 1 else { throw Errno.protocolError }
  return first
}
