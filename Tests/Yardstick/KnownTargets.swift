extension YardstickTarget {
  /// A tmpfs of Linux 6.6 or newer.
  public static func tmpfs(at directory: String) -> YardstickTarget {
    var target = YardstickTarget(
      name: "tmpfs", directory: directory, lacking: [.zeroRange, .shiftRange, .cleanEnds, .strictFlags])
    target.seconds = Int64.min...Int64.max
    target.attributeLimit = 65_536
    return target
  }

  /// An ext4 with blocks of 4 KiB and inodes of 256 bytes, as mkfs.ext4 makes it.
  public static func ext4(at directory: String) -> YardstickTarget {
    var target = YardstickTarget(name: "ext4", directory: directory, lacking: [.largeAttributes])
    target.seconds = -(1 << 31)...15_032_385_535  // 1901-12-13 to 2446-05-10
    target.linkLimit = 65_000
    target.attributeLimit = 3_500
    target.sizeLimit = (1 << 44) - 4_096
    return target
  }
}
