import Glibc
import Platform
import Synchronization

/// A file system in service: takes requests from a transport, has the file system answer them, and sends the replies.
///
/// Nothing that a request says ends a session but DESTROY. What is malformed is refused, what has no number to refuse
/// is dropped.
public final class Session<Files: FileSystem, Door: Transport>: Sendable {
  /// Who answers.
  public let fileSystem: Files
  let transport: Door
  let traits: FileSystemTraits
  /// Whether memory that the file system names can be sent from where it is; see `sendRanges`.
  let sending = Atomic<UInt8>(SendingMode.unknown.rawValue)
  private let negotiation: Mutex<Negotiation>
  private let isReady = Atomic(false)
  private let isOver = Atomic(false)
  private let isDestroyed = Atomic(false)
  private let counters = Mutex<[Counters]>([])
  private let outcomes = Mutex<[Result<Ending, Errno>]>([])

  /// A session that has not begun.
  public init(_ fileSystem: Files, over transport: Door, _ settings: SessionSettings = SessionSettings()) {
    self.fileSystem = fileSystem
    self.transport = transport
    traits = fileSystem.traits
    negotiation = Mutex(Negotiation(settings, fileSystem.traits, pageSize: pageSize))
  }

  /// What was agreed with the kernel; nil until it asked.
  public var agreement: Agreement? { negotiation.withLock { $0.agreement } }

  /// What was asked for so far, by operation; those that never came are left out.
  public var counts: [OperationCount] {
    let all = counters.withLock { $0 }
    let isKnown = { (slot: Int) in Opcode(rawValue: UInt32(slot)) != nil }
    // All that `Opcode` does not know is one operation.
    let unknown = (0..<Counters.slots).filter { !isKnown($0) }
    return ([unknown] + (0..<Counters.slots).filter(isKnown).map { [$0] }).compactMap { slots in
      var (requests, errors, latency) = (UInt64(0), UInt64(0), LatencyHistogram())
      for one in all {
        for slot in slots where one.values(slot).requests > 0 {
          let values = one.values(slot)
          (requests, errors) = (requests &+ values.requests, errors &+ values.errors)
          latency.add(one.latency(slot))
        }
      }
      guard requests > 0 else { return nil }
      return OperationCount(
        opcode: slots.count == 1 ? Opcode(rawValue: UInt32(slots[0])) : nil, requests: requests, errors: errors,
        latency: latency)
    }
  }

  /// Bytes of files that were read and written so far.
  public var bytes: ByteCount {
    counters.withLock { $0 }.reduce(into: ByteCount()) { sum, one in
      sum.read &+= one.bytes.read
      sum.written &+= one.bytes.written
    }
  }

  /// Serves until the file system is unmounted, and tells the file system so. Call it once.
  ///
  /// All signals are blocked in the threads that serve; the calling thread only waits for them.
  /// - Parameter threads: how many; at least 1. Fewer will do where the system has no more.
  /// - Returns: why it ended.
  /// - Throws: what kept it from beginning, or what the transport failed with.
  public func run(threads: Int) throws(Errno) -> Ending {
    var doors = [transport]
    while doors.count < threads { doors.append(try transport.another()) }
    var running: [Thread] = []
    for door in doors {
      do throws(Errno) {
        running.append(try Thread(named: "fuse") { self.serve(door) })
      } catch {
        if running.isEmpty { throw error }
        break
      }
    }
    for thread in running { thread.join() }
    destroy()
    let outcomes = outcomes.withLock { $0 }
    if outcomes.contains(.success(.aborted)) { return .aborted }
    for case .failure(let error) in outcomes { throw error }
    return .unmounted
  }

  /// One thread's work.
  private func serve(_ door: Door) {
    let counters = Counters()
    self.counters.withLock { $0.append(counters) }
    let worker = Worker(counters)
    let outcome: Result<Ending, Errno>
    do throws(Errno) {
      outcome = .success(try serve(door, worker))
    } catch {
      outcome = .failure(error)
    }
    outcomes.withLock { $0.append(outcome) }
  }

  private func serve(_ door: Door, _ worker: borrowing Worker) throws(Errno) -> Ending {
    while !isOver.load(ordering: .relaxed) {
      switch try door.receive(into: worker.request) {
      case .end(let ending): return ending
      case .request(let count):
        let arrival = Clock.monotonic()
        answer(UnsafeRawBufferPointer(rebasing: worker.request.prefix(count)), since: arrival, worker, door)
      }
    }
    return .unmounted
  }

