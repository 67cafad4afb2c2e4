import ControlChannel
import Famfs
import FamfsControl
import Glibc
import Memory
import Platform
import Serving
import Synchronization
import Testing

@testable import FamfsService

/// The daemon's end of the control socket.
struct ControlTests {
  @Test("a command of another version is refused by a sentence that it can read, and others are served on")
  func otherVersions() throws {
    let daemon = try TestDaemon()
    let command = try daemon.connection()
    let refusal = ControlReply.failed(NoDaemon.otherVersion).encode()
    let request = ControlRequest.status.encode()
    let word = withUnsafeBytes(of: (ControlVersion.word + 1).littleEndian) { Array($0) }
    #expect(try command.bytes(for: word + request.dropFirst(8)) == refusal)
    #expect(try command.bytes(for: Array(request.dropFirst(8))) == Array(refusal.dropFirst(8)))
    guard case .status = try command.ask(.status) else {
      Issue.record("the daemon does not answer its own version")
      return
    }
  }

  @Test("the daemon says where a file lies, and names what it cannot map")
  func mapping() throws {
    let daemon = try TestDaemon()
    let name = try EntryPath("file")
    let made = try daemon.volume.reserve(path: name, size: 5_000_000, permissions: 0o644, userID: 0, groupID: 0)
    try daemon.volume.commit(made.id)
    try daemon.volume.makeDirectory(path: EntryPath("dir"), permissions: 0o755, userID: 0, groupID: 0)
    #expect(try daemon.ask(.map("file")) == .mapped(made.layout, size: 5_000_000))
    for (path, words) in [("none", "no such file"), ("dir", "directory"), ("../x", "../x"), ("", "")] {
      guard case .failed(let sentence) = try daemon.ask(.map(path)) else {
        Issue.record("'\(path)' was mapped")
        continue
      }
      #expect(sentence.contains(path) && sentence.contains(words), "\(sentence)")
    }
  }

  @Test("a commit of several makes those before the first that fails, and frees the space of those behind it")
  func severalAtOnce() throws {
    let daemon = try TestDaemon()
    let free = daemon.volume.usage().free
    func reserve(_ path: String) throws -> UInt64 {
      let name = NewName(path: path, permissions: 0o644, userID: 0, groupID: 0)
      guard case .reserved(let id, _) = try daemon.ask(.reserve(name, size: 1, nil)) else {
        throw FamfsError.other("\(path) was not reserved")
      }
      return id
    }
    #expect(try daemon.ask(.commit([])) == .done)
    let ids = try ["a", "b", "c", "d"].map(reserve)
    guard case .failed(let sentence) = try daemon.ask(.commit([ids[0], ids[1], 999, ids[2]])) else {
      Issue.record("a reservation that is not there was committed")
      return
    }
    #expect(sentence.contains("try again"))
    let isThere = { (path: String) in daemon.volume.find(try EntryPath(path)) != nil }
    #expect(try ["a", "b", "c", "d"].map(isThere) == [true, true, false, false])
    #expect(daemon.volume.usage().free == free - 3 * (2 << 20))
    #expect(try daemon.ask(.commit([ids[3], ids[3]])) != .done)
    #expect(try isThere("d"))
    #expect(daemon.volume.usage().free == free - 3 * (2 << 20))
    // Their names can be had again.
    #expect(try daemon.ask(.commit([try reserve("c")])) == .done)
  }

  @Test("of a volume that was formatted anew the daemon says so")
  func lost() throws {
    let daemon = try TestDaemon()
    let made = try daemon.volume.reserve(
      path: EntryPath("file"), size: 5, permissions: 0o644, userID: 0, groupID: 0)
    try daemon.volume.commit(made.id)
    try daemon.replace()
    guard case .failed(let sentence) = try daemon.ask(.map("file")) else { throw Errno.invalidArgument }
    #expect(sentence.contains("another file system") && sentence.contains("unmount"), "\(sentence)")
  }

  @Test("two paths as long as the kernel has them fit in one message")
  func longPaths() throws {
    let daemon = try TestDaemon()
    let path = String(repeating: "a", count: 4095)
    guard case .failed(let sentence) = try daemon.ask(.clone(path, to: path)) else { throw Errno.invalidArgument }
    #expect(sentence.hasPrefix(path) && sentence.hasSuffix("choose another name"), "\(sentence.suffix(80))")
  }
}

