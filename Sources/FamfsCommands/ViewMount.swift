import Famfs
import FamfsControl
import Platform

/// A volume's EROFS view, as `famfs publish` writes it, mounted on this host by the kernel alone.
struct ViewMount: Sendable {
  let mount: Mount
  /// The volume's UUID.
  let volume: UUID

  /// Nil for what is mounted from anything but a famfs. Waits for the device, but for no file on a famfs, whose daemon
  /// may be stopped.
  private init?(_ mount: Mount) {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Superblock.size, alignment: 8)
    defer { bytes.deallocate() }
    guard mount.type == "erofs", MountedVolume.around(mount.source) == nil,
      let file = try? FileDescriptor(opening: mount.source, .readOnly),
      (try? file.read(at: 0, into: bytes)) == bytes.count,
      let superblock = try? Superblock(parsing: UnsafeRawBufferPointer(bytes).bytes)
    else { return nil }
    (self.mount, volume) = (mount, superblock.uuid)
  }

  /// Those of this host whose device this user may read.
  /// - Parameter operand: a path in one, or the device of one; nil for all. It is looked up.
  static func all(named operand: String? = nil) -> [ViewMount] {
    let views = ((try? Mount.all()) ?? []).filter { $0.type == "erofs" }
    let name = operand.map(canonicalPath)
    let wanted = views.filter { view in
      name.map { $0.isInside(view.mountPoint) || $0.isSamePath(as: view.source) } ?? true
    }
    let looks = wanted.map { mount in try? AbandonableCall { ViewMount(mount) } }
    let deadline = Clock.monotonic() + MountedVolume.patience
    return looks.compactMap { $0?.wait(until: deadline) ?? nil }
  }

  /// How programs reach the bytes.
  var dataPath: String {
    let isDirect = mount.options.split(separator: ",").contains { $0 == "dax" || $0 == "dax=always" }
    return isDirect ? "EROFS, the memory itself" : "EROFS, page cache"
  }

  var text: String {
    """
    \(oneLine(mount.source)) on \(oneLine(mount.mountPoint))
      role:        none: a published view, read-only, without a daemon
      volume:      \(volume)
      data path:   \(dataPath)

    """
  }

  var json: JSON {
    [
      "device": .text(mount.source), "mount_point": .text(mount.mountPoint), "state": "view", "trouble": .null,
      "volume_uuid": .text("\(volume)"), "data_path": .text(dataPath),
    ]
  }
}
