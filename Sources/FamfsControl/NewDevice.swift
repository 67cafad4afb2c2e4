import Famfs
import Memory
import Platform

/// Taking a device into a volume that is open.
public enum NewDevice {
  /// Adds a device to a volume, locked while it is stamped and then as the others are.
  /// - Parameter force: take it even when it holds a file system.
  /// - Returns: its index.
  public static func add(
    _ device: MappedDevice, to volume: Volume, force: Bool, isReadOnly: Bool = false
  ) throws(FamfsError) -> UInt64 {
    // One that was stamped for this volume and is not in its log is no more ours than any other.
    let isOurs = volume.has(device)
    if !isOurs && isReadOnly { throw .other("the volume is mounted read-only; mount it without ro first") }
    do { try device.lock(byte: MountLock.mounted, exclusive: !isOurs) } catch {
      throw .other("\(device.path) is in use by a mount or a command; unmount it, or wait, first")
    }
    if !isOurs && !force, let type = foreignContents(of: device) {
      throw .other("\(device.path) holds \(type), which is not famfs; to take it all the same use --force")
    }
    let index = try volume.addDevice(device, force: force)
    do { try device.lock(byte: MountLock.mounted, exclusive: false) } catch { throw .memory(device.path, error) }
    return index
  }
}

/// What a device holds that is no famfs, or a part of one; nil for nothing.
public func foreignContents(of device: MappedDevice) -> String? {
  guard let type = ForeignContents.type(at: device.path) else { return nil }
  // A famfs that is published for EROFS looks like one.
  if type == "erofs", (try? Volume.readSuperblock(of: device, allowsSecondary: true)) != nil { return nil }
  return type
}
