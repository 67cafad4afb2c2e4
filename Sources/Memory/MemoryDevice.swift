import Platform

/// Where bytes live: shared memory behind a device or a file. Above this seam nobody knows which.
///
/// Stores reach the memory itself, where other hosts see them, in three steps: the store, its write-back from the
/// CPU's caches, and a fence. `write` does the first two; `store64` only the first, so that a commit record stays
/// one store. Every offset and count is checked against `size`; a range outside the device throws ENXIO, memory that
/// cannot be read or written (a file cut short, poison) throws EIO, and neither ends the process.
public protocol MemoryDevice: AnyObject, Sendable {
  /// The path it was opened by, for people.
  var path: String { get }
  /// Bytes.
  var size: UInt64 { get }

  /// The device's own memory at a range, to be handed to the kernel. Loads from it may fail with SIGBUS: only system
  /// calls, which answer EFAULT, and guarded copies may touch it. What other hosts wrote is there after `invalidate`.
  func bytes(at offset: UInt64, count: Int) throws(Errno) -> UnsafeRawBufferPointer

  /// Copies out of the device.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno)

  /// Copies into the device, past the caches. Complete, also for other hosts, after `fence`.
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno)

  /// Makes a range read as zeros, like `write`.
  func zero(at offset: UInt64, count: UInt64) throws(Errno)

  /// One 8-byte load that other hosts' stores cannot tear. `offset` is a multiple of 8.
  func load64(at offset: UInt64) throws(Errno) -> UInt64

  /// One 8-byte store that no reader sees half of; it needs `writeBack` and `fence`. `offset` is a multiple of 8.
  func store64(at offset: UInt64, _ value: UInt64) throws(Errno)

  /// Like `store64`, if the word still is `old`; in one step for all that share caches with this CPU. For others it is a
  /// load and a store.
  /// - Returns: whether it was.
  func replace64(at offset: UInt64, _ old: UInt64, with new: UInt64) throws(Errno) -> Bool

  /// Starts writing a range's changed cache lines to memory. Complete after `fence`.
  func writeBack(at offset: UInt64, count: UInt64) throws(Errno)

  /// Forgets what this CPU has cached of a range, so that the next load sees what other hosts wrote.
  func invalidate(at offset: UInt64, count: UInt64) throws(Errno)

  /// Says that a range is about to be written whole, so that it can have the largest pages that there are.
  func prepare(at offset: UInt64, count: UInt64)

  /// Whether loads see this host's page cache of the device, which no hardware keeps up to date with other hosts'.
  var isPageCache: Bool { get }

  /// The pages that its memory is mapped by; nil where nobody knows.
  var pages: DevicePages? { get }

  /// What of it could not be used since it was opened; nil where nobody notes it.
  var errors: MemoryErrors? { get }

  /// Looks through a range at which a system call failed that was handed `bytes`, and notes in `errors` what cannot be
  /// used of it.
  func examine(at offset: UInt64, count: UInt64)

  /// The offset of an address that lies in memory which `bytes` hands out; nil for all others.
  func offset(of address: UnsafeRawPointer) -> UInt64?

  /// Waits until the write-backs and streaming stores before it are in memory, and orders later stores behind them.
  func fence()

  /// A fence, and where memory is only a cache of a disk, waits until what was written to a range is on the disk: then it
  /// outlasts a crash of this host, and so does the order of what is synced one after the other.
  /// - Throws: what the disk says. Then none of the device is believed to be durable any more, and each later sync fails.
  func sync(at offset: UInt64, count: UInt64) throws(Errno)
}

extension MemoryDevice {
  /// A fence: for memory.
  public func sync(at offset: UInt64, count: UInt64) throws(Errno) { fence() }

  /// Nothing to do.
  public func prepare(at offset: UInt64, count: UInt64) {}

  /// No.
  public var isPageCache: Bool { false }

  /// Unknown.
  public var pages: DevicePages? { nil }

  /// Nobody notes errors.
  public var errors: MemoryErrors? { nil }

  /// Nothing is noted.
  public func examine(at offset: UInt64, count: UInt64) {}

  /// Unknown.
  public func offset(of address: UnsafeRawPointer) -> UInt64? { nil }

  /// For devices that one host alone has.
  public func replace64(at offset: UInt64, _ old: UInt64, with new: UInt64) throws(Errno) -> Bool {
    if try load64(at: offset) != old { return false }
    try store64(at: offset, new)
    return true
  }

  /// Checks a range: it must lie inside the device.
  public func check(_ offset: UInt64, _ count: UInt64) throws(Errno) {
    let (end, overflow) = offset.addingReportingOverflow(count)
    if overflow || end > size { throw .noSuchAddress }
  }
}
