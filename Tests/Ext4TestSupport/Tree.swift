import CLinux
import Foundation
import Glibc
import Platform
import Testing

/// What is at a path, as far as programs can see.
public struct Item: Equatable, Sendable, CustomStringConvertible {
  /// st_ino.
  public var inode: UInt64 = 0
  /// st_mode.
  public var mode: UInt32 = 0
  /// st_uid and st_gid.
  public var owner: [UInt32] = []
  /// st_size.
  public var size: UInt64 = 0
  /// st_blocks.
  public var blocks: UInt64 = 0
  /// st_nlink.
  public var links: UInt64 = 0
  /// Access, modification, change; seconds and nanoseconds each.
  public var times: [Int64] = []
  /// st_rdev, of devices.
  public var device: UInt64 = 0
  /// A checksum of a file's contents, or what a symbolic link says.
  public var contents = ""
  /// Ranges of data, by SEEK_DATA and SEEK_HOLE.
  public var data: [Range<UInt64>] = []
  /// Names and values.
  public var xattrs: [String: [UInt8]] = [:]

  /// Nothing.
  public init() {}

  /// In one line.
  public var description: String {
    "inode \(inode) mode \(String(mode, radix: 8)) owner \(owner) size \(size) blocks \(blocks) links \(links) times "
      + "\(times) device \(device) contents \(contents) data \(data) xattrs \(xattrs)"
  }
}

/// FNV-1a of bytes, to compare contents by.
public struct ContentsHash {
  private var state: UInt64 = 0xcbf2_9ce4_8422_2325

  /// Of nothing.
  public init() {}

  /// Adds bytes, eight at a time.
  public mutating func add(_ bytes: UnsafeRawBufferPointer) {
    var place = 0
    while place + 8 <= bytes.count {
      state = (state ^ bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)) &* 0x100_0000_01b3
      state ^= state >> 29
      place += 8
    }
    while place < bytes.count {
      state = (state ^ UInt64(bytes[place])) &* 0x100_0000_01b3
      place += 1
    }
  }

  /// In hexadecimal.
  public var text: String { String(state, radix: 16) }
}

/// All that is below a directory of a mounted file system, by path from there.
public func mountedTree(_ root: String, hashing: Bool = true) throws -> [String: Item] {
  var items: [String: Item] = [:]
  var directories = [""]
  while let directory = directories.popLast() {
    items[directory.isEmpty ? "/" : directory] = try mountedItem(root + directory, hashing: hashing)
    for name in try names(in: root + directory) {
      let path = directory + "/" + name
      let item = try mountedItem(root + path, hashing: hashing)
      if item.mode & S_IFMT == S_IFDIR { directories.append(path) } else { items[path] = item }
    }
  }
  return items
}

/// The names in a directory, in their order.
public func names(in path: String) throws -> [String] {
  guard let directory = opendir(path) else { throw Errno.current }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
      String(fileName: bytes.prefix { $0 != 0 })
    }
    if name != "." && name != ".." { names.append(name) }
  }
  return names
}

/// What is at a path of a mounted file system.
public func mountedItem(_ path: String, hashing: Bool = true) throws -> Item {
  var status = stat()
  try retrying { lstat(path.cFileName, &status) }
  var item = Item()
  (item.inode, item.mode, item.owner) = (UInt64(status.st_ino), status.st_mode, [status.st_uid, status.st_gid])
  (item.size, item.links) = (UInt64(status.st_size), UInt64(status.st_nlink))
  item.blocks = UInt64(status.st_blocks)
  item.times = [status.st_atim, status.st_mtim, status.st_ctim].flatMap { [Int64($0.tv_sec), Int64($0.tv_nsec)] }
  switch status.st_mode & S_IFMT {
  case S_IFREG where hashing: (item.contents, item.data) = try contentsAndData(of: path, size: item.size)
  case S_IFLNK:
    var buffer = [UInt8](repeating: 0, count: 4097)
    let count = try retrying { readlink(path.cFileName, &buffer, 4096) }
    item.contents = String(decoding: buffer[..<count], as: UTF8.self)
  case S_IFCHR, S_IFBLK: item.device = UInt64(status.st_rdev)
  default: break
  }
  if status.st_mode & S_IFMT != S_IFLNK { item.xattrs = try xattrs(of: path) }
  return item
}

