import Platform

/// A bounded number of threads for requests that wait for a device: the serving threads go on meanwhile.
///
/// Threads start as they are needed and end with the pool. What waits for a thread is bounded by the transport: each request
/// holds a slot.
public final class WorkerPool: Sendable {
  fileprivate struct State {
    var jobs: [@Sendable () -> Void] = []
    /// Where in `jobs` the next one is.
    var next = 0
    var threads = 0
    var idle = 0
    var isOver = false
  }

  private let name: String
  private let most: Int
  private let state = Monitor(State())

  /// A pool without threads so far.
  /// - Parameters:
  ///   - name: of its threads, at most 15 bytes.
  ///   - threads: the most that there will be; at least 1.
  public init(named name: String, threads: Int) {
    precondition(threads > 0, "a pool has a thread")
    (self.name, most) = (name, threads)
  }

  deinit { state.change { $0.isOver = true } }

  /// Runs a job on one of the threads, in the order in which jobs came. Where no thread can be started, on this one.
  public func run(_ job: @escaping @Sendable () -> Void) {
    let starts = state.change { state -> Bool in
      state.jobs.append(job)
      let waiting = state.jobs.count - state.next
      guard waiting > state.idle, state.threads < most else { return false }
      state.threads += 1
      return true
    }
    guard starts else { return }
    let state = state
    do throws(Errno) {
      try Thread.detached(named: name) { WorkerPool.work(state) }
    } catch {
      let isLast = state.change { state in
        state.threads -= 1
        return state.threads == 0
      }
      if isLast, let job = state.change({ $0.take() }) { job() }
    }
  }

  /// Hands a pending request to one of the threads.
  public func run<Pending: ~Copyable & Sendable>(
    _ pending: consuming Pending, _ body: @escaping @Sendable (consuming Pending) -> Void
  ) {
    let box = Box(pending)
    run { if let pending = box.take() { body(pending) } }
  }

  private static func work(_ state: Monitor<State>) {
    while true {
      state.change { $0.idle += 1 }
      let job = state.wait { state -> (@Sendable () -> Void)?? in
        if let job = state.take() {
          state.idle -= 1
          return .some(job)
        }
        return state.isOver ? .some(nil) : nil
      }
      guard let job else { return }
      job()
    }
  }
}

extension WorkerPool.State {
  fileprivate mutating func take() -> (@Sendable () -> Void)? {
    guard next < jobs.count else { return nil }
    let job = jobs[next]
    jobs[next] = {}
    next += 1
    if next == jobs.count { (jobs, next) = ([], 0) }
    return job
  }
}
