import Memory
import Platform
import Synchronization

/// Finds one of a volume's further devices on this host; the second argument is the volume's superblock.
/// - Throws: a sentence that names the device and what to do.
public typealias DeviceFinder = @Sendable (DeviceRecord, Superblock) throws(FamfsError) -> any MemoryDevice

// Volumes of several devices. The log says which there are, by UUID; each host finds them for itself, and does without
// those that it cannot find: their files cannot be read there, and nothing new is put on them.
extension Volume {
  /// The most devices of a volume, the first one among them. Ours: the format has 32 bits for it.
  public static let deviceLimit = 24

  /// One of the devices beside the first.
  struct Member {
    let record: DeviceRecord
    /// Where this host has it.
    var memory: (any MemoryDevice)?
    /// Why it has not.
    var trouble: FamfsError?
    /// When it was last looked for: `Clock.monotonic`.
    var lastLook: UInt64 = 0
    /// What was let go of. It stays mapped: a reply that is on its way to the kernel may still point into it.
    var former: [any MemoryDevice] = []
  }

  /// Whether a secondary device may have so many bytes: room for one unit, and numbers of units that fit 32 bits.
  static func isDeviceSize(_ size: UInt64, unit: UInt64) -> Bool {
    size >= Superblock.area + unit && size / unit <= 1 << 32
  }

  /// How many devices the volume has.
  public var deviceCount: Int { 1 + members.withLock { $0.count } }

  /// The memory of a device.
  /// - Throws: EIO when there is no such device, or this host cannot find it; it looks again once a second.
  @inline(__always)
  public func memory(_ index: UInt64) throws(Errno) -> any MemoryDevice {
    index == 0 ? device : try memoryOfMember(index)
  }

  private func memoryOfMember(_ index: UInt64) throws(Errno) -> any MemoryDevice {
    // A file can be found a moment before the device that came with it.
    if index > members.withLock({ $0.count }) { findNewDevices() }
    let memory = try members.withLock { (members) throws(Errno) -> (any MemoryDevice)? in
      guard index <= members.count else { throw .inputOutput }
      return members[Int(index) - 1].memory
    }
    if let memory { return memory }
    return try lookAgain(Int(index) - 1)
  }

  /// Looks for a device that is missing, unless that was less than a second ago. Without the lock, for it can take
  /// long, and whoever reads from other devices shall not wait.
  private func lookAgain(_ place: Int) throws(Errno) -> any MemoryDevice {
    let missing = members.withLock { members -> Member? in
      guard members[place].memory == nil, Clock.monotonic() - members[place].lastLook > 1_000_000_000 else {
        return nil
      }
      members[place].lastLook = Clock.monotonic()
      return members[place]
    }
    if var found = missing {
      look(for: &found)
      members.withLock { members in if members[place].memory == nil { members[place] = found } }
    }
    guard let memory = members.withLock({ $0[place].memory }) else { throw .inputOutput }
    return memory
  }

  private func look(for member: inout Member) {
    member.lastLook = Clock.monotonic()
    do throws(FamfsError) {
      let record = member.record
      // One that has come back need not be mapped again.
      if let place = member.former.firstIndex(where: { isMember($0, record) == true }) {
        member.memory = member.former.remove(at: place)
      } else {
        member.memory = try findDevice(record, superblock)
      }
      member.trouble = nil
    } catch {
      member.trouble = error
    }
  }

  /// Looks for the devices that the log has added since the last call. Without the lock, because to open and map a
  /// device takes long, and others read meanwhile.
  func findNewDevices() {
    let records = replayed.withLock { $0.devices }
    let new = members.withLock { members in
      let new = records.dropFirst(members.count).map { record in
        Member(
          record: record, trouble: .other("device \(record.index) of the volume is being looked for"),
          lastLook: Clock.monotonic())
      }
      members += new
      return new
    }
    for var member in new {
      look(for: &member)
      let place = Int(member.record.index) - 1
      members.withLock { members in
        precondition(members[place].record.uuid == member.record.uuid, "a device has changed its place in the volume")
        if members[place].memory == nil { members[place] = member }
      }
    }
  }

