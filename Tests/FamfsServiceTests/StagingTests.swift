import ControlChannel
import Famfs
import FamfsControl
import Fuse
import Glibc
import Memory
import Platform
import Serving
import Testing

@testable import FamfsService

/// Files that programs make on the master's mount, without a mount: the file system is called as the session calls it.
@Suite(.timeLimit(.minutes(15)))
struct StagingTests {
  @Test("whatever programs do, files hold what a model says, and all space comes back", arguments: 1...12)
  func model(_ seed: UInt64) throws {
    let run = try ModelRun(seed: seed)
    for _ in 0..<900 { try run.step() }
    try run.compareAll()
    try run.end()
  }

  @Test("several threads at once end, lose nothing and leak nothing")
  func threads() throws {
    let rig = try Rig()
    let free = rig.volume.usage().free
    let folder = try rig.files.mkdir("all".utf8.span.bytes, in: .root, NewNode(mode: 0o755), rig.user).node
    let threads = try (0..<4).map { (number) throws(Errno) in
      try Thread(named: "worker") { rig.work(in: folder, number) }
    }
    for thread in threads { thread.join() }
    try rig.staging.commitAll()

    rig.files.forget(folder, 1)
    #expect(rig.staging.isIdle)
    let kept = rig.volume.entryNumbers.map { rig.volume.extents(of: $0) }.joined().reduce(0) { $0 + $1.length }
    #expect(rig.volume.usage().free == free - kept)
    let place = try #require(rig.volume.find(EntryPath("all")))
    let names = try rig.list(NodeID(place))
    #expect(names.count == Set(names).count)
    #expect(names.count == 4 * 50)
  }

  @Test("the clock commits no file that was opened again")
  func reopened() throws {
    let rig = try Rig()
    let file = try rig.create("f", holding: [1])
    rig.files.release(file, FileHandle(rawValue: 1), nil)
    _ = try rig.files.open(file, OpenIntent(flags: 1), rig.user)
    try rig.staging.commit(file, evenOpen: false)
    try rig.write([2, 3], to: file, at: 1)
    rig.staging.commitRest(evenOpen: false)
    #expect(rig.volume.usage().files == 0)
    // The kernel may lose the word of the last close at the unmount.
    rig.staging.commitRest(evenOpen: true)
    #expect(rig.volume.usage().files == 1)
    #expect(try rig.read(file) == [1, 2, 3])
  }

  @Test("a file that is cut by name is not committed before it is opened")
  func cutByName() throws {
    let rig = try Rig(delay: 50_000_000)
    let file = try rig.create("f", holding: [1])
    rig.files.release(file, FileHandle(rawValue: 1), nil)
    let before = try #require(rig.staging.withTree { $0.due[file] })
    var changes = AttributeChanges()
    changes.size = 0
    #expect(try rig.files.setattr(file, nil, changes, rig.user).attributes.size == 0)
    #expect(try #require(rig.staging.withTree { $0.due[file] }) > before)
  }

