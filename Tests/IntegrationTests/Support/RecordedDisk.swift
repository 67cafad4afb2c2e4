import Fuse
import Glibc
import Platform
import Synchronization
import Testing

/// A file, alone in a file system, that stands for one on a disk: what is written to it is lost with the host unless it was
/// synced. The kernel's page cache is that of a real mount.
final class RecordedDisk: FileSystem {
  private static let node = NodeID(rawValue: 2)
  private static let sector = 512

  private enum Event {
    case write(Int, [UInt8])
    case sync
    /// The test says that something was told to be durable.
    case told
  }
  private struct State {
    /// All that has happened to it.
    var history: [Event] = []
    var failing: Errno?
  }
  private let size: UInt64
  private let store: FileDescriptor
  private let state = Mutex(State())

  /// A file of this size, kept in a file at a path.
  init(size: UInt64, at path: String) throws {
    self.size = size
    store = try FileDescriptor(opening: path, [.readWrite, .create])
    try store.truncate(to: size)
  }

  /// From now on each sync fails, or none.
  func fail(_ error: Errno?) { state.withLock { $0.failing = error } }

  /// Notes that a program was told that what it did is durable.
  func told() { state.withLock { $0.history.append(.told) } }

  /// What a crash of the host would leave of it now, if nothing survives that was not synced.
  func image() throws -> [UInt8] {
    var last: [UInt8] = []
    try forEachCrash(surviving: []) { image, _, _ in last = image }
    return last
  }

  /// What a crash of the host would leave, right before each sync and at the end.
  /// - Parameters:
  ///   - chances: of a sector that was written and not synced to survive; an image for each, and one without any of them.
  ///   - body: gets an image, how often `told` was called before, and whether the chance was 0.
  func forEachCrash(
    surviving chances: [Double], _ body: (_ image: [UInt8], _ told: Int, _ isBare: Bool) throws -> Void
  ) throws {
    let history = state.withLock { $0.history }
    var durable = [UInt8](repeating: 0, count: Int(size))
    var pending: [(offset: Int, bytes: [UInt8])] = []
    var told = 0
    func crash() throws {
      try body(durable, told, true)
      for chance in chances {
        var image = durable
        for (offset, bytes) in pending {
          for start in stride(from: 0, to: bytes.count, by: RecordedDisk.sector)
          where Double.random(in: 0..<1) < chance {
            let end = min(start + RecordedDisk.sector, bytes.count)
            image.replaceSubrange(offset + start..<offset + end, with: bytes[start..<end])
          }
        }
        try body(image, told, false)
      }
    }
    for event in history {
      switch event {
      case .write(let offset, let bytes): pending.append((offset, bytes))
      case .told: told += 1
      case .sync:
        if !chances.isEmpty { try crash() }
        for (offset, bytes) in pending { durable.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
        pending = []
      }
    }
    try crash()
  }

  private func attributes(_ node: NodeID) -> Attributes {
    var attributes = Attributes(
      inode: node.rawValue, mode: node == RecordedDisk.node ? S_IFREG | 0o600 : S_IFDIR | 0o755)
    attributes.size = node == RecordedDisk.node ? size : 4096
    return attributes
  }

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry {
    guard name.withUnsafeBytes({ $0.elementsEqual("device".utf8) }) else { throw .noEntry }
    return Entry(RecordedDisk.node, attributes(RecordedDisk.node), nameLifetime: .max, attributeLifetime: .max)
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
    try reply.append(upTo: Int(count)) { (buffer) throws(Errno) in try store.read(at: offset, into: buffer) }
  }

  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int {
    try state.withLock { (state) throws(Errno) in
      try store.write(at: offset, all: data)
      state.history.append(.write(Int(offset), Array(data)))
    }
    return data.count
  }

  func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    try state.withLock { (state) throws(Errno) in
      if let error = state.failing { throw error }
      state.history.append(.sync)
    }
  }

  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {}

  func statfs(_ node: NodeID, _ caller: Caller) throws(Errno) -> FileSystemStatus { FileSystemStatus() }
}

/// Lends a volume on such a device, made and not mounted. Mounts of it must be gone at the end.
func withDiskVolume(size: UInt64 = 32 << 20, _ body: (TestVolume, RecordedDisk) throws -> Void) throws {
  try withRoom { room in
    let volume = TestVolume(in: room, device: room.directory("backing") + "/device")
    let disk = try RecordedDisk(size: size, at: room.at("store"))
    let door = try Mounting.mount(on: room.at("backing"), MountOptions(source: "store", subtype: "recorded"))
    let session = Session(disk, over: door)
    let server = try Thread(named: "recorded") { _ = try? session.run(threads: 3) }
    defer {
      room.unmount()
      // Cut off, so that nobody waits for a test that failed.
      umount2(room.at("backing"), 1 | 2)
      server.join()
    }
    try succeed(run(["mkfs.famfs", "--alloc-unit", "4k", volume.device], environment: Host.master.environment))
    try body(volume, disk)
    for host in Host.allCases where volume.isMounted(host) { try volume.unmount(host) }
    let areGone: () -> Bool = { Machine.daemons(in: room.path).isEmpty }
    #expect(seconds(until: areGone) != nil, "a daemon is left")
  }
}
