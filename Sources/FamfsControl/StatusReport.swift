import Counts
import Famfs
import Glibc
import Platform

// What `famfs status --json` and the daemon's `/status` say: one list of members for both.

extension MountStatus {
  /// The part that this mount has in its volume.
  public var role: Role { isMaster ? .master : .client }

  /// For programs.
  public func members(devices: [DeviceUsage], peers: [Peer]) -> [(key: String, value: JSON)] {
    [
      ("role", .text(role.rawValue)), ("master_uuid", JSON(masterUUID)), ("volume_uuid", JSON(volumeUUID)),
      ("entries", .number(entries)), ("entry_capacity", .number(entryCapacity)), ("bad_entries", .number(badEntries)),
      ("files", .number(files)), ("directories", .number(directories)), ("used_bytes", .number(usedBytes)),
      ("free_bytes", .number(freeBytes)), ("daemon_pid", .number(processID)), ("strict", .bool(isStrict)),
      ("data_path", .text(dataPath)), ("devices", .list(devices.map { .object($0.members) })),
      ("hosts", .list(peers.map(\.json))),
    ]
  }
}

extension DeviceUsage {
  /// For programs.
  public var members: [(key: String, value: JSON)] {
    [
      ("index", .number(index)), ("uuid", JSON(uuid)), ("bytes", .number(size)), ("free_bytes", .number(free)),
      ("path", JSON(path)), ("trouble", JSON(trouble)), ("page_bytes", pages.map { .number($0.size) } ?? .null),
      ("page_origin", JSON(pages?.origin)),
    ]
  }
}

extension MemoryStatus {
  /// For programs.
  public var members: [(key: String, value: JSON)] {
    [
      ("coherence", .text(coherence.rawValue)), ("disabled", JSON(disabled)),
      ("memory_errors", .list(ranges.map(\.json))), ("memory_errors_unlisted", .number(unlisted)),
    ]
  }
}

extension BadRange {
  fileprivate var json: JSON {
    [
      "device": .number(device), "offset": .number(error.offset), "bytes": .number(error.length),
      "fault": .text("\(error.fault)"), "count": .number(error.count),
      "first": .text(timestamp(error.first)), "contents": .text(contents),
      "files": .list(files.map { .text($0) }), "file_count": .number(fileCount),
    ]
  }
}

extension Peer {
  /// For programs.
  fileprivate var json: JSON {
    [
      "host_name": .text(heartbeat.hostName), "system_uuid": JSON(heartbeat.host),
      "role": .text(heartbeat.isMaster ? "master" : "client"), "alive": .bool(isAlive),
      "since": .text(timestamp(heartbeat.since)), "entries": .number(heartbeat.entries),
      "seconds_silent": age.map { .number($0 / 1_000_000_000) } ?? .null,
    ]
  }
}

/// Nanoseconds since 1970 as people read them, in UTC.
public func timestamp(_ time: UInt64) -> String {
  var (seconds, parts) = (time_t(clamping: time / 1_000_000_000), tm())
  guard gmtime_r(&seconds, &parts) != nil else { return "?" }
  let two = { (number: Int32) in number < 10 ? "0\(number)" : "\(number)" }
  return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) \(two(parts.tm_hour)):"
    + "\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
}

extension OperationCount {
  /// For programs; times in nanoseconds.
  public var json: JSON {
    [
      "opcode": .text(opcode ?? "unknown"), "requests": .number(requests), "errors": .number(errors),
      "mean_ns": JSON(latency.mean), "p99_ns": JSON(latency.percentile(0.99)),
    ]
  }
}

extension LogProblem {
  /// For programs.
  public var json: JSON {
    ["entry": .number(index), "path": JSON(path), "problem": .text("\(problem)")]
  }
}
