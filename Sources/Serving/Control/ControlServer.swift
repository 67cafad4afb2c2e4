import ControlChannel
import Glibc
import Platform
import Synchronization

/// What a service answers over its control socket. A request is an enum of the service's own, so the compiler checks that
/// each has an answer; the loop that calls this knows none of them.
package protocol ControlService: Sendable {
  /// What a command can ask.
  associatedtype Request: Sendable
  /// What is kept of a connection from one request to the next.
  associatedtype Memory: Sendable

  /// Reads a message.
  /// - Throws: `ControlVersion.mismatch` for one of another version; anything else for one that cannot be understood.
  func parse(_ message: UnsafeRawBufferPointer) throws(Errno) -> Request

  /// Whether a request may take long: it waits for a device, for memory to be written or searched, or for a lock of the
  /// kernel's.
  func isLong(_ request: Request) -> Bool

  /// Answers a request. One that is not long must not wait: the thread that calls this serves all connections.
  func answer(_ request: Request, _ memory: inout Memory) -> ControlAnswer

  /// The message that says that a request was refused or failed, and why.
  func refusal(_ sentence: String) -> [UInt8]

  /// What a command of another version is told.
  var otherVersion: String { get }

  /// What is kept of a new connection.
  func begin() -> Memory

  /// A connection has ended. What it asked for is done.
  func end(_ memory: Memory)
}

/// One message, and the open file that goes with it.
package struct ControlAnswer: Sendable {
  fileprivate let message: [UInt8]
  fileprivate let descriptor: Int32
  private let owner: (any AnyObject & Sendable)?

  /// An answer.
  /// - Parameters:
  ///   - descriptor: a file that the command gets open, too; -1 for none.
  ///   - owner: has that file open, and is kept until the message has been sent: else the number could be another file's.
  package init(_ message: [UInt8], descriptor: Int32 = -1, of owner: (any AnyObject & Sendable)? = nil) {
    (self.message, self.descriptor, self.owner) = (message, descriptor, owner)
  }

  fileprivate func send(to socket: borrowing MessageSocket) throws(Errno) {
    defer { withExtendedLifetime(owner) {} }
    try socket.send(message, descriptor: descriptor, waiting: false)
  }
}

/// A daemon's end of the control socket: one thread, all connections. It never waits. What may take long is done on other
/// threads, and the connection that asked for it is answered when it is done.
package final class ControlServer<Service: ControlService>: Sendable {
  private let service: Service
  private let listener: MessageSocket
  private let work = LongWork()
  /// What was done on other threads, by the connection that waits for it.
  private let finished = Mutex<[(number: UInt64, answer: ControlAnswer, memory: Service.Memory)]>([])
  /// A pipe by which other threads wake the one that serves. It holds more than there can be connections.
  private let wakeUp: FileDescriptor
  private let wakeUpEnd: FileDescriptor
  /// Nanoseconds in which a connection must ask something.
  private let patience: UInt64

  /// Listens in `folder`; `run` serves.
  /// - Parameter patience: nanoseconds in which a connection must ask something; commands do so at once.
  package init(_ service: Service, in folder: String, patience: UInt64 = 10_000_000_000) throws(Errno) {
    self.service = service
    self.patience = patience
    let pipe = try Spawn.pipe()
    wakeUp = FileDescriptor(owning: pipe.reading)
    wakeUpEnd = FileDescriptor(owning: pipe.writing)
    listener = try .listening(at: folder + "/" + RunDirectory.controlSocket)
  }

  /// A command at the other end.
  private final class Connection {
    let number: UInt64
    let socket: MessageSocket
    let isRefused: Bool
    /// When it is closed unless it has asked something; nil once it has.
    var deadline: UInt64?
    /// Whether what it asked for is being done: it is asked nothing and told nothing until then.
    var isWaiting = false
    var hasEnded = false
    var memory: Service.Memory

    init(
      _ number: UInt64, _ socket: consuming MessageSocket, _ memory: Service.Memory, isRefused: Bool, deadline: UInt64
    ) {
      self.number = number
      self.socket = socket
      self.memory = memory
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
  package func run() {
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
    // What was asked for goes on, and its answer is dropped; the connection ends when it is done.
    let ended = connections.all.filter { $0.hasEnded && !$0.isWaiting }
    if ended.isEmpty { return }
    connections.all.removeAll { $0.hasEnded && !$0.isWaiting }
    for connection in ended {
      connections.admission.leave(connection.number)
      service.end(connection.memory)
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
        connections.lastNumber, socket, service.begin(), isRefused: isRefused,
        deadline: Clock.monotonic() &+ patience))
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
      _ = refuse("its daemon serves too many commands; try again when some have ended", connection)
      return false
    }
    if connection.deadline != nil {
      connection.deadline = nil
      admission.note(asking: connection.number)
    }
    let request: Service.Request
    do throws(Errno) { request = try service.parse(message) } catch {
      if error == ControlVersion.mismatch {
        let refusal = service.refusal(service.otherVersion)
        return send(ControlAnswer(ControlVersion.answer(refusal, to: message)), connection)
      }
      return refuse("the daemon did not understand the command", connection)
    }
    guard service.isLong(request) else { return send(service.answer(request, &connection.memory), connection) }
    do throws(Errno) {
      let (number, memory) = (connection.number, connection.memory)
      try work.begin {
        var memory = memory
        let answer = self.service.answer(request, &memory)
        self.finish(number, answer, memory)
      }
      connection.isWaiting = true
      return true
    } catch {
      return refuse("no thread can be started for it: \(error)", connection)
    }
  }

  private func refuse(_ sentence: String, _ connection: Connection) -> Bool {
    send(ControlAnswer(service.refusal(sentence)), connection)
  }

  private func send(_ answer: ControlAnswer, _ connection: Connection) -> Bool {
    (try? answer.send(to: connection.socket)) != nil
  }

  /// Notes an answer that took long, and wakes the thread that serves.
  private func finish(_ number: UInt64, _ answer: ControlAnswer, _ memory: Service.Memory) {
    finished.withLock { $0.append((number, answer, memory)) }
    try? wakeUpEnd.write("!")
  }

  private func sendFinished(_ connections: Connections) {
    let answers = finished.withLock { finished in
      defer { finished = [] }
      return finished
    }
    for (number, answer, memory) in answers {
      guard let connection = connections[number], connection.isWaiting else {
        preconditionFailure("an answer that no connection waits for")
      }
      connection.isWaiting = false
      connection.memory = memory
      connection.hasEnded = !send(answer, connection) || connection.hasEnded
    }
  }
}