/// What becomes of a daemon that many, or slow ones, ask.
struct ControlLoadTests {
  @Test("while one request takes long others are answered, and then it is, too")
  func longWork() throws {
    let gate = Gate()
    let daemon = try TestDaemon(forget: { _ in gate.wait() })
    defer { gate.open() }
    let name = try EntryPath("file")
    let made = try daemon.volume.reserve(path: name, size: 1, permissions: 0o644, userID: 0, groupID: 0)
    try daemon.volume.commit(made.id)
    // More than there are threads for such work.
    let slow = try (0..<LongWork.mostThreads + 4).map { _ in try daemon.connection() }
    for connection in slow { try connection.send(.forget("file")) }
    #expect(gate.waitForGuests(LongWork.mostThreads))
    guard case .status = try daemon.ask(.status) else { throw Errno.invalidArgument }
    let other = NewName(path: "other", permissions: 0o644, userID: 0, groupID: 0)
    guard case .reserved = try daemon.ask(.reserve(other, size: 1, nil)) else { throw Errno.invalidArgument }
    // One that goes away meanwhile is nobody's trouble.
    slow[0].hangUp()
    gate.open()
    for connection in slow.dropFirst() { #expect(try connection.receive() == .done) }
    guard case .status = try daemon.ask(.status) else { throw Errno.invalidArgument }
  }

  @Test("a commit, which may zero gigabytes, and what waits for devices or locks is done beside the thread that serves")
  func isLong() throws {
    let service = try TestDaemon().service
    let long: [ControlRequest] = [
      .commitStaged("f"), .addDevice("/dev/dax1.0", force: false), .device(1), .forget("f"), .takeOver(force: true),
      .replay,
    ]
    for request in long { #expect(service.isLong(request), "\(request)") }
    for request in [.status, .device(0), .devices, .peers(from: 0)] as [ControlRequest] {
      #expect(!service.isLong(request), "\(request)")
    }
  }

  @Test("hundreds of connections that ask nothing keep nobody out, and are closed")
  func idle() throws {
    let daemon = try TestDaemon(patience: 5_000_000_000)
    _ = try daemon.ask(.status)
    let idle = try (0..<600).map { _ in try daemon.connection() }
    guard case .status = try daemon.ask(.status) else { throw Errno.invalidArgument }
    guard case .status = try daemon.connection().ask(.status) else { throw Errno.invalidArgument }
    for connection in idle { #expect(connection.waitForEnd()) }
    // The daemon's own connection asked something and may be idle for long.
    guard case .status = try daemon.ask(.status) else { throw Errno.invalidArgument }
  }

  @Test("who comes when all are busy is told so")
  func crowded() throws {
    let daemon = try TestDaemon()
    let busy = try (0..<Admission.most - 1).map { _ in try daemon.connection() }
    for connection in busy { _ = try connection.ask(.status) }
    _ = try daemon.ask(.status)
    guard case .failed(let sentence) = try daemon.connection().ask(.status) else { throw Errno.invalidArgument }
    #expect(sentence.contains("try again"))
    busy[0].hangUp()
    var isIn = false
    for _ in 0..<10_000 where !isIn {
      if case .status = try daemon.connection().ask(.status) { isIn = true }
    }
    #expect(isIn)
  }

  /// Holds threads back until it is opened.
  private final class Gate: Sendable {
    private let isOpen = Atomic(false)
    private let guests = Atomic(0)

    func open() { isOpen.store(true, ordering: .releasing) }

    func wait() {
      guests.add(1, ordering: .releasing)
      while !isOpen.load(ordering: .acquiring) { Clock.sleep(nanoseconds: 1_000_000) }
    }

    func waitForGuests(_ count: Int) -> Bool {
      let deadline = Clock.monotonic() + 180_000_000_000
      while guests.load(ordering: .acquiring) < count && Clock.monotonic() < deadline {
        Clock.sleep(nanoseconds: 1_000_000)
      }
      return guests.load(ordering: .acquiring) == count
    }
  }
}

/// A connection to a control server.
private final class TestConnection {
  private let socket: MessageSocket

  init(to path: String) throws(Errno) { socket = try .connected(to: path) }

  func send(_ request: ControlRequest) throws(Errno) { try socket.send(request.encode()) }

  func receive() throws(Errno) -> ControlReply {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: controlMessageLimit, alignment: 8)
    defer { buffer.deallocate() }
    return try ControlReply(parsing: socket.receive(into: buffer).bytes)
  }

  func ask(_ request: ControlRequest) throws(Errno) -> ControlReply {
    try send(request)
    return try receive()
  }

  /// What comes back for bytes that may be no request.
  func bytes(for message: [UInt8]) throws(Errno) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: controlMessageLimit, alignment: 8)
    defer { buffer.deallocate() }
    try socket.send(message)
    return try Array(socket.receive(into: buffer).bytes)
  }

  func hangUp() { shutdown(socket.file.rawValue, Int32(SHUT_RDWR)) }

  func waitForEnd() -> Bool { socket.file.waitForHangup(milliseconds: 180_000) }
}

/// A control server with a volume behind it, and no mount.
private final class TestDaemon {
  let volume: Volume
  let service: FamfsControlService
  private let folder: String
  private let main: TestConnection

  init(
    patience: UInt64 = 60_000_000_000, forget: @escaping @Sendable (NodeNumber) throws(Errno) -> Void = { _ in }
  ) throws {
    var template = Array("/dev/shm/weft-control-XXXXXX".utf8CString)
    folder = try template.withUnsafeMutableBufferPointer {
      String(cString: try #require($0.baseAddress.flatMap { mkdtemp($0) }))
    }
    let path = folder + "/device"
    try FileDescriptor(opening: path, [.readWrite, .create]).truncate(to: 32 << 20)
    let device = try MappedDevice(path: path, writable: true)
    let host = UUID.random()
    try Volume.make(on: device, host: host)
    let volume = try Volume(on: device, host: host)
    self.volume = volume
    service = FamfsControlService(volume: volume, isReadOnly: false, forget: forget) {
      MountStatus(mountMajor: 0, mountMinor: 0, isMaster: true)
    }
    let server = try ControlServer(service, in: folder, patience: patience)
    try Thread.detached(named: "control") { server.run() }  // as long as the process
    main = try TestConnection(to: folder + "/" + RunDirectory.controlSocket)
  }

  deinit {
    for name in ["device", RunDirectory.controlSocket] { unlink(folder + "/" + name) }
    rmdir(folder)
  }

  /// Formats the device behind the daemon's back.
  func replace() throws {
    try Volume.destroySuperblock(of: MappedDevice(path: folder + "/device", writable: true))
    _ = try Volume.make(on: MappedDevice(path: folder + "/device", writable: true), host: .random())
    _ = volume.follow()
  }

  func ask(_ request: ControlRequest) throws -> ControlReply { try main.ask(request) }

  func connection() throws -> TestConnection { try TestConnection(to: folder + "/" + RunDirectory.controlSocket) }
}
