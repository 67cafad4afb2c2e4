import Blocks
import Platform

/// An entry as a directory is listed.
public struct ListedEntry: Equatable, Sendable {
  /// The inode.
  public let inode: UInt32
  /// The type that the entry tells; `unknown` where entries tell none.
  public let fileType: DirectoryEntry.FileType
  /// The cookie that goes on behind this entry.
  public let next: UInt64
}

/// Entries that come together in the order of a listing, with their names.
private struct Batch {
  private struct Entry {
    let key: UInt64
    let inode: UInt32
    let fileType: UInt8
    let name: Range<Int>
  }

  private var entries: [Entry] = []
  private var names: [UInt8] = []

  mutating func add(_ entry: DirectoryEntry, _ name: RawSpan, key: UInt64) {
    let start = names.count
    name.withUnsafeBytes { names.append(contentsOf: $0) }
    entries.append(Entry(key: key, inode: entry.inode, fileType: entry.fileType, name: start..<names.count))
  }

  /// Calls `body` with the entries and their positions in order: the key, and an ordinal among entries of that key.
  func forEach(
    in directory: Node, _ body: (UInt64, UInt32, UInt8, RawSpan) throws(Ext4Error) -> Bool
  ) throws(Ext4Error) -> Bool {
    let sorted = entries.sorted { one, other in
      one.key != other.key ? one.key < other.key : names[one.name].lexicographicallyPrecedes(names[other.name])
    }
    var (key, ordinal): (UInt64?, UInt64) = (nil, 0)
    for entry in sorted {
      ordinal = entry.key == key ? ordinal + 1 : 0
      key = entry.key
      guard ordinal <= 0xffff else {
        throw .corrupted(.directory(directory.number), "more than 65,536 of its names have the same hash")
      }
      guard try body(entry.key << 16 | ordinal, entry.inode, entry.fileType, names.span.bytes.extracting(entry.name))
      else { return false }
    }
    return true
  }
}

// Directories are listed in the order of their names' hashes where they have an htree or may get one, because that stays the
// same when a leaf is split; others in the order of their bytes, where entries never move.
//
// A position has 63 bits: 31 of the hash's major word, 16 of its minor word, and an ordinal for names that are equal in
// these; or the offset of an entry. A cookie is a position and three; 0, 1 and 2 are before ".", behind it, and behind "..".
extension Volume {
  private static let firstCookie: UInt64 = 3
  /// Leaves that names of one hash may fill.
  private static let longestChain = 1024

  /// Calls `body` with the entries of a directory behind a cookie, "." and ".." among them, until it returns false. A reader
  /// may return to any cookie that it was given.
  public func list(
    _ directory: Node, from cookie: UInt64, _ body: (RawSpan, ListedEntry) throws(Ext4Error) -> Bool
  ) throws(Ext4Error) {
    try checkDirectory(directory)
    if cookie < 1 {
      let dot = ListedEntry(inode: directory.number, fileType: .directory, next: 1)
      guard try body([0x2e as UInt8].span.bytes, dot) else { return }
    }
    if cookie < 2 {
      let dots = ListedEntry(inode: try parent(of: directory), fileType: .directory, next: 2)
      guard try body([0x2e as UInt8, 0x2e].span.bytes, dots) else { return }
    }
    var least = cookie < Volume.firstCookie ? 0 : cookie - Volume.firstCookie + 1
    // Positions only grow, whatever a damaged directory says, or a reader would never come to an end.
    let add = { (position: UInt64, inode: UInt32, type: UInt8, name: RawSpan) throws(Ext4Error) -> Bool in
      guard position >= least, !name.isDotOrDots else { return true }
      guard self.geometry.place(ofInode: inode) != nil else {
        throw .corrupted(.directory(directory.number), "a name of it stands for inode \(inode)")
      }
      least = position + 1
      let fileType = self.hasFileTypes ? DirectoryEntry.FileType(rawValue: type) ?? .unknown : .unknown
      return try body(name, ListedEntry(inode: inode, fileType: fileType, next: position + Volume.firstCookie))
    }
    if let tree = try hashTree(of: directory) {
      try list(directory, tree, from: least, add)
    } else if let hasher = hasherOfSmall(directory) {
      try listSmall(directory, hasher, add)
    } else {
      try listByOffset(directory, from: least, add)
    }
  }

