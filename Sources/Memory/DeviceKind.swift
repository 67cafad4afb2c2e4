import CLinux
import Platform

/// What a device path turned out to be.
public enum DeviceKind: String, Sendable {
  /// A plain file: simulated memory, coherent between the processes and virtual machines of one host.
  case file
  /// A devdax character device, /dev/daxX.Y.
  case dax
  /// A pmem block device, /dev/pmemN. Its mapping goes through the page cache of each host.
  case pmem
  /// A PCI BAR: a `resourceN` file under /sys.
  case pci
}

/// Why a path could not be opened as a memory device: a sentence.
public struct DeviceError: Error, CustomStringConvertible, Sendable {
  /// The sentence.
  public let description: String
  /// The kernel's reason, where there is one.
  public let errno: Errno

  init(_ sentence: String, _ errno: Errno = .invalidArgument) {
    description = sentence
    self.errno = errno
  }
}

/// What opening found out about a device before it is mapped.
struct DeviceShape {
  let kind: DeviceKind
  let size: UInt64
  /// The mapping's address must be a multiple of it, in bytes.
  let alignment: Int

  static let hugePage = 2 << 20

  init(of file: borrowing FileDescriptor, path: String, pageSize: Int = Platform.pageSize) throws(DeviceError) {
    let status: FileStatus
    do { status = try file.status() } catch { throw DeviceError("\(path): \(error)", error) }
    switch status.kind {
    case .regular:
      let about = try? HostFileSystem(of: file)
      kind = about?.kind == .sysfs ? .pci : .file
      size = status.size
      alignment =
        if let about, about.kind == .hugetlbfs, about.blockSize <= 16 << 30 {
          max(DeviceShape.hugePage, Int(about.blockSize))
        } else {
          size >= UInt64(DeviceShape.hugePage) ? DeviceShape.hugePage : pageSize
        }
    case .characterDevice:
      (size, alignment) = try DeviceShape.dax(status.specialDevice, path)
      kind = .dax
    case .blockDevice:
      var bytes: UInt64 = 0
      guard weft_block_size(file.rawValue, &bytes) == 0 else {
        throw DeviceError("\(path): cannot ask for its size: \(Errno.current)", .current)
      }
      (kind, size, alignment) = (.pmem, bytes, DeviceShape.hugePage)
    case .directory:
      throw DeviceError("\(path) is a directory; name a dax or pmem device, or a file", .isDirectory)
    case .fifo, .socket, .symbolicLink, .other:
      throw DeviceError("\(path) is no memory device; name a dax or pmem device, or a file")
    }
    if size == 0 { throw DeviceError("\(path) has size 0; make it larger, for example with mkfs.famfs --size 1G") }
  }

  /// Size and alignment of a character device, from /sys/dev/char/MAJ:MIN; only dax devices have them.
  private static func dax(_ device: UInt64, _ path: String) throws(DeviceError) -> (UInt64, Int) {
    let directory = "/sys/dev/char/\(weft_major(device)):\(weft_minor(device))"
    // Other kinds of devices have a size, too.
    let isDax = (try? realPath(directory + "/subsystem"))?.hasSuffix("/dax") ?? false
    guard isDax, let size = firstLine(of: directory + "/size").flatMap({ UInt64($0) }) else {
      throw DeviceError("\(path) is a character device but not a dax device; name one such as /dev/dax0.0")
    }
    let alignment = firstLine(of: directory + "/align").flatMap { Int($0) } ?? hugePage
    guard alignment >= 4096, alignment & (alignment - 1) == 0, alignment <= 1 << 30 else {
      throw DeviceError("\(path) asks for an alignment of \(alignment), which is no page size")
    }
    return (size, alignment)
  }
}
