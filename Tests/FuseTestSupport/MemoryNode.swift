import Fuse
import Glibc
import Platform

/// A node of `MemoryFileSystem`. Its state's lock guards it.
final class MemoryNode: @unchecked Sendable {
  let id: NodeID
  var attributes: Attributes
  var contents = SparseContents()
  /// What a symbolic link says.
  var target: [UInt8] = []
  var directory = MemoryDirectory()
  /// The directory that a directory is in.
  var parent: NodeID
  /// xattrs in the order in which they came, ACLs among them.
  var xattrs: [(name: [UInt8], value: [UInt8])] = []
  var flags: FileFlags = []
  var lookups: UInt64 = 0
  var opens = 0
  /// Names; for a directory 0 or 1.
  var links: UInt32 = 0
  /// Whether it may get a name though it has none: O_TMPFILE.
  var isLinkable = false

  init(_ id: NodeID, mode: UInt32, parent: NodeID) {
    (self.id, self.parent) = (id, parent)
    attributes = Attributes(inode: id.rawValue + MemoryFileSystem.firstInode, mode: mode)
    let now = Self.now
    (attributes.accessTime, attributes.modificationTime, attributes.changeTime) = (now, now, now)
    attributes.birthTime = now
  }

  /// The clock that the kernel's own file systems read: it goes on with each tick.
  static var now: Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME_COARSE, &time)
    return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
  }

  var isDirectory: Bool { attributes.isDirectory }

  var allAttributes: Attributes {
    var all = attributes
    all.size = isDirectory ? UInt64(directory.count * 32) : attributes.isRegular ? contents.size : UInt64(target.count)
    all.blocks = UInt64(contents.pageCount) * (SparseContents.pageSize / 512)
    all.linkCount = isDirectory && links > 0 ? 2 + directory.subdirectories : links
    return all
  }

  /// An attribute or a name of it changed.
  func changed() { attributes.changeTime = Self.now }

  /// Its contents changed.
  func modified() {
    changed()
    attributes.modificationTime = attributes.changeTime
  }

  /// Clears setuid, setgid where the group may execute, and capabilities.
  func clearSetID() {
    guard !isDirectory else { return }
    attributes.mode &= ~UInt32(S_ISUID)
    if attributes.mode & UInt32(S_IXGRP) != 0 { attributes.mode &= ~UInt32(S_ISGID) }
    clearCapabilities()
  }

  func clearCapabilities() { xattrs.removeAll { $0.name == Array("security.capability".utf8) } }

  /// - Throws: EPERM for what cannot be changed.
  func checkMutable(_ others: FileFlags = []) throws(Errno) {
    if !flags.isDisjoint(with: others.union(.immutable)) { throw .notPermitted }
  }

  // MARK: xattrs

  func xattr(_ name: [UInt8]) -> [UInt8]? { xattrs.first { $0.name == name }?.value }

  func setXattr(_ name: [UInt8], _ value: [UInt8]?) {
    let place = xattrs.firstIndex { $0.name == name }
    switch (place, value) {
    case (let place?, let value?): xattrs[place].value = value
    case (let place?, nil): xattrs.remove(at: place)
    case (nil, let value?): xattrs.append((name, value))
    case (nil, nil): break
    }
  }

  static let accessACL = Array("system.posix_acl_access".utf8)
  static let defaultACL = Array("system.posix_acl_default".utf8)

  func acl(_ name: [UInt8]) -> AccessControlList? {
    xattr(name).flatMap { value in try? AccessControlList(parsing: value) }
  }
}

/// The names in a directory. Each has a cookie, larger than those that were there before it.
struct MemoryDirectory {
  struct Place {
    let cookie: UInt64
    let name: [UInt8]
    var node: NodeID
  }

  /// By cookie.
  private(set) var places: [Place] = []
  private var cookies: [[UInt8]: UInt64] = [:]
  /// Behind "." and "..".
  private var lastCookie: UInt64 = 2
  var subdirectories: UInt32 = 0

  var count: Int { places.count }

  /// The first place with this cookie or a larger one.
  func firstIndex(from cookie: UInt64) -> Int {
    var (low, high) = (0, places.count)
    while low < high {
      let middle = (low + high) / 2
      if places[middle].cookie < cookie { low = middle + 1 } else { high = middle }
    }
    return low
  }

  func node(_ name: [UInt8]) -> NodeID? { cookies[name].map { places[firstIndex(from: $0)].node } }

  /// A name that is there keeps its cookie, so that a reader in the middle sees it once.
  mutating func set(_ name: [UInt8], _ node: NodeID) {
    if let cookie = cookies[name] { return places[firstIndex(from: cookie)].node = node }
    lastCookie += 1
    cookies[name] = lastCookie
    places.append(Place(cookie: lastCookie, name: name, node: node))
  }

  mutating func remove(_ name: [UInt8]) {
    if let cookie = cookies.removeValue(forKey: name) { places.remove(at: firstIndex(from: cookie)) }
  }
}
