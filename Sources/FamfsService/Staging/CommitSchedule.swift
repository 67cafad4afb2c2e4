/// When to do what, by `Clock.monotonic`: the earliest is at hand, and to put one off costs nothing.
struct CommitSchedule<ID: Hashable & Sendable>: Sendable {
  private typealias HeapItem = (time: UInt64, id: ID)

  private struct Entry {
    /// `never` when it is due no more.
    var due: UInt64
    /// Where in `heap` it stands; what stands there elsewhere is passed over.
    var place: UInt64
  }

  private var entries: [ID: Entry] = [:]
  /// A binary heap. A node that was put off stands where it was, until its turn comes.
  private var heap: [HeapItem] = []
  private var idleCount = 0
  private static var never: UInt64 { .max }

  /// When a node is due; nil when it is not.
  subscript(id: ID) -> UInt64? {
    get { entries[id].flatMap { $0.due == CommitSchedule.never ? nil : $0.due } }
    set {
      guard let time = newValue else { return forget(id) }
      if let entry = entries[id], entry.place <= time {
        if entry.due == CommitSchedule.never { idleCount -= 1 }
        entries[id]?.due = time
      } else {
        if entries[id]?.due == CommitSchedule.never { idleCount -= 1 }
        put(id, at: time)
      }
    }
  }

  /// When to look again; nil when nothing is due, ever.
  var next: UInt64? { heap.first?.time }

  /// Takes out what is due by now.
  mutating func take(until now: UInt64) -> [ID] {
    var due: [ID] = []
    while let first = heap.first, first.time <= now {
      pop()
      guard let entry = entries[first.id], entry.place == first.time else { continue }
      if entry.due > now && entry.due != CommitSchedule.never {
        put(first.id, at: entry.due)
        continue
      }
      entries[first.id] = nil
      if entry.due == CommitSchedule.never { idleCount -= 1 } else { due.append(first.id) }
    }
    return due
  }

  private mutating func put(_ id: ID, at time: UInt64) {
    entries[id] = Entry(due: time, place: time)
    push((time, id))
  }

  private mutating func forget(_ id: ID) {
    guard let entry = entries[id], entry.due != CommitSchedule.never else { return }
    entries[id]?.due = CommitSchedule.never
    idleCount += 1
    if idleCount > 1000 && idleCount > heap.count / 2 { sweep() }
  }

  /// Drops what is not due.
  private mutating func sweep() {
    entries = entries.filter { $0.value.due != CommitSchedule.never }.mapValues { Entry(due: $0.due, place: $0.due) }
    heap = entries.map { ($0.value.due, $0.key) }.sorted { $0.time < $1.time }
    idleCount = 0
  }

  private mutating func push(_ place: HeapItem) {
    heap.append(place)
    var child = heap.count - 1
    while child > 0, heap[child].time < heap[(child - 1) / 2].time {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func pop() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      let (left, right) = (2 * parent + 1, 2 * parent + 2)
      let least = right < heap.count && heap[right].time < heap[left].time ? right : left
      guard least < heap.count, heap[least].time < heap[parent].time else { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
