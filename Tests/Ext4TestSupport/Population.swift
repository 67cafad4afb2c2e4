import Glibc
import Platform

/// Files of all kinds that a kernel makes on a mounted file system.
public struct Population {
  let root: String
  /// Whether the file system has xattrs.
  public var hasXattrs = true
  /// Whether files can have unwritten extents.
  public var hasExtents = true
  /// Whether times have nanoseconds, and go beyond 2038.
  public var hasNanoseconds = true
  /// Whether an xattr may be larger than a block.
  public var largeXattr = false
  /// Names in one directory.
  public var manyNames = 0
  /// Whether it must fit into a few MiB.
  public var isSmall = false

  /// Files below a directory.
  public init(root: String) { self.root = root }

  /// Makes them.
  public func make() throws {
    try files()
    try sparseFiles()
    try links()
    try special()
    if hasXattrs { try attributes() }
    try times()
    if manyNames > 0 { try names() }
  }

  private func write(_ name: String, _ pieces: [(offset: UInt64, count: Int)], size: UInt64? = nil) throws {
    let file = try FileDescriptor(opening: root + "/" + name, [.writeOnly, .create], mode: 0o644)
    for piece in pieces {
      let bytes = (0..<piece.count).map { UInt8(truncatingIfNeeded: ($0 &+ Int(piece.offset)) &* 0x9e37_79b1 >> 11) }
      try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(at: piece.offset, all: bytes) }
    }
    if let size { try file.truncate(to: size) }
  }

  private func files() throws {
    mkdir(root + "/files", 0o755)
    for count in [0, 1, 59, 60, 61, 100, 150, 160, 200, 1023, 1024, 4095, 4096, 4097, 100_000] {
      try write("files/\(count)", [(0, count)])
    }
    try write("files/large", [(0, isSmall ? 300_000 : 3_000_000)])
    chmod(root + "/files/1", 0o4711)
    chown(root + "/files/59", 70000, 80000)
  }

  private func sparseFiles() throws {
    mkdir(root + "/sparse", 0o755)
    try write("sparse/hole", [(0, 10)], size: 1 << 20)
    try write("sparse/far", [(2 << 30, 1000)])
    // As many extents as blocks: the tree is two levels deep with blocks of 1 KiB.
    try write("sparse/comb", (0..<(isSmall ? 800 : 4000)).map { (UInt64($0) * 8192, 1024) })
    // At each level of an indirect map, with blocks of 1 KiB and with those of 4 KiB.
    try write("sparse/levels", [11, 12, 267, 268, 1035, 1036, 65803, 65804, 70000].map { ($0 * 1024, 1024) })
    try write("sparse/levels4", [11, 12, 1035, 1036, 2000, 1_049_611, 1_049_612].map { ($0 * 4096, 4096) })
    guard hasExtents else { return }
    try must(["fallocate", "-l", "1M", root + "/sparse/unwritten"])
    try must(["fallocate", "-n", "-o", "4M", "-l", "1M", root + "/sparse/unwritten"])
    try write("sparse/unwritten", [(100_000, 5000)])
  }

  private func links() throws {
    mkdir(root + "/links", 0o777)
    for count in [1, 59, 60, 61, 500, 1000] {
      symlink(String(repeating: "t", count: count), root + "/links/to-\(count)")
    }
    link(root + "/files/large", root + "/links/hard")
    for level in 0..<30 { mkdir(root + "/links" + String(repeating: "/d", count: level + 1), 0o700) }
  }

  private func special() throws {
    mkdir(root + "/special", 0o755)
    mkfifo(root + "/special/fifo", 0o600)
    mknod(root + "/special/null", S_IFCHR | 0o666, dev_t(deviceNumber(1, 3)))
    mknod(root + "/special/large", S_IFBLK | 0o600, dev_t(deviceNumber(300, 70000)))
    mknod(root + "/special/socket", S_IFSOCK | 0o600, 0)
  }

  private func attributes() throws {
    mkdir(root + "/xattrs", 0o755)
    for count in [0, 1, 20, 100, 700] {
      try write("xattrs/\(count)", [(0, 10)])
      try setXattr("user.v", (0..<count).map { UInt8(truncatingIfNeeded: $0) }, of: root + "/xattrs/\(count)")
    }
    let many = root + "/xattrs/many"
    try write("xattrs/many", [])
    for index in 0..<8 { try setXattr("user.attribute-\(index)", Array("value \(index)".utf8), of: many) }
    try setXattr("trusted.t", [1, 2, 3], of: many)
    try setXattr("security.s", [4], of: many)
    try setXattr("user.\u{e9}", [5], of: many)
    let acl: [UInt8] =
      [2, 0, 0, 0] + [1, 0, 6, 0, 255, 255, 255, 255] + [2, 0, 6, 0, 0xe8, 3, 0, 0]
      + [4, 0, 4, 0, 255, 255, 255, 255] + [8, 0, 4, 0, 50, 0, 0, 0] + [16, 0, 6, 0, 255, 255, 255, 255]
      + [32, 0, 4, 0, 255, 255, 255, 255]
    try setXattr("system.posix_acl_access", acl, of: many)
    try setXattr("system.posix_acl_default", acl, of: root + "/xattrs")
    if largeXattr { try setXattr("user.large", Array(repeating: 0x4c, count: 50_000), of: many) }
  }

  private func times() throws {
    mkdir(root + "/times", 0o755)
    let last = hasNanoseconds ? InodeTimeRange.last : Int(Int32.max)
    for (index, seconds) in [-86400, -(1 << 31), 0, 1, Int(Int32.max), 5_000_000_000, last].enumerated() {
      guard hasNanoseconds || abs(seconds) <= 1 << 31 else { continue }
      try write("times/\(index)", [])
      let times = [timespec(tv_sec: seconds, tv_nsec: 5), timespec(tv_sec: seconds, tv_nsec: 999_999_999)]
      try retrying { utimensat(AT_FDCWD, root + "/times/\(index)", times, 0) }
    }
  }

  private enum InodeTimeRange { static let last = 1 << 34 - 1 << 31 - 1 }

  private func names() throws {
    mkdir(root + "/many", 0o755)
    for index in 0..<manyNames {
      let path = root + "/many/name-\(index)-" + String(repeating: "n", count: index % 40)
      guard link(root + "/files/0", path) == -1 else { continue }
      // After 65,000 links of one file.
      try FileDescriptor(opening: path, [.writeOnly, .create]).truncate(to: 0)
    }
    // Removed ones leave holes.
    for index in stride(from: 0, to: manyNames, by: 7) {
      unlink(root + "/many/name-\(index)-" + String(repeating: "n", count: index % 40))
    }
  }

  /// Names of 247 bytes whose legacy hashes are equal, a case that a search of a billion found.
  public static let colliding = [
    "aiuf5r", "htwp3s", "jbkr1c", "mirwsm", "miszrm", "nm5ba4", "wgtqgy", "30kfbd", "30khbd",
  ].map { String(repeating: "x", count: 240) + $0 }
}
