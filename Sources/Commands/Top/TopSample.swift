import Famfs
import FamfsMount
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

/// Looks at mounts again and again. It stays connected to their daemons, for to find a daemon costs requests that would
/// show in what it tells.
final class TopSampler: Sendable {
  private final class Connection {
    let mount: Mount
    let client: ControlClient

    init(to mount: Mount) throws(FamfsError) {
      self.mount = mount
      client = try ControlClient(to: mount)
    }
  }

  private struct State: ~Copyable {
    /// By mount point.
    var connections: [String: Connection] = [:]
  }

  /// The mount points that were named; nil for all that there are.
  private let named: [String]?
  private let state = Mutex(State())

  init(_ named: [String]?) { self.named = named }

  /// Looks at each mount once.
  func look() -> [TopSample] {
    let mounts = (try? Mount.all()) ?? []
    let points = named ?? mounts.filter { $0.type == MountedVolume.type }.map(\.mountPoint)
    return points.map { point in
      let top = mounts.last { $0.mountPoint.isSamePath(as: point) }
      guard let mount = top, mount.type == MountedVolume.type else {
        state.withLock { $0.connections[point] = nil }
        return TopSample(
          device: "", mountPoint: point, facts: .failure(.other("\(point) is not mounted any more")))
      }
      return TopSample(device: mount.source, mountPoint: point, facts: state.withLock { ask(mount, &$0) })
    }
  }

  private func ask(_ mount: Mount, _ state: inout State) -> Result<MountFacts, FamfsError> {
    do throws(FamfsError) {
      let known = state.connections[mount.mountPoint]
      let connection: Connection
      if let known, known.mount == mount { connection = known } else { connection = try Connection(to: mount) }
      state.connections[mount.mountPoint] = connection
      return .success(try connection.client.facts())
    } catch {
      state.connections[mount.mountPoint] = nil
      return .failure(error)
    }
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
    _ = try Thread(named: "famfs-top") { [self] in
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
