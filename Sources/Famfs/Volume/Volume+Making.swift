import Memory
import Platform

/// What a new volume is to be like.
public struct MakeOptions: Sendable {
  /// Bytes of the log: a power of two, at least 8 MiB; 8 MiB holds 15,420 entries.
  public var logLength: UInt64 = 8 << 20
  /// Bytes: 2 MiB, or 4096 for many small files.
  public var allocationUnit: UInt64 = 2 << 20
  /// Whether files can be removed, which programs other than this one do not understand.
  public var reclaim = false
  /// Make it even where a valid famfs file system is.
  public var force = false

  /// The usual.
  public init() {}
}

extension Volume {
  /// The smallest device that this program makes a volume on, in bytes.
  public static let minimumSize: UInt64 = 16 << 20

  /// Makes a new, empty volume on a device, with this host as its master.
  /// - Parameter secondaries: further devices, whose room belongs to the volume too.
  ///
  /// The old superblock goes first and the new one comes last: cut off at any moment, the device holds the old volume,
  /// none, or the new one.
  /// - Throws: a sentence; when it is about the options, the size or a volume that is there, nothing has changed.
  @discardableResult
  public static func make(
    on device: any MemoryDevice, _ secondaries: [any MemoryDevice] = [], host: UUID,
    _ options: MakeOptions = MakeOptions()
  ) throws(FamfsError) -> Superblock {
    guard Superblock.isLogLength(options.logLength) else {
      throw .other("a log of \(options.logLength) bytes is not possible; choose a power of two from 8 MiB to 16 GiB")
    }
    guard Superblock.isAllocationUnit(options.allocationUnit) else {
      throw .other("an allocation unit of \(options.allocationUnit) bytes is not possible; choose 2m or 4k")
    }
    let needed = max(minimumSize, Superblock.area + options.logLength + options.allocationUnit)
    guard device.size >= needed else { throw .tooSmall(device.path, device.size, needed: needed) }
    guard secondaries.count < deviceLimit else { throw .other("a volume has at most \(deviceLimit) devices") }
    for secondary in secondaries { try checkSize(of: secondary, unit: options.allocationUnit) }
    if !options.force { for device in [device] + secondaries { try checkUnused(device) } }
    let superblock = Superblock(
      logLength: options.logLength, allocationUnit: options.allocationUnit, uuid: .random(), deviceUUID: .random(),
      systemUUID: host, deviceSize: device.size, devicePath: device.path)
    var busy = device
    do {
      try destroySuperblock(of: device)
      try device.zero(at: superblock.logOffset, count: superblock.logLength)
      try write(LogHeader(logLength: options.logLength), to: device, at: superblock.logOffset)
      try device.sync(at: superblock.logOffset, count: superblock.logLength)
      let log = LogWriter(device: device, start: superblock.logOffset)
      for (place, secondary) in secondaries.enumerated() {
        busy = secondary
        let record = DeviceRecord(size: secondary.size, uuid: .random(), index: UInt32(place + 1))
        try stamp(secondary, superblock.forSecondary(uuid: record.uuid, size: record.size, path: secondary.path))
        busy = device
        _ = try log.append(LogEntry(sequence: UInt64(place), .addDevice(record)))
      }
      if options.reclaim { try write(Features(volume: superblock.uuid, isReclaiming: true), to: device) }
      try write(superblock, to: device)
    } catch {
      throw .memory(busy.path, error)
    }
    return superblock
  }

  /// Gives a device a new superblock; cut off, it has the old one, none, or the new one.
  static func stamp(_ device: any MemoryDevice, _ superblock: Superblock) throws(Errno) {
    try destroySuperblock(of: device)
    try write(superblock, to: device)
  }

  /// Checks that a device can be a secondary one.
  static func checkSize(of device: any MemoryDevice, unit: UInt64) throws(FamfsError) {
    let needed = Superblock.area + unit
    guard device.size >= needed else { throw .tooSmall(device.path, device.size, needed: needed) }
    guard isDeviceSize(device.size, unit: unit) else {
      throw .other("\(device.path) has \(device.size) bytes, more than 2^32 allocation units; use 2 MiB units")
    }
  }

  /// Checks that a device holds no famfs: none that is valid, none of a version unknown here, and none with a damaged
  /// superblock, whose files may still be saved.
  public static func checkUnused(_ device: any MemoryDevice) throws(FamfsError) {
    do throws(FamfsError) { _ = try readSuperblock(of: device, allowsSecondary: true) } catch {
      if case .superblock(_, .notFamfs) = error { return }
      throw .other("\(error); to make a new file system there all the same, use --force")
    }
    throw .other("\(device.path) holds a famfs file system; to destroy it and all its files use --force")
  }

  /// Makes a volume unusable by wiping its superblock's area; the files' bytes stay where they are.
  public static func destroySuperblock(of device: any MemoryDevice) throws(Errno) {
    // The magic first, in one store: half a wiped superblock must not look like a whole one.
    do throws(Errno) {
      try device.store64(at: 0, 0)
      try device.writeBack(at: 0, count: 8)
    } catch .inputOutput {
      // Poisoned: a part of a page cannot be stored, but the whole below may.
    }
    try device.sync(at: 0, count: 8)
    try device.zero(at: 0, count: Superblock.area)
    try device.sync(at: 0, count: Superblock.area)
  }

  private static func write(_ header: LogHeader, to device: any MemoryDevice, at offset: UInt64) throws(Errno) {
    var bytes = InlineArray<48, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    header.encode(into: &raw)
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try device.write(at: offset, from: bytes) }
  }

  /// Stores the part of a superblock that names the master, and its checksum: one cache line has both.
  static func rewrite(_ superblock: Superblock, on device: any MemoryDevice) throws(Errno) {
    var bytes = InlineArray<200, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    superblock.encode(into: &raw)
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in
      try device.write(at: 80, from: UnsafeRawBufferPointer(rebasing: bytes[80..<104]))
    }
    try device.sync(at: 80, count: 24)
  }

  private static func write(_ superblock: Superblock, to device: any MemoryDevice) throws(Errno) {
    var bytes = InlineArray<200, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    superblock.encode(into: &raw)
    // Everything but the magic, then the magic: a superblock is there whole or not at all.
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in
      try device.write(at: 8, from: UnsafeRawBufferPointer(rebasing: bytes[8...]))
      try device.sync(at: 8, count: UInt64(bytes.count - 8))
      try device.write(at: 0, from: UnsafeRawBufferPointer(rebasing: bytes[..<8]))
    }
    try device.sync(at: 0, count: 8)
  }
}
