import Famfs
import Platform

/// A mount's figures for programs: counts of the interval, not rates, so that nothing is rounded.
enum TopJSON {
  static func value(_ sample: TopSample, _ figures: TopFigures?) -> JSON {
    let head: [(key: String, value: JSON)] = [
      ("device", .text(sample.device)), ("mount_point", .text(sample.mountPoint)),
    ]
    guard let figures else {
      guard case .failure(let error) = sample.facts else { return .object(head) }
      return .object(head + [("trouble", .text("\(error)"))])
    }
    let (facts, status, staged) = (figures.facts, figures.facts.status, figures.facts.activity.staged)
    let latency = figures.latency
    return .object(
      head + [
        ("trouble", .null), ("role", .text(status.role.rawValue)),
        ("uptime_seconds", .number(facts.activity.uptime / 1_000_000_000)), ("interval_ns", .number(figures.interval)),
        ("since_mount", .bool(figures.isWhole)), ("requests", .number(figures.requests)),
        ("errors", .number(figures.errors)), ("read_bytes", .number(figures.bytes.read)),
        ("written_bytes", .number(figures.bytes.written)), ("mean_ns", JSON(latency.mean)),
        ("p99_ns", JSON(latency.percentile(0.99))), ("operations", .list(figures.operations.map(\.json))),
        ("entries", .number(status.entries)), ("entry_capacity", .number(status.entryCapacity)),
        ("bad_entries", .number(status.badEntries)), ("files", .number(status.files)),
        ("directories", .number(status.directories)), ("used_bytes", .number(status.usedBytes)),
        ("free_bytes", .number(status.freeBytes)), ("staged_files", .number(staged.files)),
        ("staged_directories", .number(staged.directories)), ("staged_bytes", .number(staged.bytes)),
        (
          "hosts",
          .list(
            facts.peers.map { peer in
              [
                "host_name": .text(peer.heartbeat.hostName), "system_uuid": JSON(peer.heartbeat.host),
                "role": .text(peer.heartbeat.isMaster ? "master" : "client"), "alive": .bool(peer.isAlive),
                "entries": .number(peer.heartbeat.entries), "lag": .number(facts.lag(of: peer)),
              ]
            })
        ),
      ])
  }
}
