import CLinux
import ControlChannel
import Famfs
import Glibc
import Memory
import Platform

/// A command's connection to the daemon of a mounted volume.
public struct ControlClient: ~Copyable, Sendable {
  private let socket: MessageSocket
  private let mountPoint: String
  private let root: String
  /// Whether the mount that this was asked through is read-only.
  private let isReadOnly: Bool

  /// How the mount was when this connected: it had to ask.
  public let greeting: MountStatus

  /// Connects to the daemon of a mount, within `MountedVolume.patience`. The mount itself is asked nothing.
  /// - Throws: a sentence: it is gone, it does not answer, or no daemon that this user may believe serves the mount.
  public init(to mount: Mount) throws(FamfsError) {
    do throws(NoDaemon) { self = try ControlClient.reaching(mount) } catch {
      throw error.sentence(of: mount.mountPoint)
    }
  }

  private init(_ socket: consuming MessageSocket, _ greeting: MountStatus, _ mount: Mount) {
    self.socket = socket
    self.greeting = greeting
    mountPoint = mount.mountPoint
    root = mount.root
    isReadOnly = mount.isReadOnly
  }

  /// Checks that the mount lets changes pass. The daemon cannot know through which mount a command was asked: a bind
  /// mount of its volume can be read-only.
  /// - Throws: a sentence, on a read-only mount.
  public func checkWritable() throws(FamfsError) {
    if isReadOnly {
      throw .other("\(mountPoint) is mounted read-only, and nothing can be changed there; mount it without ro first")
    }
  }

  /// Connects to the daemon of a mount, and says of what kind the trouble is when it cannot.
  public static func reaching(_ mount: Mount) throws(NoDaemon) -> ControlClient {
    guard let user = mount.userID, RunDirectory.isBelieved(user) else { throw .ofAnotherUser(mount.userID) }
    guard let found = FoundRecord.of(mount, .famfs) else { throw .unknown }
    guard found.isAlive else { throw .gone }
    do throws(Errno) {
      let path = found.folder + "/" + RunDirectory.controlSocket
      let socket = try MessageSocket.connected(to: path, patience: MountedVolume.patience)
      guard try socket.peerUser() == user else { throw Errno.accessDenied }
      let reply = try exchange(.status, over: socket).reply
      if case .failed = reply { throw Errno(rawValue: EBUSY) }
      guard case .status(let status) = reply, status.mountMajor == mount.device.major,
        status.mountMinor == mount.device.minor,
        status.volumeUUID == found.record.volume
      else { throw Errno.protocolError }
      try socket.setPatience(0)
      return ControlClient(socket, status, mount)
    } catch {
      throw NoDaemon(error, found.record.process)
    }
  }

  private static func explain(_ error: Errno, _ mountPoint: String) -> FamfsError {
    NoDaemon(error, nil).sentence(of: mountPoint)
  }

  /// Asks and waits for the answer.
  /// - Throws: what the daemon refused with, or that it is gone.
  @discardableResult
  public func ask(_ request: ControlRequest) throws(FamfsError) -> ControlReply { try askForFile(request).reply }

  /// Asks several things at once: the daemon is woken for all of them and not for each.
  /// - Parameter requests: a few dozen at most, which a socket's buffer holds.
  /// - Returns: the answers, in order; when the daemon is gone, that for each that it did not answer.
  public func ask(all requests: [ControlRequest]) -> [Result<ControlReply, FamfsError>] {
    var outcomes: [Result<ControlReply, FamfsError>] = []
    if requests.contains(where: \.changesNames) {
      do throws(FamfsError) { try checkWritable() } catch { return requests.map { _ in .failure(error) } }
    }
    do throws(Errno) {
      for request in requests { try socket.send(request.encode()) }
      for request in requests {
        let reply = try ControlClient.receive(from: socket).reply
        if case .failed(let sentence) = reply {
          outcomes.append(.failure(.other(named(sentence, request))))
        } else {
          outcomes.append(.success(reply))
        }
      }
    } catch {
      let failure = ControlClient.explain(error, mountPoint)
      while outcomes.count < requests.count { outcomes.append(.failure(failure)) }
    }
    return outcomes
  }

  private func askForFile(_ request: ControlRequest) throws(FamfsError) -> Answer {
    if request.changesNames { try checkWritable() }
    let answer: Answer
    do throws(Errno) { answer = try ControlClient.exchange(request, over: socket) } catch {
      throw ControlClient.explain(error, mountPoint)
    }
    if case .failed(let sentence) = answer.reply { throw .other(named(sentence, request)) }
    return answer
  }

