import Glibc
import Platform

// Requests whose answers may come later, from any thread. Each is the request itself: it can be moved and not copied, and
// a value that is dropped answers EIO.

/// A request that is answered with success or an error.
public struct PendingDone: ~Copyable, Sendable {
  let exchange: Exchange

  /// Succeeds.
  public consuming func finish() {
    let slot = exchange.take()
    slot.server?.finish(slot, byteCount: 0, written: 0)
  }

  /// Fails.
  public consuming func fail(_ error: Errno) { exchange.fail(error) }

  /// Answers as `body` ends.
  public consuming func finish(_ body: () throws(Errno) -> Void) {
    do throws(Errno) { try body() } catch { return fail(error) }
    finish()
  }
}

/// A request that is answered with a count of bytes.
public struct PendingCount: ~Copyable, Sendable {
  /// The most bytes that may be said.
  let most: UInt64
  /// Whether the answer has 64 bits for it.
  let isWide: Bool
  let exchange: Exchange

  /// Succeeds.
  /// - Parameter count: bytes; more than were asked for is a mistake, and answered EIO.
  public consuming func finish(_ count: UInt64) {
    guard count <= most else { return exchange.fail(.inputOutput) }
    let reply = CopyFileRangeReply(count: Int(clamping: count), isWide: isWide)
    let slot = exchange.take()
    _ = slot.body(reply.byteCount) { reply.encode(into: &$0) }
    slot.server?.finish(slot, byteCount: reply.byteCount, written: 0)
  }

  /// Fails.
  public consuming func fail(_ error: Errno) { exchange.fail(error) }
}

/// A read: bytes are appended to its reply until it is finished.
public struct PendingRead: ~Copyable, Sendable {
  /// The bytes so far.
  public var reply: ReadReply
  let exchange: Exchange

  init(_ exchange: consuming Exchange, wanted: Int) {
    let slot = exchange.slot
    reply = ReadReply(wanted: wanted, slot: slot)
    self.exchange = exchange
  }

  /// Answers with what was appended.
  public consuming func finish() {
    let (ranges, byteCount) = (reply.rangeCount, reply.count)
    exchange.withSlot { $0.server?.finishRead($0, ranges: ranges, byteCount: byteCount) }
    exchange.discharge()
  }

  /// Fails, whatever was appended.
  public consuming func fail(_ error: Errno) { exchange.fail(error) }
}

/// A write: its data stays where it is until it is finished.
public struct PendingWrite: ~Copyable, Sendable {
  /// Bytes of the data.
  public let count: Int
  let exchange: Exchange

  init(_ exchange: consuming Exchange, count: Int) {
    self.count = count
    self.exchange = exchange
  }

  /// Calls `body` with each piece of the data, in order. Guests may change what is in a piece while it is read.
  public borrowing func forEachPiece<Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    let slot = exchange.slot
    if slot.data.isEmpty { return try body(slot.dataInRequest(count)) }
    for piece in slot.data where !piece.isEmpty { try body(piece) }
  }

  /// The data in one piece: where it lies, or a copy of several pieces in the room for the reply.
  public borrowing func contiguousData() -> UnsafeRawBufferPointer {
    let slot = exchange.slot
    if slot.data.isEmpty { return slot.dataInRequest(count) }
    if slot.data.count == 1 { return slot.data[0] }
    var done = 0
    for piece in slot.data where !piece.isEmpty {
      UnsafeMutableRawBufferPointer(rebasing: slot.replies.body[done...]).copyMemory(from: piece)
      done += piece.count
    }
    return UnsafeRawBufferPointer(rebasing: slot.replies.body[..<done])
  }

  /// Succeeds.
  /// - Parameter written: bytes; fewer than there are only for direct I/O. More are a mistake, and answered EIO.
  public consuming func finish(_ written: Int) {
    guard (0...count).contains(written) else { return exchange.fail(.inputOutput) }
    let slot = exchange.take()
    _ = slot.body(WrittenReply.byteCount) { WrittenReply(count: UInt32(written)).encode(into: &$0) }
    slot.server?.finish(slot, byteCount: WrittenReply.byteCount, written: written)
  }

  /// Fails.
  public consuming func fail(_ error: Errno) { exchange.fail(error) }
}

extension RequestSlot {
  /// The last `count` bytes of a WRITE that arrived in one piece.
  final func dataInRequest(_ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: request[(requestCount - count)..<requestCount])
  }
}
