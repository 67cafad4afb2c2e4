import ControlChannel
import Famfs
import FamfsControl
import Fuse
import Glibc
import Memory
import Platform
import Serving
import Synchronization
import Testing

@testable import FamfsService

/// A device that writes down what is done to it, in order.
private final class RecordingDevice: MemoryDevice {
  enum Call: Equatable {
    case read(Range<UInt64>), write(Range<UInt64>), invalidate(Range<UInt64>), writeBack(Range<UInt64>), fence
    case sync(Range<UInt64>)
  }

  let inner: MappedDevice
  /// Whether it counts as a block device.
  let isPageCache: Bool
  private let made = Mutex<[Call]>([])

  init(_ inner: MappedDevice, isPageCache: Bool) { (self.inner, self.isPageCache) = (inner, isPageCache) }

  /// What came since the last time.
  func calls() -> [Call] {
    made.withLock { calls in
      defer { calls = [] }
      return calls
    }
  }

  private func note(_ call: Call) { made.withLock { $0.append(call) } }
  private func range(_ offset: UInt64, _ count: some BinaryInteger) -> Range<UInt64> { offset..<offset + UInt64(count) }

  var path: String { inner.path }
  var size: UInt64 { inner.size }

  func bytes(at offset: UInt64, count: Int) throws(Errno) -> UnsafeRawBufferPointer {
    note(.read(range(offset, count)))
    return try inner.bytes(at: offset, count: count)
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    note(.read(range(offset, buffer.count)))
    try inner.read(at: offset, into: buffer)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    note(.write(range(offset, buffer.count)))
    try inner.write(at: offset, from: buffer)
  }

  func zero(at offset: UInt64, count: UInt64) throws(Errno) {
    note(.write(range(offset, count)))
    try inner.zero(at: offset, count: count)
  }

  func load64(at offset: UInt64) throws(Errno) -> UInt64 { try inner.load64(at: offset) }
  func store64(at offset: UInt64, _ value: UInt64) throws(Errno) { try inner.store64(at: offset, value) }

  func writeBack(at offset: UInt64, count: UInt64) throws(Errno) { note(.writeBack(range(offset, count))) }
  func invalidate(at offset: UInt64, count: UInt64) throws(Errno) { note(.invalidate(range(offset, count))) }
  func fence() { note(.fence) }
  func sync(at offset: UInt64, count: UInt64) throws(Errno) { note(.sync(range(offset, count))) }
}

@Suite struct CoherenceTests {
  /// A volume with a file of 3 units, and where that lies.
  private final class Rig {
    let device: RecordingDevice
    let files: FamfsFileSystem
    let node: NodeID
    let start: UInt64
    private let path: String
    let user = Caller(userID: 0, groupID: 0, processID: 1)

    init(_ coherence: Coherence, isPageCache: Bool = false) throws {
      var template = Array("/dev/shm/weft-coherence-XXXXXX".utf8CString)
      let file = FileDescriptor(owning: mkstemp(&template))
      path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
      try file.truncate(to: 16 << 20)
      device = RecordingDevice(try MappedDevice(path: path, writable: true), isPageCache: isPageCache)
      var options = MakeOptions()
      options.allocationUnit = 4096
      let host = UUID.random()
      try Volume.make(on: device, host: host, options)
      let volume = try Volume(on: device, host: host)
      let reserved = try volume.reserve(
        path: EntryPath("file"), size: 10_000, permissions: 0o644, userID: 0, groupID: 0)
      start = reserved.extents[0].offset
      node = NodeID(try volume.commit(reserved.id))
      files = FamfsFileSystem(volume: volume, folder: "", settings: LiveSettings(coherence: coherence))
      _ = device.calls()
    }

    deinit { unlink(path) }

    func write(
      _ bytes: [UInt8], at offset: UInt64, _ handle: FileHandle = .none, _ intent: WriteIntent = WriteIntent()
    ) throws {
      _ = try bytes.withUnsafeBytes { try files.write(node, handle, at: offset, $0, intent, user) }
    }

    func read(_ node: NodeID, at offset: UInt64, count: Int) throws -> [UInt8] {
      let buffers = ReplyBuffers()
      var reply = ReadReply(wanted: count, in: buffers)
      try files.read(node, .none, at: offset, into: &reply, user)
      return try reply.contents()
    }
  }

