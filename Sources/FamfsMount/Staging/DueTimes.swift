import Fuse

/// When to commit what, by `Clock.monotonic`: the earliest is at hand, and to put one off costs nothing.
struct DueTimes {
  private typealias Place = (time: UInt64, id: NodeID)

  /// Each node in `heap` once; of those that are due no more, `never`.
  private var times: [NodeID: UInt64] = [:]
  /// A binary heap. A node that was put off stands where it was, until its turn comes.
  private var heap: [Place] = []
  private var idleCount = 0
  private static let never = UInt64.max

  /// When a node is due; nil when it is not.
  subscript(id: NodeID) -> UInt64? {
    get { times[id].flatMap { $0 == DueTimes.never ? nil : $0 } }
    set {
      guard let time = newValue else { return forget(id) }
      let before = times.updateValue(time, forKey: id)
      if before == DueTimes.never { idleCount -= 1 }
      if before == nil { push((time, id)) }
    }
  }

  /// When to look again; nil when nothing is due, ever.
  var next: UInt64? { heap.first?.time }

  /// Takes out what is due by now.
  mutating func take(until now: UInt64) -> [NodeID] {
    var due: [NodeID] = []
    while let first = heap.first, first.time <= now {
      pop()
      guard let time = times[first.id] else { continue }
      if time > now && time != DueTimes.never {
        push((time, first.id))
        continue
      }
      times[first.id] = nil
      if time == DueTimes.never { idleCount -= 1 } else { due.append(first.id) }
    }
    return due
  }

  private mutating func forget(_ id: NodeID) {
    guard let time = times[id], time != DueTimes.never else { return }
    times[id] = DueTimes.never
    idleCount += 1
    if idleCount > 1000 && idleCount > heap.count / 2 { sweep() }
  }

  /// Drops what is not due.
  private mutating func sweep() {
    times = times.filter { $0.value != DueTimes.never }
    heap = times.map { ($0.value, $0.key) }.sorted { $0.time < $1.time }
    idleCount = 0
  }

  private mutating func push(_ place: Place) {
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
