import Glibc
import Platform

/// A POSIX access control list, as the xattrs `system.posix_acl_access` and `system.posix_acl_default` hold it: see
/// `struct posix_acl_xattr_header` in linux/posix_acl_xattr.h.
struct AccessControlList {
  enum Tag {
    static let owner: UInt16 = 0x01
    static let user: UInt16 = 0x02
    static let owningGroup: UInt16 = 0x04
    static let group: UInt16 = 0x08
    static let mask: UInt16 = 0x10
    static let other: UInt16 = 0x20
  }

  struct Entry {
    let tag: UInt16
    var permissions: UInt16
    let id: UInt32
  }

  private(set) var entries: [Entry] = []

  /// - Throws: EINVAL for what is not a list of version 2; EOPNOTSUPP for other versions.
  init(parsing value: [UInt8]) throws(Errno) {
    guard value.count >= 4, (value.count - 4).isMultiple(of: 8) else { throw .invalidArgument }
    let bytes = value.span.bytes
    guard bytes.u32(0) == 2 else { throw .notSupported }
    for start in stride(from: 4, to: value.count, by: 8) {
      entries.append(
        Entry(tag: bytes.u16(start), permissions: bytes.u16(start + 2), id: bytes.u32(start + 4)))
    }
  }

  var encoded: [UInt8] {
    var bytes: [UInt8] = [2, 0, 0, 0]
    for entry in entries {
      withUnsafeBytes(of: entry.tag.littleEndian) { bytes += $0 }
      withUnsafeBytes(of: entry.permissions.littleEndian) { bytes += $0 }
      withUnsafeBytes(of: entry.id.littleEndian) { bytes += $0 }
    }
    return bytes
  }

  /// Whether the mode's bits say all that the list says.
  var isMinimal: Bool { entries.allSatisfy { [Tag.owner, Tag.owningGroup, Tag.other].contains($0.tag) } }

  private func place(_ tag: UInt16) -> Int? { entries.firstIndex { $0.tag == tag } }

  /// Which entry the mode's group bits are.
  private var groupPlace: Int? { place(Tag.mask) ?? place(Tag.owningGroup) }

  /// The permission bits of a mode that this list implies.
  var modeBits: UInt32 {
    [(place(Tag.owner), 6), (groupPlace, 3), (place(Tag.other), 0)].reduce(UInt32(0)) { bits, part in
      part.0.map { bits | UInt32(entries[$0].permissions & 7) << UInt32(part.1) } ?? bits
    }
  }

  /// chmod(2): owner, mask (or group) and other become what the mode says.
  mutating func follow(mode: UInt32) {
    for (place, shift) in [(place(Tag.owner), 6), (groupPlace, 3), (place(Tag.other), 0)] {
      if let place { entries[place].permissions = UInt16(mode >> UInt32(shift) & 7) }
    }
  }

  /// A new node inherits this default list: its permissions are those that both the list and the mode have.
  mutating func restrict(by mode: inout UInt32) {
    for (place, shift) in [(place(Tag.owner), 6), (groupPlace, 3), (place(Tag.other), 0)] {
      if let place { entries[place].permissions &= UInt16(mode >> UInt32(shift) & 7) }
    }
    mode = mode & ~0o777 | modeBits
  }
}