  /// A reply, and the open file that came with it.
  private struct Answer: ~Copyable {
    let reply: ControlReply
    var file: FileDescriptor?
  }

  private static func exchange(
    _ request: ControlRequest, over socket: borrowing MessageSocket
  ) throws(Errno) -> Answer {
    try socket.send(request.encode())
    return try receive(from: socket)
  }

  private static func receive(from socket: borrowing MessageSocket) throws(Errno) -> Answer {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: controlMessageLimit, alignment: 8)
    defer { buffer.deallocate() }
    var message = try socket.receive(into: buffer)
    if message.bytes.isEmpty { throw Errno(rawValue: ENOTCONN) }
    return Answer(reply: try ControlReply(parsing: message.bytes), file: message.file.take())
  }

  /// The daemon names a file by its path in the volume; people know it by the mount point.
  private func named(_ sentence: String, _ request: ControlRequest) -> String {
    switch request {
    case .makeDirectory(let name), .reserve(let name, _, _): named(sentence, name.path)
    case .map(let path), .forget(let path): named(sentence, path)
    case .clone(let source, let path): named(named(sentence, source), path)
    default: sentence
    }
  }

  private func named(_ sentence: String, _ path: String) -> String {
    sentence.hasPrefix(path) && root == "/" ? mountPoint + "/" + sentence : sentence
  }

  /// How the mount is.
  public func status() throws(FamfsError) -> MountStatus {
    guard case .status(let status) = try ask(.status) else { throw ControlClient.nonsense }
    return status
  }

  /// The devices that the daemon serves from. They are the daemon's own open files: whatever became of their paths
  /// since, and with the daemon's locks, which last until the last user of them is gone. So no other mount and no mkfs
  /// can begin while a command that outlived its daemon still writes.
  /// - Parameter writable: whether their mappings can be stored to.
  public func devices(writable: Bool = true) throws(FamfsError) -> MountedDevices {
    let (first, count) = try device(0, writable: writable)
    var devices: [MappedDevice?] = [first]
    // Those that this host does not have are refused.
    for index in 1..<max(1, min(count, UInt64(Volume.deviceLimit))) {
      devices.append(try? device(index, writable: writable).0)
    }
    return MountedDevices(devices)
  }

  private func device(_ index: UInt64, writable: Bool) throws(FamfsError) -> (MappedDevice, count: UInt64) {
    var answer = try askForFile(.device(index))
    guard case .device(let path, let count) = answer.reply, let file = answer.file.take() else {
      throw ControlClient.nonsense
    }
    do throws(DeviceError) {
      return (try MappedDevice(adopting: file, path: path, writable: writable), count)
    } catch {
      throw .device(error)
    }
  }

  /// What is said of a reply that does not fit the request.
  public static let nonsense = FamfsError.other(
    "the daemon answers nonsense; are it and this program of the same version?")

  /// Waits until the daemon closes its end: until it is gone, or gives up after so many milliseconds.
  /// - Returns: whether it is gone.
  public func waitForEnd(milliseconds: Int32) -> Bool { socket.file.waitForHangup(milliseconds: milliseconds) }
}

/// The devices of a mounted volume, as its daemon has them open.
public struct MountedDevices: Sendable {
  private let devices: [MappedDevice?]

  package init(_ devices: [MappedDevice?]) { self.devices = devices }

  /// Whether this host had the device of an index when the daemon was asked.
  public func has(_ index: UInt64) -> Bool { index < devices.count && devices[Int(index)] != nil }

  /// The device of an index.
  /// - Throws: a sentence when this host does not have it.
  public subscript(index: UInt64) -> MappedDevice {
    get throws(FamfsError) {
      guard index < devices.count, let device = devices[Int(index)] else {
        throw .other("device \(index) of the volume cannot be reached from this host; see famfs status, famfs devadd")
      }
      return device
    }
  }

  /// Where a range lies.
  public func memory(of range: Extent) throws(FamfsError) -> MappedDevice { try self[range.device] }

  /// For a volume that a command opens beside the daemon.
  public func find(_ record: DeviceRecord, _ volume: Superblock) throws(FamfsError) -> any MemoryDevice {
    try self[UInt64(record.index)]
  }
}