  /// What another host sees of a file or directory.
  private func seen(_ path: String, on rig: Rig) throws -> Node {
    let other = try Volume(on: rig.volume.device, host: UUID.random())
    return try other.node(#require(other.find(EntryPath(path))))
  }

  private func set(
    _ node: NodeID, on rig: Rig, mode: UInt32? = nil, modified: TimeChange? = nil, accessed: TimeChange? = nil
  ) throws {
    var changes = AttributeChanges()
    (changes.mode, changes.modificationTime, changes.accessTime) = (mode, modified, accessed)
    _ = try rig.files.setattr(node, nil, changes, rig.user)
  }

  @Test("what is changed of a committed file is in the log when fsync returns, or a second later, in one entry")
  func attributes() throws {
    let rig = try Rig()
    let file = try rig.create("f", holding: [1])
    try set(file, on: rig, mode: 0o600)
    try rig.files.fsync(file, .none, dataOnly: false, rig.user)
    #expect(try seen("f", on: rig).permissions == 0o600 && rig.volume.usage().entries == 1, "in its own entry")
    try set(file, on: rig, mode: 0o640)
    for second in 1...100 { try set(file, on: rig, modified: .at(Timestamp(seconds: Int64(second)))) }
    try rig.files.fsync(file, .none, dataOnly: true, rig.user)
    #expect(try seen("f", on: rig).permissions == 0o600, "fdatasync is about contents")
    let due = try #require(rig.staging.attributes.next)
    #expect(due > Clock.monotonic() - 1 && due <= Clock.monotonic() + 1_000_000_000)
    try rig.files.fsync(file, .none, dataOnly: false, rig.user)
    #expect(try seen("f", on: rig).permissions == 0o640 && rig.volume.usage().entries == 2)
    #expect(try EntryTime(seen("f", on: rig).modified).seconds == 100)
    // Nothing new, and nothing that is worth an entry.
    try rig.files.fsync(file, .none, dataOnly: false, rig.user)
    try set(file, on: rig, mode: 0o640)
    try set(file, on: rig, accessed: .now)
    try rig.write([2], to: file, at: 0)
    #expect(rig.staging.attributes.next == nil)
    try rig.files.fsync(file, .none, dataOnly: false, rig.user)
    #expect(rig.volume.usage().entries == 2)
    try set(.root, on: rig, mode: 0o1777)
    try rig.files.fsyncdir(.root, .none, dataOnly: false, rig.user)
    #expect(try Volume(on: rig.volume.device, host: UUID.random()).node(.root).permissions == 0o1777)
    try set(file, on: rig, mode: 0o4755)
    rig.staging.commitRest(evenOpen: false)
    #expect(try seen("f", on: rig).permissions == 0o4755 && rig.volume.usage().entries == 4)
    // A write by another takes setuid away, for all.
    _ = try [UInt8(7)].span.bytes.withUnsafeBytes { (bytes) throws(Errno) in
      try rig.files.write(file, .none, at: 0, bytes, WriteIntent(killsSetID: true), rig.user)
    }
    try rig.staging.attributes.saveAll()
    #expect(try seen("f", on: rig).permissions == 0o755)
    // What commits all, or all in a directory, does it too.
    try set(file, on: rig, mode: 0o600)
    rig.files.release(file, FileHandle(rawValue: 1), nil)
    try rig.files.syncfs(rig.user)
    #expect(try seen("f", on: rig).permissions == 0o600)
    try set(file, on: rig, mode: 0o644)
    try rig.staging.commit(at: [])
    #expect(try seen("f", on: rig).permissions == 0o644)
  }

  @Test("a time that was set of a directory holds on all hosts, also when what is in it is committed later")
  func directoryTimes() throws {
    let rig = try Rig()
    let top = try rig.files.mkdir("top".utf8.span.bytes, in: .root, NewNode(mode: 0o700), rig.user).node
    let sub = try rig.files.mkdir("sub".utf8.span.bytes, in: top, NewNode(mode: 0o700), rig.user).node
    let first = try rig.create("first", in: sub, holding: [1])
    let second = try rig.create("second", in: sub, holding: [2])
    try set(first, on: rig, modified: .at(Timestamp(seconds: 7_000_000_000)))
    // The directories come into the log with their first file, before programs are done with them.
    try rig.staging.commit(first, evenOpen: true)
    #expect(try seen("top/sub", on: rig).permissions == 0o700)
    for (node, time) in [(sub, 5), (top, 6)] as [(NodeID, Int64)] {
      try set(node, on: rig, mode: 0o755, modified: .at(Timestamp(seconds: time)))
    }
    try rig.staging.attributes.saveAll()
    try rig.staging.commit(second, evenOpen: true)
    try rig.staging.attributes.saveAll()
    for (path, time) in [("top/sub", 5), ("top", 6)] as [(String, Int64)] {
      #expect(try seen(path, on: rig).permissions == 0o755)
      #expect(try EntryTime(seen(path, on: rig).modified).seconds == time, "\(path)")
      #expect(try EntryTime(rig.volume.node(#require(rig.volume.find(EntryPath(path)))).modified).seconds == time)
    }
    let entries = rig.volume.usage().entries
    #expect(entries == 4 + 3, "sub once more, for second came behind")
    // Made since: then it is the time of that.
    let third = try rig.create("third", in: sub, holding: [3])
    try rig.staging.commit(third, evenOpen: true)
    try rig.staging.attributes.saveAll()
    #expect(rig.volume.usage().entries == entries + 1)
    #expect(try EntryTime(seen("top/sub", on: rig).modified).seconds > 1_700_000_000)
  }

  @Test("attributes of a master that is one no more are dropped, and where the log is nearly full fsync says so")
  func notSaved() throws {
    let rig = try Rig()
    let file = try rig.create("f", holding: [1])
    try rig.files.fsync(file, .none, dataOnly: false, rig.user)
    let (used, capacity) = (rig.volume.usage().entries, rig.volume.usage().entryCapacity)
    for _ in used..<capacity - capacity / 4 { try rig.volume.saveAttributes(of: .root) }
    try set(file, on: rig, mode: 0o611)
    for _ in 0..<2 {
      #expect(throws: Errno.noSpace) { try rig.files.fsync(file, .none, dataOnly: false, rig.user) }
    }
    #expect(try rig.files.getattr(file, nil, rig.user).attributes.mode & 0o7777 == 0o611)
    _ = try rig.create("g", holding: [1])
    // Another host takes over.
    try Volume(on: rig.volume.device, host: UUID.random()).claimMastership()
    #expect(throws: Errno.readOnlyFileSystem) { try rig.files.fsync(file, .none, dataOnly: false, rig.user) }
    try rig.files.fsync(file, .none, dataOnly: false, rig.user)
    try set(file, on: rig, mode: 0o644)
    #expect(rig.staging.attributes.next == nil)
    try rig.files.fsync(file, .none, dataOnly: false, rig.user)
  }

  @Test("a listing in pieces shows nothing that has moved away, and all that came into the log meanwhile")
  func listing() throws {
    let rig = try Rig()
    let from = try rig.files.mkdir("from".utf8.span.bytes, in: .root, NewNode(mode: 0o755), rig.user).node
    let to = try rig.files.mkdir("to".utf8.span.bytes, in: .root, NewNode(mode: 0o755), rig.user).node
    let ids = try ["a", "b", "c", "d"].map { try rig.create($0, in: from, holding: [1]) }
    let handle = try rig.files.opendir(from, OpenIntent(flags: 0), rig.user).handle
    // ".", ".." and "a", as 32 bytes each: no more fits.
    let first = try rig.piece(of: from, handle, from: 0, room: 96)
    #expect(first.map(\.name) == [".", "..", "a"])
    try rig.files.rename("b".utf8.span.bytes, in: from, to: "b".utf8.span.bytes, in: to, [], rig.user)
    try rig.files.rename("c".utf8.span.bytes, in: from, to: "e".utf8.span.bytes, in: from, [], rig.user)
    for id in ids {
      try rig.staging.commit(id, evenOpen: true)
      rig.files.release(id, FileHandle(rawValue: 1), nil)
      rig.files.forget(id, 1)
    }
    let rest = try rig.piece(of: from, handle, from: #require(first.last).next, room: 4096)
    #expect(rest.map(\.name) == ["d"])
  }

  @Test("syncfs commits what is closed, and fails while a file is open that is not committed")
  func synced() throws {
    let rig = try Rig()
    let closed = try rig.create("closed", holding: [1])
    rig.files.release(closed, FileHandle(rawValue: 1), nil)
    let open = try rig.create("open", holding: [2])
    #expect(throws: Errno.busy) { try rig.files.syncfs(rig.user) }
    #expect(rig.volume.usage().files == 1)
    try rig.write([3], to: open, at: 1)
    rig.files.release(open, FileHandle(rawValue: 1), nil)
    try rig.files.syncfs(rig.user)
    #expect(rig.volume.usage().files == 2)
  }

  @Test("a command makes no directory of a staged file")
  func claims() throws {
    let rig = try Rig()
    let file = try rig.create("f", holding: [1])
    #expect(throws: FamfsError.self) {
      try rig.staging.claiming("f/sub") { () throws(FamfsError) in Issue.record("claimed") }
    }
    #expect(rig.volume.usage().entries == 0)
    #expect(try rig.read(file) == [1])
  }

  @Test("a name under which a command is making a file is busy until then")
  func reserved() throws {
    let rig = try Rig()
    let taken = try rig.volume.reserve(path: EntryPath("f"), size: 1, permissions: 0, userID: 0, groupID: 0)
    #expect(throws: Errno.busy) { try rig.create("f") }
    rig.volume.cancel(taken.id)
    let file = try rig.create("f", holding: [1])
    #expect(try rig.read(file) == [1])
  }

  @Test("a file that would need more than 16 pieces moves, keeps its bytes, and leaves its old space")
  func relocation() throws {
    let rig = try Rig(runs: Array(repeating: 1, count: 19) + [60])
    let large = try rig.reserveRuns(2...60)
    let free = rig.volume.usage().free
    let file = try rig.create("f")
    var bytes: [UInt8] = []
    func grow() throws {
      let more = [UInt8](repeating: UInt8(bytes.count / 4096 + 1), count: 4096)
      try rig.write(more, to: file, at: bytes.count)
      bytes += more
    }
    func extents() throws -> [Extent]? {
      try rig.staging.withTree { $0[file]?.contents }?.withState { $0.space.extents }?.0
    }
    for _ in 0..<16 { try grow() }
    #expect(try extents()?.count == 16)
    #expect(rig.volume.usage().free == free - 16 * Rig.unit)
    #expect(throws: Errno.noSpace) { try rig.write([1], to: file, at: bytes.count) }
    #expect(try rig.read(file) == bytes)
    rig.volume.cancel(try #require(large.first))
    try grow()
    #expect(try extents()?.count == 1)
    #expect(try rig.read(file) == bytes)

    try rig.staging.commit(file, evenOpen: true)

    #expect(rig.volume.usage().free == free + 60 * Rig.unit - 17 * Rig.unit)
    #expect(try rig.read(file) == bytes)
  }

  @Test("what was removed a moment ago makes room at once, and a write that does not fit changes nothing")
  func fullVolume() throws {
    let rig = try Rig()
    let free = rig.volume.usage().free
    let most = [UInt8](repeating: 7, count: Int(free) / 4 * 3)
    let file = try rig.create("f", holding: most)
    #expect(throws: Errno.noSpace) { try rig.write(most, to: file, at: most.count) }
    #expect(try rig.files.getattr(file, nil, rig.user).attributes.size == UInt64(most.count))
    try rig.files.unlink("f".utf8.span.bytes, in: .root, rig.user)
    rig.files.release(file, FileHandle(rawValue: 1), nil)
    rig.files.forget(file, 1)
    #expect(rig.staging.isIdle)
    let next = try rig.create("f", holding: most)
    try rig.files.unlink("f".utf8.span.bytes, in: .root, rig.user)
    rig.files.release(next, FileHandle(rawValue: 1), nil)
    rig.files.forget(next, 1)

    #expect(rig.volume.usage().free == free)
  }

  @Test("on a device that holds another volume by now nothing staged is read or written")
  func lost() throws {
    let rig = try Rig()
    let file = try rig.create("f", holding: [1])
    try Volume.destroySuperblock(of: MappedDevice(path: rig.device, writable: true))
    _ = try Volume.make(on: MappedDevice(path: rig.device, writable: true), host: .random())
    _ = rig.volume.follow()
    #expect(throws: Errno.stale) { try rig.write([2], to: file, at: 0) }
    #expect(throws: Errno.stale) { try rig.read(file) }
    #expect(throws: Errno.inputOutput) { try rig.files.fsync(file, .none, dataOnly: false, rig.user) }
    #expect(throws: Errno.inputOutput) {
      try rig.files.mkdir("d".utf8.span.bytes, in: .root, NewNode(mode: 0o755), rig.user)
    }
  }
}

/// A volume of small units on a device that is full of old bytes, and what a mount has over it.
final class Rig: Sendable {
  let device: String
  let host: UUID
  let volume: Volume
  let staging: Staging
  let files: StagingFileSystem
  let user = Caller(userID: 7, groupID: 8, processID: 9)
  static let unit: UInt64 = 4096

