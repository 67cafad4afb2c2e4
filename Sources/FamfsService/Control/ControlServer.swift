import ControlChannel
import Famfs
import FamfsControl
import Glibc
import Memory
import Platform
import Serving
import Synchronization

/// The daemon's end of the control socket: one thread, all connections. It never waits. Most requests are quick, because
/// the commands copy data themselves. What may take long is done on other threads, and the connection that asked for it is
/// answered when it is done.
final class ControlServer: Sendable {
  let volume: Volume
  let staging: Staging?
  let heartbeats: HeartbeatKeeper?
  let publishing: Publishing?
  let isReadOnly: Bool
  let isStrict: Bool
  let settings: LiveSettings
  let forget: @Sendable (NodeNumber) throws(Errno) -> Void
  let status: @Sendable () -> MountStatus
  let activity: @Sendable () -> MountActivity
  private let listener: MessageSocket
  private let work = LongWork()
  /// What was done on other threads, by the connection that waits for it.
  private let finished = Mutex<[(number: UInt64, answer: Answer, reservations: Set<UInt64>)]>([])
  /// A pipe by which other threads wake the one that serves. It holds more than there can be connections.
  private let wakeUp: FileDescriptor
  private let wakeUpEnd: FileDescriptor
  /// Nanoseconds in which a connection must ask something.
  private let patience: UInt64

  /// Listens in `folder`; `run` serves.
  /// - Parameters:
  ///   - activity: what the mount has done.
  ///   - forget: has the kernel forget what it has cached of a file.
  ///   - patience: nanoseconds in which a connection must ask something; commands do so at once.
  init(
    volume: Volume, staging: Staging? = nil, heartbeats: HeartbeatKeeper? = nil, publishing: Publishing? = nil,
    folder: String,
    isReadOnly: Bool,
    isStrict: Bool = false,
    settings: LiveSettings = LiveSettings(), activity: @escaping @Sendable () -> MountActivity = { MountActivity() },
    forget: @escaping @Sendable (NodeNumber) throws(Errno) -> Void = { _ in },
    patience: UInt64 = 10_000_000_000, status: @escaping @Sendable () -> MountStatus
  ) throws(Errno) {
    self.volume = volume
    self.staging = staging
    self.heartbeats = heartbeats
    self.publishing = publishing
    self.isReadOnly = isReadOnly
    self.isStrict = isStrict
    self.settings = settings
    self.forget = forget
    self.status = status
    self.activity = activity
    self.patience = patience
    let pipe = try Spawn.pipe()
    wakeUp = FileDescriptor(owning: pipe.reading)
    wakeUpEnd = FileDescriptor(owning: pipe.writing)
    listener = try .listening(at: folder + "/" + RunDirectory.controlSocket)
  }

  /// A command at the other end, and what it has reserved.
  private final class Connection {
    let number: UInt64
    let socket: MessageSocket
    let isRefused: Bool
    /// When it is closed unless it has asked something; nil once it has.
    var deadline: UInt64?
    /// Whether what it asked for is being done: it is asked nothing and told nothing until then.
    var isWaiting = false
    var hasEnded = false
    var reservations: Set<UInt64> = []

    init(_ number: UInt64, _ socket: consuming MessageSocket, isRefused: Bool, deadline: UInt64) {
      self.number = number
      self.socket = socket
      self.isRefused = isRefused
      self.deadline = deadline
    }
  }

  /// What the thread that serves keeps.
  private struct Connections {
    var all: [Connection] = []
    var admission = Admission()
    var lastNumber: UInt64 = 0
    /// Until when nothing is accepted: there were no descriptors left.
    var rest: UInt64 = 0

    subscript(number: UInt64) -> Connection? { all.first { $0.number == number } }
  }

