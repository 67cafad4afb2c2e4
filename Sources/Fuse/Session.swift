import Counts
import Glibc
import Platform
import Synchronization

/// A file system in service: takes requests from a transport, has the file system answer them, and sends the replies.
///
/// Nothing that a request says ends a session but DESTROY. What is malformed is refused, what has no number to refuse
/// is dropped.
public final class Session<Files: FileSystem, Channel: Transport>: ExchangeServer {
  /// The file system that answers.
  public let fileSystem: Files
  let transport: Channel
  let traits: FileSystemTraits
  /// Whether memory that the file system names can be sent from where it is; see `sendRanges`.
  let sending = Atomic<UInt8>(SendingMode.unknown.rawValue)
  let negotiation: Mutex<Negotiation>
  /// Whether requests but INIT are let in: between INIT and the session's end.
  let isOpen = Atomic(false)
  let isOver = Atomic(false)
  /// Held while one session begins or ends.
  let lifecycle = Mutex(Lifecycle())
  /// The threads that take requests, and a way to hear that a request is over while the session ends.
  let threads = Monitor<[ServingThread]>([])
  let isEnding = Atomic(false)
  /// Of requests that are answered by other threads than those that took them.
  let otherCounters = Mutex(Counters())
  /// Requests that wait for locks and hold a slot each.
  let waiting = Atomic(0)
  private let outcomes = Mutex<[Result<Ending, Errno>]>([])

  struct Lifecycle {
    /// Whether the file system was told that a session began, and not yet that it is over.
    var hasBegun = false
  }

  /// A session that has not begun.
  public init(_ fileSystem: Files, over transport: Channel, _ settings: SessionSettings = SessionSettings()) {
    self.fileSystem = fileSystem
    self.transport = transport
    traits = fileSystem.traits
    negotiation = Mutex(Negotiation(settings, fileSystem.traits, pageSize: pageSize))
  }

  /// What was agreed with the kernel last; nil until it asked.
  public var agreement: Agreement? { negotiation.withLock { $0.agreement } }

  /// What was asked for so far, by operation; those that never came are left out.
  public var counts: [OperationCount] {
    let all = allCounters
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
        opcode: slots.count == 1 ? Opcode(rawValue: UInt32(slots[0]))?.name : nil, requests: requests, errors: errors,
        latency: latency)
    }
  }

  /// Bytes of files that were read and written so far.
  public var bytes: ByteCount {
    allCounters.reduce(into: ByteCount()) { sum, one in
      sum.read &+= one.bytes.read
      sum.written &+= one.bytes.written
    }
  }

  private var allCounters: [Counters] {
    threads.wait { $0.map(\.counters) } + [otherCounters.withLock { $0 }]
  }

  /// Serves until the file system is unmounted, and tells the file system so. Call it once.
  ///
  /// All signals are blocked in the threads that serve; the calling thread only waits for them.
  /// - Parameter wanted: how many threads, where the transport leaves the choice; at least 1. Fewer will do where the system
  ///   has no more.
  /// - Returns: why it ended.
  /// - Throws: what kept it from beginning, or what the transport failed with.
  public func run(threads wanted: Int) throws(Errno) -> Ending {
    // They live until all is answered: their slots are in use until then.
    var queues: [Channel.Queue] = []
    for number in 0..<transport.queueCount(wanted: wanted) { queues.append(try transport.queue(number)) }
    var running: [Thread] = []
    for queue in queues {
      let queue = QueueBox(queue: queue)
      do throws(Errno) {
        running.append(try Thread(named: "fuse") { self.serve(queue.queue) })
      } catch {
        if running.isEmpty { throw error }
        break
      }
    }
    for thread in running { thread.join() }
    endSession()
    withExtendedLifetime(queues) {}
    let outcomes = outcomes.withLock { $0 }
    if outcomes.contains(.success(.aborted)) { return .aborted }
    for case .failure(let error) in outcomes { throw error }
    return .unmounted
  }

  /// One thread's work.
  private func serve(_ queue: Channel.Queue) {
    let thread = ServingThread()
    thread.begin()
    threads.change { $0.append(thread) }
    let outcome: Result<Ending, Errno>
    do throws(Errno) {
      outcome = .success(try serve(queue, thread))
    } catch {
      outcome = .failure(error)
    }
    outcomes.withLock { $0.append(outcome) }
  }

  private func serve(_ queue: Channel.Queue, _ thread: ServingThread) throws(Errno) -> Ending {
    while !isOver.load(ordering: .relaxed) {
      switch try queue.next() {
      case .end(let ending): return ending
      case .reset: endSession()
      case .request(let slot): slot._withUnsafeGuaranteedRef { answer($0, thread) }
      }
    }
    return .unmounted
  }
}

/// A queue on its way to the one thread that uses it.
private struct QueueBox<Queue: RequestQueue>: @unchecked Sendable {
  let queue: Queue
}
