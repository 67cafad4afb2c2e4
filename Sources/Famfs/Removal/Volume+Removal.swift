import Memory
import Platform

// Taking files away, on volumes that were made for it. A removal is one log entry. It takes the name away on every
// host; the space comes back on the master once nobody can be reading it any more.
extension Volume {
  /// What the volume's features say of removing.
  static func readFeatures(of device: any MemoryDevice, _ superblock: Superblock) -> Result<Features?, FeaturesError> {
    guard let bytes = try? device.freshBytes(at: Features.offset, count: Features.size) else {
      return .failure(.damaged)
    }
    return Result { () throws(FeaturesError) in try Features.parse(bytes.span.bytes, of: superblock.uuid) }
  }

  /// Writes a new volume's features, if it has any.
  static func write(_ features: Features, to device: any MemoryDevice) throws(Errno) {
    var bytes = [UInt8](repeating: 0, count: Features.size)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    features.encode(into: &raw)
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in
      try device.write(at: Features.offset, from: bytes)
    }
    try device.sync(at: Features.offset, count: UInt64(Features.size))
  }

  /// Removes a file or an empty directory: one log entry.
  /// - Throws: a sentence; then nothing has changed.
  public func remove(_ path: EntryPath) throws(FamfsError) {
    try logEnd.withLock { (logEnd) throws(FamfsError) in
      switch features {
      case .failure:
        throw .other("\(device.path): what says whether files can be removed is damaged; copy what is good elsewhere")
      case .success(let features):
        guard features?.isReclaiming == true else {
          throw .other(
            "\(device.path): files of this volume cannot be removed: it was not made with mkfs.famfs --reclaim")
        }
      }
      try checkAppend(&logEnd)
      let target = try replayed.withLock { (replayed) throws(FamfsError) in try checkRemovable(path, replayed) }
      // What is on its way into a directory would have no parent.
      if let inside = logEnd.reservedPaths.first(where: { $0.isInside(path) }) {
        throw .other("\(path): a command is making \(inside) in it; wait for it, or stop it, first")
      }
      try append(
        .removal(RemovalRecord(target: UInt64(target.rawValue) - NodeNumber.firstEntry, path: path)), to: &logEnd)
    }
  }

  private func checkRemovable(_ path: EntryPath, _ replayed: borrowing ReplayedLog) throws(FamfsError) -> NodeNumber {
    guard let number = replayed.namespace.find(path) else { throw .notFound("\(path)") }
    guard number.rawValue >= NodeNumber.firstEntry else { throw .reserved("\(path)") }
    do throws(EntryProblem) { try replayed.checkRemovable(number) } catch {
      switch error {
      case .directoryInUse: throw .other("\(path): the directory is not empty; use -r to remove all that is in it")
      case .sharedRemoval: throw .other("\(path): a clone shares its extents, and such files cannot be removed")
      default: throw .notFound("\(path)")
      }
    }
    return number
  }

  // MARK: Open files

  /// Notes that a file is being opened on this mount: when it is removed, those who have it open keep it.
  /// - Throws: ENOENT when it is gone.
  public func opened(_ number: NodeNumber, count: Int = 1) throws(Errno) {
    try replayed.withLock { (replayed) throws(Errno) in
      guard replayed.node(number) != nil else { throw .noEntry }
      replayed.removals.open(number, count: count)
    }
  }

  /// Notes that an opened file was closed.
  public func closed(_ number: NodeNumber) { replayed.withLock { $0.removals.close(number) } }

  // MARK: Space

  /// Entries whose removals this mount has let go of.
  public var released: UInt64 {
    replayed.withLock { $0.removals.released(played: $0.namespace.entryCount) }
  }

  /// Bytes of removed files that may still be read somewhere.
  public var heldBytes: UInt64 { replayed.withLock { $0.removals.heldBytes } }

  /// Whether there is space to be had back.
  public var isHolding: Bool { replayed.withLock { $0.removals.isHolding } }

  /// Frees what entries before this one removed: every mount that lives has let go of it, and those that do not are
  /// marked.
  public func settle(before entry: UInt64) {
    logEnd.withLock { _ in
      guard role == .master else { return }
      replayed.withLock { replayed in
        for extent in replayed.removals.takeHeld(before: entry) { replayed.space.release(extent) }
      }
    }
  }

  /// Gives up what is open and was removed, and takes in the rest of the log: for a mount that nobody has waited for.
  /// Its heartbeat is there by now, so that what comes later waits for it.
  public func reload() {
    catchUp()
    logEnd.withLock { logEnd in
      catchUp(&logEnd)
      replayed.withLock { $0.removals.dropOrphans() }
    }
  }
}

extension ReplayedLog {
  /// Why there is too little room, and whether there will be more.
  func noSpace(for name: String, needed: UInt64, free: UInt64) -> FamfsError {
    removals.isHolding
      ? .noSpaceYet(name, needed: needed, free: free, held: removals.heldBytes)
      : .noSpace(name, needed: needed, free: free)
  }

  /// Checks that something can be removed.
  func checkRemovable(_ number: NodeNumber) throws(EntryProblem) {
    guard number.rawValue >= NodeNumber.firstEntry, let node = namespace[number] else { throw .nothingToRemove }
    switch node.kind {
    case .directory where namespace.child(of: number, after: nil) != nil: throw .directoryInUse
    case .file where sharers.contains(number): throw .sharedRemoval
    default: break
    }
  }

  /// Takes in a removal, entry `index` of the log.
  /// - Parameter holding: whether the space is held rather than free at once.
  /// - Returns: what is gone: its directory and number.
  mutating func play(
    _ record: RemovalRecord, at index: UInt64, holding: Bool, time: Int64
  ) throws(EntryProblem) -> (parent: NodeNumber, number: NodeNumber) {
    guard record.target < index, let number = namespace.find(record.path), number == .entry(record.target) else {
      throw .nothingToRemove
    }
    try checkRemovable(number)
    guard let node = namespace[number] else { throw .nothingToRemove }
    if node.kind == .file {
      let extents = Array(namespace.extents(of: node))
      if holding {
        removals.hold(extents, entry: index)
      } else {
        for extent in extents { space.release(extent) }
      }
      removals.note(number, entry: index)
    }
    namespace.remove(number, time: time)
    namespace.skip()
    return (node.parent, number)
  }

  /// Holds the space of all removed files, as far as nobody has it: for who has become master and does not know yet who
  /// reads what.
  mutating func holdRemoved() {
    var held: [Removals.Held] = []
    // The last that had some space counts.
    for (number, entry) in removals.files.reversed() {
      guard let node = namespace.removed(number) else { continue }
      let free = namespace.extents(of: node).flatMap { space.freeParts(of: $0) }
      if free.isEmpty { continue }
      for extent in free { space.take(extent) }
      held.append(Removals.Held(entry: entry, extents: free))
    }
    for item in held.reversed() { removals.hold(item.extents, entry: item.entry) }
  }

  /// A file or directory, also a file that was removed and is open.
  func node(_ number: NodeNumber) -> Node? {
    if let node = namespace[number] { return node }
    guard removals.orphans[number] != nil, var node = namespace.removed(number) else { return nil }
    node.kind = .file
    return node
  }
}
