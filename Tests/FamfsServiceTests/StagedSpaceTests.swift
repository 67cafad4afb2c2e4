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

/// The space of staged files, and the master's term in which it was taken.
@Suite(.timeLimit(.minutes(15)))
struct StagedSpaceTests {
  @Test("space of an earlier term is not given back into the map of a later one, nor added to what it was taken for")
  func terms() throws {
    let rig = try Rig()
    let old = rig.volume.term
    let free = rig.volume.usage().free
    let before = try rig.volume.takeSpace(4 * Rig.unit, behind: nil, in: old, for: "before")
    #expect(rig.volume.usage().free == free - 4 * Rig.unit)
    try rig.loseAndRegain()
    #expect(rig.volume.usage().free == free)
    // First-fit: the very units that were taken before.
    let after = try rig.volume.takeSpace(4 * Rig.unit, behind: nil, in: rig.volume.term, for: "after")
    #expect(after.extents == before.extents)
    rig.volume.giveSpace(before)
    #expect(rig.volume.usage().free == free - 4 * Rig.unit)
    #expect(throws: FamfsError.self) {
      try rig.volume.takeSpace(Rig.unit, behind: nil, in: old, for: "what was made before")
    }
    #expect(rig.volume.usage().free == free - 4 * Rig.unit)
  }

  @Test("a file that moves while the volume is taken over, and back, leaves the later term's map alone")
  func movedMeanwhile() throws {
    let hook = Hook()
    let rig = try Rig(runs: Array(repeating: 1, count: 19) + [60]) { HookedDevice($0, hook) }
    let large = try rig.reserveRuns(2...60)
    let file = try rig.create("f")
    for piece in 0..<16 { try rig.write([UInt8](repeating: 1, count: 4096), to: file, at: piece * 4096) }
    rig.volume.cancel(try #require(large.first))
    hook.set { () throws(Errno) in
      try? rig.loseAndRegain()
      throw .inputOutput
    }
    // The 17th piece moves it.
    #expect(throws: Errno.inputOutput) { try rig.write([2], to: file, at: 16 * 4096) }
    #expect(hook.isDone && rig.volume.term == 1)
    // Nothing is taken but by the log: a fresh look at it says the same.
    let fresh = try Volume(on: MappedDevice(path: rig.device, writable: true), host: rig.host)
    #expect(rig.volume.usage().free == fresh.usage().free)
    #expect(throws: Errno.readOnlyFileSystem) { try rig.write([3], to: file, at: 0) }
    #expect(throws: FamfsError.self) { try rig.staging.commit(file, evenOpen: true) }
    rig.files.release(file, FileHandle(rawValue: 1), nil)
    try rig.files.unlink("f".utf8.span.bytes, in: .root, rig.user)
    #expect(rig.volume.usage().free == fresh.usage().free)
  }

  @Test("of a file that moves while another host takes the volume over no more than a piece is stored")
  func takenOverMeanwhile() throws {
    let hook = Hook()
    let rig = try Rig(runs: Array(repeating: 17, count: 19) + [400]) { HookedDevice($0, hook) }
    let large = try rig.reserveRuns(18...400)
    let file = try rig.create("f")
    let run = [UInt8](repeating: 1, count: 17 * 4096)
    for piece in 0..<16 { try rig.write(run, to: file, at: piece * run.count) }
    rig.volume.cancel(try #require(large.first))
    let before = try readSmallFile(rig.device, limit: 16 << 20)
    hook.set { () throws(Errno) in try? rig.lose() }
    // It has 16 pieces of space, and moves.
    #expect(throws: Errno.readOnlyFileSystem) { try rig.write([2], to: file, at: 16 * run.count) }
    #expect(hook.isDone)
    let after = try readSmallFile(rig.device, limit: 16 << 20)
    try #require(before.count == 16 << 20 && after.count == before.count)
    // Behind superblock and log.
    let changed = stride(from: 10 << 20, to: before.count, by: 4096).count {
      before[$0..<$0 + 4096] != after[$0..<$0 + 4096]
    }
    #expect(changed == 256)
  }

  @Test("a read amid which another host takes the volume over gives no bytes")
  func readMeanwhile() throws {
    let hook = Hook()
    let rig = try Rig { HookedDevice($0, hook) }
    let file = try rig.create("f", holding: [1, 2, 3])
    hook.set { () throws(Errno) in try? rig.lose() }
    #expect(throws: Errno.readOnlyFileSystem) { try rig.read(file) }
    #expect(hook.isDone)
  }

  @Test("a daemon that was stopped while it lost the volume changes no byte of a staged file")
  func writeAfterwards() throws {
    let rig = try Rig()
    let file = try rig.create("f", holding: [1, 2, 3])
    let place = try #require(try rig.staging.withTree { $0[file]?.contents }?.withState { $0.space.extents[0] }?.0)
    func bytes() throws -> [UInt8] {
      let page = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
      defer { page.deallocate() }
      try rig.volume.device.read(at: place.offset, into: page)
      return Array(page)
    }
    let before = try bytes()
    #expect(before.starts(with: [1, 2, 3, 0xee]))
    try rig.lose()
    #expect(rig.volume.role == .master)
    #expect(throws: Errno.readOnlyFileSystem) { try rig.write([9], to: file, at: 0) }
    #expect(throws: Errno.readOnlyFileSystem) { try rig.write([9], to: file, at: 1 << 20) }
    #expect(try bytes() == before)
    // A commit would zero what lies behind the file's end.
    #expect(throws: FamfsError.self) { try rig.staging.commit(file, evenOpen: true) }
    #expect(try bytes() == before)
    #expect(rig.volume.role == .client)
  }

  @Test("a file that was removed gives its space back with its last close, and before the kernel forgets it")
  func removed() throws {
    let rig = try Rig()
    let free = rig.volume.usage().free
    let file = try rig.create("f", holding: [UInt8](repeating: 7, count: 100_000))
    try rig.files.unlink("f".utf8.span.bytes, in: .root, rig.user)
    #expect(try rig.read(file).count == 100_000)
    rig.files.release(file, FileHandle(rawValue: 1), nil)
    #expect(rig.volume.usage().free == free)
    #expect(throws: Errno.stale) { try rig.files.open(file, OpenIntent(flags: 0), rig.user) }
    #expect(throws: Errno.stale) { try rig.write([1], to: file, at: 0) }
    rig.files.forget(file, 1)
    #expect(rig.staging.isIdle)
  }

  @Test("what was read stays what it was when the file's space is another's before the reply is sent")
  func replies() throws {
    let rig = try Rig()
    let file = try rig.create("f", holding: [UInt8](repeating: 7, count: 100_000))
    let buffers = ReplyBuffers()
    var reply = ReadReply(wanted: 1 << 20, in: buffers)
    try rig.files.read(file, FileHandle(rawValue: 1), at: 0, into: &reply, rig.user)
    try rig.files.unlink("f".utf8.span.bytes, in: .root, rig.user)
    rig.files.release(file, FileHandle(rawValue: 1), nil)
    // First-fit: the same place.
    _ = try rig.create("g", holding: [UInt8](repeating: 9, count: 100_000))
    #expect(try reply.contents() == [UInt8](repeating: 7, count: 100_000))
  }

  @Test("a write for which there is no room fails at once, also where removed files will make room")
  func noSleep() throws {
    let rig = try Rig(reclaim: true)
    let half = [UInt8](repeating: 7, count: Int(rig.volume.usage().free) / 2)
    let old = try rig.create("old", holding: half)
    try rig.staging.commit(old, evenOpen: true)
    rig.files.release(old, FileHandle(rawValue: 1), nil)
    let path = try EntryPath("old")
    try rig.staging.removing("old") { () throws(FamfsError) in try rig.volume.remove(path) }
    try #require(rig.volume.isHolding)
    let file = try rig.create("f", holding: [UInt8](repeating: 8, count: half.count - Int(Rig.unit)))
    let sleeps = try #require(try voluntarySwitches())
    #expect(throws: Errno.noSpace) { try rig.write(half, to: file, at: half.count) }
    #expect(try voluntarySwitches() == sleeps)
  }
}

/// How often this thread has gone to sleep.
private func voluntarySwitches() throws -> Substring? {
  String(decoding: try readSmallFile("/proc/thread-self/status"), as: UTF8.self).split(separator: "\n")
    .first { $0.hasPrefix("voluntary_ctxt_switches") }
}

extension Rig {
  /// Another host takes the volume over; this one does not know yet.
  func lose() throws {
    let other = try Volume(on: MappedDevice(path: device, writable: true), host: .random())
    try other.claimMastership()
    try other.becomeMaster()
  }

  /// Another host takes the volume over, and this one takes it back.
  func loseAndRegain() throws {
    try lose()
    _ = volume.follow()
    try #require(volume.role == .client)
    try volume.claimMastership()
    try volume.becomeMaster()
  }
}

/// What happens once, before a read of more than a cache line.
private final class Hook: Sendable {
  private let body = Mutex<(@Sendable () throws(Errno) -> Void)?>(nil)
  private let ran = Atomic(false)

  func set(_ new: @escaping @Sendable () throws(Errno) -> Void) { body.withLock { $0 = new } }

  var isDone: Bool { ran.load(ordering: .acquiring) }

  func run() throws(Errno) {
    let body = body.withLock { body in
      defer { body = nil }
      return body
    }
    guard let body else { return }
    ran.store(true, ordering: .releasing)
    try body()
  }
}

/// A device on which something happens before contents are read.
private final class HookedDevice: MemoryDevice {
  private let device: MappedDevice
  private let hook: Hook

  init(_ device: MappedDevice, _ hook: Hook) { (self.device, self.hook) = (device, hook) }

  var path: String { device.path }
  var size: UInt64 { device.size }
  func bytes(at offset: UInt64, count: Int) throws(Errno) -> UnsafeRawBufferPointer {
    try device.bytes(at: offset, count: count)
  }
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    // Contents lie behind superblock and log.
    if offset >= 8 << 20 { try hook.run() }
    try device.read(at: offset, into: buffer)
  }
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try device.write(at: offset, from: buffer)
  }
  func zero(at offset: UInt64, count: UInt64) throws(Errno) { try device.zero(at: offset, count: count) }
  func load64(at offset: UInt64) throws(Errno) -> UInt64 { try device.load64(at: offset) }
  func store64(at offset: UInt64, _ value: UInt64) throws(Errno) { try device.store64(at: offset, value) }
  func replace64(at offset: UInt64, _ old: UInt64, with new: UInt64) throws(Errno) -> Bool {
    try device.replace64(at: offset, old, with: new)
  }
  func writeBack(at offset: UInt64, count: UInt64) throws(Errno) { try device.writeBack(at: offset, count: count) }
  func invalidate(at offset: UInt64, count: UInt64) throws(Errno) { try device.invalidate(at: offset, count: count) }
  func fence() { device.fence() }
}
