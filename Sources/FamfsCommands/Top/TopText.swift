import CommandKit
import Counts
import Famfs
import FamfsControl
import Platform

/// A mount's figures as lines for people.
enum TopText {
  static func lines(_ sample: TopSample, _ figures: TopFigures?) -> [String] {
    guard let figures else {
      guard case .failure(let error) = sample.facts else { return [] }
      return [oneLine("\(error)")]
    }
    return [head(sample, figures.facts), traffic(figures)] + volume(figures.facts) + peers(figures.facts)
      + operations(figures)
  }

  private static func head(_ sample: TopSample, _ facts: MountFacts) -> String {
    "\(oneLine(sample.device)) on \(oneLine(sample.mountPoint)): \(facts.status.role.rawValue), "
      + "up \(span(facts.activity.uptime)), daemon \(facts.status.processID)"
  }

  private static func traffic(_ figures: TopFigures) -> String {
    let latency = figures.latency
    var line =
      "  requests: \(rate(figures.perSecond(figures.requests)))/s, errors \(rate(figures.perSecond(figures.errors)))/s; "
      + "read \(bytes(figures.perSecond(figures.bytes.read)))/s, "
      + "written \(bytes(figures.perSecond(figures.bytes.written)))/s"
    if let mean = latency.mean, let most = latency.percentile(0.99) {
      line += "; mean \(time(mean)), 99% within \(time(most))"
    }
    return line + (figures.isWhole ? " (since the mount began)" : "")
  }

  private static func volume(_ facts: MountFacts) -> [String] {
    let (status, staged) = (facts.status, facts.activity.staged)
    let total = status.usedBytes + min(status.freeBytes, .max - status.usedBytes)
    let share = decimal(Double(status.usedBytes) / Double(max(1, total)) * 100)
    let troubles = facts.devices.compactMap { device in device.trouble.map { "  trouble:  \(oneLine($0))" } }
    return [
      "  log:      \(status.entries) of \(status.entryCapacity) entries, \(status.badEntries) bad; "
        + "\(status.files) files, \(status.directories) directories",
      "  space:    \(humanSize(status.usedBytes)) of \(humanSize(total)) used (\(share)%), "
        + "\(humanSize(status.freeBytes)) free; staged \(staged.files) files, "
        + "\(staged.directories) directories, \(humanSize(staged.bytes))",
    ] + troubles
  }

  /// The volume's mounts on all hosts, and how far behind this one in the log.
  private static func peers(_ facts: MountFacts) -> [String] {
    facts.peers.map { peer in
      let lag = facts.lag(of: peer)
      let life = peer.isAlive ? (lag == 0 ? "up to date" : "\(lag) entries behind") : "silent"
      return
        "  mount:    \(oneLine(peer.heartbeat.hostName)), \(peer.heartbeat.isMaster ? "master" : "client"), \(life)"
    }
  }

  private static func operations(_ figures: TopFigures) -> [String] {
    if figures.operations.isEmpty { return [] }
    let head =
      "  " + left("OPERATION", 18) + right("REQUESTS/s", 12) + right("ERRORS/s", 12) + right("MEAN", 10)
      + right("99%", 10)
    return [head]
      + figures.operations.map { operation in
        "  " + left(operation.opcode ?? "unknown", 18) + right(rate(figures.perSecond(operation.requests)), 12)
          + right(rate(figures.perSecond(operation.errors)), 12)
          + right(operation.latency.mean.map(time) ?? "-", 10)
          + right(operation.latency.percentile(0.99).map(time) ?? "-", 10)
      }
  }

  private static func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private static func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(1, width - text.count)) + text
  }

  /// With as many decimals as are of use.
  static func rate(_ value: Double) -> String {
    if value >= 100 || value == 0 { return "\(UInt64(min(value, 1e18).rounded()))" }
    return decimal(value)
  }

  private static func bytes(_ value: Double) -> String { humanSize(UInt64(min(max(value, 0), 1e18))) }

  /// Nanoseconds, as 850ns, 12us, 3.20ms or 1.50s.
  static func time(_ nanoseconds: UInt64) -> String {
    switch nanoseconds {
    case ..<1000: "\(nanoseconds)ns"
    case ..<100_000: "\(decimal(Double(nanoseconds) / 1000))us"
    case ..<1_000_000: "\(nanoseconds / 1000)us"
    case ..<1_000_000_000: "\(decimal(Double(nanoseconds) / 1e6))ms"
    default: "\(decimal(Double(nanoseconds) / 1e9))s"
    }
  }

  /// Nanoseconds in the two largest units, as 2d 3h or 5s.
  static func span(_ nanoseconds: UInt64) -> String {
    let seconds = nanoseconds / 1_000_000_000
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60)
    if days > 0 { return "\(days)d \(hours)h" }
    if hours > 0 { return "\(hours)h \(minutes)min" }
    return minutes > 0 ? "\(minutes)min \(seconds % 60)s" : "\(seconds)s"
  }
}
