import CLinux
import Glibc
import Platform

/// How a store gets from this host to the memory, and how a stale copy is forgotten.
enum Persistence {
  /// Nothing to do: one host, one page cache, coherent CPUs.
  case none
  /// Cache lines, by the CPU's instructions.
  case cacheLines
  /// Pages: the mapping is a block device's page cache, which each host has for itself. The descriptor is borrowed.
  case pages(Int32)

  /// What a kind of device needs.
  init(of kind: DeviceKind, file: Int32) {
    self =
      switch kind {
      // A file on a DAX file system is memory that other hosts may share, and no page cache.
      case .file: weft_is_dax(file) ? .cacheLines : .none
      case .dax, .pci: .cacheLines
      case .pmem: .pages(file)
      }
  }

  func writeBack(_ start: UnsafeMutableRawPointer, _ count: UInt64) throws(Errno) {
    switch self {
    case .none: break
    case .cacheLines:
      guard weft_guarded_write_back(start, Int(count)) else { throw .inputOutput }
    case .pages:
      let (first, length) = Persistence.pages(start, count)
      try retrying { msync(first, length, MS_SYNC) }
    }
  }

  func invalidate(_ start: UnsafeMutableRawPointer, _ count: UInt64, at offset: UInt64) throws(Errno) {
    switch self {
    case .none: break
    case .cacheLines:
      guard weft_guarded_invalidate(start, Int(count)) else { throw .inputOutput }
    case .pages(let file):
      // A page leaves the cache only when no process maps it and it is clean.
      let (first, length) = Persistence.pages(start, count)
      try retrying { msync(first, length, MS_SYNC) }
      try retrying { madvise(first, length, MADV_DONTNEED) }
      let skipped = start - first
      let failure = posix_fadvise(file, off_t(offset) - off_t(skipped), off_t(length), POSIX_FADV_DONTNEED)
      if failure != 0 { throw Errno(rawValue: failure) }
    }
  }

  /// The whole pages around a range.
  private static func pages(_ start: UnsafeMutableRawPointer, _ count: UInt64) -> (UnsafeMutableRawPointer, Int) {
    let skipped = Int(bitPattern: start) & 4095
    return (start - skipped, (Int(count) + skipped + 4095) & ~4095)
  }
}
