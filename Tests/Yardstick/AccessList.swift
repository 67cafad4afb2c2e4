import CYardstick
import Glibc

/// A POSIX access control list, as the kernel takes it in the attributes `system.posix_acl_access` and
/// `system.posix_acl_default` (linux/posix_acl_xattr.h).
struct AccessList: Equatable {
  struct Entry: Equatable {
    var tag: UInt16
    var permissions: UInt16
    var id: UInt32 = .max
  }

  static let access: Name = "system.posix_acl_access", standard: Name = "system.posix_acl_default"

  var entries: [Entry]

  /// The entries that every list has, and those of named users and groups; a mask if there is one.
  init(
    _ owner: UInt16, _ group: UInt16, _ other: UInt16, mask: UInt16? = nil, users: [(Int, UInt16)] = [],
    groups: [(Int, UInt16)] = []
  ) {
    entries = [Entry(tag: 1, permissions: owner)]
    entries += users.map { Entry(tag: 2, permissions: $0.1, id: UInt32($0.0)) }
    entries.append(Entry(tag: 4, permissions: group))
    entries += groups.map { Entry(tag: 8, permissions: $0.1, id: UInt32($0.0)) }
    if let mask { entries.append(Entry(tag: 16, permissions: mask)) }
    entries.append(Entry(tag: 32, permissions: other))
  }

  init?(bytes: [UInt8]) {
    guard bytes.count >= 4, bytes.count % 8 == 4, Array(bytes.prefix(4)) == [2, 0, 0, 0] else { return nil }
    entries = stride(from: 4, to: bytes.count, by: 8).map { start in
      bytes.withUnsafeBytes { raw in
        Entry(
          tag: raw.loadUnaligned(fromByteOffset: start, as: UInt16.self),
          permissions: raw.loadUnaligned(fromByteOffset: start + 2, as: UInt16.self),
          id: raw.loadUnaligned(fromByteOffset: start + 4, as: UInt32.self))
      }
    }
  }

  /// Little-endian: a version, and eight bytes for each entry.
  var bytes: [UInt8] {
    var all: [UInt8] = [2, 0, 0, 0]
    for entry in entries {
      withUnsafeBytes(of: entry.tag.littleEndian) { all += $0 }
      withUnsafeBytes(of: entry.permissions.littleEndian) { all += $0 }
      withUnsafeBytes(of: entry.id.littleEndian) { all += $0 }
    }
    return all
  }
}

extension Trial {
  func setACL(_ name: Name, _ list: AccessList, _ kind: Name = AccessList.access) -> Answer {
    setxattr(name, kind, list.bytes)
  }

  /// A file's list; nil when it has none beyond its mode.
  func acl(_ name: Name, _ kind: Name = AccessList.access) -> AccessList? {
    let found = getxattr(name, kind)
    return found.answer.value < 0 ? nil : AccessList(bytes: found.value)
  }
}