  /// - Parameters:
  ///   - runs: how many free units there are between those taken, by turns; empty leaves all free.
  ///   - reclaim: whether files of the log can be removed.
  ///   - limits: what one user can hold.
  ///   - wrapping: what stands before the device.
  init(
    delay: UInt64 = 1_000_000_000, runs: [UInt64] = [], reclaim: Bool = false, limits: UserLimits = UserLimits(),
    wrapping: (MappedDevice) -> any MemoryDevice = { $0 }
  ) throws {
    var template = Array("/dev/shm/weft-staging-XXXXXX".utf8CString)
    let file = FileDescriptor(owning: mkstemp(&template))
    device = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let bytes = [UInt8](repeating: 0xee, count: 16 << 20)
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(all: bytes) }
    let memory = wrapping(try MappedDevice(path: device, writable: true))
    var options = MakeOptions()
    options.allocationUnit = Rig.unit
    options.reclaim = reclaim
    host = UUID.random()
    try Volume.make(on: memory, host: host, options)
    volume = try Volume(on: memory, host: host)
    if !runs.isEmpty { try Rig.fragment(volume, runs) }
    staging = Staging(
      of: volume, delay: delay, limits: limits, log: DaemonLog(of: "famfs", isForeground: true, name: "test"))
    let logged = FamfsFileSystem(
      volume: volume, folder: "", settings: LiveSettings(), attributes: staging.attributes)
    files = StagingFileSystem(over: logged, staging)
  }

