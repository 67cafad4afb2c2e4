import CLinux
import Glibc

/// The file system of this host that a file lies on, by statfs(2).
public struct HostFileSystem: Sendable {
  /// The types that make a difference.
  public enum Kind: Sendable {
    case tmpfs, hugetlbfs, sysfs, other
  }

  /// What type it is.
  public let kind: Kind
  /// Bytes of a block; on hugetlbfs those of a page.
  public let blockSize: UInt64
  /// Bytes that this user may still take; nil where there is no limit but the machine's.
  public let available: UInt64?

  /// That of an open file. The corresponding C function is `fstatfs`.
  public init(of file: borrowing FileDescriptor) throws(Errno) {
    var found = weft_file_system()
    try retrying { weft_file_system(file.rawValue, &found) }
    kind =
      switch found.type {
      case 0x0102_1994: .tmpfs
      case 0x9584_58f6: .hugetlbfs
      case 0x6265_6572: .sysfs
      default: .other
      }
    blockSize = found.block_size
    let (bytes, overflow) = found.available.multipliedReportingOverflow(by: found.block_size)
    available = found.blocks == 0 ? nil : overflow ? .max : bytes
  }
}
