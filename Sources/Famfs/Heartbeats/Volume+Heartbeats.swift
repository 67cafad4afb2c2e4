import Memory
import Platform

// Heartbeats on media. Memory that fails there is met once, and gone around from then on: a mount takes another slot, and
// does not see the mounts whose slots fail.
extension Volume {
  /// Leaves a sign of life.
  /// - Parameters:
  ///   - beat: its count and time are set here.
  ///   - slot: where it was left last time; nil at first. Set to where it is now: another mount may have taken it, or its
  ///     memory may fail. Nil when there is no room: nobody hears of this mount.
  public func leave(_ beat: inout Heartbeat, at slot: inout Int?) throws(Errno) {
    beat.count &+= 1
    beat.time = Clock.realtime()
    var bytes = InlineArray<256, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    beat.encode(into: &raw)
    if let place = slot, try write(bytes, slot: place, if: { $0.isEmpty || $0.mount == beat.mount }) { return }
    slot = nil
    // Each mount looks from another slot on, for two may look at the same time.
    let start = Int(beat.mount % UInt64(Heartbeat.slots))
    for place in start..<start + Heartbeat.slots {
      let place = place % Heartbeat.slots
      if try write(bytes, slot: place, if: { isFree($0, at: beat.time) }) {
        slot = place
        return
      }
    }
  }

  /// What a slot holds.
  private enum Slot {
    case empty
    case beat(Heartbeat)
    /// A beat that cannot be made out, with this for the mount's number: somebody was amid writing it, and stopped or died.
    case torn(mount: UInt64)

    var isEmpty: Bool { if case .empty = self { true } else { false } }
    var mount: UInt64? {
      switch self {
      case .empty: nil
      case .beat(let beat): beat.mount
      case .torn(let mount): mount
      }
    }
  }

  /// Whether nobody uses a slot: it is empty, or left alone for a day.
  private func isFree(_ found: Slot, at now: UInt64) -> Bool {
    switch found {
    case .empty: true
    case .beat(let beat): beat.time < now && now - beat.time > 86_400_000_000_000
    case .torn: false
    }
  }

  /// Takes a sign of life away, if it is still there: at the unmount.
  public func withdraw(_ beat: Heartbeat, from slot: Int) throws(Errno) {
    if try look(at: slot).mount != beat.mount { return }
    try write(InlineArray<256, UInt8>(repeating: 0), slot: slot)
  }

  /// All signs of life, of mounts that are gone as well.
  /// - Parameter skipping: whether to leave out those that cannot be read; else EIO is thrown.
  public func heartbeats(skipping: Bool = false) throws(Errno) -> [(slot: Int, beat: Heartbeat)] {
    try signs(skipping: skipping).beats
  }

  /// All signs of life, and those that cannot be made out: somebody was amid writing them, and stopped there or died.
  public func signs(
    skipping: Bool = false
  ) throws(Errno) -> (beats: [(slot: Int, beat: Heartbeat)], torn: [(slot: Int, mount: UInt64)]) {
    var beats: [(slot: Int, beat: Heartbeat)] = []
    var torn: [(slot: Int, mount: UInt64)] = []
    for slot in 0..<Heartbeat.slots {
      do throws(Errno) {
        switch try look(at: slot) {
        case .empty: break
        case .beat(let beat): beats.append((slot, beat))
        case .torn(let mount): torn.append((slot, mount))
        }
      } catch .inputOutput where skipping {
        continue
      }
    }
    return (beats, torn)
  }

  /// Whether signs of life, or marks where those count, have been met that cannot be read or written.
  public var hasBadHeartbeats: Bool {
    isBad(Heartbeat.areaOffset, count: Heartbeat.slots * Heartbeat.size)
      || isReclaiming && isBad(Heartbeat.marksOffset, count: Heartbeat.slots * Int(Heartbeat.markSize))
  }

  /// Whether a range was found to fail. Most fail for good: they are not tried again.
  private func isBad(_ offset: UInt64, count: Int) -> Bool {
    device.errors?.meets(offset..<offset + UInt64(count)) ?? false
  }

  private func checkUsable(_ slot: Int) throws(Errno) {
    if isBad(Heartbeat.offset(of: slot), count: Heartbeat.size) { throw .inputOutput }
    if isReclaiming && isBad(Heartbeat.mark(of: slot), count: Int(Heartbeat.markSize)) { throw .inputOutput }
  }

  /// A beat is four cache lines, and can be read while it is written: then it is whole a moment later.
  private func look(at slot: Int) throws(Errno) -> Slot {
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
      if let beat = Heartbeat(parsing: bytes.span.bytes) { return .beat(beat) }
    }
    return .torn(mount: try device.load64(at: offset + Heartbeat.mountOffset))
  }

  /// Writes to a slot if what is there allows it.
  /// - Returns: false when it does not, or the slot's memory fails.
  private func write(
    _ bytes: borrowing InlineArray<256, UInt8>, slot: Int, if mayWrite: (Slot) -> Bool
  ) throws(Errno) -> Bool {
    do throws(Errno) {
      guard mayWrite(try look(at: slot)) else { return false }
      if isReclaiming { _ = try device.load64(at: Heartbeat.mark(of: slot)) }
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
  public func giveUp(mount: UInt64, in slot: Int) throws(Errno) {
    let place = Heartbeat.mark(of: slot)
    try device.store64(at: place, mount)
    try device.writeBack(at: place, count: 8)
    device.fence()
  }

  /// Whether a mount counts: its sign of life is where it left it, and nobody has given it up.
  public func counts(mount: UInt64, in slot: Int) throws(Errno) -> Bool {
    try checkUsable(slot)
    let (mark, sign) = (Heartbeat.mark(of: slot), Heartbeat.offset(of: slot) + Heartbeat.mountOffset)
    try device.invalidate(at: mark, count: 8)
    try device.invalidate(at: sign, count: 8)
    let (marked, signed) = (try device.load64(at: mark), try device.load64(at: sign))
    return marked != mount && signed == mount
  }
}