  /// Answers one request: at most one reply is sent, to the number that the request has.
  private func answer(
    _ bytes: UnsafeRawBufferPointer, since arrival: UInt64, _ worker: borrowing Worker, _ door: Door
  ) {
    // Too short to have a number to answer to.
    guard let header = RequestHeader(parsing: bytes.bytes) else { return }
    worker.counters.countRequest(header.opcode)
    defer { worker.counters.countTime(Clock.monotonic() &- arrival, of: header.opcode) }
    let opcode = Opcode(rawValue: header.opcode)
    do throws(Errno) {
      let request = try frame(header, bytes)
      if let opcode, !opcode.isAnswered { return try take(opcode, request) }
      // A reply to number zero would be a notification.
      guard header.unique != 0 else { throw .protocolError }
      guard let opcode else { throw .noSystemCall }
      send(try handle(opcode, request, worker), to: header, worker, door)
      if opcode == .destroy { isOver.store(true, ordering: .relaxed) }
    } catch {
      worker.counters.countError(header.opcode)
      guard opcode?.isAnswered ?? true, header.unique != 0 else { return }
      refuse(header, error, worker, door)
    }
  }

  /// Checks the lengths that a header states against what came.
  private func frame(_ header: RequestHeader, _ bytes: UnsafeRawBufferPointer) throws(Errno) -> Request {
    let end = bytes.count - header.extensionByteCount
    guard Int(header.length) == bytes.count, end >= RequestHeader.byteCount else { throw .inputOutput }
    return Request(header: header, body: UnsafeRawBufferPointer(rebasing: bytes[RequestHeader.byteCount..<end]))
  }

  /// Requests that are not answered.
  private func take(_ opcode: Opcode, _ request: Request) throws(Errno) {
    switch opcode {
    case .forget: try forget(request)
    case .batchForget: try batchForget(request)
    default: break  // see Opcode.isAnswered
    }
  }

  /// Prepares the reply to a request.
  private func handle(_ opcode: Opcode, _ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    if opcode == .initialize { return try initialize(request, worker) }
    guard isReady.load(ordering: .acquiring) else { throw .inputOutput }
    return switch opcode {
    case .lookup: try lookup(request, worker)
    case .getattr: try getattr(request, worker)
    case .read: try read(request, worker)
    case .readdir: try readdir(request, isPlus: false, worker)
    case .readdirplus: try readdir(request, isPlus: true, worker)
    case .open: try open(request, worker)
    case .release: try release(request)
    case .flush: try flush(request)
    case .write: try write(request, worker)
    case .fsync: try fsync(request)
    case .lseek: try lseek(request, worker)
    case .opendir: try opendir(request, worker)
    case .releasedir: try releasedir(request)
    case .fsyncdir: try fsyncdir(request)
    case .setattr: try setattr(request, worker)
    case .statx: try statx(request, worker)
    case .statfs: try statfs(request, worker)
    case .access: try access(request)
    case .create: try create(request, worker)
    case .mknod: try mknod(request, worker)
    case .mkdir: try mkdir(request, worker)
    case .unlink: try unlink(request)
    case .rmdir: try rmdir(request)
    case .rename: try rename(request, hasFlags: false)
    case .rename2: try rename(request, hasFlags: true)
    case .fallocate: try fallocate(request)
    case .syncfs: try syncfs(request)
    case .getxattr: try getxattr(request, worker)
    case .listxattr: try listxattr(request, worker)
    case .getFmap: try memoryMap(request, worker)
    case .getDaxdev: try memoryDevice(request, worker)
    case .destroy: destroyed()
    default: throw fileSystem.refusal(of: opcode)
    }
  }

  private func initialize(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let offer = try InitOffer(parsing: request.body.bytes)
    let answer = try negotiation.withLock { (negotiation) throws(Errno) in
      let answer = try negotiation.answer(offer)
      if let agreement = negotiation.agreement { fileSystem.began(agreement) }
      isReady.store(negotiation.agreement != nil, ordering: .releasing)
      return answer
    }
    return worker.body(InitAnswer.byteCount) { answer.encode(into: &$0) }
  }

  private func destroyed() -> Reply {
    destroy()
    return .done
  }

  /// Tells the file system once: on DESTROY, which few mounts send, or else when all threads have ended.
  private func destroy() {
    if !isDestroyed.exchange(true, ordering: .acquiringAndReleasing) { fileSystem.destroy() }
  }
}
