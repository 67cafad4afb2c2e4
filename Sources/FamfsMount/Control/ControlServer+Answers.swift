import Famfs
import Memory
import Platform

// What each request is answered with.
extension ControlServer {
  /// Bytes: the least bucket of the public famfs.
  private static let strictBucket: UInt64 = 1 << 30

  func answer(_ request: ControlRequest, _ connection: Connection) throws -> ControlReply {
    switch request {
    case .status: return .status(status())
    case .device(let index): return .device(try device(index).path, count: UInt64(volume.deviceCount))
    case .devices: return .devices(volume.devices())
    case .addDevice(let path, let force): return .added(try add(path, force: force))
    case .makeDirectory where isReadOnly, .reserve where isReadOnly, .clone where isReadOnly,
      .remove where isReadOnly, .commitStaged where isReadOnly:
      throw FamfsError.other("the volume is mounted read-only; mount it without ro first")
    case .reserve(let name, 0, _) where isStrict: throw FamfsError.emptyFile(name.path)
    case .reserve(_, _, let striping?)
    where isStrict && volume.device.size / striping.buckets < ControlServer.strictBucket:
      throw FamfsError.other(
        "\(striping.buckets) buckets of \(volume.device.path) are under 1 GiB each, which the public famfs refuses and this "
          + "mount is strict; use fewer buckets, or mount it without strict")
    case .change(let cache, let lifetime):
      if let cache { settings.cache = cache }
      if let lifetime { settings.lifetime = lifetime }
      return .done
    case .memory: return .memory(MemoryStatus(volume, settings.coherenceInEffect))
    case .examine(let range):
      try volume.examine(range)
      return .done
    case .forget(let path):
      guard let number = volume.find(try entryPath(path)) else { throw FamfsError.notFound(path) }
      try forget(number)
      return .done
    case .makeDirectory(let name):
      let path = try entryPath(name.path)
      try claiming(name.path) { () throws(FamfsError) in
        try volume.makeDirectory(
          path: path, permissions: name.permissions, userID: name.userID, groupID: name.groupID)
      }
      return .done
    case .reserve(let name, let size, let striping):
      let path = try entryPath(name.path)
      let reservation = try claiming(name.path) { () throws(FamfsError) in
        try volume.reserve(
          path: path, size: size, permissions: name.permissions, userID: name.userID, groupID: name.groupID,
          striping: striping)
      }
      connection.reservations.insert(reservation.id)
      return .reserved(reservation.id, reservation.layout)
    case .map(let path): return try map(path)
    case .clone(let source, let path):
      let (original, copy) = (try entryPath(source), try entryPath(path))
      try claiming(path) { () throws(FamfsError) in try volume.clone(original, to: copy) }
      return .done
    case .remove(let path):
      let name = try entryPath(path)
      try publishing?.checkRemovable(name)
      if let staging {
        try staging.removing(path) { () throws(FamfsError) in try volume.remove(name) }
      } else {
        try volume.remove(name)
      }
      return .done
    case .peers: return .peers(Array((pulse?.peers ?? []).prefix(ControlReply.mostPeers)))
    case .takeOver(let force):
      guard let pulse, !isReadOnly else {
        throw FamfsError.other("the volume is mounted read-only or strict; mount it without that first")
      }
      try pulse.takeOver(force: force)
      return .done
    case .commitStaged(let path):
      guard volume.role == .master else { throw FamfsError.notMaster(volume.master) }
      try staging?.commit(at: path.fileNameBytes)
      return .done
    case .commit(let ids):
      // Those that were made are no reservations any more, and cancelling them does nothing.
      defer { for id in ids where connection.reservations.remove(id) != nil { volume.cancel(id) } }
      for id in ids {
        guard connection.reservations.contains(id) else { throw FamfsError.noReservation }
        try volume.commit(id)
      }
      return .done
    case .cancel(let id):
      if connection.reservations.remove(id) != nil { volume.cancel(id) }
      return .done
    case .publish(let force):
      guard let publishing else {
        throw FamfsError.other("the volume is mounted read-only or strict; mount it without that first")
      }
      return .publishing(try publishing.begin(force: force))
    case .publication(let number):
      guard let outcome = publishing?.outcome(of: number) else { return .publishing(number) }
      return .published(try outcome.get())
    case .activity: return .activity(activity())
    case .freeRuns(let device, let start):
      return .freeRuns(volume.freeRuns(ofDevice: device, from: start, atMost: Int(ControlReply.mostRuns)))
    case .replay:
      let before = volume.usage()
      volume.catchUp()
      let after = volume.usage()
      return .replayed(
        entries: after.entries, files: after.files - before.files, directories: after.directories - before.directories)
    }
  }

  @discardableResult
  private func claiming<Result>(
    _ path: String, _ body: () throws(FamfsError) -> Result
  ) throws(FamfsError) -> Result {
    guard let staging else { return try body() }
    return try staging.claiming(path, body)
  }

  func device(_ index: UInt64) throws(FamfsError) -> MappedDevice {
    guard let device = try? volume.memory(index) as? MappedDevice else {
      let trouble = volume.devices().first { $0.index == index }?.trouble
      throw .other(trouble ?? "the volume has no device \(index)")
    }
    return device
  }

  /// A client, and a mount that is read-only, may take a device into use that the volume has; `Volume` refuses the rest.
  private func add(_ path: String, force: Bool) throws(FamfsError) -> UInt64 {
    // The daemon would hold a file of its own mount open, which could never be unmounted, nor found at the next mount.
    if let mount = MountedVolume.around(path) {
      throw .other("\(path) lies in the famfs at \(mount.mountPoint), and cannot be a device of one; name another")
    }
    let device: MappedDevice
    do throws(DeviceError) { device = try MappedDevice(path: path, writable: true, unmounted: true) } catch {
      throw .device(error)
    }
    if settings.kernelMaps, let mode = (volume.device as? MappedDevice)?.daxMode, device.daxMode != mode {
      throw .other(
        "\(path) is no dax device in mode \(mode.rawValue), and this mount's kernel could not read what lies on it; switch "
          + "it with famfs device mode, or mount with -o nofmap")
    }
    return try NewDevice.add(device, to: volume, force: force, isReadOnly: isReadOnly)
  }

  private func map(_ path: String) throws -> ControlReply {
    guard let number = volume.find(try entryPath(path)) else {
      if staging?.isStaged(path) == true {
        throw FamfsError.other("\(path) is not committed yet, and may still change; run famfs commit first")
      }
      throw FamfsError.notFound(path)
    }
    let node = try volume.node(number)
    guard node.kind == .file else { throw FamfsError.other("\(path) is a directory, and has no extents; name a file") }
    return .mapped(volume.layout(of: number), size: node.size)
  }

  private func entryPath(_ path: String) throws(FamfsError) -> EntryPath {
    do { return try EntryPath(path) } catch { throw .badPath(path, error) }
  }
}
