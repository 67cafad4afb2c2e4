import CommandKit
import Famfs
import Platform

/// What fsck prints besides the lines that scripts of the public famfs read.
enum FsckReport {
  /// For programs.
  static func json(
    _ volume: Volume, _ report: VolumeReport, role: Role, buckets: [[BucketUsage]]?, repairs: [String]?
  ) -> JSON {
    let (superblock, usage) = (volume.superblock, report.usage)
    return [
      "device": .text(volume.device.path), "role": .text(role.rawValue), "filesystem_uuid": JSON(superblock.uuid),
      "device_uuid": JSON(superblock.deviceUUID), "system_uuid": JSON(superblock.systemUUID),
      "allocation_unit": .number(superblock.allocationUnit), "log_offset": .number(superblock.logOffset),
      "log_length": .number(superblock.logLength), "entries": .number(usage.entries),
      "entry_capacity": .number(usage.entryCapacity), "bad_entries": .number(usage.problemCount),
      "files": .number(usage.files), "directories": .number(usage.directories),
      "device_bytes": .number(usage.deviceSize), "bitmap_bytes": .number(usage.unitBytes),
      "file_bytes": .number(usage.fileBytes), "allocated_bytes": .number(usage.allocated),
      "free_bytes": .number(usage.free), "clean": .bool(report.isClean), "header_problem": JSON(report.headerProblem),
      "problems": .list(report.problems.map(\.json)), "warnings": .list(report.warnings.map { .text($0) }),
      "devices": .list(report.devices.map { json($0, buckets?[Int($0.index)]) }), "buckets": json(buckets?.first),
      "repairs": repairs.map { .list($0.map { .text($0) }) } ?? .null,
    ]
  }

  private static func json(_ device: DeviceUsage, _ buckets: [BucketUsage]?) -> JSON {
    .object(device.members + [("buckets", json(buckets))])
  }

  private static func json(_ buckets: [BucketUsage]?) -> JSON { buckets.map { .list($0.map(json)) } ?? .null }

  private static func json(_ bucket: BucketUsage) -> JSON {
    ["offset": .number(bucket.offset), "bytes": .number(bucket.length), "used": .number(bucket.used)]
  }

  /// How full each bucket is, in numbers and as a bar.
  static func histogram(_ buckets: [BucketUsage], device: Int, isHuman: Bool) -> String {
    let size: (UInt64) -> String = { isHuman ? humanSize($0) : "\($0)" }
    let lines = buckets.enumerated().map { place, bucket in
      let share = Double(bucket.used) / Double(max(1, bucket.length))
      let bar = String(repeating: "#", count: Int((share * 40).rounded(.up)))
      return "  bucket \(place): \(size(bucket.used)) of \(size(bucket.length)), \(decimal(share * 100))% |"
        + bar + String(repeating: " ", count: 40 - bar.count) + "|\n"
    }
    return (device == 0 ? "Bucket usage:\n" : "Bucket usage of device \(device):\n") + lines.joined()
  }

  /// A line for each device.
  static func devices(_ devices: [DeviceUsage], isHuman: Bool) -> String {
    let size: (UInt64) -> String = { isHuman ? humanSize($0) : "\($0)" }
    return "Devices:\n"
      + devices.map { device in
        "  device \(device.index): \(device.uuid), \(size(device.size)), \(size(device.free)) free, "
          + "\(device.path.map { oneLine($0) } ?? "not found on this host")\n"
      }.joined()
  }
}
