import CommandKit
import Glibc
import Platform
import Queue
import Synchronization

/// A producer, a consumer, or both, under way: a thread for each, while the main thread looks after the time and signals.
final class QueueRun: Sendable {
  /// What a thread does.
  enum End: String {
    case producer, consumer
    /// A consumer that takes bad messages too, and ends when the queue is empty.
    case drain
  }

  /// How long, how often, and what is in the messages.
  struct Settings {
    let messages: UInt64
    let seconds: UInt64
    let statusSeconds: UInt64
    /// 0 for none.
    let seed: UInt64
    let statusFile: String?
    let waits: Bool
    let isVerbose: Bool

    init(_ arguments: Arguments) throws(UsageError) {
      messages = try arguments.size("nmessages") ?? 0
      seconds = UInt64(try arguments.number("time", in: 0...UInt32.max) ?? 0)
      statusSeconds = UInt64(try arguments.number("status", in: 0...UInt32.max) ?? 0)
      seed = try arguments.size("seed") ?? 0
      statusFile = arguments["statusfile"]
      waits = !arguments.has("nowait")
      isVerbose = arguments.has("verbose")
    }
  }

  private let path: String
  private let ends: [End]
  private let settings: Settings
  private let isStopped = Atomic<Bool>(false)
  /// Whether this process's own producer may still send.
  private let isProducing: Atomic<Bool>
  private let running: Atomic<Int>
  private let sent = Atomic<UInt64>(0)
  private let received = Atomic<UInt64>(0)
  private let errors = Atomic<UInt64>(0)

  init(_ path: String, _ ends: [End], _ settings: Settings) {
    self.path = path
    self.ends = ends
    self.settings = settings
    running = Atomic(ends.count)
    isProducing = Atomic(ends.contains(.producer))
  }

  /// Runs to the end.
  /// - Returns: the exit status.
  func run() throws -> Int32 {
    let signals = StopSignals()  // blocked before the first thread starts
    try checkStatusFile()
    let written = Set(ends.map { $0 == .producer ? QueueFiles.Part.producer : .consumer })
    let files = QueueFiles(path)
    let queue = try files.open(writing: written) { if settings.isVerbose { printError("pcq: \($0)") } }
    let locks = try QueueLocks(files, written)
    defer { withExtendedLifetime(locks) {} }
    let began = Clock.monotonic()
    let threads = try ends.map { end in
      try Thread(named: "pcq-\(end.rawValue)") { [self] in
        work(end, queue)
        // The last thing that it does: the main thread waits for signals only.
        running.subtract(1, ordering: .releasing)
        kill(getpid(), SIGUSR1)
      }
    }
    watch(signals, since: began)
    for thread in threads { thread.join() }
    printOut(line(since: began))
    try writeStatusFile()
    return errors.load(ordering: .relaxed) == 0 ? 0 : 1
  }

  /// Waits for the threads' end, and sees to it that it comes: by time or by a signal.
  private func watch(_ signals: StopSignals, since began: UInt64) {
    let deadline = settings.seconds > 0 ? began + settings.seconds * 1_000_000_000 : .max
    let interval = settings.statusSeconds * 1_000_000_000
    var nextLine = interval > 0 ? began + interval : .max
    while running.load(ordering: .acquiring) > 0 {
      let isStopped = isStopped.load(ordering: .relaxed)
      switch signals.wait(until: isStopped ? nextLine : min(deadline, nextLine)) {
      case nil:
        let now = Clock.monotonic()
        if now >= deadline { self.isStopped.store(true, ordering: .relaxed) }
        while nextLine <= now {
          if now - nextLine < interval { printOut(line(since: began)) }
          nextLine += interval
        }
      case SIGUSR1?: break
      case _?: self.isStopped.store(true, ordering: .relaxed)
      }
    }
  }

  private func line(since began: UInt64) -> String {
    let milliseconds = max(1, (Clock.monotonic() - began) / 1_000_000)
    let (sent, received) = (sent.load(ordering: .relaxed), received.load(ordering: .relaxed))
    var parts: [String] = []
    if ends.contains(.producer) { parts.append("\(sent) sent") }
    if ends.contains(.consumer) { parts.append("\(received) received") }
    if ends.contains(.drain) { parts.append("\(received) drained") }
    parts.append("\(errors.load(ordering: .relaxed)) errors")
    parts.append("\((sent + received) * 1000 / milliseconds) messages/s")
    return "pcq: \(milliseconds / 1000).\(milliseconds / 100 % 10) s: \(parts.joined(separator: ", "))\n"
  }

  // MARK: Threads

  private func work(_ end: End, _ queue: SharedQueue) {
    defer { if end == .producer { isProducing.store(false, ordering: .releasing) } }
    do {
      switch end {
      case .producer: try produce(queue)
      case .consumer: try consume(queue)
      case .drain: try drain(queue)
      }
    } catch {
      fail(error)
      // What one end waits for will not come from the other any more.
      isStopped.store(true, ordering: .relaxed)
    }
  }

