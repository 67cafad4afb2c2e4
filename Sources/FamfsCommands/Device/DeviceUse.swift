import Famfs
import FamfsControl
import Glibc
import Memory
import Platform

/// What a dax device holds, and who has it, as far as this host can tell.
struct DeviceUse {
  /// Why that cannot be told: a sentence.
  struct Untold: Error, CustomStringConvertible, Equatable {
    let description: String
  }

  /// The superblock of the famfs that it belongs to; nil for none.
  let contents: Result<Superblock?, Untold>
  /// Where that is mounted here.
  let mounts: [String]
  /// Who must go before the device can: a few words.
  let user: String?

  /// The famfs's UUID.
  var volume: UUID? { (try? contents.get())?.uuid }

  /// Looks at a device. One that is memory of the host, or disabled, has nobody to be asked.
  init(of device: DaxDevice, in tree: DaxTree) {
    let path = tree.path(of: device.name)
    guard device.mode == .devdax || device.mode == .famfs else {
      (contents, mounts, user) = (.success(nil), [], nil)
      return
    }
    contents = DeviceUse.contents(of: path)
    mounts = MountedVolume.of(device: path).map(\.mountPoint)
    user =
      (mounts.first ?? DeviceUse.kernelMount(of: path)).map { "it is mounted at \($0)" } ?? DeviceUse.user(of: path)
  }

  /// Where a file system of the kernel has a device mounted, as one in mode famfs can be. The kernel would let the device
  /// be taken from its driver even then, and crash later.
  private static func kernelMount(of path: String) -> String? {
    ((try? Mount.all()) ?? []).last { $0.source.isSamePath(as: path) && $0.type != MountedVolume.type }?.mountPoint
  }

  init(contents: Result<Superblock?, Untold>, mounts: [String] = [], user: String? = nil) {
    (self.contents, self.mounts, self.user) = (contents, mounts, user)
  }

  private static func contents(of path: String) -> Result<Superblock?, Untold> {
    do throws(DeviceError) {
      let device = try MappedDevice(path: path, writable: false)
      do throws(FamfsError) {
        return .success(try Volume.readSuperblock(of: device, allowsSecondary: true))
      } catch {
        // One that is damaged is somebody's, too.
        if case .superblock(_, .notFamfs) = error { return .success(nil) }
        return .failure(Untold(description: "\(error)"))
      }
    } catch {
      return .failure(Untold(description: "\(error)"))
    }
  }

  /// Who holds a lock on the device, or has it mapped.
  private static func user(of path: String) -> String? {
    if let file = try? FileDescriptor(opening: path, .readWrite),
      (try? file.lock(byte: MountLock.mounted, exclusive: true)) == nil
    {
      return "a famfs command, or a mount that cannot be seen from here, has it open"
    }
    return process(mapping: path).map { "process \($0) has it mapped" }
  }

  /// A process that has a file mapped, of those that this one may look into.
  static func process(mapping path: String) -> Int? {
    directoryNames("/proc").lazy.compactMap { Int($0) }.first { process in
      guard let maps = try? readSmallFile("/proc/\(process)/maps", limit: 64 << 20) else { return false }
      return maps.split(separator: UInt8(ascii: "\n")).contains { line in
        line.count > path.utf8.count && line.suffix(path.utf8.count + 1).elementsEqual(" \(path)".utf8)
      }
    }
  }
}
