import Fuse

/// What is staged in a directory, in the order in which it came there. All who list the directory go through the same
/// order, and each keeps a position in it only: a listing costs the same however much is staged.
///
/// What is committed while the directory is open stays, under the number that the log gave it, for those who have yet to
/// list it.
struct StagedOrder {
  /// Where something stands, and what it is: a staged node, or one of the log.
  typealias Item = (position: UInt64, id: NodeID)

  private var items: [Item] = []
  private var removedCount = 0
  private var committedCount = 0
  /// What was removed, until the row is cleaned up.
  private static let removed = NodeID(rawValue: 0)

  /// Adds something behind all that there is.
  mutating func append(_ id: NodeID, at position: UInt64) {
    precondition(items.last.map { $0.position < position } ?? true, "positions only grow, so that a search finds them")
    items.append((position, id))
  }

  /// Takes something out.
  mutating func remove(at position: UInt64) {
    items[place(of: position)].id = StagedOrder.removed
    removedCount += 1
    // So seldom that each removal costs the same in the end.
    if removedCount > 32 && removedCount > items.count / 2 { removeAll { $0 == StagedOrder.removed } }
  }

  /// Notes that the log has something, and as what.
  mutating func commit(at position: UInt64, as id: NodeID) {
    items[place(of: position)].id = id
    committedCount += 1
  }

  /// Drops what the log has: no listing needs it any more.
  mutating func dropCommitted() {
    if committedCount > 0 { removeAll { !StagedTree.isStaged($0) } }
  }

  /// What comes next behind a position; nil at the end.
  func next(after position: UInt64) -> Item? {
    items[firstPlace(from: position + 1)...].first { $0.id != StagedOrder.removed }
  }

  private mutating func removeAll(where isSuperfluous: (NodeID) -> Bool) {
    items.removeAll { isSuperfluous($0.id) }
    removedCount = items.count { $0.id == StagedOrder.removed }
    committedCount = items.count { !StagedTree.isStaged($0.id) } - removedCount
  }

  private func place(of position: UInt64) -> Int {
    let place = firstPlace(from: position)
    precondition(
      place < items.count && items[place].position == position, "what has a name in a directory is in its order")
    precondition(StagedTree.isStaged(items[place].id), "what was removed or committed is not staged")
    return place
  }

  /// The first place whose position is this one or a later.
  private func firstPlace(from position: UInt64) -> Int {
    var (low, high) = (0, items.count)
    while low < high {
      let middle = (low + high) / 2
      if items[middle].position < position { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