  private func fail(_ error: any Error) {
    let count = errors.add(1, ordering: .relaxed).newValue
    if count <= 20 { printError("pcq: \(error)" + (count == 20 ? "; more such lines are left out" : "")) }
  }

  private func isDone(_ count: UInt64) -> Bool {
    settings.messages > 0 && count >= settings.messages || isStopped.load(ordering: .relaxed)
  }

  private func produce(_ queue: SharedQueue) throws {
    let producer = try QueueProducer(queue)
    let seed = settings.seed
    var count: UInt64 = 0
    var pause = Pause()
    while !isDone(count) {
      let isSent = try producer.send { payload, sequence in
        if seed != 0 {
          Payload.fill(payload, seed: seed, sequence: sequence)
        } else if count == 0 {
          payload.initializeMemory(as: UInt8.self, repeating: 0)
        }
      }
      if isSent {
        count += 1
        sent.store(count, ordering: .relaxed)
        pause = Pause()
      } else if settings.waits {
        pause.wait()
      } else {
        return
      }
    }
  }

  /// With a producer in this process the consumer ends behind it, and leaves nothing in the queue.
  private func consume(_ queue: SharedQueue) throws {
    let consumer = try QueueConsumer(queue)
    let isAlone = !ends.contains(.producer)
    var count: UInt64 = 0
    var pause = Pause()
    while settings.messages == 0 || count < settings.messages {
      let isProducing = isProducing.load(ordering: .acquiring)  // before the look that may find nothing
      let isStopped = isStopped.load(ordering: .relaxed)
      if isStopped && isAlone { return }
      if let message = try consumer.peek() {
        try check(message)
        try consumer.advance()
        count += 1
        received.store(count, ordering: .relaxed)
        pause = Pause()
      } else if isProducing || settings.waits && !isStopped {
        pause.wait()
      } else {
        return
      }
    }
  }

  private func check(_ message: QueueMessage) throws {
    guard settings.seed != 0 else { return }
    if !Payload.isRight(message.payload, seed: settings.seed, sequence: message.sequence) {
      throw SentenceError(
        "\(path): message \(message.sequence) is not what seed \(settings.seed) gives; use the producer's --seed")
    }
  }

  /// Bad messages count as errors; they go too, so that the queue can be used again.
  private func drain(_ queue: SharedQueue) throws {
    let consumer = try QueueConsumer(queue)
    var count: UInt64 = 0
    while !isDone(count) {
      do {
        guard let message = try consumer.peek() else { return }
        try check(message)
        count += 1
        received.store(count, ordering: .relaxed)
      } catch let error as QueueError where !error.isAboutOneMessage {
        throw error
      } catch {
        fail(error)
      }
      try consumer.advance()
    }
  }

  // MARK: Status file

  /// Better now than after an hour of work.
  private func checkStatusFile() throws {
    guard let file = settings.statusFile else { return }
    let folder = file.contains("/") ? String(file.prefix(through: file.lastIndex(of: "/") ?? file.startIndex)) : "."
    let isWritable =
      access(file.cFileName, F_OK) == 0 ? access(file.cFileName, W_OK) == 0 : access(folder.cFileName, W_OK | X_OK) == 0
    if !isWritable {
      throw SentenceError("--statusfile \(file) cannot be written: \(Errno.current); name another file")
    }
  }

  /// The count of messages, or that of errors below zero.
  private func writeStatusFile() throws {
    guard let file = settings.statusFile else { return }
    let errors = errors.load(ordering: .relaxed)
    let count = sent.load(ordering: .relaxed) + received.load(ordering: .relaxed)
    do throws(Errno) {
      let open = try FileDescriptor(opening: file, [.writeOnly, .create, .truncate], mode: 0o644)
      try open.write((errors > 0 ? "-\(errors)" : "\(count)") + "\n")
    } catch {
      throw SentenceError("--statusfile \(file) cannot be written: \(error)")
    }
  }
}

/// Waiting for the other end: at first without letting go of the processor, then in longer and longer naps.
private struct Pause {
  private var count = 0

  mutating func wait() {
    count += 1
    if count < 64 { return }
    if count < 128 {
      sched_yield()
    } else {
      Clock.sleep(nanoseconds: min(1_000_000, UInt64(count) * 200))
    }
  }
}

/// Keeps a second producer or consumer of this host out of the files: each is written by one.
private final class QueueLocks {
  private var held: [Int32] = []

  init(_ files: QueueFiles, _ parts: Set<QueueFiles.Part>) throws {
    for part in parts {
      let path = files.path(of: part)
      guard let file = try? FileDescriptor(opening: path, .readWrite) else { continue }
      do throws(Errno) { try file.lock(byte: 0, exclusive: true) } catch {
        if error == .tryAgain || error == .accessDenied {
          let who = part == .producer ? "producer" : "consumer"
          throw SentenceError("\(path) is in use by another \(who) on this host, and a queue has one; end it first")
        }
        // A file system without locks.
      }
      held.append(file.release())
    }
  }

  deinit { for file in held { close(file) } }
}