  deinit { unlink(device) }

  private static func fragment(_ volume: Volume, _ runs: [UInt64]) throws {
    var passing: [UInt64] = []
    var count = 0
    while true {
      let length = runs[count % runs.count]
      if volume.usage().free < (length + 1) * unit { break }
      let taken = try volume.reserve(
        path: EntryPath("taken\(count)"), size: unit, permissions: 0, userID: 0, groupID: 0)
      _ = taken
      passing.append(
        try volume.reserve(
          path: EntryPath("free\(count)"), size: length * unit, permissions: 0, userID: 0, groupID: 0
        ).id)
      count += 1
    }
    for id in passing { volume.cancel(id) }
  }

  /// Takes all free runs of these lengths in units, the longest first, so that what is made has to lie in small pieces.
  func reserveRuns(_ lengths: ClosedRange<UInt64>) throws -> [UInt64] {
    var reservations: [UInt64] = []
    for length in lengths.reversed() {
      while true {
        let path = try EntryPath("large\(length).\(reservations.count)")
        guard
          let taken = try? volume.reserve(
            path: path, size: length * Rig.unit, permissions: 0, userID: 0, groupID: 0)
        else { break }
        if taken.extents.count > 1 {
          volume.cancel(taken.id)
          break
        }
        reservations.append(taken.id)
      }
    }
    return reservations
  }

  func create(_ name: String, in directory: NodeID = .root, holding bytes: [UInt8] = []) throws -> NodeID {
    let made = try files.create(
      name.utf8.span.bytes, in: directory, NewNode(mode: 0o644), OpenIntent(flags: UInt32(O_RDWR | O_CREAT)), user)
    if !bytes.isEmpty { try write(bytes, to: made.entry.node, at: 0) }
    return made.entry.node
  }

