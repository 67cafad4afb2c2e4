import CFuse
import Glibc
import Platform

/// The entries that a `FileSystem.readdir` lists, until the kernel's buffer is full.
public struct DirectoryReply: ~Copyable {
  /// Bytes of the longest name that is listed or looked up.
  public static let longestName = 255

  /// What became of an entry.
  public enum Outcome: Sendable {
    /// Taken, as a name.
    case listed
    /// Taken, and counted as a lookup of the entry's node: a `forget` will come.
    case lookedUp
    /// Not taken, as there is no room: return, and be asked again from this entry on.
    case full
    /// Not taken, as no name: it is empty, too long, or has a "/" or a NUL in it. The kernel would refuse the whole
    /// directory for it.
    case refused
  }

  /// Whether the kernel asks for attributes along with the names. If not, only number and type of an entry matter.
  public let isPlus: Bool
  /// Bytes in use.
  private(set) var count = 0
  private let buffer: UnsafeMutableRawBufferPointer

  /// An empty reply.
  /// - Parameters:
  ///   - wanted: bytes that the kernel has room for; cut to 1 MiB.
  ///   - isPlus: whether entries are looked up as well.
  ///   - buffers: must live, and not be used for anything else, while the reply does.
  public init(wanted: Int, isPlus: Bool, in buffers: ReplyBuffers) {
    self.init(wanted: wanted, isPlus: isPlus, memory: buffers.replies)
  }

  init(wanted: Int, isPlus: Bool, memory: ReplyMemory) {
    buffer = UnsafeMutableRawBufferPointer(rebasing: memory.body[..<min(max(wanted, 0), memory.body.count)])
    self.isPlus = isPlus
  }

  /// Adds an entry. "." and ".." are listed only; the kernel looks at nothing but their name.
  /// - Parameter next: the cookie that goes on behind this entry; not zero.
  public mutating func add(_ name: RawSpan, _ entry: Entry, next: UInt64) -> Outcome {
    guard (1...DirectoryReply.longestName).contains(name.byteCount), !name.contains(0),
      !name.contains(UInt8(ascii: "/"))
    else { return .refused }
    let start = isPlus ? Entry.byteCount : 0
    let length = (start + DirectoryReply.nameOffset + name.byteCount + 7) & ~7
    guard length <= buffer.count - count else { return .full }

    var record = UnsafeMutableRawBufferPointer(rebasing: buffer[count..<(count + length)]).mutableBytes
    record.set(length - 8, UInt64(0))  // the padding, then partly overwritten by the name
    let isLookedUp = isPlus && entry.node.rawValue != 0 && !name.isDots
    if isPlus { entry.encode(node: isLookedUp ? entry.node : NodeID(rawValue: 0), into: &record) }
    let type = (entry.attributes.mode & S_IFMT) >> 12  // DT_* of dirent.h
    record.store(
      weft_fuse_dirent(ino: entry.attributes.inode, off: next, namelen: UInt32(name.byteCount), type: type), at: start)
    record.set(start + DirectoryReply.nameOffset, bytes: name)
    count += length
    return isLookedUp ? .lookedUp : .listed
  }

  private static var nameOffset: Int { weft_fuse_dirent.byteCount }

  /// Calls `body` with the nodes that the first `count` bytes of readdirplus records count lookups of.
  static func forEachLookup(in records: RawSpan, _ body: (NodeID) -> Void) {
    var start = 0
    while let entry = try? records.load(fuse_entry_out.self, at: start),
      let record = try? records.load(weft_fuse_dirent.self, at: start + Entry.byteCount)
    {
      let node = NodeID(rawValue: entry.nodeid)
      if node.rawValue != 0 { body(node) }
      start += (Entry.byteCount + nameOffset + Int(record.namelen) + 7) & ~7
    }
  }

  /// An entry as it was listed.
  public struct Listed: Equatable, Sendable {
    /// The name.
    public let name: String
    /// Its number: d_ino.
    public let inode: UInt64
    /// The cookie behind it.
    public let next: UInt64
  }

  /// The entries taken so far; for tests of file systems.
  public func contents() -> [Listed] {
    let records = UnsafeRawBufferPointer(rebasing: buffer[..<count])
    var listed: [Listed] = []
    var start = 0
    while true {
      let place = start + (isPlus ? Entry.byteCount : 0)
      guard let record = try? records.bytes.load(weft_fuse_dirent.self, at: place) else { return listed }
      let name = place + DirectoryReply.nameOffset
      let end = name + Int(record.namelen)
      listed.append(
        Listed(name: String(decoding: records[name..<end], as: UTF8.self), inode: record.ino, next: record.off))
      start = (end + 7) & ~7
    }
  }
}
