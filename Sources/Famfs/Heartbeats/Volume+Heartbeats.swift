import Memory
import Platform

// Heartbeats on media. Memory that fails there is met once, and gone around from then on: a mount takes another slot, and
// does not see the mounts whose slots fail.
extension Volume {
  /// Leaves a heartbeat.
  /// - Parameters:
  ///   - heartbeat: its count and time are set here.
  ///   - slot: where it was left last time; nil at first. Set to where it is now: another mount may have taken it, or
  ///     its memory may fail. Nil when there is no room: nobody hears of this mount.
  public func leave(_ heartbeat: inout Heartbeat, at slot: inout Int?) throws(Errno) {
    heartbeat.count &+= 1
    heartbeat.time = Clock.realtime()
    var bytes = InlineArray<256, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    heartbeat.encode(into: &raw)
    if let place = slot, try write(bytes, slot: place, if: { $0.isEmpty || $0.mount == heartbeat.mount }) { return }
    slot = nil
    // Each mount looks from another slot on, for two may look at the same time.
    let start = Int(heartbeat.mount % UInt64(Heartbeat.slots))
    for place in start..<start + Heartbeat.slots {
      let place = place % Heartbeat.slots
      if try write(bytes, slot: place, if: { isFree($0, at: heartbeat.time) }) {
        slot = place
        return
      }
    }
  }

  /// What a slot holds.
  private enum Slot {
    case empty
    case heartbeat(Heartbeat)
    /// A heartbeat that cannot be made out, with this for the mount's number: somebody was amid writing it, and stopped
    /// or died.
    case torn(mount: UInt64)

    var isEmpty: Bool { if case .empty = self { true } else { false } }
    var mount: UInt64? {
      switch self {
      case .empty: nil
      case .heartbeat(let heartbeat): heartbeat.mount
      case .torn(let mount): mount
      }
    }
  }

  /// Whether nobody uses a slot: it is empty, or left alone for a day.
  private func isFree(_ found: Slot, at now: UInt64) -> Bool {
    switch found {
    case .empty: true
    case .heartbeat(let heartbeat): heartbeat.time < now && now - heartbeat.time > 86_400_000_000_000
    case .torn: false
    }
  }

  /// Takes a heartbeat away, if it is still there: at the unmount.
  public func withdraw(_ heartbeat: Heartbeat, from slot: Int) throws(Errno) {
    if try readSlot(slot).mount != heartbeat.mount { return }
    try write(InlineArray<256, UInt8>(repeating: 0), slot: slot)
  }

  /// All heartbeats, of mounts that are gone as well.
  /// - Parameter skipping: whether to leave out those that cannot be read; else EIO is thrown.
  public func heartbeats(skipping: Bool = false) throws(Errno) -> [(slot: Int, heartbeat: Heartbeat)] {
    try allHeartbeats(skipping: skipping).heartbeats
  }

  /// All heartbeats, and those that cannot be made out: somebody was amid writing them, and stopped there or died.
  public func allHeartbeats(
    skipping: Bool = false
  ) throws(Errno) -> (heartbeats: [(slot: Int, heartbeat: Heartbeat)], torn: [(slot: Int, mount: UInt64)]) {
    var heartbeats: [(slot: Int, heartbeat: Heartbeat)] = []
    var torn: [(slot: Int, mount: UInt64)] = []
    for slot in 0..<Heartbeat.slots {
      do throws(Errno) {
        switch try readSlot(slot) {
        case .empty: break
        case .heartbeat(let heartbeat): heartbeats.append((slot, heartbeat))
        case .torn(let mount): torn.append((slot, mount))
        }
      } catch .inputOutput where skipping {
        continue
      }
    }
    return (heartbeats, torn)
  }

  /// Whether heartbeats, or marks where those count, have been met that cannot be read or written.
  public var hasBadHeartbeats: Bool {
    isBad(Heartbeat.areaOffset, count: Heartbeat.slots * Heartbeat.size)
      || isReclaiming && isBad(Heartbeat.revocationsOffset, count: Heartbeat.slots * Int(Heartbeat.revocationSize))
  }

  /// Whether a range was found to fail. Most fail for good: they are not tried again.
  private func isBad(_ offset: UInt64, count: Int) -> Bool {
    device.errors?.meets(offset..<offset + UInt64(count)) ?? false
  }

  private func checkUsable(_ slot: Int) throws(Errno) {
    if isBad(Heartbeat.offset(of: slot), count: Heartbeat.size) { throw .inputOutput }
    if isReclaiming && isBad(Heartbeat.revocation(of: slot), count: Int(Heartbeat.revocationSize)) {
      throw .inputOutput
    }
  }

  /// A heartbeat is four cache lines, and can be read while it is written: then it is whole a moment later.
  private func readSlot(_ slot: Int) throws(Errno) -> Slot {
    try checkUsable(slot)
    let offset = Heartbeat.offset(of: slot)
    for _ in 0..<8 {
      // Most are empty: one load tells.
      try device.invalidate(at: offset, count: 8)
      if try device.load64(at: offset) != Heartbeat.magic { return .empty }
      try device.invalidate(at: offset, count: UInt64(Heartbeat.size))
      var bytes = InlineArray<256, UInt8>(repeating: 0)
      var span = bytes.mutableSpan
      try span.withUnsafeMutableBytes { (buffer) throws(Errno) in try device.read(at: offset, into: buffer) }
      if let heartbeat = Heartbeat(parsing: bytes.span.bytes) { return .heartbeat(heartbeat) }
    }
    return .torn(mount: try device.load64(at: offset + Heartbeat.mountOffset))
  }

  /// Writes to a slot if what is there allows it.
  /// - Returns: false when it does not, or the slot's memory fails.
  private func write(
    _ bytes: borrowing InlineArray<256, UInt8>, slot: Int, if mayWrite: (Slot) -> Bool
  ) throws(Errno) -> Bool {
    do throws(Errno) {
      guard mayWrite(try readSlot(slot)) else { return false }
      if isReclaiming { _ = try device.load64(at: Heartbeat.revocation(of: slot)) }
      try write(bytes, slot: slot)
      return true
    } catch .inputOutput {
      return false
    }
  }

  private func write(_ bytes: borrowing InlineArray<256, UInt8>, slot: Int) throws(Errno) {
    let offset = Heartbeat.offset(of: slot)
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try device.write(at: offset, from: bytes) }
    device.fence()
  }

  // MARK: Marks of those that were given up

  /// Marks a mount as given up, before space that it may read is given away. It learns of it before it answers another
  /// read, however long it was stopped.
  public func revoke(mount: UInt64, in slot: Int) throws(Errno) {
    let place = Heartbeat.revocation(of: slot)
    try device.store64(at: place, mount)
    try device.writeBack(at: place, count: 8)
    device.fence()
  }

  /// Whether a mount counts: its heartbeat is where it left it, and nobody has given it up.
  public func counts(mount: UInt64, in slot: Int) throws(Errno) -> Bool {
    try checkUsable(slot)
    let (revocation, heartbeat) = (Heartbeat.revocation(of: slot), Heartbeat.offset(of: slot) + Heartbeat.mountOffset)
    try device.invalidate(at: revocation, count: 8)
    try device.invalidate(at: heartbeat, count: 8)
    let (revoked, owner) = (try device.load64(at: revocation), try device.load64(at: heartbeat))
    return revoked != mount && owner == mount
  }
}