  func write(_ bytes: [UInt8], to node: NodeID, at offset: Int) throws(Errno) {
    _ = try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in
      try files.write(node, FileHandle(rawValue: 1), at: UInt64(offset), bytes, WriteIntent(), user)
    }
  }

  func read(_ node: NodeID, at offset: Int = 0, count: Int = 1 << 20) throws(Errno) -> [UInt8] {
    let buffers = ReplyBuffers()
    var reply = ReadReply(wanted: count, in: buffers)
    try files.read(node, FileHandle(rawValue: 1), at: UInt64(offset), into: &reply, user)
    return try reply.contents()
  }

  func piece(
    of directory: NodeID, _ handle: FileHandle, from cookie: UInt64, room: Int
  ) throws(Errno) -> [DirectoryReply.Listed] {
    let buffers = ReplyBuffers()
    var reply = DirectoryReply(wanted: room, isPlus: false, in: buffers)
    try files.readdir(directory, handle, from: cookie, into: &reply, user)
    return reply.contents()
  }

  /// What a directory holds but `.meta`, read in pieces.
  func list(_ directory: NodeID, room: Int = 200) throws(Errno) -> [String] {
    try entries(of: directory, room: room).map(\.name)
  }

  func entries(of directory: NodeID, room: Int = 200) throws(Errno) -> [DirectoryReply.Listed] {
    let handle = try files.opendir(directory, OpenIntent(flags: 0), user).handle
    defer { files.releasedir(directory, handle) }
    var all: [DirectoryReply.Listed] = []
    var cookie: UInt64 = 0
    while true {
      let found = try piece(of: directory, handle, from: cookie, room: room)
      guard let last = found.last else { return all.filter { ![".", "..", ".meta"].contains($0.name) } }
      all += found
      cookie = last.next
    }
  }

  /// One of several threads: makes 100 files, removes half of them, and renames, lists and commits beside.
  func work(in folder: NodeID, _ number: Int) {
    do {
      for count in 0..<100 {
        let name = "\(number).\(count)"
        let bytes = [UInt8](repeating: UInt8(count), count: 1 + count * 100)
        let file = try create("new" + name, in: folder, holding: bytes)
        if count % 3 == 0 { try staging.commitAll() }
        try files.rename(
          ("new" + name).utf8.span.bytes, in: folder, to: name.utf8.span.bytes, in: folder, [], user)
        if count % 2 == 0 { try files.unlink(name.utf8.span.bytes, in: folder, user) }
        if count % 5 == 0 { try files.fsync(file, .none, dataOnly: false, user) }
        #expect(try read(file) == bytes)
        if count % 20 == 0 {
          let names = try list(folder)
          // Those of this thread are all there, and none twice.
          let own = names.filter { $0.hasPrefix("\(number).") }
          #expect(own.count == (count + 1) / 2 && Set(own).count == own.count)
        }
        files.release(file, FileHandle(rawValue: 1), nil)
        files.forget(file, 1)
      }
    } catch { Issue.record("thread \(number): \(error)") }
  }
}

/// What a file or directory is, as the model has it.
private final class ModelNode {
  let isDirectory: Bool
  let id: NodeID
  /// What programs know it by, for good.
  var inode: UInt64
  var bytes: [UInt8] = []
  var children: [String: ModelNode] = [:]
  var isCommitted = false
  var name: String
  weak var parent: ModelNode?
  var isLinked = true
  /// How often it is open for counting; by handle.
  var handles: [FileHandle] = []
  var lookups: UInt64 = 1

  init(_ id: NodeID, isDirectory: Bool, _ name: String, in parent: ModelNode?) {
    (self.id, self.isDirectory, self.name, self.parent) = (id, isDirectory, name, parent)
    inode = id.rawValue
  }

  var path: String {
    guard let parent else { return "" }
    return parent.path.isEmpty ? name : parent.path + "/" + name
  }

  /// Bytes of the longest path below.
  var depth: Int { children.map { 1 + $0.utf8.count + $1.depth }.max() ?? 0 }

  /// Whether its bytes are gone: it has no name, no open file, and was never committed.
  var isGone: Bool { !isDirectory && !isLinked && handles.isEmpty && !isCommitted }

  func isInside(_ other: ModelNode) -> Bool { self === other || parent?.isInside(other) ?? false }

  func commit() {
    if isCommitted || !isLinked { return }
    parent?.commit()
    isCommitted = true
  }
}

/// Random operations on a rig and on a model.
private final class ModelRun {
  private let rig: Rig
  private let seed: UInt64
  private var state: UInt64
  private let free: UInt64
  private let root = ModelNode(.root, isDirectory: true, "", in: nil)
  /// All that the kernel knows.
  private var known: [ModelNode] = []
  private var done: [String] = []

