import Platform
import Synchronization

/// Doing the same to many things, several at a time.
package enum Workers {
  /// Calls `body` for each item, on so many threads, or in the calling one with 1 or none. A failure does not stop the
  /// others.
  /// - Returns: what failed, in no particular order.
  package static func run<Item: Sendable>(
    threads: Int, _ items: [Item], _ body: @escaping @Sendable (Item) throws -> Void
  ) -> [any Error] {
    run(threads: threads, items, tools: {}) { item, _ in
      do { try body(item) } catch { return [error] }
      return []
    }
  }

  /// The same, with something that each thread makes for itself and keeps from item to item; `body` returns what failed.
  package static func run<Item: Sendable, Tools>(
    threads: Int, _ items: [Item], tools: @escaping @Sendable () -> Tools,
    _ body: @escaping @Sendable (Item, Tools) -> [any Error]
  ) -> [any Error] {
    let state = Progression(items, tools, body)
    let workers =
      threads <= 1
      ? []
      : (0..<min(threads, items.count)).compactMap { _ in
        try? Thread(named: "worker") { state.work() }
      }
    if workers.isEmpty { state.work() }
    for worker in workers { worker.join() }
    return state.failures.withLock { $0 }
  }

  private final class Progression<Item: Sendable, Tools>: Sendable {
    let failures = Mutex<[any Error]>([])
    private let items: [Item]
    private let tools: @Sendable () -> Tools
    private let body: @Sendable (Item, Tools) -> [any Error]
    private let next = Atomic<Int>(0)

    init(
      _ items: [Item], _ tools: @escaping @Sendable () -> Tools,
      _ body: @escaping @Sendable (Item, Tools) -> [any Error]
    ) {
      self.items = items
      self.tools = tools
      self.body = body
    }

    func work() {
      let tools = tools()
      while true {
        let place = next.add(1, ordering: .relaxed).oldValue
        guard place < items.count else { return }
        let failed = body(items[place], tools)
        if !failed.isEmpty { failures.withLock { $0 += failed } }
      }
    }
  }
}
