import Famfs
import Glibc
import Platform

/// A plain file that stands for a device.
struct SimulatedDevice {
  /// Where it is.
  let path: String
  /// Whether this made it; false when a file of just this size was there.
  let isNew: Bool

  /// Makes one, unless it is there.
  init(_ path: String, size: UInt64) throws {
    self.path = path
    if isDamaged(path) { throw FamfsError.other("\(path): the path is not UTF-8, so it cannot be made; rename it") }
    do {
      let file = try FileDescriptor(opening: path, [.readWrite, .create, .exclusive], mode: 0o600)
      do { try SimulatedDevice.enlarge(file, to: size, path) } catch {
        unlink(path)
        throw error
      }
      isNew = true
    } catch let error as Errno {
      guard error == .exists else { throw FamfsError.other("\(path) cannot be made: \(error); name another file") }
      let status: FileStatus
      do { status = try FileStatus(path: path) } catch {
        throw FamfsError.other("\(path) cannot be made: \(error); name another file")
      }
      guard status.kind == .regular else {
        throw FamfsError.other("\(path) is no plain file, and --size is for such; leave it out, or name another file")
      }
      guard status.size == size else {
        throw FamfsError.other(
          "\(path) is there with \(status.size) bytes; leave --size out to use it as it is, or remove it first")
      }
      isNew = false
    }
  }

  private static func enlarge(_ file: borrowing FileDescriptor, to size: UInt64, _ path: String) throws(FamfsError) {
    if let about = try? HostFileSystem(of: file), about.kind == .hugetlbfs {
      return try reserve(size, HugePagePool(pageSize: about.blockSize), of: file, path)
    }
    do { try file.truncate(to: size) } catch { throw .other("\(path) cannot have \(size) bytes: \(error)") }
  }

  /// All pages are taken now: a store to one that cannot be had later would end the program that makes it.
  private static func reserve(
    _ size: UInt64, _ pool: HugePagePool, of file: borrowing FileDescriptor, _ path: String
  ) throws(FamfsError) {
    let page = max(1, pool.pageSize)
    guard size % page == 0 else {
      throw .other("\(path) lies on hugetlbfs; give a --size that is a multiple of its page size, \(page) bytes")
    }
    let (free, needed) = (pool.free, size / page)
    do throws(Errno) {
      // Not even for a moment shall it take all that others may want.
      if needed > free && !pool.canGrow { throw .noSpace }
      try file.reserve(size)
    } catch {
      let (all, overflow) = pool.all.addingReportingOverflow(needed - min(free, needed))
      let remedy = error == .noSpace && !overflow ? "; as root: echo \(all) > \(pool.setting)" : ""
      throw .other(
        "\(path) cannot have \(size) bytes: \(error); it needs \(needed) huge pages, and \(free) are free\(remedy)")
    }
  }

  /// Takes it away again, if this made it.
  func remove() { if isNew { unlink(path) } }
}

/// The huge pages of one size that this machine has set apart.
struct HugePagePool {
  /// Bytes of a page.
  let pageSize: UInt64

  private var folder: String { "/sys/kernel/mm/hugepages/hugepages-\(pageSize >> 10)kB/" }
  private func number(_ name: String) -> UInt64 { firstLine(of: folder + name).flatMap { UInt64($0) } ?? 0 }

  /// Pages that nobody has, and nobody was promised.
  var free: UInt64 {
    let (free, promised) = (number("free_hugepages"), number("resv_hugepages"))
    return free - min(free, promised)
  }
  /// Whether the kernel takes more when they are wanted.
  var canGrow: Bool { number("nr_overcommit_hugepages") > 0 }
  /// All pages.
  var all: UInt64 { number("nr_hugepages") }
  /// The file by which root sets how many there are.
  var setting: String { folder + "nr_hugepages" }
}
