import Fuse
import Platform

// Locks between processes, with the traits `posixLocks` and `flockLocks`.
extension MemoryFileSystem {
  package func getLock(
    _ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ owner: LockOwner, _ caller: Caller
  ) throws(Errno) -> FileLock? {
    locks.conflict(of: lock, by: owner, on: node)
  }

  package func setLock(
    _ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ intent: LockIntent, _ pending: consuming PendingDone,
    _ caller: Caller
  ) {
    if !intent.isFlock && lock.kind != .unlock {
      _ = lockOwners.withLock { $0[handle, default: []].insert(intent.owner) }
    }
    locks.set(lock, intent, on: node, pending)
  }

  package func flush(_ node: NodeID, _ handle: FileHandle, _ owner: LockOwner, _ caller: Caller) throws(Errno) {
    count(\.flush)
    locks.release(owner, isFlock: false, on: node)
  }

  package func release(_ node: NodeID, _ handle: FileHandle, _ flockOwner: LockOwner?) {
    if let flockOwner { locks.release(flockOwner, isFlock: true, on: node) }
    // The kernel sends no unlock of an open file description's lock when the description is closed.
    for owner in lockOwners.withLock({ $0.removeValue(forKey: handle) }) ?? [] {
      locks.release(owner, isFlock: false, on: node)
    }
    tree.withLock { $0.close(node, handle, isDirectory: false) }
  }

  package func interrupt(_ request: RequestID) { locks.interrupt(request) }

  package func interruptAll() { locks.interruptAll() }
}
