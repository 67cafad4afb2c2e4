import Counts
import Famfs
import Platform

/// What a mount has done since it began, and what is under way.
public struct MountActivity: Equatable, Sendable {
  /// Nanoseconds since the mount began.
  public var uptime: UInt64 = 0
  /// Requests of the kernel, by operation.
  public var operations: [OperationCount] = []
  /// Bytes of files that the kernel was given and gave. What programs read of its page cache is not among them.
  public var bytes = ByteCount()
  /// What programs have made and the log does not have yet.
  public var staged = StagedSummary()

  /// Of a mount that has not begun.
  public init() {}

  /// All operations' latencies in one.
  public var latency: LatencyHistogram {
    operations.reduce(into: LatencyHistogram()) { $0.add($1.latency) }
  }
}

/// How much is staged.
public struct StagedSummary: Equatable, Sendable {
  /// Files that have a name.
  public var files: UInt64 = 0
  /// Directories that have a name.
  public var directories: UInt64 = 0
  /// The sum of the files' sizes.
  public var bytes: UInt64 = 0

  /// Nothing.
  public init() {}
}

/// All that one look at a mount tells.
public struct MountFacts: Equatable, Sendable {
  /// How it is.
  public var status: MountStatus
  /// The volume's devices.
  public var devices: [DeviceUsage]
  /// The volume's mounts, on all hosts.
  public var peers: [Peer]
  /// What it has done.
  public var activity: MountActivity

  /// Facts that belong together.
  public init(status: MountStatus, devices: [DeviceUsage], peers: [Peer], activity: MountActivity) {
    (self.status, self.devices, self.peers, self.activity) = (status, devices, peers, activity)
  }

  /// How many log entries another mount has yet to take in.
  public func lag(of peer: Peer) -> UInt64 { status.entries - min(status.entries, peer.heartbeat.entries) }
}

extension ControlClient {
  /// All that the daemon tells of its mount.
  public func facts() throws(FamfsError) -> MountFacts {
    let answers = ask(all: [.status, .devices, .peers(from: 0), .activity])
    guard case .status(let status) = try answers[0].get(), case .devices(let devices) = try answers[1].get(),
      case .peers(let peers) = try answers[2].get(), case .activity(let activity) = try answers[3].get()
    else { throw ControlClient.nonsense }
    return MountFacts(status: status, devices: devices, peers: try peersBehind(peers), activity: activity)
  }

  /// All mounts that have left heartbeats.
  public func peers() throws(FamfsError) -> [Peer] {
    guard case .peers(let peers) = try ask(.peers(from: 0)) else { throw ControlClient.nonsense }
    return try peersBehind(peers)
  }

  /// These and those that one message had no room for.
  private func peersBehind(_ first: [Peer]) throws(FamfsError) -> [Peer] {
    var (all, last) = (first, first.count)
    while last == ControlReply.mostPeers {
      guard case .peers(let more) = try ask(.peers(from: UInt64(all.count))) else { throw ControlClient.nonsense }
      all += more
      last = more.count
    }
    return all
  }
}
