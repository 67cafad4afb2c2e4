import Fuse
import Platform
import Synchronization

/// The handles of open files: each has a number of its own, and flags that say how it was opened.
final class OpenFiles: Sendable {
  private let lastNumber = Atomic<UInt64>(0)
  /// Files through which a change of size was refused.
  private let refused = Mutex<Set<FileHandle>>([])
  /// Whether there are such, told without the lock.
  private let hasRefused = Atomic(false)

  /// A handle for a file that is being opened.
  func open(_ flags: HandleFlags) -> FileHandle {
    let number = lastNumber.add(1, ordering: .relaxed).newValue
    return FileHandle(rawValue: number << HandleFlags.bitCount | flags.rawValue)
  }

  /// Notes that a change of size was refused. The program may go on as if it had not been: then it would write its new
  /// contents over the old, whose rest stays behind them.
  func refuse(_ handle: FileHandle?) {
    guard let handle, handle != .none else { return }
    refused.withLock { refused in
      refused.insert(handle)
      hasRefused.store(true, ordering: .releasing)
    }
  }

  /// Makes sure that no change of size was refused through an open file.
  /// - Throws: EPERM.
  func checkWritable(_ handle: FileHandle) throws(Errno) {
    guard hasRefused.load(ordering: .acquiring) else { return }
    if refused.withLock({ $0.contains(handle) }) { throw .notPermitted }
  }

  /// Forgets a file that was closed.
  func close(_ handle: FileHandle) {
    guard hasRefused.load(ordering: .acquiring) else { return }
    refused.withLock { refused in
      refused.remove(handle)
      if refused.isEmpty { hasRefused.store(false, ordering: .releasing) }
    }
  }
}

/// What a handle says of its open file.
struct HandleFlags: OptionSet {
  let rawValue: UInt64
  static let bitCount: UInt64 = 3

  /// `StagedTree` counts it.
  static let staged = HandleFlags(rawValue: 1)
  /// `Volume` counts it, for files can be removed.
  static let counted = HandleFlags(rawValue: 2)
  /// Its reads and writes go past the kernel's cache, and no fsync comes behind a synchronous write.
  static let direct = HandleFlags(rawValue: 4)
}

extension FileHandle {
  /// What `OpenFiles.open` was told.
  var flags: HandleFlags { HandleFlags(rawValue: rawValue & (1 << HandleFlags.bitCount - 1)) }
}