  @Test("noncoherent: what a read hands out was invalidated just before, all of it")
  func reads() throws {
    let rig = try Rig(.noncoherent)
    _ = try rig.read(rig.node, at: 100, count: 5000)
    let range = rig.start + 100..<rig.start + 5100
    #expect(rig.device.calls() == [.invalidate(range), .read(range)])
  }

  @Test(
    "on a block device each read is fresh, once, whatever the option", arguments: [Coherence.coherent, .noncoherent])
  func blockDevice(coherence: Coherence) throws {
    let rig = try Rig(coherence, isPageCache: true)
    _ = try rig.read(rig.node, at: 100, count: 5000)
    let range = rig.start + 100..<rig.start + 5100
    #expect(rig.device.calls() == [.invalidate(range), .read(range)])
  }

  @Test("noncoherent: a write reads the lines afresh that it fills in part, and is in the memory before it is answered")
  func writes() throws {
    let rig = try Rig(.noncoherent)
    try rig.write([UInt8](repeating: 7, count: 300), at: 70)
    let first = rig.start..<rig.start + 128
    let last = rig.start + 256..<rig.start + 384
    #expect(
      rig.device.calls() == [.invalidate(first), .invalidate(last), .write(rig.start + 70..<rig.start + 370), .fence])
    try rig.write([UInt8](repeating: 7, count: 256), at: 128)
    #expect(rig.device.calls() == [.write(rig.start + 128..<rig.start + 384), .fence])
    #expect(try rig.read(rig.node, at: 69, count: 3) == [0, 7, 7])
  }

  @Test("coherent: contents are neither invalidated nor written back; the log and the superblock always are fresh")
  func coherent() throws {
    let rig = try Rig(.coherent)
    try rig.write([1, 2, 3], at: 70)
    _ = try rig.read(rig.node, at: 0, count: 100)
    #expect(
      rig.device.calls() == [
        .write(rig.start + 70..<rig.start + 73), .fence, .read(rig.start..<rig.start + 100),
      ])
    _ = try rig.read(NodeID(.log), at: 0, count: 4096)
    let log: Range<UInt64> = 2 << 20..<(2 << 20) + 4096
    #expect(rig.device.calls() == [.invalidate(log), .read(log)])
  }

  @Test("fsync, syncfs and a synchronous write past the kernel's cache wait for the disk; other writes do not")
  func durable() throws {
    let rig = try Rig(.coherent)
    let written: [RecordingDevice.Call] = [.write(rig.start..<rig.start + 1), .fence]
    let file = RecordingDevice.Call.sync(rig.start..<rig.start + 12_288)
    let direct = rig.files.opened([], .directIO).handle
    let synchronous = WriteIntent(flags: UInt32(O_DSYNC))
    try rig.write([1], at: 0, direct)
    #expect(rig.device.calls() == written)
    try rig.write([1], at: 0, direct, synchronous)
    #expect(rig.device.calls() == written + [file])
    // The kernel sends an fsync behind a synchronous write that goes through its cache.
    try rig.write([1], at: 0, rig.files.opened([], []).handle, synchronous)
    #expect(rig.device.calls() == written)
    try rig.files.fsync(rig.node, .none, dataOnly: true, rig.user)
    #expect(rig.device.calls() == [file])
    try rig.files.syncfs(rig.user)
    #expect(rig.device.calls() == [.sync(0..<16 << 20)])
  }

  @Test("what is written to a mapping is stored, also if the truncation of the file that it is told of was refused")
  func writeBack() throws {
    let rig = try Rig(.coherent)
    let handle = rig.files.opened([], []).handle
    var changes = AttributeChanges()
    changes.size = 1
    #expect(throws: Errno.notPermitted) { try rig.files.setattr(rig.node, handle, changes, rig.user) }
    #expect(throws: Errno.notPermitted) { try rig.write([1], at: 0, handle) }
    try rig.write([2], at: 0, handle, WriteIntent(isWriteBack: true))
    #expect(try rig.read(rig.node, at: 0, count: 1) == [2])
  }
}
