import Memory
import Platform
import Synchronization

// Who may append. The superblock names the master; every mount looks at it whenever it looks at the log, so one that
// was master learns within a poll that it is not any more. Becoming master is always asked for.
extension Volume {
  /// What this host may do now.
  public var role: Role { isMaster.load(ordering: .acquiring) ? .master : .client }

  /// The master's system UUID, as the superblock had it last.
  public var master: UUID { masterUUID.withLock { $0 } }

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
    try tail.withLock { (tail) throws(FamfsError) in
      catchUp(&tail)
      guard master == host else { throw .notMaster(master) }
      tree.withLock { $0.holdRemoved() }
      setRole(isMaster: true)
    }
  }

  /// Which time as master this is. What was taken in another one is gone.
  public var term: UInt64 { terms.load(ordering: .acquiring) }

  /// Takes in what the superblock says of the master. One that was master lets go of all that it has taken and not
  /// committed: the new one knows of none of it.
  func note(master uuid: UUID, _ tail: inout Tail) {
    masterUUID.withLock { $0 = uuid }
    guard uuid != host && role == .master else { return }
    setRole(isMaster: false)
    terms.add(1, ordering: .acquiringAndReleasing)
    (tail.reservations, tail.reservedPaths, tail.heldSlots) = ([:], [], 0)
    tree.withLock { $0.rebuildSpace() }
  }

  private func setRole(isMaster new: Bool) {
    isMaster.store(new, ordering: .releasing)
    // The log's mode says who may write it.
    tree.withLock { $0.namespace.update(.log) { $0.permissions = new ? 0o644 : 0o444 } }
  }

  // MARK: Heartbeats

  /// Leaves a sign of life.
  /// - Parameters:
  ///   - beat: its count and time are set here.
  ///   - slot: where it was left last time; nil at first. Set to where it is now: another mount may have taken it.
  public func leave(_ beat: inout Heartbeat, at slot: inout Int?) throws(Errno) {
    if let place = slot, let found = try read(slot: place), found.mount != beat.mount { slot = nil }
    if slot == nil { slot = try freeSlot(for: beat.mount) }
    guard let place = slot else { return }  // 1024 others: nobody hears of this one
    beat.count &+= 1
    beat.time = Clock.realtime()
    var bytes = InlineArray<256, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    beat.encode(into: &raw)
    try write(bytes, slot: place)
  }

  /// Takes a sign of life away, if it is still there: at the unmount.
  public func withdraw(_ beat: Heartbeat, from slot: Int) throws(Errno) {
    if try read(slot: slot)?.mount != beat.mount { return }
    try write(InlineArray<256, UInt8>(repeating: 0), slot: slot)
  }

  /// All signs of life, of mounts that are gone as well.
  public func heartbeats() throws(Errno) -> [(slot: Int, beat: Heartbeat)] { try signs().beats }

  /// All signs of life, and those that cannot be made out: somebody was amid writing them, and stopped there or died.
  public func signs() throws(Errno) -> (beats: [(slot: Int, beat: Heartbeat)], torn: [(slot: Int, mount: UInt64)]) {
    var beats: [(slot: Int, beat: Heartbeat)] = []
    var torn: [(slot: Int, mount: UInt64)] = []
    for slot in 0..<Heartbeat.slots {
      switch try look(at: slot) {
      case .empty: break
      case .beat(let beat): beats.append((slot, beat))
      case .torn(let mount): torn.append((slot, mount))
      }
    }
    return (beats, torn)
  }

  /// A slot that nobody uses: empty, or left alone for a day. Each mount looks from another one on, for two may look at
  /// the same time.
  private func freeSlot(for mount: UInt64) throws(Errno) -> Int? {
    let now = Clock.realtime()
    for place in 0..<Heartbeat.slots {
      let slot = (Int(mount % UInt64(Heartbeat.slots)) + place) % Heartbeat.slots
      switch try look(at: slot) {
      case .empty: return slot
      case .beat(let beat): if beat.time < now && now - beat.time > 86_400_000_000_000 { return slot }
      case .torn: break  // somebody's
      }
    }
    return nil
  }

  private enum SlotContents {
    case empty
    case beat(Heartbeat)
    /// With this for the mount's number, as far as can be told.
    case torn(mount: UInt64)
  }

  private func read(slot: Int) throws(Errno) -> Heartbeat? {
    guard case .beat(let beat) = try look(at: slot) else { return nil }
    return beat
  }

  /// A beat is four cache lines, and can be read while it is written: then it is whole a moment later.
  private func look(at slot: Int) throws(Errno) -> SlotContents {
    let offset = Heartbeat.areaOffset + UInt64(slot * Heartbeat.size)
    for _ in 0..<8 {
      try device.invalidate(at: offset, count: UInt64(Heartbeat.size))
      // Most are empty: one load tells.
      if try device.load64(at: offset) != Heartbeat.magic { return .empty }
      var bytes = InlineArray<256, UInt8>(repeating: 0)
      var span = bytes.mutableSpan
      try span.withUnsafeMutableBytes { (buffer) throws(Errno) in try device.read(at: offset, into: buffer) }
      if let beat = Heartbeat(parsing: bytes.span.bytes) { return .beat(beat) }
    }
    return .torn(mount: try device.load64(at: offset + Heartbeat.mountOffset))
  }

  private func write(_ bytes: borrowing InlineArray<256, UInt8>, slot: Int) throws(Errno) {
    let offset = Heartbeat.areaOffset + UInt64(slot * Heartbeat.size)
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try device.write(at: offset, from: bytes) }
    device.fence()
  }
}