  init(seed: UInt64) throws {
    (self.seed, state) = (seed, seed)
    // Small pieces, so that files move; larger ones, so that few do.
    rig = try Rig(runs: seed % 2 == 0 ? [1, 2, 9, 3, 1, 12, 5] : [1, 2, 1, 3, 1, 2])
    free = rig.volume.usage().free
    root.isCommitted = true
  }

  private func random(_ below: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return Int((mixed ^ mixed >> 31) % UInt64(below))
  }

  private func directory() -> ModelNode {
    let all = known.filter { $0.isDirectory && $0.isLinked } + [root]
    return all[random(all.count)]
  }

  private func file() -> ModelNode? {
    let all = known.filter { !$0.isDirectory }
    return all.isEmpty ? nil : all[random(all.count)]
  }

  private func name() -> String {
    let name = ["a", "b", "c", "d", "e"][random(5)]
    return random(4) == 0 ? String(repeating: name, count: 5 + random(25)) : name
  }

  /// Expects a call to succeed, or to fail, as the model says.
  @discardableResult
  private func expect<Result>(_ wanted: Errno?, _ what: String, _ body: () throws -> Result) throws -> Result? {
    done.append(what)
    do {
      let result = try body()
      if let wanted { throw Difference("seed \(seed): \(what) should fail with \(wanted); before: \(done.suffix(12))") }
      return result
    } catch let error as Errno {
      if error == .noSpace && wanted == nil { return nil }  // and nothing has changed: that is compared
      if error != wanted { throw Difference("seed \(seed): \(what): \(error); before: \(done.suffix(12))") }
      return nil
    }
  }

  private struct Difference: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  func step() throws {
    switch random(26) {
    case 0...3: try make()
    case 4: try makeDirectory()
    case 5...10: try write()
    case 11, 12: try truncate()
    case 13: try allocate()
    case 14, 15: try rename()
    case 16...18: try remove()
    case 19: if random(3) == 0 { try sync() }
    case 20: try close()
    case 21: try open()
    case 22: try forget()
    case 23: try lookUp()
    case 24: try compare(directory())
    default: if let file = file() { try compare(file) }
    }

  }

  /// What making something there must fail with.
  private func obstacle(_ name: String, in parent: ModelNode) -> Errno? {
    let length = parent.path.utf8.count + (parent === root ? 0 : 1) + name.utf8.count
    if length > 79 { return .nameTooLong }
    return parent.children[name] == nil ? nil : .exists
  }

  private func add(_ id: NodeID, isDirectory: Bool, _ name: String, in parent: ModelNode) -> ModelNode {
    let node = ModelNode(id, isDirectory: isDirectory, name, in: parent)
    parent.children[name] = node
    known.append(node)
    return node
  }

  private func make() throws {
    let (parent, name) = (directory(), name())
    let intent = OpenIntent(flags: UInt32(O_RDWR | O_CREAT | O_EXCL))
    let made = try expect(obstacle(name, in: parent), "create \(name) in \(parent.path)") {
      try rig.files.create(name.utf8.span.bytes, in: parent.id, NewNode(mode: 0o644), intent, rig.user)
    }
    if let made {
      add(made.entry.node, isDirectory: false, name, in: parent).handles = [made.opened.handle]
    }
  }

  private func makeDirectory() throws {
    let (parent, name) = (directory(), name())
    let made = try expect(obstacle(name, in: parent), "mkdir \(name) in \(parent.path)") {
      try rig.files.mkdir(name.utf8.span.bytes, in: parent.id, NewNode(mode: 0o755), rig.user)
    }
    if let made { _ = add(made.node, isDirectory: true, name, in: parent) }
  }

  private func write() throws {
    guard let file = file() else { return }
    let end = file.bytes.count
    let offset = random(3) == 0 ? end : random(min(end + 30_000, 120_000))
    let bytes = [UInt8](repeating: UInt8(1 + random(255)), count: 1 + random(20_000))
    let isRefused = file.isCommitted && offset + bytes.count > end
    let what = "write \(bytes.count) at \(offset) of \(file.path) with \(end)"
    let written: Void? = try expect(file.isGone ? .stale : isRefused ? .fileTooLarge : nil, what) {
      try rig.write(bytes, to: file.id, at: offset)
    }
    if written == nil { return }
    if offset > end { file.bytes += [UInt8](repeating: 0, count: offset - end) }
    file.bytes.replaceSubrange(offset..<min(offset + bytes.count, file.bytes.count), with: bytes)
  }

