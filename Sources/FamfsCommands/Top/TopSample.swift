import Famfs
import FamfsControl
import Glibc
import Platform
import Synchronization

/// What one look at a mount gave.
struct TopSample: Sendable {
  let device: String
  let mountPoint: String
  /// What its daemon said, or a sentence why it did not.
  let facts: Result<MountFacts, FamfsError>
}

/// Looks at mounts again and again, and stays connected to their daemons. One that does not answer keeps the others waiting once, and is asked no more until it does.
final class TopSampler: Sendable {
  private final class Connection: Sendable {
    let mount: Mount
    let client: ControlClient

    init(to mount: Mount) throws(FamfsError) {
      self.mount = mount
      client = try ControlClient(to: mount)
    }
  }

  private typealias Answer = Result<(connection: Connection, facts: MountFacts), FamfsError>

  private struct Question {
    let mount: Mount
    /// Why it was not put: no thread could be started.
    let look: Result<AbandonableCall<Answer>, Errno>
  }

  private struct State {
    /// By mount point.
    var connections: [String: Connection] = [:]
    /// What was not answered in time.
    var unanswered: [String: Question] = [:]
  }

  /// The mount points that were named; nil for all that there are.
  private let named: [String]?
  private let state = Mutex(State())

  init(_ named: [String]?) { self.named = named }

  /// Looks at each mount once.
  func look() -> [TopSample] {
    let mounts = (try? Mount.all()) ?? []
    let points = named ?? mounts.filter { $0.type == MountedVolume.type }.map(\.mountPoint)
    let deadline = Clock.monotonic() + MountedVolume.patience
    let asked = points.map { point in
      let top = mounts.last { $0.mountPoint.isSamePath(as: point) }
      return (point, state.withLock { ask(top.flatMap { $0.type == MountedVolume.type ? $0 : nil }, at: point, &$0) })
    }
    return asked.map { point, question in
      guard let question else {
        return TopSample(
          device: "", mountPoint: point, facts: .failure(.other("\(point) is not mounted any more")))
      }
      let isOld = state.withLock { $0.unanswered[point] != nil }
      let answer: Answer?
      switch question.look {
      case .success(let look): answer = look.wait(until: isOld ? 0 : deadline)
      case .failure(let error):
        answer = .failure(.other("\(point): it cannot be asked, no thread can be started: \(error)"))
      }
      state.withLock { state in
        state.connections[point] = try? answer?.get().connection
        state.unanswered[point] = answer == nil ? question : nil
      }
      let facts = answer ?? .failure(.other("\(point): \(MountedVolume.silence(of: question.mount))"))
      return TopSample(device: question.mount.source, mountPoint: point, facts: facts.map(\.facts))
    }
  }

  /// Asks a daemon, unless it owes an answer.
  private func ask(_ mount: Mount?, at point: String, _ state: inout State) -> Question? {
    let known = state.connections[point].flatMap { $0.mount == mount ? $0 : nil }
    if let question = state.unanswered[point], question.mount == mount { return question }
    state.connections[point] = nil
    state.unanswered[point] = nil
    guard let mount else { return nil }
    let look = Result { () throws(Errno) in
      try AbandonableCall { () -> Answer in
        Result { () throws(FamfsError) in
          let connection: Connection
          if let known { connection = known } else { connection = try Connection(to: mount) }
          return (connection, try connection.client.facts())
        }
      }
    }
    return Question(mount: mount, look: look)
  }
}

/// Looks from a thread of its own, so that keys and signals are heeded while a daemon does not answer.
final class TopLooker: Sendable {
  private let sampler: TopSampler
  private let result = Mutex<[TopSample]?>(nil)
  private let isLooking = Atomic(false)
  private let done: (reading: FileDescriptorNumber, writing: FileDescriptorNumber)

  typealias FileDescriptorNumber = Int32

  init(_ sampler: TopSampler) throws(Errno) {
    self.sampler = sampler
    done = try Spawn.pipe()
  }

  /// Becomes readable when a look has ended.
  var descriptor: Int32 { done.reading }

  /// Begins a look, unless one is under way.
  /// - Returns: whether it began one.
  func begin() throws(Errno) -> Bool {
    if isLooking.exchange(true, ordering: .acquiringAndReleasing) { return false }
    try Thread.detached(named: "famfs-top") { [self] in
      let samples = sampler.look()
      result.withLock { $0 = samples }
      var byte: UInt8 = 0
      _ = try? retrying { Glibc.write(done.writing, &byte, 1) }
    }
    return true
  }

  /// What the look that has ended saw.
  func take() -> [TopSample] {
    var byte: UInt8 = 0
    _ = try? retrying { Glibc.read(done.reading, &byte, 1) }
    isLooking.store(false, ordering: .releasing)
    return result.withLock { $0 } ?? []
  }
}
