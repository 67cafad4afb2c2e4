import Famfs
import FamfsControl
import Memory
import Platform

// What each request is answered with.
extension FamfsControlService {
  /// Bytes: the least bucket of the public famfs.
  private static let strictBucket: UInt64 = 1 << 30

  /// An answer, and the device whose open file goes with it.
  struct Answer: Sendable {
    let reply: ControlReply
    var device: MappedDevice?

    init(_ reply: ControlReply, _ device: MappedDevice? = nil) { (self.reply, self.device) = (reply, device) }
  }

  func isLong(_ request: ControlRequest) -> Bool {
    switch request {
    case .commitStaged, .addDevice, .examine, .forget, .takeOver, .replay: true
    // One that is missing is looked for.
    case .device(let index): index > 0
    // On a disk each append is synced, with the log's end locked.
    case .reserve, .commit, .cancel, .makeDirectory, .clone, .remove: volume.isOnDisk
    case .status, .devices, .map, .peers, .change, .memory, .publish, .publication, .activity, .freeRuns: false
    }
  }

  /// Answers a request.
  /// - Parameter reservations: those of the connection that asks.
  func reply(to request: ControlRequest, _ reservations: inout Set<UInt64>) throws -> Answer {
    switch request {
    case .device(let index):
      let device = try device(index)
      return Answer(.device(device.path, count: UInt64(volume.deviceCount)), device)
    case .reserve(let name, let size, let striping):
      let made = try reserve(name, size, striping)
      reservations.insert(made.id)
      return Answer(.reserved(made.id, made.layout))
    case .commit(let ids):
      // Those that were made are no reservations any more, and cancelling them does nothing.
      defer { for id in ids where reservations.remove(id) != nil { volume.cancel(id) } }
      for id in ids {
        guard reservations.contains(id) else { throw FamfsError.noReservation }
        try volume.commit(id)
      }
    case .cancel(let id): if reservations.remove(id) != nil { volume.cancel(id) }
    case .makeDirectory, .clone, .remove: try change(request)
    case .commitStaged(let path):
      try checkWritable()
      try checkMaster()
      try staging?.commit(at: path.fileNameBytes)
    case .addDevice(let path, let force): return Answer(.added(try add(path, force: force)))
    case .examine(let range): try volume.examine(range)
    case .forget(let path):
      guard let number = volume.find(try entryPath(path)) else { throw FamfsError.notFound(path) }
      try forget(number)
    case .takeOver(let force):
      guard let heartbeats, !isReadOnly else { throw FamfsControlService.neverChanges }
      try heartbeats.takeOver(force: force)
    case .change(let cache, let lifetime):
      if let cache { settings.cache = cache }
      if let lifetime { settings.lifetime = lifetime }
    default: return Answer(try facts(request))
    }
    return Answer(.done)
  }

  // MARK: How it is

  private func facts(_ request: ControlRequest) throws -> ControlReply {
    switch request {
    case .status: return .status(status())
    case .devices: return .devices(volume.devices())
    case .memory: return .memory(MemoryStatus(volume, settings.coherenceInEffect))
    case .map(let path): return try map(path)
    case .peers(let start):
      let peers = heartbeats?.peers ?? []
      return .peers(Array(peers.dropFirst(Int(clamping: start)).prefix(ControlReply.mostPeers)))
    case .publish(let force):
      guard let publishing else { throw FamfsControlService.neverChanges }
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
    default: preconditionFailure("a request that is answered elsewhere")
    }
  }

  private static let neverChanges = FamfsError.other(
    "the volume is mounted read-only or strict; mount it without that first")

  // MARK: Changes

  private func checkWritable() throws(FamfsError) {
    if isReadOnly { throw .other("the volume is mounted read-only; mount it without ro first") }
  }

  /// A client is told so at once: it does not wait for the log's end, which is locked while much of it is read.
  private func checkMaster() throws(FamfsError) {
    if volume.role != .master { throw volume.isNoMaster }
  }

  private func reserve(_ name: NewName, _ size: UInt64, _ striping: Striping?) throws(FamfsError) -> Reservation {
    try checkWritable()
    if isStrict && size == 0 { throw .emptyFile(name.path) }
    if isStrict, let striping, volume.device.size / striping.buckets < FamfsControlService.strictBucket {
      throw .other(
        "\(striping.buckets) buckets of \(volume.device.path) are under 1 GiB each, which the public famfs refuses and this "
          + "mount is strict; use fewer buckets, or mount it without strict")
    }
    let path = try entryPath(name.path)
    return try claiming(name.path) { () throws(FamfsError) in
      try volume.reserve(
        path: path, size: size, permissions: name.permissions, userID: name.userID, groupID: name.groupID,
        striping: striping)
    }
  }

  private func change(_ request: ControlRequest) throws(FamfsError) {
    try checkWritable()
    switch request {
    case .makeDirectory(let name):
      let path = try entryPath(name.path)
      try claiming(name.path) { () throws(FamfsError) in
        try volume.makeDirectory(
          path: path, permissions: name.permissions, userID: name.userID, groupID: name.groupID)
      }
    case .clone(let source, let path):
      let (original, copy) = (try entryPath(source), try entryPath(path))
      try claiming(path) { () throws(FamfsError) in try volume.clone(original, to: copy) }
    case .remove(let path):
      let name = try entryPath(path)
      try checkMaster()
      try publishing?.checkRemovable(name)
      guard let staging else { return try volume.remove(name) }
      try staging.removing(path) { () throws(FamfsError) in try volume.remove(name) }
    default: preconditionFailure("a request that changes nothing")
    }
  }

  @discardableResult
  private func claiming<Result>(
    _ path: String, _ body: () throws(FamfsError) -> Result
  ) throws(FamfsError) -> Result {
    try checkMaster()
    guard let staging else { return try body() }
    return try staging.claiming(path, body)
  }

  private func device(_ index: UInt64) throws(FamfsError) -> MappedDevice {
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