  private typealias Adder = (UInt64, UInt32, UInt8, RawSpan) throws(Ext4Error) -> Bool

  private func key(_ name: RawSpan, _ hasher: NameHasher) -> UInt64 {
    let hash = hasher(name)
    return UInt64(hash.major >> 1) << 16 | UInt64(hash.minor >> 16)
  }

  /// The hasher for a directory without an htree that may get one: a single block or less.
  private func hasherOfSmall(_ directory: Node) -> NameHasher? {
    let isSmall = directory.inode.flags.contains(.inlineData) || blockCount(of: directory) == 1
    guard isSmall, superblock.featureCompat.contains(.dirIndex), !directory.inode.flags.contains(.index) else {
      return nil
    }
    return hasher(superblock.defHashVersion)
  }

  private func list(
    _ directory: Node, _ tree: HashTree, from least: UInt64, _ add: Adder
  ) throws(Ext4Error) {
    let hash = UInt32(truncatingIfNeeded: least >> 32) << 1
    var place = try place(of: hash, in: tree, of: directory)
    var leaves: UInt64 = 0
    var isLast = false
    while !isLast {
      var batch = Batch()
      var chain = 0
      // A run of equal hashes comes together, over as many leaves as it fills.
      repeat {
        (leaves, chain) = (leaves + 1, chain + 1)
        guard leaves <= blockCount(of: directory), chain <= Volume.longestChain else {
          throw .corrupted(.directory(directory.number), "its htree has more leaves than can be")
        }
        try leaf(place, of: directory).withBytes { bytes in
          forEachEntry(in: bytes) { _, entry, name in
            batch.add(entry, name, key: key(name, tree.hasher))
            return true
          }
        }
        guard let next = try advance(&place, of: directory) else {
          isLast = true
          break
        }
        if next & 1 == 0 { break }
      } while true
      guard try batch.forEach(in: directory, add) else { return }
    }
  }

  private func listSmall(_ directory: Node, _ hasher: NameHasher, _ add: Adder) throws(Ext4Error) {
    var batch = Batch()
    let gather = { (bytes: RawSpan) in
      self.forEachEntry(in: bytes) { _, entry, name in
        batch.add(entry, name, key: self.key(name, hasher))
        return true
      }
    }
    if directory.inode.flags.contains(.inlineData) {
      try forEachInlineArea(of: directory) { (_, bytes) throws(Ext4Error) in
        gather(bytes)
        return true
      }
    } else {
      try forEachEntryBlock(of: directory) { (_, bytes) throws(Ext4Error) in
        gather(bytes)
        return true
      }
    }
    _ = try batch.forEach(in: directory, add)
  }

  private func listByOffset(_ directory: Node, from least: UInt64, _ add: Adder) throws(Ext4Error) {
    var goesOn = true
    if directory.inode.flags.contains(.inlineData) {
      return try forEachInlineArea(of: directory) { (start, bytes) throws(Ext4Error) in
        try forEachEntry(in: bytes) { (at, entry, name) throws(Ext4Error) in
          goesOn = try add(UInt64(start + at), entry.inode, entry.fileType, name)
          return goesOn
        }
        return goesOn
      }
    }
    let size = UInt64(geometry.blockSize)
    try forEachEntryBlock(of: directory, from: least / size) { (index, bytes) throws(Ext4Error) in
      try forEachEntry(in: bytes) { (at, entry, name) throws(Ext4Error) in
        goesOn = try add(index * size + UInt64(at), entry.inode, entry.fileType, name)
        return goesOn
      }
      return goesOn
    }
  }
}
