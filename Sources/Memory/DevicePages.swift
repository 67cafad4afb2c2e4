import CLinux
import Glibc
import Platform

/// The largest pages by which a device's memory is mapped.
public struct DevicePages: Equatable, Sendable {
  /// Bytes of one.
  public let size: UInt64
  /// Where they come from, or why there are no larger ones and what helps: for people.
  public let origin: String

  /// Pages of this size.
  public init(size: UInt64, origin: String) { (self.size, self.origin) = (size, origin) }

  /// Whether a page is as small as it can be.
  public var areSmall: Bool { size <= UInt64(pageSize) }

  /// The size for people: `2 MiB`.
  public var name: String {
    size >= 1 << 30 ? "\(size >> 30) GiB" : size >= 1 << 20 ? "\(size >> 20) MiB" : "\(size >> 10) KiB"
  }
}

/// How a device comes to its pages.
enum PageSource: Equatable {
  /// By itself, of this size.
  case fixed(UInt64, String)
  /// From hugetlbfs, of this size.
  case hugetlbfs(UInt64)
  /// A tmpfs that takes huge pages by its option `huge`.
  case hugeTmpfs(option: String)
  /// A tmpfs of small pages, of which the kernel makes huge ones when it is asked.
  case gathered
  /// Small pages, and why.
  case small(String)

  init(of file: borrowing FileDescriptor, _ shape: DeviceShape) {
    switch shape.kind {
    case .dax: self = .fixed(UInt64(shape.alignment), "devdax")
    case .pci: self = .small("a PCI BAR")
    case .pmem: self = .small("this host's page cache; a devdax device has larger ones")
    case .file where weft_is_dax(file.rawValue):
      self = .fixed(UInt64(DeviceShape.hugePage), "a DAX file, where its extents are aligned")
    case .file: self = PageSource.ofPlainFile(file)
    }
  }

  private static func ofPlainFile(_ file: borrowing FileDescriptor) -> PageSource {
    guard let about = try? HostFileSystem(of: file), let status = try? file.status() else { return .small("a file") }
    switch about.kind {
    case .hugetlbfs: return .hugetlbfs(about.blockSize)
    case .tmpfs: return ofTmpfs(status.device)
    case .sysfs, .other:
      return .small("the page cache of a disk's file system; mkfs.famfs --size without a name finds larger ones")
    }
  }

  /// By the mount's option, unless a setting for all mounts overrides it.
  private static func ofTmpfs(_ device: UInt64) -> PageSource {
    let setting = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
    let rule = firstLine(of: setting) ?? ""
    if rule.contains("[deny]") { return .small("tmpfs, and huge pages are denied; write never into \(setting)") }
    if rule.contains("[force]") { return .hugeTmpfs(option: "force") }
    let mount = ((try? Mount.all()) ?? []).last {
      $0.device == (weft_major(device), weft_minor(device)) && $0.type == "tmpfs"
    }
    if let option = mount?.option("huge"), option != "never" { return .hugeTmpfs(option: option) }
    if canGather { return .gathered }
    return .small("tmpfs without huge pages; mount -t tmpfs -o huge=always makes one that has them")
  }

  /// Whether this kernel makes huge pages of a tmpfs's small ones: Linux 6.1.
  private static let canGather = weft_can_collapse(DeviceShape.hugePage)

  var pages: DevicePages {
    let huge = UInt64(DeviceShape.hugePage)
    return switch self {
    case .fixed(let size, let origin): DevicePages(size: size, origin: origin)
    case .hugetlbfs(let size): DevicePages(size: size, origin: "hugetlbfs")
    case .hugeTmpfs(let option): DevicePages(size: huge, origin: "tmpfs, huge=\(option)")
    case .gathered: DevicePages(size: huge, origin: "tmpfs, where files are written; everywhere with huge=always")
    case .small(let origin): DevicePages(size: UInt64(pageSize), origin: origin)
    }
  }
}

extension MappedDevice {
  /// The largest pages that its memory is mapped by. Where they depend on it, those of what this program has written.
  public var pages: DevicePages? { pageSource.pages }

  /// What other programs map of it begins and ends at a multiple of this, in bytes.
  public var mappingUnit: UInt64 {
    switch pageSource {
    case .hugetlbfs(let size): size
    case .fixed where kind == .dax: UInt64(shape.alignment)
    case .fixed, .hugeTmpfs, .gathered, .small: UInt64(pageSize)
    }
  }

  /// How it comes to its pages; looked for when somebody asks first.
  var pageSource: PageSource {
    knownSource.withLock { known in
      if let known { return known }
      let source = PageSource(of: file, shape)
      known = source
      return source
    }
  }

  /// Makes each huge page's worth of the range one huge page, where a tmpfs would take small ones. Nothing that is
  /// there changes, and when it cannot be done nothing is lost but speed.
  public func prepare(at offset: UInt64, count: UInt64) {
    let huge = UInt64(DeviceShape.hugePage)
    guard kind == .file, isWritable, (try? check(offset, count)) != nil, let base = mapping.bytes.baseAddress else {
      return
    }
    let (start, end) = ((offset + huge - 1) / huge * huge, (offset + count) / huge * huge)
    guard start < end else { return }
    switch pageSource {
    case .gathered, .hugeTmpfs(option: "advise"): break  // write(2) takes no advice
    default: return
    }
    for place in stride(from: start, to: end, by: Int(huge)) {
      var first: UInt64 = 0
      // What is empty is not made a huge page: have one small page of it.
      guard weft_guarded_load64(base + Int(place), &first) else { return }
    }
    _ = weft_collapse(base + Int(start), Int(end - start))
  }
}
