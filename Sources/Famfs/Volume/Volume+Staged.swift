import Memory
import Platform

// What is made on a mount before the log has it: a slot of the log is kept for it, space is taken, and nothing is on
// media. The mount's daemon keeps names and attributes; whatever becomes of the daemon, nothing has to be cleaned up.
extension Volume {
  /// Keeps a slot of the log, until `commit` uses it up or `giveSlot` gives it back.
  /// - Returns: the term that it is of.
  /// - Throws: a sentence when nothing may be added: on a client, when the log is full or damaged.
  public func takeSlot() throws(FamfsError) -> UInt64 {
    try logEnd.withLock { (logEnd) throws(FamfsError) in
      try checkAppend(&logEnd)
      logEnd.heldSlots += 1
      return term
    }
  }

  /// Gives a slot back that was taken in this term.
  public func giveSlot(of term: UInt64) {
    logEnd.withLock { logEnd in
      guard term == self.term else { return }
      precondition(logEnd.heldSlots > 0, "a slot of the log is given back once")
      logEnd.heldSlots -= 1
    }
  }

  /// Takes space, right behind an extent if that is free, else in as few pieces as can be.
  /// - Parameter term: the term of what it is for; when that is over nothing is taken.
  /// - Throws: a sentence when there is too little, or it lies in too many pieces, or nothing can be added any more;
  ///   `name` says for what.
  public func takeSpace(
    _ bytes: UInt64, behind last: Extent?, in term: UInt64, for name: String
  ) throws(FamfsError) -> TakenSpace {
    try logEnd.withLock { (logEnd) throws(FamfsError) in
      guard role == .master && term == self.term else { throw isNoMaster }
      // After an append that failed, a file may lie in space that looks free.
      if let failure = logEnd.failure { throw .disabled(failure) }
      let (present, unusable) = (presentDevices(), unusable())
      return try replayed.withLock { (replayed) throws(FamfsError) in
        replayed.space.avoid(unusable)
        if let last, present.contains(last.device), let extent = replayed.space.extend(last, by: bytes) {
          return TakenSpace([extent], in: term)
        }
        do throws(AllocationError) {
          return TakenSpace(try replayed.space.allocate(bytes: bytes, on: present).array, in: term)
        } catch {
          let free = replayed.space.freeCount(of: present) * replayed.space.unit
          if error == .full { throw replayed.noSpace(for: name, needed: bytes, free: free) }
          throw .fragmented(name, needed: bytes, free: free)
        }
      }
    }
  }

  /// Gives space back that no log entry uses. When its term is over, the map of free space was made anew since, and has
  /// nothing of it.
  public func giveSpace(_ space: TakenSpace) {
    replayed.withLock { replayed in
      guard space.term == self.term else { return }
      for extent in space.extents { replayed.space.release(extent) }
    }
  }

  /// Whether a command is making a file of this name.
  public func isReserved(_ path: EntryPath) -> Bool { logEnd.withLock { $0.reservedPaths.contains(path) } }

  /// Makes a file real whose contents are in the memory, fence included, in space that was taken; uses a slot up. That
  /// the contents are durable is seen to here.
  /// - Throws: a sentence; then nothing has changed, the slot is still kept.
  public func commit(_ record: FileRecord, of term: UInt64) throws(FamfsError) -> NodeNumber {
    try sync(record.layout)
    return try commit(.file(record), record.path, term)
  }

  /// Makes a directory real; uses a slot up.
  /// - Throws: a sentence; then nothing has changed, the slot is still kept.
  public func commit(_ record: DirectoryRecord, of term: UInt64) throws(FamfsError) -> NodeNumber {
    try commit(.directory(record), record.path, term)
  }

  private func commit(
    _ payload: LogEntry.Payload, _ path: EntryPath, _ term: UInt64
  ) throws(FamfsError) -> NodeNumber {
    try logEnd.withLock { (logEnd) throws(FamfsError) in
      guard term == self.term else { throw isNoMaster }
      precondition(logEnd.heldSlots > 0, "what is committed has a slot of the log")
      logEnd.heldSlots -= 1
      do throws(FamfsError) {
        try checkAppend(&logEnd)
        try checkName(path, logEnd)
        return try append(payload, to: &logEnd)
      } catch {
        if term == self.term { logEnd.heldSlots += 1 }
        throw error
      }
    }
  }

  /// A node's path from the root, byte for byte; empty for the root.
  public func pathBytes(of number: NodeNumber) -> [UInt8] { replayed.withLock { $0.namespace.pathBytes(of: number) } }
}
