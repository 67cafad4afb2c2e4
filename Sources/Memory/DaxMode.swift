import CLinux
import Platform

/// What a dax device's memory is used as: which driver has it.
public enum DaxMode: String, CaseIterable, Sendable {
  /// By programs that map the character device.
  case devdax
  /// By file systems of a kernel that has famfs.
  case famfs
  /// As memory of this host's, like any other.
  case systemRAM = "system-ram"

  /// The driver's name below /sys/bus/dax/drivers, which is its module's, too.
  public var driver: String {
    switch self {
    case .devdax: "device_dax"
    case .famfs: "fsdev_dax"
    case .systemRAM: "kmem"
    }
  }

  /// The mode that a driver makes.
  public init?(driver: String) {
    guard let mode = DaxMode.allCases.first(where: { $0.driver == driver }) else { return nil }
    self = mode
  }

  /// The mode of the device that a folder of sysfs describes; nil when no driver has it, or one of another kind.
  public init?(folder: String) {
    guard let path = try? realPath(folder + "/driver"), let name = pathComponents(path).last else { return nil }
    self.init(driver: name)
  }
}

extension MappedDevice {
  /// A dax device's mode at this moment; nil for all others.
  public var daxMode: DaxMode? {
    guard kind == .dax, let device = try? file.status().specialDevice else { return nil }
    return DaxMode(folder: "/sys/dev/char/\(weft_major(device)):\(weft_minor(device))")
  }
}
