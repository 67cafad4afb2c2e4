import Platform
import Synchronization

// INIT, DESTROY and what lies between: a session over some transports ends and another one begins.
extension Session {
  func initialize(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let offer = try InitOffer(parsing: request.body.bytes)
    let answer = try lifecycle.withLock { (lifecycle) throws(Errno) in
      try negotiation.withLock { (negotiation) throws(Errno) in
        let answer = try negotiation.answer(offer)
        if negotiation.isAgreed, let agreement = negotiation.agreement {
          transport.negotiated(agreement)
          lifecycle.hasBegun = true
          fileSystem.began(agreement)
          isOpen.store(true, ordering: .sequentiallyConsistent)
        }
        return answer
      }
    }
    return slot.body(InitAnswer.byteCount) { answer.encode(into: &$0) }
  }

  /// DESTROY, which few mounts send: umount(2) waits for its answer.
  func destroy(_ exchange: consuming Exchange) {
    endSession()
    if !transport.isRestartable { isOver.store(true, ordering: .relaxed) }
    send(.done, exchange.take())
  }

  /// Lets no more requests in, waits until those under way are over, and tells the file system that the session is over, if
  /// one had begun.
  func endSession() {
    lifecycle.withLock { lifecycle in
      isEnding.store(true, ordering: .sequentiallyConsistent)
      isOpen.store(false, ordering: .sequentiallyConsistent)
      fileSystem.interruptAll()
      threads.wait { threads -> Void? in
        threads.allSatisfy { $0.inFlight.load(ordering: .sequentiallyConsistent) == 0 } ? () : nil
      }
      isEnding.store(false, ordering: .sequentiallyConsistent)
      negotiation.withLock { $0.reset() }
      if lifecycle.hasBegun { fileSystem.destroy() }
      lifecycle.hasBegun = false
    }
  }

  /// A request that the file system had is over.
  @inline(__always)
  func leave(_ thread: ServingThread) {
    thread.inFlight.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    if isEnding.load(ordering: .sequentiallyConsistent) { threads.change { _ in } }
  }

  func interrupt(_ request: Request) throws(Errno) -> Reply {
    fileSystem.interrupt(try InterruptRequest(parsing: request.body.bytes).request)
    return .done
  }
}
