import Platform
import Synchronization

/// The locks of fcntl(2) and flock(2) on the files of a file system, and the requests that wait for them.
///
/// A file is known by a key of the file system's: the node id or, where several mounts share the table, the inode. The two
/// kinds of locks do not see each other, as in the kernel.
public final class LockTable<Key: Hashable & Sendable>: Sendable {
  fileprivate struct Held: Equatable {
    var owner: LockOwner
    var lock: FileLock
  }

  fileprivate struct Waiter {
    let key: Key
    let intent: LockIntent
    let lock: FileLock
    let pending: Box<PendingDone>
  }

  fileprivate struct File {
    /// By owner and place: the locks of one owner do not overlap.
    var ranges: [Held] = []
    var flocks: [Held] = []
    var isEmpty: Bool { ranges.isEmpty && flocks.isEmpty }
  }

  fileprivate struct State {
    var files: [Key: File] = [:]
    /// In the order in which they came.
    var waiters: [Waiter] = []
    /// Requests that were interrupted and are not known here: they may come yet.
    var interrupted: [RequestID] = []
  }

  /// Interrupts of requests that have not come that are remembered. Most are of requests that never come here.
  private static var mostInterrupted: Int { 128 }

  private let state = Mutex(State())

  /// A table without locks.
  public init() {}

  /// Requests that wait.
  public var waiterCount: Int { state.withLock { $0.waiters.count } }

  /// F_GETLK: the first lock of another owner that is in the way, by its place in the file; nil when there is none.
  public func conflict(of lock: FileLock, by owner: LockOwner, on key: Key) -> FileLock? {
    state.withLock { $0.conflict(of: lock, by: owner, isFlock: false, on: key)?.lock }
  }

  /// F_SETLK, F_SETLKW and flock(2): answers `pending` at once, or when the lock is free.
  ///
  /// The answer is EAGAIN when another owner's lock is in the way and `intent` says not to wait; EDEADLK when that owner
  /// waits, directly or through others, for the owner that asks; EINTR after `interrupt`.
  public func set(_ lock: FileLock, _ intent: LockIntent, on key: Key, _ pending: consuming PendingDone) {
    let box = Box(pending)
    let outcome: Outcome = state.withLock { state in
      if let place = state.interrupted.firstIndex(of: intent.request), intent.waits {
        state.interrupted.remove(at: place)
        return .fail(.interrupted)
      }
      guard lock.kind != .unlock,
        let blocker = state.conflict(of: lock, by: intent.owner, isFlock: intent.isFlock, on: key)
      else {
        state.put(lock, of: intent.owner, isFlock: intent.isFlock, on: key)
        return .grant(state.takeFree())
      }
      guard intent.waits else { return .fail(.tryAgain) }
      if !intent.isFlock, state.waits(blocker.owner, for: intent.owner) { return .fail(.deadlock) }
      state.waiters.append(Waiter(key: key, intent: intent, lock: lock, pending: box))
      return .wait
    }
    switch outcome {
    case .wait: break
    case .fail(let error): box.take()?.fail(error)
    case .grant(let others):
      box.take()?.finish()
      for other in others { other.take()?.finish() }
    }
  }

  private enum Outcome {
    case wait
    case fail(Errno)
    /// It is granted, and so are those that waited for what it lets go of.
    case grant([Box<PendingDone>])
  }

  /// Lets go of all that an owner holds on a file: at close(2).
  public func release(_ owner: LockOwner, isFlock: Bool, on key: Key) {
    let free = state.withLock { state -> [Box<PendingDone>] in
      guard state.files[key] != nil else { return [] }
      state.put(FileLock(.unlock), of: owner, isFlock: isFlock, on: key)
      return state.takeFree()
    }
    for one in free { one.take()?.finish() }
  }

  /// A signal came for the process that waits for a request: see `FileSystem.interrupt`.
  public func interrupt(_ request: RequestID) {
    let box = state.withLock { state -> Box<PendingDone>? in
      if let place = state.waiters.firstIndex(where: { $0.intent.request == request }) {
        return state.waiters.remove(at: place).pending
      }
      if state.interrupted.count == Self.mostInterrupted { state.interrupted.removeFirst() }
      state.interrupted.append(request)
      return nil
    }
    box?.take()?.fail(.interrupted)
  }

