import Memory
import Platform

// Who may append. The superblock names the master; every mount looks at it whenever it looks at the log, so one that
// was master learns within a poll that it is not any more. Becoming master is always asked for.
extension Volume {
  /// What this host may do now.
  public var role: Role { isMaster.load(ordering: .acquiring) ? .master : .client }

  /// The master's system UUID, as the superblock had it last.
  public var master: UUID { masterUUID.withLock { $0 } }

  /// Whether the superblock, as it was looked at last, names this host as the master.
  public var isNamed: Bool { master == host }

  /// Why this host may not append, when it may not.
  public var isNoMaster: FamfsError { isNamed ? .notMasterYet : .notMaster(master) }

  /// Makes this host the volume's master on media. It appends once `becomeMaster` is called, by when the old one has
  /// seen it.
  /// - Throws: a sentence; then the old one still is.
  public func claimMastership() throws(FamfsError) {
    guard let host else {
      throw .other("this host has no system UUID, and cannot be a master; set FAMFS_SYSTEM_UUID")
    }
    var superblock = try Volume.readSuperblock(of: device)
    guard superblock.uuid == self.superblock.uuid else {
      throw .other("another file system was made on \(device.path); unmount this one")
    }
    superblock.systemUUID = host
    do throws(Errno) { try Volume.rewrite(superblock, on: device) } catch { throw .memory(device.path, error) }
  }

  /// Lets this host append from now on, if the superblock says so.
  /// - Throws: a sentence when another host has taken the volume over meanwhile.
  public func becomeMaster() throws(FamfsError) {
    try logEnd.withLock { (logEnd) throws(FamfsError) in
      catchUp(&logEnd)
      guard master == host else { throw isNoMaster }
      replayed.withLock { replayed in
        replayed.holdRemoved()
        setRole(isMaster: true, &replayed)
      }
    }
  }

  /// Which time as master this is. What was taken in another one is gone.
  public var term: UInt64 { terms.load(ordering: .acquiring) }

  /// Takes in what the superblock says of the master. One that was master lets go of all that it has taken and not
  /// committed: the new one knows of none of it.
  func note(master uuid: UUID, _ logEnd: inout LogEnd) {
    masterUUID.withLock { $0 = uuid }
    guard uuid != host && role == .master else { return }
    (logEnd.reservations, logEnd.reservedPaths, logEnd.heldSlots) = ([:], [], 0)
    replayed.withLock { replayed in
      setRole(isMaster: false, &replayed)
      // With the map of free space: nothing that was taken before can be given back into the new one.
      terms.add(1, ordering: .acquiringAndReleasing)
      replayed.rebuildSpace()
    }
  }

  private func setRole(isMaster new: Bool, _ replayed: inout ReplayedLog) {
    isMaster.store(new, ordering: .releasing)
    // The log's mode says who may write it.
    replayed.namespace.update(.log) { $0.permissions = new ? 0o644 : 0o444 }
  }

  /// Makes sure that this host still is the master, as the memory has it now, and has been since a term began: a look
  /// at one cache line, without a lock. A daemon that was stopped learns so of its successor before it follows the log.
  /// - Throws: ESTALE when the device holds another volume, EROFS when another host is the master or was meanwhile.
  public func checkMaster(since term: UInt64) throws(Errno) {
    if isLost { throw .stale }
    guard self.term == term, role == .master else { throw .readOnlyFileSystem }
    let found = try Volume.identity(of: device)
    if found.volume != superblock.uuid { throw .stale }
    if found.master != host { throw .readOnlyFileSystem }
  }
}
