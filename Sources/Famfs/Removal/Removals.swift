import Platform

/// What was removed, who still has it open, and the space that may not be given away yet.
///
/// A removed file's space is held on the master until every mount that lives has let go of all that the entry and those
/// before it removed; see `Volume.settle`.
struct Removals: Sendable {
  /// Space that removed files had.
  struct Held: Sendable {
    /// The index of the entry that removed them.
    var entry: UInt64
    var extents: [Extent]
  }

  /// Files that are gone, in the order in which they went.
  private(set) var files: [(number: NodeNumber, entry: UInt64)] = []
  /// How often each file is open on this mount, where files can be removed.
  private var opens: [NodeNumber: Int] = [:]
  /// Files that are gone and open on this mount, and the index of the entry that removed them.
  private(set) var orphans: [NodeNumber: UInt64] = [:]
  private var held: [Held] = []
  /// Bytes held.
  private(set) var heldBytes: UInt64 = 0

  /// Notes that a file is gone.
  mutating func note(_ number: NodeNumber, entry: UInt64) {
    files.append((number, entry))
    if opens[number] != nil { orphans[number] = entry }
  }

  /// Notes that a file was opened.
  mutating func open(_ number: NodeNumber, count: Int) { opens[number, default: 0] += count }

  /// Notes that a file was closed.
  mutating func close(_ number: NodeNumber) {
    guard let count = opens[number] else { return }
    opens[number] = count > 1 ? count - 1 : nil
    if count <= 1 { orphans[number] = nil }
  }

  /// Gives up all files that are gone: whoever has one open gets an error from now on.
  mutating func dropOrphans() { orphans = [:] }

  /// Removals before this entry are none of this mount's business any more; it has played so many entries.
  func released(played: UInt64) -> UInt64 { min(played, orphans.values.min() ?? played) }

  // MARK: Held space

  var isHolding: Bool { !held.isEmpty }

  mutating func hold(_ extents: [Extent], entry: UInt64) {
    held.append(Held(entry: entry, extents: extents))
    for extent in extents { heldBytes += extent.length }
  }

  /// Takes out what was removed by entries before this one.
  mutating func takeHeld(before entry: UInt64) -> [Extent] {
    let free = held.prefix { $0.entry < entry }.flatMap(\.extents)
    held.removeAll { $0.entry < entry }
    for extent in free { heldBytes -= extent.length }
    return free
  }

  mutating func forgetHeld() { (held, heldBytes) = ([], 0) }

  /// Bytes of memory in use.
  var memoryUse: Int { files.capacity * 16 + (opens.count + orphans.count) * 32 + held.capacity * 16 }
}
