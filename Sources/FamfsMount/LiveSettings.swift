import Synchronization

/// What of a mount can be changed while it is served (`famfs mount --remount`). It holds for what is opened or looked up
/// from then on.
final class LiveSettings: Sendable {
  /// Fixed for the mount's life, unlike the rest.
  let coherence: Coherence
  private let policy: Atomic<Int>
  private let nanoseconds: Atomic<UInt64>

  init(cache: CachePolicy = .auto, lifetime: UInt64 = .max, coherence: Coherence = .coherent) {
    self.coherence = coherence
    policy = Atomic(LiveSettings.place(of: cache))
    nanoseconds = Atomic(lifetime)
  }

  /// What the page cache may keep of contents.
  var cache: CachePolicy {
    get { CachePolicy.allCases[policy.load(ordering: .relaxed)] }
    set { policy.store(LiveSettings.place(of: newValue), ordering: .relaxed) }
  }

  /// How long the kernel may keep names and attributes, in nanoseconds.
  var lifetime: UInt64 {
    get { nanoseconds.load(ordering: .relaxed) }
    set { nanoseconds.store(newValue, ordering: .relaxed) }
  }

  private static func place(of cache: CachePolicy) -> Int { CachePolicy.allCases.firstIndex(of: cache) ?? 0 }
}
