import Famfs
import Memory
import Platform

/// The bytes of a device that are locked to say who uses it on this host.
public enum MountLock {
  /// Shared by all mounts, and by commands that read a device that is not mounted; exclusive while a volume is made or
  /// repaired.
  public static let mounted: Int64 = 0
  /// Exclusive: the mount that appends to the log.
  public static let master: Int64 = 1

  /// Takes one for as long as the device is open. `umount` returns a moment before its daemon has ended, and commands
  /// are quick, so while the device is mounted nowhere, whoever holds the lock is waited for: 2 seconds at most.
  public static func take(_ byte: Int64, of device: MappedDevice, exclusive: Bool) throws(Errno) {
    let deadline = Clock.monotonic() + 2_000_000_000
    while true {
      do { return try device.lock(byte: byte, exclusive: exclusive) } catch {
        if Clock.monotonic() > deadline || !MountedVolume.of(device: device.path).isEmpty { throw error }
      }
      Clock.sleep(nanoseconds: 2_000_000)
    }
  }

  /// Opens a device to use it beside others that do not make or repair a volume there: for a mount, or to read it.
  /// - Throws: a sentence, also when it is being made or repaired.
  public static func shared(_ path: String, writable: Bool) throws -> MappedDevice {
    let device = try MappedDevice(path: path, writable: writable)
    do { try take(mounted, of: device, exclusive: false) } catch {
      throw FamfsError.other("\(path) is being formatted or repaired at this moment; try again when that is done")
    }
    return device
  }

  /// Opens a device to change it while nobody on this host uses it.
  /// - Throws: a sentence, also when it is mounted or somebody reads it.
  public static func exclusive(_ path: String) throws -> MappedDevice {
    let device = try MappedDevice(path: path, writable: true, unmounted: true)
    do { try take(mounted, of: device, exclusive: true) } catch {
      throw FamfsError.other("\(path) is mounted, or a command still uses it; unmount it, or wait, first")
    }
    return device
  }
}
