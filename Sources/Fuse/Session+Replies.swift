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

extension Session {
  /// Sends what a handler has prepared.
  func send(_ reply: Reply, to header: RequestHeader, _ worker: borrowing Worker, _ door: Door) {
    do throws(Errno) {
      switch reply {
      case .done: try sendBody(0, to: header, worker, door)
      case .body(let count), .lookup(_, let count), .lookups(let count), .opened(_, _, let count),
        .created(_, _, let count):
        try sendBody(count, to: header, worker, door)
      case .ranges(let count, let byteCount):
        try sendRanges(count, byteCount, to: header, worker, door)
        worker.counters.countRead(byteCount)
      }
    } catch {
      worker.counters.countError(header.opcode)
      takeBack(reply, to: header, worker)
      // The process was killed or the mount is gone: nobody waits. Everything else leaves one waiting for an answer.
      if error != .noEntry, error != .noDevice { refuse(header, .inputOutput, worker, door) }
    }
  }

  /// Answers with an error. One that does not arrive is nobody's: there is nothing left to try.
  func refuse(_ header: RequestHeader, _ error: Errno, _ worker: borrowing Worker, _ door: Door) {
    let message = worker.replies.message(ReplyHeader(unique: header.unique, refusal: error), rangeCount: 0)
    _ = try? door.send(message)
  }

  private func sendBody(_ count: Int, to header: RequestHeader, _ worker: borrowing Worker, _ door: Door) throws(Errno)
  {
    worker.replies.setBody(count)
    let replyHeader = ReplyHeader(unique: header.unique, bodyByteCount: count)
    try door.send(worker.replies.message(replyHeader, rangeCount: count > 0 ? 1 : 0))
  }

  /// Sends ranges from where they are, or a copy where that cannot be. Which of the two is found out with the first
  /// range and, as other memory may be of another kind, whenever sending fails.
  private func sendRanges(
    _ count: Int, _ byteCount: Int, to header: RequestHeader, _ worker: borrowing Worker, _ door: Door
  ) throws(Errno) {
    let replies = worker.replies
    let replyHeader = ReplyHeader(unique: header.unique, bodyByteCount: byteCount)
    if sending.load(ordering: .relaxed) == SendingMode.unknown.rawValue, count > 0 { try probe(replies, door) }
    if sending.load(ordering: .relaxed) != SendingMode.copied.rawValue {
      do throws(Errno) {
        return try door.send(replies.message(replyHeader, rangeCount: count))
      } catch .badAddress {
        // Copy below.
      }
      try gather(count, replies)
      // The memory is there: what failed is the way, and so it would for the next.
      sending.store(SendingMode.copied.rawValue, ordering: .relaxed)
    } else {
      try gather(count, replies)
    }
    try door.send(replies.message(replyHeader, rangeCount: count > 0 ? 1 : 0))
  }

  /// Copies ranges together, or tells the file system that it cannot be done.
  private func gather(_ count: Int, _ replies: ReplyMemory) throws(Errno) {
    if replies.gather(rangeCount: count) { return }
    for index in 0..<count { fileSystem.foundUnreadable(replies.range(index)) }
    throw .inputOutput
  }

  private func probe(_ replies: ReplyMemory, _ door: Door) throws(Errno) {
    let range = replies.range(0)
    if door.canSend(from: range) {
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
  private func takeBack(_ reply: Reply, to header: RequestHeader, _ worker: borrowing Worker) {
    switch reply {
    case .lookup(let node, _):
      if node.rawValue != 0 { fileSystem.forget(node, 1) }
    case .opened(let handle, let isDirectory, _):
      isDirectory ? fileSystem.releasedir(header.node, handle) : fileSystem.release(header.node, handle)
    case .created(let node, let handle, _):
      fileSystem.release(node, handle)
      fileSystem.forget(node, 1)
    case .lookups(let count):
      let records = UnsafeRawBufferPointer(rebasing: worker.replies.body[..<count])
      DirectoryReply.forEachLookup(in: records.bytes) { fileSystem.forget($0, 1) }
    default: break
    }
  }
}
