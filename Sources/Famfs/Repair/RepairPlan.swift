import Memory
import Platform

/// What `famfs fsck --repair` would do to a volume: found without changing anything, then carried out.
///
/// Only what loses no file is in it: see DESIGN.md, "FsckRepairs". Every step is a few 8-byte stores, each in the
/// memory before the next begins, and leaves a volume in which another repair finds what is left to do.
public struct RepairPlan: Sendable {
  /// One thing to be done.
  public struct Step: Sendable, CustomStringConvertible {
    /// A sentence about what is wrong and what is stored.
    public let description: String
    let stores: [WordStore]
  }

  /// What is to be done, in order.
  public private(set) var steps: [Step] = []
  /// What is wrong and is left as it is, and why: sentences.
  public private(set) var remarks: [String] = []
  /// The bytes of the entries that are cut off: to be kept somewhere before `carryOut`.
  public internal(set) var cutEntries: [(index: UInt64, bytes: [UInt8])] = []

  /// Looks for what can be mended.
  /// - Parameters:
  ///   - host: this host's system UUID: it must be the volume's master.
  ///   - cutting: whether bad entries at the log's end are to be cut off.
  /// - Throws: a sentence when there is no volume, it cannot be mended so far that it can be opened, or this host is
  ///   not its master.
  public init(
    for device: any MemoryDevice, host: UUID?, cutting: Bool = false
  ) throws(FamfsError) {
    let mended = PatchedDevice(device)
    let superblock = try mendSuperblock(of: mended, host: host)
    guard superblock.systemUUID == host else { throw .notMaster(superblock.systemUUID) }
    guard device.size >= superblock.dataOffset else {
      throw .tooSmall(device.path, device.size, needed: superblock.dataOffset)
    }
    try mendHeader(of: mended, superblock)
    try mendEntries(of: mended, superblock, host: host)
    if cutting { try cutTail(of: mended, superblock) }
  }

  mutating func add(_ sentence: String, _ stores: [WordStore], to mended: PatchedDevice) {
    steps.append(Step(description: sentence, stores: stores))
    mended.patch(stores)
  }

  mutating func leave(_ sentence: String) { remarks.append(sentence) }

  /// Does one of the steps, on the device that the plan was made for.
  public func carryOut(_ step: Step, on device: any MemoryDevice) throws(FamfsError) {
    do throws(Errno) {
      for store in step.stores {
        try device.store64(at: store.offset, store.value)
        try device.writeBack(at: store.offset, count: 8)
        try device.sync(at: store.offset, count: 8)
      }
    } catch {
      throw .memory(device.path, error)
    }
  }
}

extension MemoryDevice {
  /// The bytes of a range, past what this CPU has cached of it.
  func freshBytes(at offset: UInt64, count: Int) throws(FamfsError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    do throws(Errno) {
      try invalidate(at: offset, count: UInt64(count))
      try span.withUnsafeMutableBytes { (buffer) throws(Errno) in try read(at: offset, into: buffer) }
    } catch {
      throw .memory(path, error)
    }
    return bytes
  }
}
