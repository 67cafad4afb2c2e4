import Glibc

/// Memory mapped from a file or device; unmapped when its owner lets go of it.
public struct Mapping: ~Copyable, @unchecked Sendable {
  // Unchecked: the pointer is a number here; who reads and writes behind it agrees elsewhere on who may.

  /// The mapped bytes. They may change at any time, and a load may fail with SIGBUS: see CLinux's guard.
  public let bytes: UnsafeMutableRawBufferPointer

  /// Maps `count` bytes of a file from `offset`, shared. The corresponding C function is `mmap`.
  /// - Parameter alignment: the address is made a multiple of it (a power of two), so that huge pages can be used.
  public init(
    of file: borrowing FileDescriptor, at offset: UInt64 = 0, count: UInt64, writable: Bool, alignment: Int = pageSize
  ) throws(Errno) {
    guard let length = Int(exactly: count), let start = off_t(exactly: offset), length > 0 else {
      throw .invalidArgument
    }
    let (reserved, overflow) = length.addingReportingOverflow(alignment)
    if overflow { throw .noMemory }
    // Reserve more than is needed, map over the aligned part, give the rest back.
    guard let room = mmap(nil, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      room != MAP_FAILED
    else { throw .current }
    let skip = (alignment - Int(bitPattern: room) % alignment) % alignment
    let wanted = room + skip
    let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
    guard let base = mmap(wanted, length, protection, MAP_SHARED | MAP_FIXED, file.rawValue, start), base != MAP_FAILED
    else {
      let error = Errno.current
      munmap(room, reserved)
      throw error
    }
    if skip > 0 { munmap(room, skip) }
    let end = (length + pageSize - 1) & ~(pageSize - 1)
    if reserved > skip + end { munmap(wanted + end, reserved - skip - end) }
    bytes = UnsafeMutableRawBufferPointer(start: base, count: length)
  }

  /// Asks for huge pages, where they are given to those who ask. The corresponding C function is `madvise`.
  public func preferHugePages() { _ = madvise(bytes.baseAddress, bytes.count, MADV_HUGEPAGE) }

  deinit { munmap(bytes.baseAddress, bytes.count) }
}
