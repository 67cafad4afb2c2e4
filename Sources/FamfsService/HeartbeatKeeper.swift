import Famfs
import FamfsControl
import Glibc
import Memory
import Platform
import Serving
import Synchronization

/// Leaves this mount's heartbeat twice a second, looks at those of others, and sees to the lock of the master, on a
/// thread of its own.
final class HeartbeatKeeper: Sendable {
  private struct State {
    var heartbeat: Heartbeat
    var slot: Int?
    /// When each mount was first seen and when it last changed, and its count then: `Clock.monotonic`.
    var seen: [UInt64: Sighting] = [:]
    /// Since when heartbeats could not be read: by slot.
    var torn: [Int: UInt64] = [:]
    /// When this mount claimed the mastership that it does not have yet.
    var claim: UInt64?
    var holdsLock: Bool
    /// Whether the mount has gone: no heartbeat is left after the last was taken away.
    var hasEnded = false
  }

  private struct Sighting {
    var count: UInt64
    let first: UInt64
    var changed: UInt64?
    /// How often it was seen to change.
    var changes: UInt64 = 0
  }

  private let volume: Volume
  private let device: MappedDevice
  private let log: DaemonLog
  private let state: Mutex<State>
  /// All mounts as they were seen last. With a lock of its own: the other one is held while heartbeats are left and the log is
  /// read.
  private let seen = Mutex<[Peer]>([])
  /// Where the heartbeat is, for those who read: mount and slot.
  private let ownMount = Atomic<UInt64>(0)
  private let slot = Atomic<Int>(0)

  init(of volume: Volume, on device: MappedDevice, host: UUID, log: DaemonLog) {
    self.volume = volume
    self.device = device
    self.log = log
    let heartbeat = Heartbeat(
      host: host, mount: .random(in: 1 ... .max), isMaster: volume.role == .master, since: Clock.realtime(),
      hostName: hostName())
    state = Mutex(State(heartbeat: heartbeat, holdsLock: volume.role == .master))
  }

  /// Leaves the first heartbeat. From then on what is removed waits for this mount; what was removed until then is
  /// taken in before this returns.
  /// - Throws: when a mount that has to be waited for finds no room for its heartbeat.
  func begin() throws(Errno) {
    guard volume.isReclaiming else { return leaveOnce() }
    try state.withLock { (state) throws(Errno) in try join(&state) }
  }

  /// Leaves heartbeats for as long as the process lives.
  func run() {
    while true {
      leaveOnce()
      Clock.sleep(nanoseconds: Heartbeat.interval)
    }
  }

  /// Once: this mount's heartbeat, and those of the others.
  func leaveOnce() {
    let entries = volume.usage().entries
    state.withLock { state in
      if state.hasEnded { return }
      keepLock(&state)
      state.heartbeat.entries = entries
      state.heartbeat.isMaster = volume.role == .master
      if volume.isLost { return }
      // What cannot be used has been noted, and is told of by `MemoryWatch`. Others may still be heard.
      try? leave(&state)
      do {
        note(try volume.heartbeats(skipping: true).map(\.heartbeat), &state)
        if volume.isHolding { try settle(&state) }
      } catch {}
    }
  }

  private func leave(_ state: inout State) throws(Errno) {
    if volume.isReclaiming { try stay(&state) }
    state.heartbeat.released = volume.released
    let slot = state.slot
    try volume.leave(&state.heartbeat, at: &state.slot)
    if volume.isReclaiming && state.slot != slot { try join(&state) }
  }

  private func note(_ heartbeats: [Heartbeat], _ state: inout State) {
    let now = Clock.monotonic()
    let peers = heartbeats.map { heartbeat in
      var sighting = state.seen[heartbeat.mount] ?? Sighting(count: heartbeat.count, first: now)
      if sighting.count != heartbeat.count || heartbeat.mount == state.heartbeat.mount {
        sighting.changed = now
        sighting.changes += 1
      }
      sighting.count = heartbeat.count
      state.seen[heartbeat.mount] = sighting
      return Peer(heartbeat: heartbeat, age: sighting.changed.map { now - $0 })
    }
    seen.withLock { $0 = peers }
    let known = Set(heartbeats.map(\.mount))
    state.seen = state.seen.filter { known.contains($0.key) }
  }

  // MARK: Removed files

  /// Leaves a new mount's heartbeat, and then takes in all that was removed before.
  private func join(_ state: inout State) throws(Errno) {
    if let slot = state.slot { try? volume.withdraw(state.heartbeat, from: slot) }
    state.slot = nil
    state.heartbeat.mount = .random(in: 1 ... .max)
    state.heartbeat.released = 0
    do throws(Errno) {
      repeat {
        try volume.leave(&state.heartbeat, at: &state.slot)
        if state.slot == nil { throw volume.hasBadHeartbeats ? .inputOutput : .noSpace }
      } while try !counts(state)
    } catch {
      // A heartbeat that was left counts only once all is taken in.
      state.slot = nil
      throw error
    }
    volume.reload()
    slot.store(state.slot ?? 0, ordering: .releasing)
    ownMount.store(state.heartbeat.mount, ordering: .releasing)
  }

  private func counts(_ state: borrowing State) throws(Errno) -> Bool {
    guard let slot = state.slot else { return false }
    return try volume.counts(mount: state.heartbeat.mount, in: slot)
  }

  /// Begins anew when this mount was given up, because it was not heard of for too long, or when its heartbeat cannot be read.
  private func stay(_ state: inout State) throws(Errno) {
    let counts = try? counts(state)
    if counts == true { return }
    try join(&state)
    let reason = counts == nil ? "this mount's heartbeat failed" : "this mount was not heard of for a while"
    log.notice("\(reason): what was removed until now is gone for it, too")
  }

