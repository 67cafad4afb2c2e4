import Platform
import Synchronization

extension Session {
  func getLock(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let ask = try LockRequest(parsing: request.body.bytes)
    guard ask.lock.kind != .unlock, !ask.isFlock else { throw .invalidArgument }
    let header = request.header
    let found = try fileSystem.getLock(header.node, ask.handle, ask.lock, ask.owner, header.caller)
    return slot.body(LockReply.byteCount) { LockReply(lock: found).encode(into: &$0) }
  }

  func setLock(_ request: Request, waits: Bool, _ exchange: consuming Exchange) {
    let header = request.header
    let ask: LockRequest
    do throws(Errno) { ask = try LockRequest(parsing: request.body.bytes) } catch { return exchange.fail(error) }
    let mayWait = waits && ask.lock.kind != .unlock
    if mayWait && !exchange.moveForWaiting() && !holdForWaiting(exchange.slot) { return exchange.fail(.noLocks) }
    let intent = LockIntent(
      ask.owner, isFlock: ask.isFlock, waits: mayWait, request: RequestID(rawValue: header.unique))
    fileSystem.setLock(
      header.node, ask.handle, ask.lock, intent, PendingDone(exchange: exchange), header.caller)
    // It may have begun to wait after `endSession` interrupted all that did.
    if mayWait, !isOpen.load(ordering: .sequentiallyConsistent) { fileSystem.interrupt(intent.request) }
  }

  /// Counts a slot among those that wait.
  /// - Returns: false when there are enough of them: an unlock has to find a slot, too.
  private func holdForWaiting(_ slot: RequestSlot) -> Bool {
    guard waiting.add(1, ordering: .relaxed).newValue <= transport.mostWaiting else {
      waiting.subtract(1, ordering: .relaxed)
      return false
    }
    slot.isWaiting = true
    return true
  }
}
