import CLinux
import Glibc
import Platform

/// How the running kernel's FUSE learns where famfs files lie.
public enum FamfsProtocol: Sendable {
  /// It does not: the kernel has no famfs. Every distribution's kernel is like this.
  case none
  /// It asks for a file's map (GET_FMAP) and for each device that a map names (GET_DAXDEV): the patches of January 2026.
  case pulled
  /// It asks for maps, and the server names the devices before, by ioctl(2): the patches of summer 2026. Not spoken here.
  case pushed
}

/// What the running kernel is asked about famfs, apart from INIT.
///
/// INIT alone does not tell. Out-of-tree famfs kernels used bit 43 for their maps, and in mainline bit 43 says that
/// io_uring has buffer pools; both have protocol 7.46 and later. A server that takes one for the other answers requests
/// that never come, and waits for none that do.
public struct KernelProbes: Sendable {
  private let hasFamfs: @Sendable () -> Bool
  private let openDaxDevice: @Sendable () -> Errno?

  /// - Parameters:
  ///   - hasFamfs: whether FUSE has famfs's functions.
  ///   - openDaxDevice: what the ioctl DAXDEV_OPEN answers to a descriptor that is none; nil where it cannot be asked.
  public init(hasFamfs: @escaping @Sendable () -> Bool, openDaxDevice: @escaping @Sendable () -> Errno?) {
    (self.hasFamfs, self.openDaxDevice) = (hasFamfs, openDaxDevice)
  }

  /// The running kernel's own answers.
  public static let running = KernelProbes(
    hasFamfs: { hasSymbol(famfsSymbol, in: "/proc/kallsyms") },
    openDaxDevice: {
      guard let device = try? FileDescriptor(opening: DevFuse.path, .readWrite) else { return nil }
      return Errno(rawValue: weft_fuse_open_daxdev(device.rawValue, -1, 0))
    })

  /// The answer of both probes. The ioctl's number means something else in kernels without famfs, so it comes second.
  public func famfsProtocol() -> FamfsProtocol {
    guard hasFamfs(), let answer = openDaxDevice() else { return .none }
    return answer == .notTerminal ? .pulled : .pushed
  }

  static let famfsSymbol = "famfs_fuse_iomap_begin"

  /// Whether a list of symbols, in the form of /proc/kallsyms, has one of this name: of any module or of none.
  static func hasSymbol(_ name: String, in path: String) -> Bool {
    guard let list = try? readSmallFile(path, limit: 256 << 20) else { return false }
    let name = Array(name.utf8)
    return list.withUnsafeBytes { list in
      var rest = list[...]
      while !rest.isEmpty {
        let line = rest.prefix(upTo: find("\n", in: rest))
        if symbol(of: line).elementsEqual(name) { return true }
        rest = rest[min(line.endIndex + 1, rest.endIndex)...]
      }
      return false
    }
  }

  /// The third word of a line: an address and a type come before it, a tab and a module may come behind it.
  private static func symbol(of line: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
    var rest = line
    for _ in 0..<2 { rest = rest[min(find(" ", in: rest) + 1, rest.endIndex)...] }
    return rest.prefix(upTo: min(find("\t", in: rest), find(" ", in: rest)))
  }

  /// Where a character is first, or the end. By memchr(3): there are hundreds of thousands of lines.
  private static func find(_ character: Unicode.Scalar, in bytes: Slice<UnsafeRawBufferPointer>) -> Int {
    guard let base = bytes.base.baseAddress, !bytes.isEmpty,
      let found = memchr(base + bytes.startIndex, Int32(character.value), bytes.count)
    else { return bytes.endIndex }
    return UnsafeRawPointer(found) - base
  }
}