  /// All that wait fail with EINTR.
  public func interruptAll() {
    let all = state.withLock { state in
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in all { waiter.pending.take()?.fail(.interrupted) }
  }

  /// All locks are gone: the session is over.
  public func removeAll() {
    interruptAll()
    state.withLock { $0 = State() }
  }
}

extension LockTable.State {
  /// The first lock of another owner that is in the way, by its place in the file.
  fileprivate func conflict(
    of lock: FileLock, by owner: LockOwner, isFlock: Bool, on key: Key
  ) -> LockTable.Held? {
    guard let file = files[key] else { return nil }
    var first: LockTable.Held?
    for held in isFlock ? file.flocks : file.ranges
    where held.owner != owner && held.lock.start <= lock.end && lock.start <= held.lock.end
      && (held.lock.kind == .exclusive || lock.kind == .exclusive)
    {
      if let found = first, found.lock.start <= held.lock.start { continue }
      first = held
    }
    return first
  }

  /// Puts a lock in place of what the owner holds in its range, or takes that away.
  fileprivate mutating func put(_ lock: FileLock, of owner: LockOwner, isFlock: Bool, on key: Key) {
    var file = files[key] ?? LockTable.File()
    var all = isFlock ? file.flocks : file.ranges
    var new = lock
    var kept: [LockTable.Held] = []
    for held in all where held.owner == owner {
      let old = held.lock
      if new.kind == old.kind, old.start <= LockRange.after(new.end), new.start <= LockRange.after(old.end) {
        // The same, beside it or over it: one lock.
        new.start = min(new.start, old.start)
        new.end = max(new.end, old.end)
        continue
      }
      if old.start < new.start {
        var left = held
        left.lock.end = min(old.end, new.start - 1)
        kept.append(left)
      }
      if old.end > new.end {
        var right = held
        right.lock.start = max(old.start, new.end + 1)
        kept.append(right)
      }
    }
    all.removeAll { $0.owner == owner }
    all += kept
    if new.kind != .unlock { all.append(LockTable.Held(owner: owner, lock: new)) }
    if isFlock { file.flocks = all } else { file.ranges = all }
    files[key] = file.isEmpty ? nil : file
  }

  /// Gives those that wait what is free by now, in their order.
  fileprivate mutating func takeFree() -> [Box<PendingDone>] {
    var granted: [Box<PendingDone>] = []
    var place = 0
    while place < waiters.count {
      let one = waiters[place]
      if conflict(of: one.lock, by: one.intent.owner, isFlock: one.intent.isFlock, on: one.key) == nil {
        put(one.lock, of: one.intent.owner, isFlock: one.intent.isFlock, on: one.key)
        granted.append(one.pending)
        waiters.remove(at: place)
        place = 0  // an exclusive lock that became shared frees those before it
      } else {
        place += 1
      }
    }
    return granted
  }

  /// Whether an owner waits for another one, directly or by others.
  fileprivate func waits(_ owner: LockOwner, for other: LockOwner) -> Bool {
    var seen: Set<LockOwner> = [owner]
    var next = [owner]
    while let one = next.popLast() {
      if one == other { return true }
      for waiter in waiters where waiter.intent.owner == one && !waiter.intent.isFlock {
        guard let blocker = conflict(of: waiter.lock, by: one, isFlock: false, on: waiter.key) else { continue }
        if seen.insert(blocker.owner).inserted { next.append(blocker.owner) }
      }
    }
    return false
  }
}

private enum LockRange {
  /// The byte behind one; the last has none.
  static func after(_ byte: UInt64) -> UInt64 { byte == .max ? byte : byte + 1 }
}

/// A value that cannot be copied, on its way to who takes it.
final class Box<Value: ~Copyable & Sendable>: Sendable {
  private let value: Mutex<Value?>

  init(_ value: consuming Value) { self.value = Mutex(value) }

  /// The value, the first time.
  func take() -> Value? { value.withLock { $0.take() } }
}
