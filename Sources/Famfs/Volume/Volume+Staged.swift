import Memory
import Platform

// What is made on a mount before the log has it: a slot of the log is kept for it, space is taken, and nothing is on
// media. The mount's daemon keeps names and attributes; whatever becomes of the daemon, nothing has to be cleaned up.
extension Volume {
  /// Keeps a slot of the log, until `commit` uses it up or `giveSlot` gives it back.
  /// - Returns: the term that it is of.
  /// - Throws: a sentence when nothing may be added: on a client, when the log is full or damaged.
  public func takeSlot() throws(FamfsError) -> UInt64 {
    try tail.withLock { (tail) throws(FamfsError) in
      try checkAppend(&tail)
      tail.heldSlots += 1
      return term
    }
  }

  /// Gives a slot back that was taken in this term.
  public func giveSlot(of term: UInt64) {
    tail.withLock { tail in
      guard term == self.term else { return }
      precondition(tail.heldSlots > 0, "a slot of the log is given back once")
      tail.heldSlots -= 1
    }
  }

  /// Takes space, right behind an extent if that is free, else in as few pieces as can be.
  /// - Parameter term: the term of what it is for; when that is over nothing is taken.
  /// - Throws: a sentence when there is too little, or it lies in too many pieces, or nothing can be added any more;
  ///   `name` says for what.
  public func takeSpace(
    _ bytes: UInt64, behind last: Extent?, in term: UInt64, for name: String
  ) throws(FamfsError) -> TakenSpace {
    try tail.withLock { (tail) throws(FamfsError) in
      guard role == .master && term == self.term else { throw isNoMaster }
      // After an append that failed, a file may lie in space that looks free.
      if let failure = tail.failure { throw .disabled(failure) }
      let (present, unusable) = (presentDevices(), unusable())
      return try tree.withLock { (tree) throws(FamfsError) in
        tree.space.avoid(unusable)
        if let last, present.contains(last.device), let extent = tree.space.extend(last, by: bytes) {
          return TakenSpace([extent], in: term)
        }
        do throws(AllocationError) {
          return TakenSpace(try tree.space.allocate(bytes: bytes, on: present).array, in: term)
        } catch {
          let free = tree.space.freeCount(of: present) * tree.space.unit
          if error == .full { throw tree.noSpace(for: name, needed: bytes, free: free) }
          throw .fragmented(name, needed: bytes, free: free)
        }
      }
    }
  }

  /// Gives space back that no log entry uses. When its term is over, the map of free space was made anew since, and has
  /// nothing of it.
  public func giveSpace(_ space: TakenSpace) {
    tree.withLock { tree in
      guard space.term == self.term else { return }
      for extent in space.extents { tree.space.release(extent) }
    }
  }

  /// Whether a command is making a file of this name.
  public func isReserved(_ path: EntryPath) -> Bool { tail.withLock { $0.reservedPaths.contains(path) } }

  /// Makes a file real whose contents are in the memory, fence included, in space that was taken; uses a slot up. That the
  /// contents are durable is seen to here.
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
    try tail.withLock { (tail) throws(FamfsError) in
      guard term == self.term else { throw isNoMaster }
      precondition(tail.heldSlots > 0, "what is committed has a slot of the log")
      tail.heldSlots -= 1
      do throws(FamfsError) {
        try checkAppend(&tail)
        try checkName(path, tail)
        return try append(payload, to: &tail)
      } catch {
        if term == self.term { tail.heldSlots += 1 }
        throw error
      }
    }
  }

  /// A node's path from the root, byte for byte; empty for the root.
  public func pathBytes(of number: NodeNumber) -> [UInt8] { tree.withLock { $0.namespace.pathBytes(of: number) } }
}