  /// Lets go of devices that have become another volume's.
  func checkMembers() {
    let known = members.withLock { $0.isEmpty ? [] : $0 }
    // If a device cannot be read, reads of its files say so.
    let places = known.indices.filter { place in
      known[place].memory.map { isMember($0, known[place].record) == false } ?? false
    }
    if places.isEmpty { return }
    members.withLock { members in
      for place in places {
        guard let memory = members[place].memory, memory === known[place].memory else { continue }
        members[place].former.append(memory)
        members[place].memory = nil
        members[place].lastLook = Clock.monotonic()
        members[place].trouble = .other(
          "\(memory.path) was device \(members[place].record.index) of the volume and is no more: something else was "
            + "made on it")
      }
    }
  }

  /// Whether a device is still what the log says; nil when it cannot be read.
  private func isMember(_ memory: any MemoryDevice, _ record: DeviceRecord) -> Bool? {
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    do throws(Errno) {
      try memory.invalidate(at: 48, count: 32)
      try span.withUnsafeMutableBytes { (buffer) throws(Errno) in try memory.read(at: 48, into: buffer) }
    } catch {
      return nil
    }
    let found = bytes.span.bytes
    return UUID(found, at: 0) == superblock.uuid && UUID(found, at: 16) == record.uuid
  }

  /// The indexes of the devices that this host has, and that nothing says should not be filled further.
  func presentDevices() -> Set<UInt64> {
    members.withLock { members in
      let usable = members.filter { $0.memory.map { $0.errors?.first(below: Superblock.area) == nil } ?? false }
      return Set([0] + usable.map { UInt64($0.record.index) })
    }
  }

  /// Each device and how it is used, by index.
  public func devices() -> [DeviceUsage] {
    let free = replayed.withLock { replayed in replayed.space.devices.map { $0.freeCount * $0.unit } }
    let first = DeviceUsage(
      index: 0, uuid: superblock.deviceUUID, size: device.size, free: free[0], path: device.path, trouble: nil,
      pages: device.pages)
    // Outside the lock: which pages a device has the kernel is asked.
    return [first]
      + members.withLock { $0 }.map { (member: Member) -> DeviceUsage in
        DeviceUsage(
          index: UInt64(member.record.index), uuid: member.record.uuid, size: member.record.size,
          free: free.indices.contains(Int(member.record.index)) ? free[Int(member.record.index)] : 0,
          path: member.memory?.path, trouble: member.trouble.map { "\($0)" }, pages: member.memory?.pages)
      }
  }

  // MARK: Adding

  /// Makes a device part of the volume: its superblock, then one log entry. A device that is part of it already is
  /// taken into use where this host had not found it, on a client too.
  /// - Parameter force: take it even when it holds another famfs.
  /// - Returns: its index.
  /// - Throws: a sentence; then the volume is as before.
  @discardableResult
  public func addDevice(_ added: any MemoryDevice, force: Bool = false) throws(FamfsError) -> UInt64 {
    if let index = try attach(added) { return index }
    return try logEnd.withLock { (logEnd) throws(FamfsError) in
      try checkAppend(&logEnd)
      try Volume.checkSize(of: added, unit: superblock.allocationUnit)
      guard deviceCount < Volume.deviceLimit else {
        throw .other("\(added.path): the volume has \(Volume.deviceLimit) devices, and more are not possible")
      }
      if !force && !isLeftOver(added) { try Volume.checkUnused(added) }
      let record = DeviceRecord(size: added.size, uuid: .random(), index: UInt32(deviceCount))
      do throws(Errno) {
        try Volume.stamp(
          added, superblock.forSecondary(uuid: record.uuid, size: record.size, path: added.path))
      } catch {
        throw .memory(added.path, error)
      }
      try append(.addDevice(record), to: &logEnd)
      members.withLock { members in
        // Whoever looked for what is new may have found it first.
        if members.count < Int(record.index) { members.append(Member(record: record)) }
        members[Int(record.index) - 1].memory = added
        members[Int(record.index) - 1].trouble = nil
      }
      return UInt64(record.index)
    }
  }

