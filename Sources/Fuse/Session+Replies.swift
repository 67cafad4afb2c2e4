import CLinux
import Glibc
import Platform
import Synchronization

/// Whether ranges of memory are sent from where they are.
enum SendingMode: UInt8 {
  /// Nothing was sent yet.
  case unknown
  /// Yes.
  case direct
  /// No: the transport cannot take memory like this; it is copied first.
  case copied
}

// The one answer of each request.
extension Session {
  /// Sends what a handler has prepared. The slot is free afterwards, here and in all that follows.
  func send(_ reply: Reply, _ slot: RequestSlot) {
    // FORGET and INTERRUPT.
    guard slot.isAnswered else { return end(slot) }
    do throws(Errno) { try sendBody(reply.byteCount, slot) } catch {
      takeBack(reply, slot)
      fell(error, slot)
    }
    end(slot)
  }

  func finish(_ slot: RequestSlot, byteCount: Int, written: Int) {
    do throws(Errno) {
      try sendBody(byteCount, slot)
      if written > 0 { count(slot) { $0.countWritten(written) } }
    } catch {
      fell(error, slot)
    }
    end(slot)
  }

  func finishRead(_ slot: RequestSlot, ranges: Int, byteCount: Int) {
    do throws(Errno) {
      try sendRanges(ranges, byteCount, slot)
      count(slot) { $0.countRead(byteCount) }
    } catch {
      fell(error, slot)
    }
    end(slot)
  }

  /// Answers with an error. If that does not arrive, there is nothing left to try.
  func fail(_ slot: RequestSlot, _ error: Errno) {
    count(slot) { $0.countError(slot.opcode) }
    if slot.isAnswered { refuse(slot, error) }
    end(slot)
  }

  /// The request is over.
  private func end(_ slot: RequestSlot) {
    if !slot.owners.isEmpty { slot.owners.removeAll(keepingCapacity: true) }
    let opcode = slot.opcode
    let (time, thread) = (Clock.monotonic() &- slot.arrival, slot.thread)
    count(slot) { $0.countTime(time, of: opcode) }
    let (isInFlight, isWaiting) = (slot.isInFlight, slot.isWaiting)
    (slot.isInFlight, slot.isWaiting) = (false, false)
    slot.free()
    // Last: when none is in flight any more the session may end.
    if isWaiting { waiting.subtract(1, ordering: .relaxed) }
    if isInFlight { thread?._withUnsafeGuaranteedRef { leave($0) } }
  }

  /// Counts for the thread that took the request. Only that one writes its counters.
  @inline(__always)
  private func count(_ slot: RequestSlot, _ body: (Counters) -> Void) {
    let isDone = slot.thread?._withUnsafeGuaranteedRef { thread in
      guard thread.isCurrent else { return false }
      body(thread.counters)
      return true
    }
    if isDone == true { return }
    otherCounters.withLock { body($0) }
  }

  /// A reply did not arrive.
  private func fell(_ error: Errno, _ slot: RequestSlot) {
    count(slot) { $0.countError(slot.opcode) }
    // The process was killed or the mount is gone: no process waits. Any other error leaves one waiting for an answer.
    if error != .noEntry, error != .noDevice { refuse(slot, .inputOutput) }
  }

  private func refuse(_ slot: RequestSlot, _ error: Errno) {
    let message = slot.replies.message(ReplyHeader(unique: slot.header.unique, refusal: error), rangeCount: 0)
    _ = try? slot.send(message)
  }

  private func sendBody(_ count: Int, _ slot: RequestSlot) throws(Errno) {
    slot.replies.setBody(count)
    let replyHeader = ReplyHeader(unique: slot.header.unique, bodyByteCount: count)
    try slot.send(slot.replies.message(replyHeader, rangeCount: count > 0 ? 1 : 0))
  }

  /// Sends ranges from where they are, or a copy where that cannot be. Which of the two is found out with the first
  /// range and, as other memory may be of another kind, whenever sending fails.
  private func sendRanges(_ count: Int, _ byteCount: Int, _ slot: RequestSlot) throws(Errno) {
    let replies = slot.replies
    let replyHeader = ReplyHeader(unique: slot.header.unique, bodyByteCount: byteCount)
    if sending.load(ordering: .relaxed) == SendingMode.unknown.rawValue, count > 0 { try probe(slot) }
    if sending.load(ordering: .relaxed) != SendingMode.copied.rawValue {
      do throws(Errno) {
        return try slot.send(replies.message(replyHeader, rangeCount: count))
      } catch .badAddress {
        // Copy below.
      }
      try gather(count, replies)
      // The memory is there: what failed is the way, and so it would for the next.
      sending.store(SendingMode.copied.rawValue, ordering: .relaxed)
    } else {
      try gather(count, replies)
    }
    try slot.send(replies.message(replyHeader, rangeCount: count > 0 ? 1 : 0))
  }

  /// Copies ranges together, or tells the file system that it cannot be done.
  private func gather(_ count: Int, _ replies: ReplyMemory) throws(Errno) {
    if replies.gather(rangeCount: count) { return }
    for index in 0..<count { fileSystem.foundUnreadable(replies.range(index)) }
    throw .inputOutput
  }

  private func probe(_ slot: RequestSlot) throws(Errno) {
    let range = slot.replies.range(0)
    if slot.canSend(from: range) {
      sending.store(SendingMode.direct.rawValue, ordering: .relaxed)
      return
    }
    var byte: UInt8 = 0
    // Memory that is gone says nothing about the way.
    guard weft_guarded_copy(&byte, range.baseAddress, 1) else {
      fileSystem.foundUnreadable(range)
      throw .inputOutput
    }
    sending.store(SendingMode.copied.rawValue, ordering: .relaxed)
  }

  /// Takes back what a reply that did not arrive has counted or opened: the kernel will neither forget nor release what
  /// it never knew.
  private func takeBack(_ reply: Reply, _ slot: RequestSlot) {
    switch reply {
    case .lookup(let node, _):
      if node.rawValue != 0 { fileSystem.forget(node) }
    case .opened(let handle, let isDirectory, _):
      let node = slot.header.node
      isDirectory ? fileSystem.releasedir(node, handle) : fileSystem.release(node, handle, nil)
    case .created(let node, let handle, _):
      fileSystem.release(node, handle, nil)
      fileSystem.forget(node)
    case .lookups(let count):
      let records = UnsafeRawBufferPointer(rebasing: slot.replies.body[..<count])
      DirectoryReply.forEachLookup(in: records.bytes) { fileSystem.forget($0) }
    case .done, .body: break
    }
  }
}
