import Famfs
import Glibc
import Memory
import Platform

/// The daemon's end of the control socket: one thread, all connections. Every request is quick, for the data is
/// copied by the commands themselves; so commands are served one after the other and none waits for another's copy.
final class ControlServer: Sendable {
  let volume: Volume
  let staging: Staging?
  let pulse: Pulse?
  let publishing: Publishing?
  let isReadOnly: Bool
  let isStrict: Bool
  let settings: LiveSettings
  let forget: @Sendable (NodeNumber) throws(Errno) -> Void
  let status: @Sendable () -> MountStatus
  let activity: @Sendable () -> MountActivity
  private let listener: MessageSocket
  private static let connectionLimit = 512

  /// Listens in `folder`; `run` serves.
  /// - Parameters:
  ///   - activity: what the mount has done.
  ///   - forget: has the kernel forget what it has cached of a file.
  init(
    volume: Volume, staging: Staging? = nil, pulse: Pulse? = nil, publishing: Publishing? = nil, folder: String,
    isReadOnly: Bool,
    isStrict: Bool = false,
    settings: LiveSettings = LiveSettings(), activity: @escaping @Sendable () -> MountActivity = { MountActivity() },
    forget: @escaping @Sendable (NodeNumber) throws(Errno) -> Void = { _ in },
    status: @escaping @Sendable () -> MountStatus
  ) throws(Errno) {
    self.volume = volume
    self.staging = staging
    self.pulse = pulse
    self.publishing = publishing
    self.isReadOnly = isReadOnly
    self.isStrict = isStrict
    self.settings = settings
    self.forget = forget
    self.status = status
    self.activity = activity
    listener = try .listening(at: folder + "/" + ControlClient.socketName)
  }

  /// A command at the other end, and what it has reserved.
  final class Connection {
    let socket: MessageSocket
    var reservations: Set<UInt64> = []
    init(_ socket: consuming MessageSocket) { self.socket = socket }
  }

  /// Serves for as long as the process lives.
  func run() {
    var connections: [Connection] = []
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: controlMessageLimit, alignment: 8)
    while true {
      let ready = wait(for: connections)
      var ended: Set<Int> = []
      for place in connections.indices where ready.contains(connections[place].socket.file.rawValue) {
        if !serve(connections[place], buffer) { ended.insert(place) }
      }
      for place in ended.sorted(by: >) {
        // Whoever goes away without a commit has made nothing.
        for id in connections.remove(at: place).reservations { volume.cancel(id) }
      }
      if ready.contains(listener.file.rawValue), let new = accept() { connections.append(new) }
    }
  }

  private func wait(for connections: [Connection]) -> Set<Int32> {
    var files = connections.map { pollfd(fd: $0.socket.file.rawValue, events: Int16(POLLIN), revents: 0) }
    if connections.count < ControlServer.connectionLimit {
      files.append(pollfd(fd: listener.file.rawValue, events: Int16(POLLIN), revents: 0))
    }
    guard poll(&files, nfds_t(files.count), -1) > 0 else {
      Clock.sleep(nanoseconds: 1_000_000)
      return []
    }
    return Set(files.filter { $0.revents != 0 }.map(\.fd))
  }

  private func accept() -> Connection? {
    do {
      let socket = try listener.accept()
      let user = try socket.peerUser()
      return user == 0 || user == geteuid() ? Connection(socket) : nil
    } catch {
      Clock.sleep(nanoseconds: 10_000_000)  // out of descriptors: do not spin until some are closed
      return nil
    }
  }

  /// Answers one message.
  /// - Returns: false when the connection has ended.
  private func serve(_ connection: Connection, _ buffer: UnsafeMutableRawBufferPointer) -> Bool {
    // A file that is attached is closed: no request has one.
    guard let message = try? connection.socket.receive(into: buffer).bytes, !message.isEmpty else { return false }
    var attachment: MappedDevice?
    let reply: ControlReply
    do {
      let request = try ControlRequest(parsing: message)
      if case .device(let index) = request { attachment = try device(index) }
      reply = try answer(request, connection)
    } catch let error as FamfsError {
      reply = .failed("\(error)")
    } catch let error as Errno where error == .stale {
      reply = .failed("another file system was made on \(volume.device.path); unmount this one")
    } catch let error as Errno where error != .protocolError {
      reply = .failed("\(volume.device.path): \(error)")
    } catch {
      reply = .failed("the daemon did not understand the command; are both of the same version?")
    }
    // The volume may let go of the device meanwhile, and its number would be another file's.
    return withExtendedLifetime(attachment) {
      (try? connection.socket.send(reply.encode(), descriptor: attachment?.rawDescriptor ?? -1, waiting: false)) != nil
    }
  }
}
