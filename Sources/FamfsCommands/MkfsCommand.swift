import CommandKit
import Famfs
import FamfsControl
import Glibc
import Memory
import Platform

/// mkfs.famfs
enum MkfsCommand: Command {
  static let name = "mkfs.famfs"
  static let synopsis = "[options] [DEVICE...]"
  static let about = """
    Make a famfs file system on a memory device, or on several, with this host as its master.

    The first device holds superblock and log, and is the one to mount; the room of all belongs to the file system. More
    can be added later, see famfs devadd.

    DEVICE is a devdax device (/dev/dax0.0), a pmem device (/dev/pmem0), a PCI BAR's resource file, or a plain file,
    which simulates shared memory. Files made with 2 MiB units are mapped fastest; 4 KiB units waste less on small ones.

    Of a plain file the pages should be large: mapped in pages of 4 KiB memory has a fraction of its speed. With --size and
    no DEVICE a file is made where they are: in a tmpfs that is mounted with huge=always (/dev/shm, or /run/famfs/huge,
    which root mounts so if need be), else in /dev/shm. Its path is all that is printed on standard output.
    """
  static let options = [
    Option(
      "f", "force", nil, "make it even over a file system, famfs or other, or, with --size, in a file that exists"),
    Option("k", "kill", nil, "destroy the superblock and make nothing; needs --force over a valid one"),
    Option("l", "loglen", "SIZE", "bytes of the log, a power of two from 8m on (8m, for 15,420 files)"),
    Option("s", "size", "SIZE", "make each DEVICE, a new plain file of this size; without one, where pages are large"),
    Option("a", "alloc-unit", "SIZE", "the unit in which space is given out: 2m (the default) or 4k"),
    Option(nil, "reclaim", nil, "let files be removed (famfs rm); other famfs programs then show files that are gone"),
    Option("v", "verbose", nil, "tell more"),
    Option(nil, "fuse", nil, nil), Option(nil, "nofuse", nil, nil), Option(nil, "nodax", nil, nil),
    Option(nil, "set-daxmode", nil, nil),
  ]
  static let examples = [
    "mkfs.famfs --size 1G /dev/shm/fam", "dev=$(mkfs.famfs --size 1G)", "mkfs.famfs /dev/dax0.0",
  ]

  static func run(_ arguments: Arguments) throws -> Int32 {
    var paths = arguments.operands
    let size = try arguments.size("size")
    let isUnnamed = paths.isEmpty && size != nil && !arguments.has("kill")
    guard !paths.isEmpty || isUnnamed else { throw UsageError("name one device, or several") }
    if size != nil && arguments.has("kill") { throw UsageError("--kill makes nothing; leave --size out") }
    var options = MakeOptions()
    options.force = arguments.has("force")
    options.reclaim = arguments.has("reclaim")
    if let length = try arguments.size("loglen") { options.logLength = length }
    if let unit = try arguments.size("alloc-unit") { options.allocationUnit = unit }
    let host = try HostIdentity.systemUUID()
    var made: [SimulatedDevice] = []
    var locked = 0
    do {
      var devices: [MappedDevice] = []
      if isUnnamed, let size {
        made.append(try DevicePlace.make(size: size))
        paths = made.map(\.path)
      }
      for path in paths {
        if let size, !isUnnamed { made.append(try SimulatedDevice(path, size: size, taking: options.force)) }
        devices.append(try MountLock.exclusive(path))
        locked += 1
        if let file = made.last {
          try file.check(devices[devices.count - 1])
          if !file.isNew { printError("\(name): \(oneLine(path)) was there already, and is used") }
        }
      }
      if !options.force {
        for (path, device) in zip(paths, devices) {
          if let type = foreignContents(of: device) { throw foreign(path, type) }
        }
      }
      if arguments.has("kill") { return try kill(devices, force: options.force) }
      if try Strict.isAsked(), devices[0].size < Strict.minimumSize {
        throw FamfsError.other(
          "\(paths[0]) has less than 4 GiB, which the public famfs refuses, and FAMFS_STRICT is set; use a larger device"
        )
      }
      let superblock = try Volume.make(on: devices[0], Array(devices[1...]), host: host, options)
      if size != nil { for device in devices { tellPages(of: device, isUnnamed: isUnnamed) } }
      tell(superblock, devices, isUnnamed: isUnnamed, isVerbose: arguments.has("verbose"))
    } catch {
      // Without the lock somebody else may be making a volume in it; not in one that cannot even be opened.
      for file in made.prefix(error is DeviceError ? made.count : locked) { file.remove() }
      throw error
    }
    return 0
  }

  private static func foreign(_ path: String, _ type: String) -> FamfsError {
    .other("\(path) holds \(type), which is not famfs; to destroy it use --force")
  }

  /// Says what pages a plain file has got: always when nobody knew where it would be, else when they are small.
  private static func tellPages(of device: MappedDevice, isUnnamed: Bool) {
    guard let pages = device.pages, isUnnamed || pages.areSmall else { return }
    printError("\(name): \(oneLine(device.path)) has pages of \(pages.name): \(pages.origin)")
  }

  private static func tell(_ superblock: Superblock, _ devices: [MappedDevice], isUnnamed: Bool, isVerbose: Bool) {
    if devices[0].size < 4 << 30 {
      printError("\(name): warning: \(devices[0].path) is under 4 GiB, the least that the public famfs accepts")
    }
    if isUnnamed { return printLine(devices[0].path) }
    printOut(Summary.superblock(superblock, role: .master, isVerbose: isVerbose))
    for (index, device) in devices.enumerated().dropFirst() {
      printOut("  device \(index):          \(oneLine(device.path)), \(device.size) bytes\n")
    }
  }

  private static func kill(_ devices: [MappedDevice], force: Bool) throws -> Int32 {
    if !force { for device in devices { try Volume.checkUnused(device) } }
    for device in devices {
      do { try Volume.destroySuperblock(of: device) } catch { throw FamfsError.memory(device.path, error) }
    }
    return 0
  }
}
