import Platform

/// A dax device of this host, as sysfs has it at this moment.
public struct DaxDevice: Equatable, Sendable {
  /// Such as dax0.0.
  public let name: String
  /// Bytes.
  public let size: UInt64
  /// What offset and length of a mapping are multiples of, in bytes; nil where it is not told.
  public let alignment: UInt64?
  /// The NUMA node that is nearest; nil for none.
  public let node: UInt64?
  /// The driver that has it; nil when it is disabled.
  public let driver: String?

  /// How it is used; nil when it is disabled, or another driver has it.
  public var mode: DaxMode? { driver.flatMap { DaxMode(driver: $0) } }
}

/// Where dax devices are found.
public struct DaxTree: Sendable {
  /// Where sysfs is; a folder made up like it, in tests.
  public let sysfs: String
  /// Where the character devices are.
  public let dev: String

  /// The places of this host, or others.
  public init(sysfs: String = "/sys", dev: String = "/dev") { (self.sysfs, self.dev) = (sysfs, dev) }

  /// The folder with a device's attributes.
  public func folder(of name: String) -> String { "\(sysfs)/bus/dax/devices/\(name)" }

  /// The folder of a driver, whose module is loaded if there is one.
  public func folder(of mode: DaxMode) -> String { "\(sysfs)/bus/dax/drivers/\(mode.driver)" }

  /// A device's character device, which it has in modes devdax and famfs.
  public func path(of name: String) -> String { "\(dev)/\(name)" }

  /// Whether the kernel has dax devices at all.
  public var isKnown: Bool { (try? FileStatus(path: sysfs + "/bus/dax")) != nil }

  /// All devices, by their names.
  public func devices() -> [DaxDevice] {
    directoryNames(sysfs + "/bus/dax/devices").compactMap(device).sorted { $0.order < $1.order }
  }

  /// The device of a name such as dax0.0 or /dev/dax0.0; nil when there is none.
  public func find(_ name: String) -> DaxDevice? {
    let prefix = dev + "/"
    return device(name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name)
  }

  private func device(_ name: String) -> DaxDevice? {
    guard name.hasPrefix("dax"), !name.contains("/") else { return nil }
    let folder = folder(of: name)
    // A device of size 0 is the seed of others.
    guard let size = firstLine(of: folder + "/size").flatMap({ UInt64($0) }), size > 0 else { return nil }
    return DaxDevice(
      name: name, size: size, alignment: firstLine(of: folder + "/align").flatMap { UInt64($0) },
      node: firstLine(of: folder + "/numa_node").flatMap { UInt64($0) }, driver: daxDriver(in: folder))
  }
}

extension DaxDevice {
  /// dax10.0 stands behind dax9.0.
  fileprivate var order: (Int, String) { (name.utf8.count, name) }
}
