import Platform
import Synchronization

/// Why a range of a device fails.
public enum MemoryFault: UInt64, Sendable {
  /// It cannot be read: poisoned memory, or the device's own read errors.
  case unreadable = 1
  /// It can be read, and not written.
  case unwritable
  /// The plain file that simulates the device ends before it.
  case cutShort
  /// The plain file has a hole there, and its file system no room to fill it.
  case noRoom
}

/// A range of a device that could not be used.
public struct MemoryError: Equatable, Sendable {
  /// Tells ranges apart, in the order in which they were met; those that grow together keep the lower one.
  public var id: UInt64
  /// Where it begins, in bytes; a multiple of 4096.
  public var offset: UInt64
  /// Bytes; a multiple of 4096, but at the device's end.
  public var length: UInt64
  /// Why.
  public var fault: MemoryFault
  /// How many accesses met it.
  public var count: UInt64
  /// When it was met first, in nanoseconds since 1970.
  public var first: UInt64

  /// Where it ends.
  public var end: UInt64 { offset + length }

  /// A range.
  public init(id: UInt64, offset: UInt64, length: UInt64, fault: MemoryFault, count: UInt64, first: UInt64) {
    (self.id, self.offset, self.length, self.fault) = (id, offset, length, fault)
    (self.count, self.first) = (count, first)
  }

  fileprivate func touches(_ other: MemoryError) -> Bool {
    fault == other.fault && offset <= other.end && other.offset <= end
  }
}

/// What of a device could not be used since it was opened: a few dozen ranges, and how many accesses met others.
public final class MemoryErrors: Sendable {
  /// Ranges that are kept; what touches grows together.
  public static let limit = 64

  private struct State {
    /// By offset.
    var ranges: [MemoryError] = []
    var unlisted: UInt64 = 0
    var lastID: UInt64 = 0
  }

  private let state = Mutex(State())
  private let changes = Atomic<UInt64>(0)

  /// No errors.
  public init() {}

  /// Grows with every error: cheap to look at.
  public var generation: UInt64 { changes.load(ordering: .acquiring) }

  /// The ranges, by offset, and how many accesses met errors that are in none of them.
  public var all: (ranges: [MemoryError], unlisted: UInt64) { state.withLock { ($0.ranges, $0.unlisted) } }

  /// The first range that begins below an offset; nil when there is none, or but holes that could not be filled.
  public func first(below end: UInt64) -> MemoryError? {
    if generation == 0 { return nil }
    return state.withLock { $0.ranges.first { $0.offset < end && $0.fault != .noRoom } }
  }

  /// Whether some of a range was found to fail; holes that could not be filled are no failure of the device.
  public func meets(_ range: Range<UInt64>) -> Bool {
    if generation == 0 { return false }
    return state.withLock { state in
      state.ranges.contains { $0.offset < range.upperBound && $0.end > range.lowerBound && $0.fault != .noRoom }
    }
  }

  /// Notes that an access failed because of a range.
  public func note(at offset: UInt64, count: UInt64, _ fault: MemoryFault) {
    state.withLock { state in
      state.lastID += 1
      var new = MemoryError(
        id: state.lastID, offset: offset, length: count, fault: fault, count: 1, first: Clock.realtime())
      let met = state.ranges.filter { $0.touches(new) }
      if met.isEmpty && state.ranges.count == MemoryErrors.limit {
        state.unlisted += 1
        return
      }
      for old in met {
        let end = max(new.end, old.end)
        new.offset = min(new.offset, old.offset)
        new.length = end - new.offset
        (new.id, new.first) = (min(new.id, old.id), min(new.first, old.first))
        new.count += old.count
      }
      state.ranges.removeAll { old in met.contains { $0.id == old.id } }
      state.ranges.insert(new, at: state.ranges.firstIndex { $0.offset > new.offset } ?? state.ranges.count)
    }
    changes.add(1, ordering: .releasing)
  }
}