  /// Which heartbeat this mount has: remembered before something is read, and given to `hasCounted` afterwards.
  var currentMount: UInt64 { ownMount.load(ordering: .acquiring) }

  /// Makes sure that this mount has counted since it had this heartbeat: what was read from the memory was still the file's.
  /// - Returns: false when somebody has given it up, or its heartbeat failed; now it counts again, and what was read must be read
  ///   anew.
  /// - Throws: EIO when there is no memory for a heartbeat.
  func hasCounted(as mount: UInt64) throws(Errno) -> Bool {
    // A slot with another heartbeat is another mount's.
    if (try? volume.counts(mount: mount, in: slot.load(ordering: .acquiring))) == true { return true }
    try state.withLock { (state) throws(Errno) in
      if state.hasEnded || volume.isLost { throw .stale }
      try stay(&state)
    }
    return false
  }

  /// Frees what all have let go of, and gives up those that are not heard of.
  private func settle(_ state: inout State) throws(Errno) {
    guard volume.role == .master else { return }
    let now = Clock.monotonic()
    var passed = volume.released
    var silent: [(slot: Int, mount: UInt64)] = []
    let (heartbeats, torn) = try volume.allHeartbeats()
    for (slot, heartbeat) in heartbeats where heartbeat.mount != state.heartbeat.mount {
      let heard = state.seen[heartbeat.mount].map { $0.changed ?? $0.first } ?? now
      if now - min(heard, now) < Heartbeat.patience {
        passed = min(passed, heartbeat.released)
      } else {
        silent.append((slot, heartbeat.mount))
      }
    }
    // A mount that is writing its heartbeat lives, until that has taken too long.
    let before = state.torn
    state.torn = [:]
    for (slot, mount) in torn {
      let since = before[slot] ?? now
      state.torn[slot] = since
      if now - since < Heartbeat.patience { passed = 0 } else { silent.append((slot, mount)) }
    }
    for (slot, mount) in silent { try volume.revoke(mount: mount, in: slot) }
    volume.settle(before: passed)
  }

  /// The lock of the master goes with the role.
  private func keepLock(_ state: inout State) {
    if state.holdsLock && volume.role == .client && state.claim == nil {
      device.unlock(byte: MountLock.master)
      state.holdsLock = false
      log.notice("the host with system UUID \(volume.master) is the volume's master now; this mount is a client")
    }
    // A poll of the old master lies between the claim and the first append.
    guard let claim = state.claim, Clock.monotonic() - claim > 1_000_000_000 else { return }
    guard state.holdsLock || (try? device.lock(byte: MountLock.master, exclusive: true)) != nil else { return }
    state.holdsLock = true
    state.claim = nil
    do throws(FamfsError) {
      try volume.becomeMaster()
      log.notice("this mount is the volume's master now")
    } catch {
      device.unlock(byte: MountLock.master)
      state.holdsLock = false
      log.warning("\(error)")
    }
  }

  /// All mounts that have left a heartbeat, this one too.
  var peers: [Peer] { seen.withLock { $0 } }

  /// Makes this host the master; that it is shows in the status, a second or two later. An old master on this machine has
  /// a lock, which it gives back when it learns of its successor. One that is stopped learns nothing, so this waits until it
  /// has beaten, or the lock is free: for `patience` at most.
  /// - Throws: a sentence, also when the old master lives and it is not forced. Then nothing has changed.
  func takeOver(force: Bool) throws(FamfsError) {
    if volume.role == .master { return }
    if !force { try Mastership.checkGone(peers, volume) }
    let start = Clock.monotonic()
    let before = state.withLock { $0.seen.mapValues(\.changes) }
    while try !claim(since: before) {
      if Clock.monotonic() - start > Heartbeat.patience {
        throw .other(
          "the old master on this machine holds the volume's lock and leaves no heartbeat: end its daemon, if it is stopped "
            + "(famfs status shows it), or the command that it left behind, and try again")
      }
      Clock.sleep(nanoseconds: 20_000_000)
    }
  }

  /// Makes this host the master on media, if the lock is free or whoever has it will give it back.
  /// - Parameter before: how often each mount had been seen to change. The first change after that may be of a heartbeat that
  ///   was left before, the second is not.
  private func claim(since before: [UInt64: UInt64]) throws(FamfsError) -> Bool {
    let master = volume.master
    let others = peers.filter { $0.heartbeat.isMaster && $0.heartbeat.host == master }.map(\.heartbeat.mount)
    return try state.withLock { (state) throws(FamfsError) in
      let hadLock = state.holdsLock
      let hasLock = hadLock || (try? device.lock(byte: MountLock.master, exclusive: true)) != nil
      let isBeating = others.contains { state.seen[$0]?.changes ?? 0 >= (before[$0] ?? 0) + 2 }
      guard hasLock || isBeating else { return false }
      do throws(FamfsError) { try volume.claimMastership() } catch {
        if hasLock && !hadLock { device.unlock(byte: MountLock.master) }
        throw error
      }
      state.holdsLock = hasLock
      state.claim = Clock.monotonic()
      return true
    }
  }

  /// Takes this mount's heartbeat away, for good.
  func end() {
    state.withLock { state in
      state.hasEnded = true
      if let slot = state.slot, !volume.isLost { try? volume.withdraw(state.heartbeat, from: slot) }
      state.slot = nil
    }
  }
}

/// This machine's name, as uname(2) has it.
private func hostName() -> String {
  var names = utsname()
  guard uname(&names) == 0 else { return "?" }
  return withUnsafeBytes(of: &names.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