  private func truncate() throws {
    guard let file = file() else { return }
    var changes = AttributeChanges()
    let size = random(150_000)
    changes.size = UInt64(size)
    let refusal: Errno? =
      file.isGone ? .stale : file.isCommitted && size != file.bytes.count ? .notPermitted : nil
    let after = try expect(refusal, "truncate \(file.path) from \(file.bytes.count) to \(size)") {
      try rig.files.setattr(file.id, nil, changes, rig.user)
    }
    guard let after else { return }
    #expect(after.attributes.size == UInt64(size))
    let kept = file.bytes.prefix(size)
    file.bytes = Array(kept) + [UInt8](repeating: 0, count: size - kept.count)
  }

  private func allocate() throws {
    guard let file = file(), !file.isCommitted else { return }
    let (offset, length) = (random(100_000), 1 + random(60_000))
    let mode: FallocateMode = [[], .keepSize, [.punchHole, .keepSize], .zeroRange, [.zeroRange, .keepSize]][random(5)]
    let what = "fallocate \(mode.rawValue) \(offset)+\(length) of \(file.path)"
    let result: Void? = try expect(file.isGone ? .stale : nil, what) {
      try rig.files.fallocate(file.id, .none, at: UInt64(offset), length: UInt64(length), mode, rig.user)
    }
    if result == nil { return }
    let end = offset + length
    if mode.contains(.punchHole) || mode.contains(.zeroRange) {
      for place in (offset..<end).clamped(to: 0..<file.bytes.count) { file.bytes[place] = 0 }
    }
    if !mode.contains(.keepSize) && end > file.bytes.count {
      file.bytes += [UInt8](repeating: 0, count: end - file.bytes.count)
    }
  }

  private func rename() throws {
    let (from, to, new) = (directory(), directory(), name())
    guard let node = knownChild(of: from) else { return }
    let other = to.children[new]
    // The kernel refuses these by itself, and looks both names up before.
    if to.isInside(node) || other.map({ !known($0) || node.isInside($0) }) ?? false { return }
    let length = to.path.utf8.count + (to === root ? 0 : 1) + new.utf8.count + node.depth
    let refusal: Errno? =
      if node.isCommitted { .notPermitted } else if length > 79 { .nameTooLong } else if let other, other !== node {
        if other.isCommitted {
          .notPermitted
        } else if node.isDirectory && !other.isDirectory {
          .notDirectory
        } else if !node.isDirectory && other.isDirectory {
          .isDirectory
        } else if !other.children.isEmpty {
          .notEmpty
        } else {
          nil
        }
      } else { nil }
    let result: Void? = try expect(refusal, "rename \(node.path) to \(to.path)/\(new)") {
      try rig.files.rename(
        node.name.utf8.span.bytes, in: from.id, to: new.utf8.span.bytes, in: to.id, [], rig.user)
    }
    if result == nil || other === node { return }
    other?.isLinked = false
    from.children[node.name] = nil
    to.children[new] = node
    (node.name, node.parent) = (new, to)
  }

  private func knownChild(of directory: ModelNode) -> ModelNode? {
    let all = directory.children.values.filter { known($0) }.sorted { $0.name < $1.name }
    return all.isEmpty ? nil : all[random(all.count)]
  }

  private func known(_ node: ModelNode) -> Bool { known.contains { $0 === node } }

  private func remove() throws {
    let parent = directory()
    guard let node = knownChild(of: parent) else { return }
    let refusal: Errno? = node.isCommitted ? .notPermitted : node.children.isEmpty ? nil : .notEmpty
    let name = node.name.utf8.span.bytes
    let result: Void? = try expect(refusal, "remove \(node.path)") {
      if node.isDirectory {
        try rig.files.rmdir(name, in: parent.id, rig.user)
      } else {
        try rig.files.unlink(name, in: parent.id, rig.user)
      }
    }
    if result == nil { return }
    parent.children[node.name] = nil
    node.isLinked = false
  }

  private func sync() throws {
    guard let file = file() else { return }
    if random(6) == 0 {
      try rig.staging.commitAll()
      func commit(_ node: ModelNode) {
        if node.handles.isEmpty { node.commit() }
        for child in node.children.values { commit(child) }
      }
      commit(root)
      done.append("commit all")
    } else {
      try expect(nil, "fsync \(file.path)") {
        try rig.files.fsync(file.id, file.handles.first ?? .none, dataOnly: false, rig.user)
      }
      file.commit()
    }
  }

  private func close() throws {
    guard let file = file(), let handle = file.handles.popLast() else { return }
    done.append("close \(file.path)")
    rig.files.release(file.id, handle, nil)
  }

  private func open() throws {
    guard let file = file() else { return }
    let opened = try expect(file.isGone ? .stale : nil, "open \(file.path)") {
      try rig.files.open(file.id, OpenIntent(flags: UInt32(O_RDWR)), rig.user)
    }
    if let opened { file.handles.append(opened.handle) }
  }

  /// As the kernel does it: not while it is open, nor while something in it is known.
  private func forget() throws {
    let idle = known.filter { $0.handles.isEmpty && !$0.children.values.contains { known($0) } }
    if !idle.isEmpty { forget(idle[random(idle.count)]) }
  }

