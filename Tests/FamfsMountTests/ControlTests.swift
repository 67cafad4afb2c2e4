import Famfs
import Glibc
import Memory
import Platform
import Testing

@testable import FamfsMount

/// The daemon's end of the control socket.
struct ControlTests {
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

/// A control server with a volume behind it, and no mount.
private final class TestDaemon {
  let volume: Volume
  private let folder: String
  private let socket: MessageSocket

  init() throws {
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
    let server = try ControlServer(volume: volume, folder: folder, isReadOnly: false) {
      MountStatus(mountMajor: 0, mountMinor: 0, isMaster: true)
    }
    try Thread.detached(named: "control") { server.run() }  // as long as the process
    socket = try .connected(to: folder + "/" + ControlClient.socketName)
  }

  deinit {
    for name in ["device", ControlClient.socketName] { unlink(folder + "/" + name) }
    rmdir(folder)
  }

  /// Formats the device behind the daemon's back.
  func replace() throws {
    try Volume.destroySuperblock(of: MappedDevice(path: folder + "/device", writable: true))
    _ = try Volume.make(on: MappedDevice(path: folder + "/device", writable: true), host: .random())
    _ = volume.follow()
  }

  func ask(_ request: ControlRequest) throws -> ControlReply {
    try socket.send(request.encode())
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: controlMessageLimit, alignment: 8)
    defer { buffer.deallocate() }
    return try ControlReply(parsing: socket.receive(into: buffer).bytes)
  }
}
