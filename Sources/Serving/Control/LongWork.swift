import Platform
import Synchronization

/// Work that may take long, on threads made for it: a bounded number at a time, the rest in the order in which it came.
package final class LongWork: Sendable {
  /// The most threads at a time.
  package static let mostThreads = 16

  private struct State {
    var threads = 0
    var waiting: [@Sendable () -> Void] = []
  }

  private let state = Mutex(State())

  package init() {}

  /// Has `task` done soon, on another thread.
  /// - Throws: when no thread can be started and none is there; then it is not done.
  package func begin(_ task: @escaping @Sendable () -> Void) throws(Errno) {
    let needsThread = state.withLock { state in
      state.waiting.append(task)
      guard state.threads < LongWork.mostThreads else { return false }
      state.threads += 1
      return true
    }
    guard needsThread else { return }
    do throws(Errno) { try Thread.detached(named: "work") { self.work() } } catch {
      let isDoneElsewhere = state.withLock { state in
        state.threads -= 1
        if state.threads > 0 { return true }
        // The last thread ended with nothing waiting, so what waits now is this task.
        precondition(state.waiting.count == 1, "work waits without a thread")
        state.waiting = []
        return false
      }
      if !isDoneElsewhere { throw error }
    }
  }

  private func work() {
    while true {
      let task = state.withLock { state -> (@Sendable () -> Void)? in
        precondition(state.threads > 0, "a thread works that is not counted")
        if state.waiting.isEmpty {
          state.threads -= 1
          return nil
        }
        return state.waiting.removeFirst()
      }
      guard let task else { return }
      task()
    }
  }
}