private func contentsAndData(of path: String, size: UInt64) throws -> (String, [Range<UInt64>]) {
  let file = try FileDescriptor(opening: path, .readOnly)
  var data: [Range<UInt64>] = []
  var place: UInt64 = 0
  while place < size {
    let run = try file.run(at: place, before: size)
    if !run.isHole { data.append(place..<run.end) }
    place = run.end
  }
  // Afterwards: cached pages of what was never written count as data.
  var hash = ContentsHash()
  let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
  defer { piece.deallocate() }
  for range in data {
    var at = range.lowerBound
    while at < range.upperBound {
      let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<Int(min(UInt64(piece.count), range.upperBound - at))])
      guard try file.read(at: at, into: part) == part.count else { throw SentenceError("\(path) is short") }
      hash.add(UnsafeRawBufferPointer(part))
      at += UInt64(part.count)
    }
  }
  return (hash.text, data)
}

/// The xattrs of a file, by llistxattr(2) and lgetxattr(2).
public func xattrs(of path: String) throws -> [String: [UInt8]] {
  var list = [UInt8](repeating: 0, count: 65536)
  let count = try retrying { Calls.llistxattr(path.cFileName, &list, list.count) }
  var found: [String: [UInt8]] = [:]
  for name in list[..<count].split(separator: 0) {
    var value = [UInt8](repeating: 0, count: 65536)
    let name = String(decoding: name, as: UTF8.self)
    let length = try retrying { Calls.lgetxattr(path.cFileName, name, &value, value.count) }
    found[name] = Array(value[..<length])
  }
  return found
}

/// Sets an xattr, by lsetxattr(2).
public func setXattr(_ name: String, _ value: [UInt8], of path: String) throws {
  try retrying { Calls.lsetxattr(path.cFileName, name, value, value.count, 0) }
}

/// Calls whose headers Swift does not import.
private enum Calls {
  private static func function<Signature>(_ name: String, as type: Signature.Type) -> Signature {
    unsafeBitCast(dlsym(nil, name), to: type)
  }

  typealias List = @convention(c) (UnsafePointer<CChar>, UnsafeMutableRawPointer, Int) -> Int
  typealias Get = @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutableRawPointer, Int) -> Int
  typealias Set = @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeRawPointer, Int, Int32) -> Int32

  static let llistxattr = function("llistxattr", as: List.self)
  static let lgetxattr = function("lgetxattr", as: Get.self)
  static let lsetxattr = function("lsetxattr", as: Set.self)
}

/// A device's number as st_rdev has it: makedev(3).
public func deviceNumber(_ major: UInt32, _ minor: UInt32) -> UInt64 {
  let (major, minor) = (UInt64(major), UInt64(minor))
  return (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

/// Expects two trees to be equal, and tells the first differences.
public func expectEqual(
  _ ours: [String: Item], _ theirs: [String: Item], sourceLocation: SourceLocation = #_sourceLocation
) {
  var told = 0
  for path in Set(ours.keys).union(theirs.keys).sorted() where ours[path] != theirs[path] {
    told += 1
    guard told <= 5 else { continue }
    Issue.record(
      "\(path):\n  ours   \(ours[path].map { "\($0)" } ?? "absent")\n  theirs \(theirs[path].map { "\($0)" } ?? "absent")",
      sourceLocation: sourceLocation)
  }
  #expect(told == 0, "\(told) of \(theirs.count) differ", sourceLocation: sourceLocation)
}