  private func forget(_ node: ModelNode) {
    done.append("forget \(node.path)")
    rig.files.forget(node.id, node.lookups)
    known.removeAll { $0 === node }
  }

  private func lookUp() throws {
    let (parent, name) = (directory(), name())
    let wanted = parent.children[name]
    let found = try expect(wanted == nil ? .noEntry : nil, "look up \(name) in \(parent.path)") {
      try rig.files.lookup(name.utf8.span.bytes, in: parent.id, rig.user)
    }
    guard let found, let wanted else { return }
    #expect(found.attributes.inode == wanted.inode, "seed \(seed): \(wanted.path) has another number for programs")
    if known(wanted) {
      #expect(found.node == wanted.id, "seed \(seed): \(wanted.path) has another number")
      wanted.lookups += 1
      return
    }
    // Forgotten, it may come under another number, but not for programs.
    let again = ModelNode(found.node, isDirectory: wanted.isDirectory, name, in: parent)
    again.inode = wanted.inode
    (again.bytes, again.children, again.isCommitted) = (wanted.bytes, wanted.children, wanted.isCommitted)
    for child in again.children.values { child.parent = again }
    parent.children[name] = again
    known.append(again)
  }

  private func compare(_ node: ModelNode) throws {
    if node.isDirectory {
      if !node.isLinked { return }
      let listed = try rig.entries(of: node.id, room: 80 + random(300))
      for entry in listed {
        guard let inode = node.children[entry.name]?.inode else { continue }
        #expect(entry.inode == inode, "seed \(seed): \(entry.name) in \(node.path) is listed with another number")
      }
      let names = listed.map(\.name)
      if names.sorted() != node.children.keys.sorted() {
        throw Difference(
          "seed \(seed): \(node.path) holds \(names), not \(node.children.keys.sorted()): \(done.suffix(20))")
      }
      return
    }
    let attributes = try rig.files.getattr(node.id, nil, rig.user).attributes
    #expect(attributes.inode == node.inode, "seed \(seed): \(node.path) has another number")
    if node.isGone {
      try expect(.stale, "read \(node.path)") { try rig.read(node.id) }
      return
    }
    let size = attributes.size
    let bytes = try rig.read(node.id)
    if bytes != node.bytes || size != UInt64(node.bytes.count) {
      let place = zip(bytes, node.bytes).enumerated().first { $1.0 != $1.1 }?.offset
      throw Difference(
        "seed \(seed): \(node.path) has \(size), \(bytes.count) bytes, not \(node.bytes.count), and differs at "
          + "\(place ?? -1): \(done.suffix(20))")
    }
  }

  func compareAll() throws {
    try compare(root)
    for node in known { try compare(node) }
    rig.staging.withTree { tree in
      let links = tree.nodes.compactMapValues { $0.link }
      #expect(tree.stagedCount == links.count)
      for place in Set(links.values.map(\.parent)) {
        let count = links.count { id, link in link.parent == place && tree[id]?.isDirectory == true }
        #expect(tree.subdirectories(of: place) == count)
      }
    }
  }

  /// Removes all that can be, and forgets everything.
  func end() throws {
    func remove(_ directory: NodeID, _ node: ModelNode) throws {
      for child in node.children.values {
        if !known(child) {
          child.lookups = 1
          let id = try rig.files.lookup(child.name.utf8.span.bytes, in: directory, rig.user).node
          if child.isDirectory { try remove(id, child) }
          if !child.isCommitted { try unlink(child, in: directory) }
          rig.files.forget(id, 1)
        } else {
          if child.isDirectory { try remove(child.id, child) }
          if !child.isCommitted { try unlink(child, in: directory) }
        }
      }
    }
    func unlink(_ node: ModelNode, in directory: NodeID) throws {
      let name = node.name.utf8.span.bytes
      if node.isDirectory {
        try rig.files.rmdir(name, in: directory, rig.user)
      } else {
        try rig.files.unlink(name, in: directory, rig.user)
      }
    }
    try remove(.root, root)
    for node in known {
      for handle in node.handles { rig.files.release(node.id, handle, nil) }
      rig.files.forget(node.id, node.lookups)
    }
    #expect(rig.staging.isIdle, "seed \(seed): numbers leak")
    #expect(rig.staging.shares.isEmpty, "seed \(seed): shares leak")
    let volume = rig.volume
    let kept = volume.entryNumbers.map { volume.extents(of: $0) }.joined().reduce(0) { $0 + $1.length }
    #expect(volume.usage().free == free - kept, "seed \(seed): space leaks")
    let least = try volume.entryNumbers.reduce(UInt64(0)) { sum, number in
      try sum
        + (volume.node(number).kind == .file
          ? max(1, (volume.node(number).size + Rig.unit - 1) / Rig.unit) * Rig.unit : 0)
    }
    #expect(kept == least, "seed \(seed): files keep more than they need")
  }
}
