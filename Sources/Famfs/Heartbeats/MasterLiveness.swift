import Platform

/// Whether a volume may be taken over.
public enum Mastership {
  /// Checks that the master does not live.
  /// - Throws: a sentence, when one of these mounts is its.
  public static func checkGone(_ peers: [Peer], _ volume: Volume) throws(FamfsError) {
    if volume.hasBadHeartbeats {
      throw .other(
        "heartbeats on \(volume.device.path) cannot be read, so it is unknown whether the volume's master lives; unmount "
          + "it there, and then use --force")
    }
    let master = volume.master
    let living = peers.first { peer in
      // A young mount has seen nobody change yet: then the clocks have to do.
      let isRecent = peer.age == nil && peer.heartbeat.time &+ Heartbeat.patience > Clock.realtime()
      return peer.heartbeat.isMaster && peer.heartbeat.host == master && (peer.isAlive || isRecent)
    }
    guard let living else { return }
    throw alive(living.heartbeat, volume)
  }

  /// The same for a volume that is not mounted: watches for a while.
  public static func checkGone(_ volume: Volume) throws(FamfsError) {
    let (before, after): ([Heartbeat], [Heartbeat])
    do throws(Errno) {
      before = try volume.heartbeats().map(\.heartbeat).filter { $0.isMaster && $0.host == volume.master }
      if before.isEmpty { return }
      Clock.sleep(nanoseconds: 2 * Heartbeat.interval + Heartbeat.interval / 2)
      after = try volume.heartbeats().map(\.heartbeat)
    } catch {
      throw .memory(volume.device.path, error)
    }
    for heartbeat in after {
      if before.contains(where: { $0.mount == heartbeat.mount && $0.count != heartbeat.count }) {
        throw alive(heartbeat, volume)
      }
    }
  }

  private static func alive(_ heartbeat: Heartbeat, _ volume: Volume) -> FamfsError {
    .other(
      "the volume's master, \(oneLine(heartbeat.hostName)) (\(volume.master)), is alive: its last heartbeat is of a moment ago; "
        + "unmount it there, or use --force")
  }
}
