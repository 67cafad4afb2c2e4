import Fuse
import Glibc
import Platform
import Synchronization
import Testing

/// A file, alone in a file system, with pages that can be poisoned: who loads from them or stores to them through a
/// mapping gets SIGBUS, and who reads or writes them EIO, as with memory that fails.
final class PoisonedFile: FileSystem {
  private static let node = NodeID(rawValue: 2)
  private static let page: UInt64 = 4096

  private let size: UInt64
  private let store: FileDescriptor
  private struct State {
    var bad: Set<UInt64> = []
    /// Whether a page that is written whole is good again, as with pmem.
    var isCured = false
  }
  private let state = Mutex(State())

  /// A file of this size, kept in a file at a path.
  init(size: UInt64, at path: String) throws {
    self.size = size
    store = try FileDescriptor(opening: path, [.readWrite, .create])
    try store.truncate(to: size)
  }

  fileprivate func poison(_ range: Range<Int>) {
    state.withLock { state in
      for page in UInt64(range.lowerBound) / 4096..<(UInt64(range.upperBound) + 4095) / 4096 { state.bad.insert(page) }
    }
  }

  /// From now on what is written whole is good again.
  func allowCure() { state.withLock { $0.isCured = true } }

  /// Nothing is bad any more.
  func heal() { state.withLock { $0.bad = [] } }

  private func check(_ offset: UInt64, _ count: UInt64, writing: Bool) throws(Errno) {
    if count == 0 { return }
    try state.withLock { (state) throws(Errno) in
      let pages = offset / 4096...(offset + count - 1) / 4096
      for page in pages where state.bad.contains(page) {
        let isWhole = page * 4096 >= offset && (page + 1) * 4096 <= offset + count
        guard writing, isWhole, state.isCured else { throw .inputOutput }
      }
      if writing { for page in pages { state.bad.remove(page) } }
    }
  }

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    guard name.withUnsafeBytes({ $0.elementsEqual("device".utf8) }) else { throw .noEntry }
    return Entry(PoisonedFile.node, attributes(PoisonedFile.node), nameLifetime: .max, attributeLifetime: .max)
  }

  private func attributes(_ node: NodeID) -> Attributes {
    var attributes = Attributes(
      inode: node.rawValue, mode: node == PoisonedFile.node ? S_IFREG | 0o600 : S_IFDIR | 0o755)
    attributes.size = node == PoisonedFile.node ? size : 4096
    return attributes
  }

  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    CachedAttributes(attributes(node), lifetime: .max)
  }

  func setattr(
    _ node: NodeID, _ handle: FileHandle?, _ changes: AttributeChanges, _ caller: Caller
  ) throws(Errno) -> CachedAttributes {
    CachedAttributes(attributes(node), lifetime: .max)
  }

  func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    Opened(.none, .keepCache)
  }

  func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {
    guard offset < size else { return }
    let count = min(UInt64(reply.wanted), size - offset)
    try check(offset, count, writing: false)
    try reply.append(upTo: Int(count)) { (buffer) throws(Errno) in try store.read(at: offset, into: buffer) }
  }

  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int {
    try check(offset, UInt64(data.count), writing: true)
    try store.write(at: offset, all: data)
    return data.count
  }

  func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode, _ caller: Caller
  ) throws(Errno) {
    guard mode.contains(.punchHole) else { throw .notSupported }
    try check(offset, length, writing: true)
    try retrying { IntegrationTests.fallocate(store.rawValue, 3, Int(offset), Int(length)) }
  }

  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {}

  func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {}

  func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus { FileSystemStatus() }

  fileprivate static var device: NodeID { node }
}

/// A volume on a device whose memory can fail.
final class PoisonedVolume {
  let volume: TestVolume
  let file: PoisonedFile
  private let notifier: Notifier

  fileprivate init(_ volume: TestVolume, _ file: PoisonedFile, _ door: DevFuse) {
    (self.volume, self.file) = (volume, file)
    notifier = Notifier(door)
  }

  /// Makes the pages of a range of the device fail, from now on.
  func poison(_ range: Range<Int>) throws {
    // Twice: what is changed in the cache goes to the file before, and what was read meanwhile goes, too.
    try notifier.invalidate(PoisonedFile.device, from: Int64(range.lowerBound), count: Int64(range.count))
    file.poison(range)
    try notifier.invalidate(PoisonedFile.device, from: Int64(range.lowerBound), count: Int64(range.count))
  }

  /// Where a file's bytes begin on the device.
  func offset(of name: String) throws -> Int {
    let line = try volume.famfs("getmap", "--json", volume.master + "/" + name).stdout
    let digits = try #require(line.components(of: "\"offset\":").last)
    return try #require(Int(digits.prefix { $0.isNumber }))
  }

  /// Makes the pages of a file fail.
  func poison(_ name: String, pages: Range<Int>) throws {
    let start = try offset(of: name)
    try poison(start + pages.lowerBound * 4096..<start + pages.upperBound * 4096)
  }

  func status(_ host: Host = .master) throws -> String {
    try volume.famfs("status", "--json", volume.mountPoint(of: host), as: host).stdout
  }
}

extension String {
  fileprivate func components(of separator: String) -> [Substring] {
    var parts: [Substring] = []
    var rest = self[...]
    while let range = rest.firstRange(of: separator) {
      parts.append(rest[..<range.lowerBound])
      rest = rest[range.upperBound...]
    }
    return parts + [rest]
  }
}

/// Lends a volume on such a device, made and not mounted. Mounts of it must be gone at the end.
func withPoisonedVolume(
  size: UInt64 = 64 << 20, _ options: [String] = [], _ body: (PoisonedVolume) throws -> Void
) throws {
  try withRoom { room in
    let volume = TestVolume(in: room, device: room.directory("backing") + "/device")
    let file = try PoisonedFile(size: size, at: room.at("store"))
    let door = try Mounting.mount(on: room.at("backing"), MountOptions(source: "store", subtype: "poisoned"))
    let session = Session(file, over: door)
    let server = try Thread(named: "poisoned") { _ = try? session.run(threads: 3) }
    defer {
      room.unmount()
      // Cut off, so that nobody waits for a test that failed.
      umount2(room.at("backing"), 1 | 2)
      server.join()
    }
    try succeed(run(["mkfs.famfs"] + options + [volume.device], environment: Host.master.environment))
    try body(PoisonedVolume(volume, file, door))
    for host in Host.allCases where volume.isMounted(host) { try volume.unmount(host) }
    let areGone: () -> Bool = { Machine.daemons(in: room.path).isEmpty }
    #expect(seconds(until: areGone) != nil, "a daemon is left")
  }
}
