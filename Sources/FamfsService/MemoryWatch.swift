import Famfs
import Memory
import Serving

/// Tells the daemon's log of memory that fails: of each range once.
struct MemoryWatch {
  private let volume: Volume
  private let log: DaemonLog
  private var seen: UInt64 = 0
  private var told: Set<[UInt64]> = []
  private var hasToldOfMore = false

  init(_ volume: Volume, _ log: DaemonLog) {
    self.volume = volume
    self.log = log
  }

  /// Looks whether there is something new.
  mutating func look() {
    let count = volume.memoryErrorCount
    if count == seen { return }
    seen = count
    let (ranges, unlisted) = volume.badMemory()
    for range in ranges where told.insert([range.device, range.error.id]).inserted {
      log.error("memory error on device \(range.device): \(range.sentence)")
    }
    if unlisted > 0 && !hasToldOfMore {
      hasToldOfMore = true
      log.error("more memory errors than \(MemoryErrors.limit) ranges; the rest is only counted, see famfs status")
    }
  }
}