  /// Whether a device is one of those that the log has, by its superblock.
  public func has(_ device: any MemoryDevice) -> Bool {
    catchUp()
    guard let found = try? Volume.readSuperblock(of: device, allowsSecondary: true), found.uuid == superblock.uuid
    else {
      return false
    }
    return found.deviceUUID == superblock.deviceUUID
      || members.withLock { $0.contains { $0.record.uuid == found.deviceUUID } }
  }

  /// Takes a device into use that the log has.
  /// - Returns: its index; nil when it is no device of this volume.
  private func attach(_ added: any MemoryDevice) throws(FamfsError) -> UInt64? {
    catchUp()
    guard let found = try? Volume.readSuperblock(of: added, allowsSecondary: true), found.uuid == superblock.uuid else {
      return nil
    }
    if found.deviceUUID == superblock.deviceUUID {
      throw .other("\(added.path) is the volume's first device; name another one")
    }
    return try members.withLock { (members) throws(FamfsError) in
      guard let place = members.firstIndex(where: { $0.record.uuid == found.deviceUUID }) else { return nil }
      guard members[place].memory == nil else {
        throw .other("\(added.path) is device \(members[place].record.index) of the volume already")
      }
      try DeviceSearch.checkSize(of: added, members[place].record)
      members[place].memory = added
      members[place].trouble = nil
      return UInt64(place + 1)
    }
  }

  /// Whether a device was stamped for this volume, and the entry for it never came.
  private func isLeftOver(_ added: any MemoryDevice) -> Bool {
    guard let found = try? Volume.readSuperblock(of: added, allowsSecondary: true) else { return false }
    return found.uuid == superblock.uuid && found.isSecondary
  }
}

/// Looks for devices by UUID: first where somebody said, then in /dev.
public struct DeviceSearch: Sendable {
  private let named: [String]
  private let isWritable: Bool
  private let prepare: @Sendable (MappedDevice) throws(FamfsError) -> Void

  /// A search.
  /// - Parameters:
  ///   - named: paths to look at first; the only way to find plain files.
  ///   - writable: whether the devices shall be open for writing.
  ///   - prepare: called with each device that is found, for locks; what it throws is told as the reason why not.
  public init(
    named: [String] = [], writable: Bool = false,
    prepare: @escaping @Sendable (MappedDevice) throws(FamfsError) -> Void = { (_) throws(FamfsError) in }
  ) {
    self.named = named
    isWritable = writable
    self.prepare = prepare
  }

  /// The dax and pmem devices of this host.
  private static func all() -> [String] {
    directoryNames("/dev").filter { $0.hasPrefix("dax") || $0.hasPrefix("pmem") }.sorted().map { "/dev/" + $0 }
  }

  /// Finds a device of a volume.
  public func find(_ record: DeviceRecord, _ volume: Superblock) throws(FamfsError) -> any MemoryDevice {
    for path in named + DeviceSearch.all() {
      guard let look = try? MappedDevice(path: path, writable: false), DeviceSearch.isDevice(look, record, of: volume)
      else {
        continue
      }
      let device: MappedDevice
      do throws(DeviceError) { device = try MappedDevice(path: path, writable: isWritable) } catch {
        throw .device(error)
      }
      try DeviceSearch.checkSize(of: device, record)
      try prepare(device)
      // Whoever held the lock until now may have made something else of it, and the path may name another by now.
      if DeviceSearch.isDevice(device, record, of: volume) { return device }
    }
    throw .other(
      "device \(record.index) of the volume, with UUID \(record.uuid), is not found on this host; if it is a plain file, "
        + "name it with --device")
  }

  private static func isDevice(_ device: MappedDevice, _ record: DeviceRecord, of volume: Superblock) -> Bool {
    guard let found = try? Volume.readSuperblock(of: device, allowsSecondary: true) else { return false }
    return found.uuid == volume.uuid && found.deviceUUID == record.uuid
  }

  static func checkSize(of device: any MemoryDevice, _ record: DeviceRecord) throws(FamfsError) {
    guard device.size >= record.size else {
      throw .other(
        "\(device.path), device \(record.index) of the volume, has \(device.size) bytes and had \(record.size) when it "
          + "was added")
    }
  }
}
