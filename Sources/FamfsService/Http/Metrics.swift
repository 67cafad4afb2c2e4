import Erofs
import Famfs
import FamfsControl
import Platform
import Serving

/// What `/metrics` says of a mount, for Prometheus. Nothing in it comes from more than a count that is kept anyhow.
struct Metrics {
  private var out = PrometheusText()

  /// The whole text.
  static func text(_ mount: ServedMount) -> String {
    let (facts, usage) = (mount.facts(), mount.volume.usage())
    var metrics = Metrics()
    metrics.identity(facts, mount)
    metrics.requests(facts.activity)
    metrics.log(usage, isDamaged: mount.volume.report().headerProblem != nil)
    metrics.contents(usage, facts.activity.staged)
    metrics.devices(facts.devices)
    metrics.peers(facts)
    return metrics.out.text
  }

  private mutating func identity(_ facts: MountFacts, _ mount: ServedMount) {
    let status = facts.status
    out.begin("famfs_mount_info", "gauge", "What is mounted where, and by which version. Always 1.")
    out.sample(
      "famfs_mount_info",
      [
        ("version", weftVersion), ("device", mount.mount.source), ("mount_point", mount.mount.mountPoint),
        ("volume_uuid", "\(status.volumeUUID)"), ("master_uuid", "\(status.masterUUID)"),
      ], "1")
    out.put(
      "famfs_master", "gauge", "1 when this mount is the volume's master, 0 when a client.", status.isMaster ? 1 : 0)
    out.begin("famfs_uptime_seconds", "gauge", "Time since the mount began.")
    out.sample("famfs_uptime_seconds", [], PrometheusText.seconds(facts.activity.uptime))
  }

  private mutating func requests(_ activity: MountActivity) {
    let operations = activity.operations.map { ($0, ("opcode", $0.opcode ?? "unknown")) }
    out.begin("famfs_requests_total", "counter", "Requests of the kernel.")
    for (operation, label) in operations { out.sample("famfs_requests_total", [label], "\(operation.requests)") }
    out.begin(
      "famfs_request_errors_total", "counter", "Requests answered with an error, such as a look-up of an absent name.")
    for (operation, label) in operations { out.sample("famfs_request_errors_total", [label], "\(operation.errors)") }
    let name = "famfs_request_duration_seconds"
    out.begin(name, "histogram", "From the arrival of a request to its reply.")
    for (operation, label) in operations { out.histogram(name, label, operation.latency) }
    out.put(
      "famfs_read_bytes_total", "counter",
      "Bytes of files given to the kernel; reads of its page cache do not come here.",
      activity.bytes.read)
    out.put("famfs_written_bytes_total", "counter", "Bytes of files taken from the kernel.", activity.bytes.written)
  }

  private mutating func log(_ usage: VolumeUsage, isDamaged: Bool) {
    out.put("famfs_log_entries", "gauge", "Log entries taken in: this mount's position in the log.", usage.entries)
    out.put("famfs_log_capacity_entries", "gauge", "Log entries that fit.", usage.entryCapacity)
    out.put("famfs_log_bad_entries", "gauge", "Bad log entries; with one, nothing can be added.", usage.problemCount)
    out.put("famfs_log_header_damaged", "gauge", "1 when the log header's count cannot be true.", isDamaged ? 1 : 0)
  }

  private mutating func contents(_ usage: VolumeUsage, _ staged: StagedSummary) {
    out.put("famfs_files", "gauge", "Files in the volume.", usage.files)
    out.put("famfs_directories", "gauge", "Directories in the volume, without the root.", usage.directories)
    out.put("famfs_file_bytes", "gauge", "Sum of the sizes of all files.", usage.fileBytes)
    out.put("famfs_staged_files", "gauge", "Files made here that are not committed.", staged.files)
    out.put("famfs_staged_directories", "gauge", "Directories made here that are not committed.", staged.directories)
    out.put("famfs_staged_bytes", "gauge", "Sum of the sizes of the files that are not committed.", staged.bytes)
  }

  private mutating func devices(_ devices: [DeviceUsage]) {
    let labelled = devices.map { ($0, [("device", "\($0.index)"), ("uuid", "\($0.uuid)")] as [PrometheusText.Label]) }
    out.begin("famfs_device_size_bytes", "gauge", "Bytes of each of the volume's devices.")
    for (device, labels) in labelled { out.sample("famfs_device_size_bytes", labels, "\(device.size)") }
    out.begin("famfs_device_free_bytes", "gauge", "Bytes of each device that nobody uses.")
    for (device, labels) in labelled { out.sample("famfs_device_free_bytes", labels, "\(device.free)") }
    out.begin("famfs_device_present", "gauge", "1 when this host has the device, 0 when it cannot reach it.")
    for (device, labels) in labelled { out.sample("famfs_device_present", labels, device.path == nil ? "0" : "1") }
    out.begin("famfs_device_page_bytes", "gauge", "Bytes of the largest pages that each device is mapped by.")
    for (device, labels) in labelled {
      if let pages = device.pages { out.sample("famfs_device_page_bytes", labels, "\(pages.size)") }
    }
  }

  private mutating func peers(_ facts: MountFacts) {
    // What hosts leave on the device is theirs to write, and a series must not come twice.
    var seen: Set<UInt64> = []
    let peers = facts.peers.filter { seen.insert($0.heartbeat.mount).inserted }
    out.put(
      "famfs_peers_alive", "gauge", "Mounts of the volume on all hosts, this one too, that are known to live.",
      UInt64(peers.count(where: \.isAlive)))
    let labelled = peers.map { peer -> (Peer, [PrometheusText.Label]) in
      let heartbeat = peer.heartbeat
      return (
        peer,
        [
          ("host_name", heartbeat.hostName), ("system_uuid", "\(heartbeat.host)"),
          ("mount", String(heartbeat.mount, radix: 16)),
          ("role", heartbeat.isMaster ? "master" : "client"),
        ]
      )
    }
    out.begin("famfs_peer_alive", "gauge", "1 when a mount of the volume is known to live.")
    for (peer, labels) in labelled { out.sample("famfs_peer_alive", labels, peer.isAlive ? "1" : "0") }
    out.begin("famfs_peer_log_entries", "gauge", "Log entries that a mount of the volume has taken in.")
    for (peer, labels) in labelled { out.sample("famfs_peer_log_entries", labels, "\(peer.heartbeat.entries)") }
  }
}