  /// Serves for as long as the process lives.
  func run() {
    var connections = Connections()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: controlMessageLimit, alignment: 8)
    while true {
      let ready = wait(for: connections)
      if ready.contains(wakeUp.rawValue) {
        withUnsafeTemporaryAllocation(byteCount: Admission.most, alignment: 1) { _ = try? wakeUp.read(into: $0) }
        sendFinished(connections)
      }
      for connection in connections.all where ready.contains(connection.socket.file.rawValue) && !connection.isWaiting {
        connection.hasEnded = !serve(connection, buffer, &connections.admission) || connection.hasEnded
      }
      let now = Clock.monotonic()
      for connection in connections.all where connection.deadline.map({ $0 <= now }) ?? false {
        connection.hasEnded = true
      }
      dropEnded(&connections)
      if ready.contains(listener.file.rawValue) { accept(&connections) }
    }
  }

  /// Waits until something is to be done.
  /// - Returns: the descriptors that are ready.
  private func wait(for connections: Connections) -> Set<Int32> {
    // One that is waiting may have gone: it is seen when what it asked for is done.
    var files = connections.all.filter { !$0.isWaiting }.map {
      pollfd(fd: $0.socket.file.rawValue, events: Int16(POLLIN), revents: 0)
    }
    files.append(pollfd(fd: wakeUp.rawValue, events: Int16(POLLIN), revents: 0))
    let now = Clock.monotonic()
    var deadline = connections.all.compactMap(\.deadline).min()
    if connections.rest > now {
      deadline = min(deadline ?? .max, connections.rest)
    } else {
      files.append(pollfd(fd: listener.file.rawValue, events: Int16(POLLIN), revents: 0))
    }
    let milliseconds = deadline.map { Int32(clamping: ($0 - min($0, now)) / 1_000_000 + 1) } ?? -1
    guard poll(&files, nfds_t(files.count), milliseconds) > 0 else { return [] }
    return Set(files.filter { $0.revents != 0 }.map(\.fd))
  }

  private func dropEnded(_ connections: inout Connections) {
    // What was asked for goes on, and its answer is dropped; the reservations are looked after when it is done.
    let ended = connections.all.filter { $0.hasEnded && !$0.isWaiting }
    if ended.isEmpty { return }
    connections.all.removeAll { $0.hasEnded && !$0.isWaiting }
    for connection in ended {
      connections.admission.leave(connection.number)
      // Whoever goes away without a commit has made nothing.
      for id in connection.reservations { volume.cancel(id) }
    }
  }

  private func accept(_ connections: inout Connections) {
    let socket: MessageSocket
    do throws(Errno) { socket = try listener.accept() } catch {
      // Out of descriptors, mostly: some may be closed in a moment. One that has gone again is no trouble.
      if error != Errno(rawValue: ECONNABORTED) { connections.rest = Clock.monotonic() + 100_000_000 }
      return
    }
    guard let user = try? socket.peerUser(), user == 0 || user == geteuid() else { return }
    connections.lastNumber += 1
    let (isRefused, evicted) = connections.admission.enter(connections.lastNumber, user: user)
    // It has asked nothing, and so has nothing.
    if let evicted { connections.all.removeAll { $0.number == evicted } }
    connections.all.append(
      Connection(
        connections.lastNumber, socket, isRefused: isRefused, deadline: Clock.monotonic() &+ patience))
  }

  // MARK: Answers

  /// Answers one message, or has what it asks for done.
  /// - Returns: false when the connection has ended.
  private func serve(
    _ connection: Connection, _ buffer: UnsafeMutableRawBufferPointer, _ admission: inout Admission
  ) -> Bool {
    // A file that is attached is closed: no request has one.
    guard let message = try? connection.socket.receive(into: buffer).bytes, !message.isEmpty else { return false }
    if connection.isRefused {
      _ = send(Answer(.failed("its daemon serves too many commands; try again when some have ended")), connection)
      return false
    }
    if connection.deadline != nil {
      connection.deadline = nil
      admission.note(asking: connection.number)
    }
    let request: ControlRequest
    do throws(Errno) { request = try ControlRequest(parsing: message) } catch {
      if error == ControlVersion.mismatch {
        let refusal = ControlReply.failed(NoDaemon.otherVersion).encode()
        return (try? connection.socket.send(ControlVersion.answer(refusal, to: message), waiting: false)) != nil
      }
      return send(Answer(.failed("the daemon did not understand the command")), connection)
    }
    guard isLong(request) else {
      return send(answer { try self.answer(request, &connection.reservations) }, connection)
    }
    do throws(Errno) {
      let (number, reservations) = (connection.number, connection.reservations)
      try work.begin {
        var reservations = reservations
        let answer = self.answer { try self.answer(request, &reservations) }
        self.finish(number, answer, reservations)
      }
      connection.isWaiting = true
      return true
    } catch {
      return send(Answer(.failed("no thread can be started for it: \(error)")), connection)
    }
  }

  /// What a request comes to.
  private func answer(_ body: () throws -> Answer) -> Answer {
    do { return try body() } catch let error as FamfsError {
      return Answer(.failed("\(error)"))
    } catch let error as Errno where error == .stale {
      return Answer(.failed("another file system was made on \(volume.device.path); unmount this one"))
    } catch {
      return Answer(.failed("\(volume.device.path): \(error)"))
    }
  }

  private func send(_ answer: Answer, _ connection: Connection) -> Bool {
    // The volume may let go of the device meanwhile, and its number would be another file's.
    withExtendedLifetime(answer.device) {
      let file = answer.device?.rawDescriptor ?? -1
      return (try? connection.socket.send(answer.reply.encode(), descriptor: file, waiting: false)) != nil
    }
  }

  /// Notes an answer that took long, and wakes the thread that serves.
  private func finish(_ number: UInt64, _ answer: Answer, _ reservations: Set<UInt64>) {
    finished.withLock { $0.append((number, answer, reservations)) }
    try? wakeUpEnd.write("!")
  }

  private func sendFinished(_ connections: Connections) {
    let answers = finished.withLock { finished in
      defer { finished = [] }
      return finished
    }
    for (number, answer, reservations) in answers {
      guard let connection = connections[number], connection.isWaiting else {
        preconditionFailure("an answer that no connection waits for")
      }
      connection.isWaiting = false
      connection.reservations = reservations
      connection.hasEnded = !send(answer, connection) || connection.hasEnded
    }
  }
}
