import FamfsControl
import Synchronization

/// What of a mount can be changed while it is served (`famfs mount --remount`). It holds for what is opened or looked up
/// from then on.
final class LiveSettings: Sendable {
  /// Fixed for the mount's life, unlike the rest.
  let coherence: Coherence
  /// A place in `CachePolicy.allCases`, or `usual`.
  private let policy: Atomic<Int>
  private static let usual = -1
  private let nanoseconds: Atomic<UInt64>
  private let nameLimit: Atomic<UInt64>
  private let kernel = Atomic(false)
  private let direct = Atomic(false)
  /// How long names may be kept that can be removed, where the kernel cannot be told: see DESIGN.md, "Names that go".
  private static let shortLife: UInt64 = 100_000_000

  /// - Parameters:
  ///   - cache: nil for what suits the coherence, and the kernel.
  ///   - namesGo: whether names can be removed, on any host.
  init(
    cache: CachePolicy? = nil, lifetime: UInt64 = .max, coherence: Coherence = .coherent, namesGo: Bool = false
  ) {
    nameLimit = Atomic(namesGo ? LiveSettings.shortLife : .max)
    self.coherence = coherence
    policy = Atomic(cache.map(LiveSettings.place) ?? LiveSettings.usual)
    nanoseconds = Atomic(lifetime)
  }

  /// What the page cache may keep of contents.
  var cache: CachePolicy {
    get {
      let place = policy.load(ordering: .relaxed)
      return place == LiveSettings.usual
        ? coherence.usualCache(mapsDirectFiles: mapsDirectFiles) : CachePolicy.allCases[place]
    }
    set { policy.store(LiveSettings.place(of: newValue), ordering: .relaxed) }
  }

  /// How long the kernel may keep names and attributes, in nanoseconds.
  var lifetime: UInt64 {
    get { nanoseconds.load(ordering: .relaxed) }
    set { nanoseconds.store(newValue, ordering: .relaxed) }
  }

  /// How long the kernel may keep a name, in nanoseconds.
  var nameLifetime: UInt64 { min(lifetime, nameLimit.load(ordering: .relaxed)) }

  /// Whether the kernel finds files' memory by itself: fixed once it has mounted. Then all files have the sizes that they
  /// have in the log, and nothing is staged.
  var kernelMaps: Bool {
    get { kernel.load(ordering: .relaxed) }
    set { kernel.store(newValue, ordering: .relaxed) }
  }

  /// Whether files open for direct I/O can be mapped shared (FUSE_DIRECT_IO_ALLOW_MMAP): fixed, as agreed with the
  /// kernel, before it asks for anything else.
  var mapsDirectFiles: Bool {
    get { direct.load(ordering: .relaxed) }
    set { direct.store(newValue, ordering: .relaxed) }
  }

  /// Who looks after contents at this moment: what the kernel reads and writes by itself, the hardware alone.
  var coherenceInEffect: Coherence { kernelMaps ? .coherent : coherence }

  /// From now on the kernel is told when names are gone.
  func namesAreTold() { nameLimit.store(.max, ordering: .relaxed) }

  private static func place(of cache: CachePolicy) -> Int { CachePolicy.allCases.firstIndex(of: cache) ?? 0 }
}
