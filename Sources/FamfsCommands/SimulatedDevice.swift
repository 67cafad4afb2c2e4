import Famfs
import Glibc
import Memory
import Platform

/// A plain file that stands for a device.
struct SimulatedDevice {
  /// Where it is.
  let path: String
  /// Whether this made it; false when a file of this size was there.
  let isNew: Bool
  private let file: (device: UInt64, inode: UInt64)

  /// Makes one. What is there already is refused: in /dev/shm every user can put a file there, keep it open, and then
  /// read and change the volume.
  /// - Parameter taking: whether a file of this size is taken that is there already and is this user's own.
  init(_ path: String, size: UInt64, taking: Bool = false) throws(FamfsError) {
    let made: FileDescriptor
    do throws(Errno) {
      made = try FileDescriptor(opening: path, [.readWrite, .create, .exclusive], mode: 0o600)
    } catch {
      guard error == .exists else { throw SimulatedDevice.cannotMake(path, error) }
      self = try SimulatedDevice.existing(path, size: size, taking: taking)
      return
    }
    do {
      try SimulatedDevice.enlarge(made, to: size, path)
      self.init(path: path, isNew: true, try made.status())
    } catch {
      unlink(path.cFileName)
      throw error as? FamfsError ?? SimulatedDevice.cannotMake(path, error as? Errno ?? .inputOutput)
    }
  }

  private init(path: String, isNew: Bool, _ status: FileStatus) {
    self.path = path
    self.isNew = isNew
    file = (status.device, status.inode)
  }

  private static func cannotMake(_ path: String, _ error: Errno) -> FamfsError {
    .other("\(path) cannot be made: \(error); name another file")
  }

  /// Takes a file that is there already.
  private static func existing(_ path: String, size: UInt64, taking: Bool) throws(FamfsError) -> SimulatedDevice {
    let status: FileStatus
    do { status = try FileStatus(ofLink: path) } catch { throw cannotMake(path, error) }
    guard status.kind == .regular else {
      throw .other("\(path) is no plain file, and --size is for such; leave it out, or name another file")
    }
    guard taking else {
      throw .other("\(path) exists already; remove it, or leave --size out to use it as it is, or take it with --force")
    }
    guard status.userID == ownUserID(), status.linkCount == 1 else {
      throw .other(
        "\(path) exists already and belongs to user \(status.userID), or has another name; remove it, or name another file"
      )
    }
    guard status.size == size else {
      throw .other(
        "\(path) is there with \(status.size) bytes; leave --size out to use it as it is, or remove it first")
    }
    return SimulatedDevice(path: path, isNew: false, status)
  }

  /// Checks that what was opened by the path is the file that was made or taken: in a directory of another user it can
  /// have been exchanged.
  func check(_ device: MappedDevice) throws(FamfsError) {
    var status = stat()
    guard fstat(device.rawDescriptor, &status) == 0, UInt64(status.st_dev) == file.device,
      UInt64(status.st_ino) == file.inode
    else { throw .other("\(path) was exchanged for another file while the volume was being made; name another file") }
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
  func remove() { if isNew { unlink(path.cFileName) } }
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
