import Fuse
import Glibc
import Platform
import Synchronization

/// A kernel made of two lists: requests that are to come and replies that came. It can begin anew in the middle, scatter the
/// data of writes over pieces, refuse replies, and end at once or when all is answered.
package final class MemoryTransport: Transport, NotificationChannel {
  /// What comes.
  package enum Item: Sendable {
    case request([UInt8])
    /// A WRITE whose data lies in this many pieces; some may be empty.
    case scattered([UInt8], pieces: Int)
    /// The other side begins anew.
    case reset
    /// Waits until this many replies came, when requests are answered later.
    case replies(Int)
  }

  private struct State {
    var items: [Item]
    var replies: [ReplyMessage] = []
    var rangeCounts: [Int] = []
    var failures: [Errno] = []
  }

  private let state: Monitor<State>
  private let isSendable: Bool
  private let ending: Ending
  package let isRestartable: Bool
  package let mostWaiting: Int

  /// - Parameters:
  ///   - failures: what the first sends fail with, one after the other.
  ///   - isSendable: whether memory can be sent from where it is.
  package init(
    items: [Item], failures: [Errno] = [], isSendable: Bool = true, ending: Ending = .unmounted,
    isRestartable: Bool = false, mostWaiting: Int = 1024
  ) {
    state = Monitor(State(items: items.reversed(), failures: failures.reversed()))
    (self.isSendable, self.ending, self.isRestartable) = (isSendable, ending, isRestartable)
    self.mostWaiting = mostWaiting
  }

  package convenience init(
    _ requests: [[UInt8]], failures: [Errno] = [], isSendable: Bool = true, ending: Ending = .unmounted
  ) {
    self.init(items: requests.map { .request($0) }, failures: failures, isSendable: isSendable, ending: ending)
  }

  package var replies: [ReplyMessage] { state.change { $0.replies } }
  /// Waits until this many replies came.
  package func wait(forReplies count: Int) { state.wait { $0.replies.count >= count ? () : nil } }
  /// Ranges that each reply was sent in.
  package var rangeCounts: [Int] { state.change { $0.rangeCounts } }

  package func queueCount(wanted: Int) -> Int { wanted }

  package func queue(_ number: Int) throws(Errno) -> MemoryQueue { MemoryQueue(self) }

  package var notifications: (any NotificationChannel)? { self }

  package func notify(_ message: UnsafeRawBufferPointer) throws(Errno) {
    try note { (state) throws(Errno) in state.replies.append(ReplyMessage(bytes: Array(message))) }
  }

  private func note(_ body: (inout State) throws(Errno) -> Void) throws(Errno) {
    try state.change { (state) throws(Errno) in
      if let failure = state.failures.popLast() { throw failure }
      try body(&state)
    }
  }

  fileprivate func next() -> Item? {
    state.wait { state -> Item?? in
      if case .replies(let count) = state.items.last {
        if state.replies.count < count { return nil }
        state.items.removeLast()
      }
      return .some(state.items.popLast())
    }
  }

  fileprivate var end: Ending { ending }

  package func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) {
    try note { (state) throws(Errno) in
      let bytes = parts.flatMap { Array(UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)) }
      state.replies.append(ReplyMessage(bytes: bytes))
      state.rangeCounts.append(parts.count - 1)
    }
  }

  package func canSend(from range: UnsafeRawBufferPointer) -> Bool { isSendable }
}

package final class MemoryQueue: RequestQueue {
  private let transport: MemoryTransport
  private let makeSlot: () -> MemorySlot
  /// All that there are, for they must outlive their requests.
  private var slots: [MemorySlot] = []

  package init(_ transport: MemoryTransport, slot: (() -> MemorySlot)? = nil) {
    self.transport = transport
    makeSlot = slot ?? { MemorySlot(transport) }
  }

  package func next() throws(Errno) -> Arrival {
    switch transport.next() {
    case nil: return .end(transport.end)
    case .reset: return .reset
    case .replies: preconditionFailure("waited for already")
    case .request(let bytes): return .request(.passUnretained(take { $0.begin(bytes) }))
    case .scattered(let bytes, let pieces): return .request(.passUnretained(take { $0.begin(bytes, pieces: pieces) }))
    }
  }

  private func take(_ begin: (MemorySlot) -> Void) -> MemorySlot {
    let slot: MemorySlot
    if let free = slots.first(where: { !$0.isBusy.load(ordering: .acquiring) }) {
      slot = free
    } else {
      slot = makeSlot()
      slots.append(slot)
    }
    begin(slot)
    return slot
  }
}

/// The memory of one request of a list.
open class MemorySlot: RequestSlot, @unchecked Sendable {
  package let isBusy = Atomic(false)
  private let transport: MemoryTransport
  private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 << 20, alignment: 4096)
  private let scattered = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 << 20, alignment: 16)

  package init(_ transport: MemoryTransport) {
    self.transport = transport
    super.init(
      request: UnsafeMutableRawBufferPointer(rebasing: room[(1 << 20)...]),
      body: UnsafeMutableRawBufferPointer(rebasing: room[..<(1 << 20)]))
  }

  deinit {
    room.deallocate()
    scattered.deallocate()
  }

  package func begin(_ bytes: [UInt8], pieces: Int = 0) {
    isBusy.store(true, ordering: .releasing)
    let head = pieces > 0 ? bytes.prefix(80) : bytes[...]
    request.copyBytes(from: head)
    requestCount = head.count
    data = []
    let rest = bytes.dropFirst(head.count)
    guard pieces > 0 else { return }
    // Apart from each other, as a guest's pages are.
    for piece in 0..<pieces {
      let (from, to) = (rest.count * piece / pieces, rest.count * (piece + 1) / pieces)
      let place = from + piece * 64
      let target = UnsafeMutableRawBufferPointer(rebasing: scattered[place..<place + to - from])
      target.copyBytes(from: rest.dropFirst(from).prefix(to - from))
      data.append(UnsafeRawBufferPointer(target))
    }
  }

  open override func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) { try transport.send(parts) }

  open override func canSend(from range: UnsafeRawBufferPointer) -> Bool { transport.canSend(from: range) }

  open override func free() { isBusy.store(false, ordering: .releasing) }
}

/// Runs a session over these requests, behind an INIT, to its end.
/// - Returns: the replies without INIT's.
package func replies(of fileSystem: some FileSystem, to requests: [[UInt8]]) throws -> [ReplyMessage] {
  let transport = MemoryTransport([Message.offer()] + requests)
  _ = try Session(fileSystem, over: transport).run(threads: 1)
  return Array(transport.replies.dropFirst())
}

/// The reply to one request.
package func reply(of fileSystem: some FileSystem, to request: [UInt8]) throws -> ReplyMessage {
  let all = try replies(of: fileSystem, to: [request])
  guard let first = all.first, all.count == 1 else { throw Errno.protocolError }
  return first
}
