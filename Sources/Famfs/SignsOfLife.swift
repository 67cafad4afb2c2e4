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
    if let place = slot, try write(bytes, slot: place, if: { $0.map { $0.mount == beat.mount } ?? true }) { return }
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

  /// Whether nobody uses a slot: it is empty, or left alone for a day.
  private func isFree(_ found: Heartbeat?, at now: UInt64) -> Bool {
    found.map { $0.time < now && now - $0.time > 86_400_000_000_000 } ?? true
  }

  /// Takes a sign of life away, if it is still there: at the unmount.
  public func withdraw(_ beat: Heartbeat, from slot: Int) throws(Errno) {
    if try read(slot: slot)?.mount != beat.mount { return }
    try write(InlineArray<256, UInt8>(repeating: 0), slot: slot)
  }

  /// All signs of life, of mounts that are gone as well.
  /// - Parameter skipping: whether to leave out those that cannot be read; else EIO is thrown.
  public func heartbeats(skipping: Bool = false) throws(Errno) -> [(slot: Int, beat: Heartbeat)] {
    var found: [(Int, Heartbeat)] = []
    for slot in 0..<Heartbeat.slots {
      do throws(Errno) {
        if let beat = try read(slot: slot) { found.append((slot, beat)) }
      } catch .inputOutput where skipping {
        continue
      }
    }
    return found
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

  private func read(slot: Int) throws(Errno) -> Heartbeat? {
    try checkUsable(slot)
    let offset = Heartbeat.offset(of: slot)
    // Most are empty: one load tells.
    try device.invalidate(at: offset, count: 8)
    if try device.load64(at: offset) != Heartbeat.magic { return nil }
    try device.invalidate(at: offset, count: UInt64(Heartbeat.size))
    var bytes = InlineArray<256, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    try span.withUnsafeMutableBytes { (buffer) throws(Errno) in try device.read(at: offset, into: buffer) }
    return Heartbeat(parsing: bytes.span.bytes)
  }

  /// Writes to a slot if what is there allows it.
  /// - Returns: false when it does not, or the slot's memory fails.
  private func write(
    _ bytes: borrowing InlineArray<256, UInt8>, slot: Int, if mayWrite: (Heartbeat?) -> Bool
  ) throws(Errno) -> Bool {
    do throws(Errno) {
      guard mayWrite(try read(slot: slot)) else { return false }
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
