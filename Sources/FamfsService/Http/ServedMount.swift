import Famfs
import FamfsControl
import Fuse
import Platform
import Serving

/// What the routes know of the mount that is served.
struct ServedMount: Sendable {
  let volume: Volume
  let log: DaemonLog
  let mount: Mount
  /// How it is and what it has done, now.
  let facts: @Sendable () -> MountFacts
  /// How its memory is, now.
  let memory: @Sendable () -> MemoryStatus

  /// As the public famfs names them. A name is found by its hash, so only the node that has it is looked at.
  var lookups: String {
    let lookups = facts().activity.operations.first { $0.opcode == Opcode.lookup.name }
    let (asked, failed) = (lookups?.requests ?? 0, lookups?.errors ?? 0)
    return "search_count: \(asked)\nnodes_scanned: \(asked - min(asked, failed))\nsearch_fail_ct: \(failed)\n"
  }

  var logLevel: HttpAnswer { .text("\(log.level)\n") }

  func setLogLevel(_ body: [UInt8]) -> HttpAnswer {
    let text = String(decoding: body, as: UTF8.self).trimmingBlanks()
    guard let level = Int32(text), (0...7).contains(level) else {
      return .text("a log level is a number from 0, only emergencies, to 7, everything\n", status: 400)
    }
    log.level = level
    return logLevel
  }

  /// What `famfs status --json` says of the mount, and what only its daemon knows.
  var status: JSON {
    let (facts, report) = (facts(), volume.report())
    let (activity, staged) = (facts.activity, facts.activity.staged)
    return .object(
      [("device", .text(mount.source)), ("mount_point", .text(mount.mountPoint)), ("state", "serving")]
        + [("trouble", volume.isLost ? "the device holds another file system by now; unmount this one" : .null)]
        + facts.status.members(devices: facts.devices, peers: facts.peers) + memory().members + [
          ("version", .text(weftVersion)), ("uptime_seconds", .number(activity.uptime / 1_000_000_000)),
          ("log_level", .number(UInt64(clamping: log.level))),
          ("file_bytes", .number(report.usage.fileBytes)),
          (
            "staged",
            [
              "files": .number(staged.files), "directories": .number(staged.directories),
              "bytes": .number(staged.bytes),
            ]
          ),
          ("read_bytes", .number(activity.bytes.read)), ("written_bytes", .number(activity.bytes.written)),
          ("operations", .list(activity.operations.map(\.json))),
          ("header_problem", JSON(report.headerProblem)),
          ("problems", .list(report.problems.prefix(100).map(\.json))),
          ("warnings", .list(report.warnings.prefix(100).map { .text($0) })),
        ])
  }
}
