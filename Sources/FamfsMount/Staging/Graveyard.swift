import Famfs
import Platform
import Synchronization

/// Space of staged files that is used no more. Replies to reads that are under way may still take bytes from it, so it
/// is given back a while later.
final class Graveyard: Sendable {
  private let volume: Volume
  private let buried: Mutex<[(time: UInt64, extents: [Extent], term: UInt64)]> = Mutex([])
  /// Nanoseconds.
  private static let rest: UInt64 = 200_000_000

  init(of volume: Volume) { self.volume = volume }

  /// Takes extents over that were taken in a term.
  func bury(_ extents: inout [Extent], of term: UInt64) {
    if extents.isEmpty { return }
    let dead = extents
    extents = []
    buried.withLock { $0.append((Clock.monotonic(), dead, term)) }
  }

  /// Whether nothing is waiting to be given back.
  var isEmpty: Bool { buried.withLock { $0.isEmpty } }

  /// Gives back what has lain long enough; all of it if `all`.
  func clear(all: Bool = false) {
    let now = Clock.monotonic()
    let ready = buried.withLock { buried in
      let count = all ? buried.count : buried.prefix { now - $0.time >= Graveyard.rest }.count
      defer { buried.removeFirst(count) }
      return Array(buried[..<count])
    }
    for dead in ready { volume.giveSpace(dead.extents, of: dead.term) }
  }
}
