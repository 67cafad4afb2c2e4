import Glibc

/// Whether this process may do raw I/O: CAP_SYS_RAWIO, and not only in a user namespace of its own.
public func mayDoRawIO() -> Bool {
  let bit: UInt64 = 17  // CAP_SYS_RAWIO
  // PROC_USER_INIT_INO: capabilities of another namespace count for nothing outside it.
  guard let space = try? FileStatus(path: "/proc/self/ns/user"), space.inode == 0xEFFF_FFFD else { return false }
  guard let contents = try? readSmallFile("/proc/self/status") else { return false }
  let name = "CapEff:\t"
  let line = String(decoding: contents, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(name) }
  guard let line, let set = UInt64(line.dropFirst(name.count), radix: 16) else { return false }
  return set & 1 << bit != 0
}
