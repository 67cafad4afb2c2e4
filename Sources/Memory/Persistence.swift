import CLinux
import Glibc
import Platform
import Synchronization

/// How a store gets from this host to the memory, how a stale copy is forgotten, and how a store outlasts a crash.
enum Persistence {
  /// Nothing to do: one host, one page cache that is all there is, coherent CPUs.
  case none
  /// Cache lines, by the CPU's instructions.
  case cacheLines
  /// Pages: the mapping is a block device's page cache, which each host has for itself. The descriptor is borrowed.
  case pages(Int32)
  /// One host and one page cache, as with `none`, above a disk: what is to outlast a crash must be written there.
  case disk

  /// What a kind of device needs.
  init(of kind: DeviceKind, file: borrowing FileDescriptor) {
    self =
      switch kind {
      // A file on a DAX file system is memory that other hosts may share, and no page cache.
      case .file where weft_is_dax(file.rawValue): .cacheLines
      case .file: (try? HostFileSystem(of: file))?.kind.isMemory ?? true ? .none : .disk
      case .dax, .pci: .cacheLines
      case .pmem: .pages(file.rawValue)
      }
  }

  /// Whether all stores are seen by all that can map it, with nothing done for that.
  var isCoherent: Bool {
    switch self {
    case .none, .disk: true
    case .cacheLines, .pages: false
    }
  }

  func writeBack(_ start: UnsafeMutableRawPointer, _ count: UInt64, _ pageSize: Int) throws(Errno) {
    switch self {
    case .none, .disk: break
    case .cacheLines:
      guard weft_guarded_write_back(start, Int(count)) else { throw .inputOutput }
    case .pages: try Persistence.sync(start, count, pageSize)
    }
  }

  func invalidate(_ start: UnsafeMutableRawPointer, _ count: UInt64, at offset: UInt64, _ pageSize: Int) throws(Errno) {
    switch self {
    case .none, .disk: break
    case .cacheLines:
      guard weft_guarded_invalidate(start, Int(count)) else { throw .inputOutput }
    case .pages(let file):
      // A page leaves the cache only when no process maps it and it is clean.
      let pages = Persistence.pages(around: start, count, pageSize)
      try Persistence.sync(start, count, pageSize)
      try retrying { madvise(pages.start, pages.count, MADV_DONTNEED) }
      let failure = posix_fadvise(
        file, off_t(offset) - off_t(start - pages.start), off_t(pages.count), POSIX_FADV_DONTNEED)
      if failure != 0 { throw Errno(rawValue: failure) }
    }
  }

  /// Writes the pages around a range to the device, and waits for that.
  static func sync(_ start: UnsafeMutableRawPointer, _ count: UInt64, _ pageSize: Int) throws(Errno) {
    let pages = pages(around: start, count, pageSize)
    try retrying { msync(pages.start, pages.count, MS_SYNC) }
  }

  /// The whole pages around a range of a mapping, which begins with a page.
  static func pages(
    around start: UnsafeMutableRawPointer, _ count: UInt64, _ pageSize: Int
  ) -> (start: UnsafeMutableRawPointer, count: Int) {
    precondition(pageSize > 0 && pageSize & (pageSize - 1) == 0, "a page size is a power of two")
    let skipped = Int(bitPattern: start) & (pageSize - 1)
    return (start - skipped, (Int(count) + skipped + pageSize - 1) & ~(pageSize - 1))
  }
}

extension HostFileSystem.Kind {
  /// Whether files are memory and nothing else: a crash takes them, and there is no disk to write to.
  var isMemory: Bool {
    switch self {
    case .tmpfs, .hugetlbfs, .sysfs: true
    case .other: false
    }
  }
}

/// What of a device outlasts a crash of this host.
///
/// One sync at a time, and none after one that has failed: the kernel tells the error once, to whichever thread comes
/// first, and then takes the pages for written.
final class Durability: Sendable {
  private let failure = Mutex<Errno?>(nil)

  /// Waits until the pages around a range are on the disk.
  func sync(_ start: UnsafeMutableRawPointer, _ count: UInt64, _ pageSize: Int) throws(Errno) {
    try failure.withLock { (failure) throws(Errno) in
      if let failure { throw failure }
      do throws(Errno) { try Persistence.sync(start, count, pageSize) } catch {
        failure = error
        throw error
      }
    }
  }
}
