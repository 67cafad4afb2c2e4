import CLinux
import Glibc
import Platform
import Synchronization

/// The memory of one request from its arrival to its answer, and the way that the answer takes. A transport owns its slots
/// and uses each again and again, so that no request allocates.
///
/// A transport subclasses it. The session is told of a request by an `Exchange`, of which there is one for each: whatever
/// becomes of it, the slot is answered once or discarded once, and then free again.
open class RequestSlot: @unchecked Sendable {
  /// Where requests arrive, header first. Private memory: what a guest could change while it is parsed is copied here.
  public let request: UnsafeMutableRawBufferPointer
  /// Bytes of the request that are in `request`: all of them but the data of a WRITE, if that lies in `data`.
  public final var requestCount: Int {
    get { state.pointee.requestCount }
    set { state.pointee.requestCount = newValue }
  }
  /// The data of a WRITE where it lies elsewhere, in one or more pieces; the transport may reach the memory until the slot is
  /// free. A guest may change it at any time.
  public final var data: [UnsafeRawBufferPointer] {
    _read { yield state.pointee.data }
    _modify { yield &state.pointee.data }
  }
  let replies: ReplyMemory
  /// Behind a pointer because each access to a variable of a class is a call, which checks that it is exclusive. They
  /// were a third of all instructions of a GETATTR.
  let state: UnsafeMutablePointer<SlotState>

  // The session's, while the request is under way.
  final var header: RequestHeader {
    get { state.pointee.header }
    set { state.pointee.header = newValue }
  }
  final var opcode: UInt32 { state.pointee.header.opcode }
  final var arrival: UInt64 {
    get { state.pointee.arrival }
    set { state.pointee.arrival = newValue }
  }
  /// The thread that took the request; it lives as long as the session.
  final var thread: Unmanaged<ServingThread>? {
    get { state.pointee.thread }
    set { state.pointee.thread = newValue }
  }
  /// It lives until all requests are answered, and longer.
  final var server: (any ExchangeServer)? {
    get { state.pointee.server }
    set { state.pointee.server = newValue }
  }
  /// Whether the file system has it: the session cannot end before it is over.
  final var isInFlight: Bool {
    get { state.pointee.isInFlight }
    set { state.pointee.isInFlight = newValue }
  }
  /// Whether it counts among those that wait for locks.
  final var isWaiting: Bool {
    get { state.pointee.isWaiting }
    set { state.pointee.isWaiting = newValue }
  }
  /// What keeps the memory of the reply's ranges.
  final var owners: [any AnyObject & Sendable] {
    _read { yield state.pointee.owners }
    _modify { yield &state.pointee.owners }
  }

  /// A slot over memory that outlives it.
  /// - Parameters:
  ///   - request: room for the largest request that does not lie in `data`.
  ///   - body: where replies are built: 1 MiB, and page-aligned. A transport that answers from memory of its own (the
  ///     payload of an io_uring queue) gives that.
  ///   - mostRanges: how many ranges of memory a reply may have.
  public init(
    request: UnsafeMutableRawBufferPointer, body: UnsafeMutableRawBufferPointer,
    mostRanges: Int = ReadReply.maxRanges
  ) {
    self.request = request
    replies = ReplyMemory(body: body, mostRanges: mostRanges)
    state = .allocate(capacity: 1)
    state.initialize(to: SlotState())
  }

  deinit {
    replies.deallocate()
    state.deinitialize(count: 1)
    state.deallocate()
  }

  /// Bytes that lie in `data`.
  @inline(__always)
  final var dataCount: Int {
    if data.isEmpty { return 0 }
    var count = 0
    for piece in data { count += piece.count }
    return count
  }

  /// Whether the other side waits for an answer: a reply to number zero would be a notification.
  final var isAnswered: Bool {
    state.pointee.header.unique != 0 && Opcode.isAnswered(state.pointee.header.opcode)
  }

  /// Sends a reply as one message. Called by any thread, once for each request that is answered.
  /// - Parameter parts: first the header, then up to `ReadReply.maxRanges` ranges of memory. None of it is used any more
  ///   when this has returned.
  /// - Throws: ENOENT when no process waits for it (any more); EFAULT when a range could not be read: another try may follow.
  open func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) {
    preconditionFailure("a transport's slot sends")
  }

  /// Whether memory like this can be a range of a reply. A transport that would lose the reply to find out (rather than
  /// throw EFAULT and take another) must know.
  open func canSend(from range: UnsafeRawBufferPointer) -> Bool { true }

  /// The request is answered, or discarded: the slot may hold another one. Called by any thread, once for each request.
  open func free() {}

  /// Another slot that answers the same request. A request that waits long needs only an answer without a body.
  /// This one is then freed. By default nil: the slot itself has to wait.
  open func forWaiting() -> RequestSlot? { nil }
}

/// The variables of a slot, which has their meanings.
struct SlotState {
  var requestCount = 0
  var data: [UnsafeRawBufferPointer] = []
  var header = RequestHeader()
  var arrival: UInt64 = 0
  var thread: Unmanaged<ServingThread>?
  unowned(unsafe) var server: (any ExchangeServer)?
  var isInFlight = false
  var isWaiting = false
  var owners: [any AnyObject & Sendable] = []
}

/// Who handles the requests of a slot: a session.
protocol ExchangeServer: AnyObject, Sendable {
  /// Sends the ranges of a read's reply that stand in the slot.
  func finishRead(_ slot: RequestSlot, ranges: Int, byteCount: Int)
  /// Sends `count` bytes of the slot's body.
  func finish(_ slot: RequestSlot, byteCount: Int, written: Int)
  /// Sends an error.
  func fail(_ slot: RequestSlot, _ error: Errno)
}

/// One request, from its arrival to its answer. Its owner must answer it; if it is dropped, it answers EIO.
struct Exchange: ~Copyable, @unchecked Sendable {
  /// The transport keeps its slots for as long as a session runs, and a session ends when all are answered.
  private var reference: Unmanaged<RequestSlot>

  init(_ slot: RequestSlot) { reference = Unmanaged.passUnretained(slot) }

  deinit { reference._withUnsafeGuaranteedRef { $0.server?.fail($0, .inputOutput) } }

  /// The slot, to look at.
  var slot: RequestSlot { reference.takeUnretainedValue() }

  /// Lets `body` look at the slot, without a retain.
  func withSlot(_ body: (RequestSlot) -> Void) { reference._withUnsafeGuaranteedRef(body) }

  /// The slot, with the duty to answer.
  consuming func take() -> RequestSlot {
    let slot = reference.takeUnretainedValue()
    discard self
    return slot
  }

  /// Passes the duty to answer to the caller, which has the slot.
  consuming func discharge() { discard self }

  /// The same request in a slot that can wait for long.
  /// - Returns: whether it is in another one, and the transport's slot is free.
  mutating func moveForWaiting() -> Bool {
    guard let light = slot.forWaiting() else { return false }
    let slot = slot
    (light.header, light.arrival, light.thread, light.server) = (slot.header, slot.arrival, slot.thread, slot.server)
    (light.isInFlight, slot.isInFlight) = (slot.isInFlight, false)
    reference = Unmanaged.passUnretained(light)
    slot.free()
    return true
  }

  /// Answers with an error.
  consuming func fail(_ error: Errno) {
    let slot = take()
    slot.server?.fail(slot, error)
  }
}
