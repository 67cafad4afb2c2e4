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
}

extension MappedDevice {
  /// A dax device's mode at this moment; nil for all others.
  public var daxMode: DaxMode? { kind == .dax ? MappedDevice.daxMode(of: file) : nil }

  /// The mode of the dax device that is open.
  static func daxMode(of file: borrowing FileDescriptor) -> DaxMode? {
    guard let device = try? file.status().specialDevice else { return nil }
    return daxDriver(in: "/sys/dev/char/\(weft_major(device)):\(weft_minor(device))").flatMap { DaxMode(driver: $0) }
  }
}

/// The driver that has the device of a folder of sysfs; nil for none.
func daxDriver(in folder: String) -> String? {
  (try? realPath(folder + "/driver")).flatMap { pathComponents($0).last }
}
