import Fuse
import Platform
import Synchronization
import Testing

@Suite("What the kernel knows of nodes") struct InodeTableTests {
  private let table = InodeTable(root: "root", key: 2 as UInt64)

  private func forget(_ node: NodeID, _ count: UInt64 = 1) -> [String] {
    let one = [LookupCount(node, count)]
    return table.forget(one.span)
  }

  @Test("a node has a number of its own while it is looked up, and never again afterwards")
  func lookups() {
    let (node, value) = table.lookUp(12) { "a" }
    #expect(value == "a" && node.rawValue > NodeID.root.rawValue)
    let again = table.lookUp(12) { "b" }
    #expect(again.node == node && again.value == "a" && table[node] == "a" && table.count == 1)
    #expect(forget(node).isEmpty && table[node] == "a")
    #expect(forget(node) == ["a"] && table[node] == nil && table.count == 0)
    let new = table.lookUp(12) { "c" }
    #expect(new.node != node && new.value == "c" && table[node] == nil)
  }

  @Test("the root is always known, by its key, too")
  func root() {
    #expect(table.lookUp(2) { "other" } == (.root, "root"))
    #expect(forget(.root, .max).isEmpty && table[.root] == "root")
  }

  @Test("more forgets than lookups, and forgets of nobody, do no harm")
  func hostile() {
    let (node, _) = table.lookUp(7) { "a" }
    for number in [0, 1, 5, node.rawValue + 16, .max] as [UInt64] {
      #expect(forget(NodeID(rawValue: number), .max).isEmpty)
    }
    #expect(forget(node, .max) == ["a"] && forget(node, 3).isEmpty)
  }

  @Test("a batch is forgotten at once, and the end of a session forgets all")
  func batch() {
    let nodes = (100..<200 as Range<UInt64>).map { key in table.lookUp(key) { "\(key)" }.node }
    #expect(Set(nodes).count == 100 && table.count == 100)
    let batch = nodes.prefix(60).map { LookupCount($0) }
    #expect(Set(table.forget(batch.span)) == Set((100..<160).map { "\($0)" }))
    #expect(Set(table.removeAll()) == Set((160..<200).map { "\($0)" }) && table.count == 0)
  }

  @Test("many threads look up and forget, and every count is kept")
  func threads() throws {
    let made = Atomic(0)
    let gone = Atomic(0)
    try withThreads(4) { _ in
      for round in 0..<2000 {
        let (node, _) = table.lookUp(UInt64(10 + round % 37)) {
          made.add(1, ordering: .relaxed)
          return "x"
        }
        gone.add(forget(node).count, ordering: .relaxed)
      }
    }
    #expect(table.count == 0)
    #expect(made.load(ordering: .relaxed) == gone.load(ordering: .relaxed))
  }

  private func withThreads(_ count: Int, _ body: (Int) -> Void) throws {
    try withoutActuallyEscaping(body) { body in
      let run = UncheckedBody(run: body)
      let threads = try (0..<count).map { number in try Thread(named: "inodes") { run.run(number) } }
      for thread in threads { thread.join() }
    }
  }

  private struct UncheckedBody: @unchecked Sendable {
    let run: (Int) -> Void
  }
}

@Suite("A bounded pool of threads") struct WorkerPoolTests {
  @Test("jobs run, so many at a time and no more")
  func bound() {
    let pool = WorkerPool(named: "test-pool", threads: 3)
    let state = Monitor((running: 0, most: 0, done: 0, mayEnd: false))
    for _ in 0..<20 {
      pool.run {
        state.change { state in
          state.running += 1
          state.most = max(state.most, state.running)
        }
        state.wait { $0.mayEnd ? () : nil }
        state.change { state in
          state.running -= 1
          state.done += 1
        }
      }
    }
    state.wait { $0.running == 3 ? () : nil }
    state.change { $0.mayEnd = true }
    state.wait { $0.done == 20 ? () : nil }
    #expect(state.change { $0.most } == 3)
  }

  @Test("one thread runs jobs in their order, also after it was idle")
  func order() {
    let pool = WorkerPool(named: "test-pool", threads: 1)
    let seen = Monitor<[Int]>([])
    for number in 0..<50 {
      pool.run { seen.change { $0.append(number) } }
      if number % 10 == 0 { seen.wait { $0.count > number ? () : nil } }
    }
    #expect(seen.wait { $0.count == 50 ? $0 : nil } == Array(0..<50))
  }

  @Test("what a pool has taken is done when the pool is gone, and its threads end")
  func end() {
    let left = Monitor(0)
    func begin() {
      let pool = WorkerPool(named: "test-pool", threads: 2)
      for _ in 0..<10 { pool.run { left.change { $0 += 1 } } }
    }
    begin()
    left.wait { $0 == 10 ? () : nil }
  }
}
