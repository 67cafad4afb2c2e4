import Memory
import Platform

/// Space taken for a file that is being made: nobody sees it until it is committed, and nothing of it is on media.
public struct Reservation: Sendable {
  /// Names it to `commit` and `cancel`.
  public let id: UInt64
  /// Where its bytes go.
  public let layout: FileLayout
  /// Its extents, or strips.
  public var extents: [Extent] { layout.extents.array }

  struct Pending {
    let record: FileRecord
    /// The master's term in which its space was taken.
    let term: UInt64
  }
}

extension Volume {
  /// Takes space for a new file and keeps its name. An empty file takes one unit: the public tools cannot read an entry
  /// of a file that has no extents.
  /// - Parameter striping: how to spread it; else it has as few extents as the free space allows.
  /// - Throws: a sentence; then nothing has changed.
  public func reserve(
    path: EntryPath, size: UInt64, permissions: UInt32, userID: UInt32, groupID: UInt32, striping: Striping? = nil
  ) throws(FamfsError) -> Reservation {
    if let striping, striping.chunkSize % superblock.allocationUnit != 0 {
      throw .other(
        "a chunk of \(striping.chunkSize) bytes is no multiple of the allocation unit, \(superblock.allocationUnit) "
          + "bytes; choose a larger --chunksize")
    }
    return try logEnd.withLock { (logEnd) throws(FamfsError) in
      try checkAppend(&logEnd)
      try checkName(path, logEnd)
      let (present, unusable) = (presentDevices(), unusable())
      let layout = try replayed.withLock { (replayed) throws(FamfsError) in
        replayed.space.avoid(unusable)
        let size = max(1, size)
        do throws(AllocationError) {
          if let striping { return try replayed.space.allocate(bytes: size, striping, on: present) }
          return FileLayout(try replayed.space.allocate(bytes: size, on: present))
        } catch {
          let free = replayed.space.freeCount(of: present) * replayed.space.unit
          // Strips of one length can need more than the size.
          if error == .full, striping == nil || size > free {
            throw replayed.noSpace(for: "\(path)", needed: size, free: free)
          }
          if let striping { throw .noStrips("\(path)", needed: size, striping) }
          throw .fragmented("\(path)", needed: size, free: free)
        }
      }
      logEnd.lastReservation += 1
      logEnd.reservations[logEnd.lastReservation] = Reservation.Pending(
        record: FileRecord(
          path: path, size: size, permissions: permissions & 0o7777, userID: userID, groupID: groupID,
          layout: layout), term: term)
      logEnd.reservedPaths.insert(path)
      return Reservation(id: logEnd.lastReservation, layout: layout)
    }
  }

  /// Makes a reserved file real: one log entry. Its contents must have reached the memory, fence included; that they
  /// are durable is seen to here.
  /// - Throws: a sentence; then no host sees the file, and its space is free again. Only when the memory itself failed
  ///   while the entry was written, hosts may see the file whole; then this volume takes nothing more.
  @discardableResult
  public func commit(_ id: UInt64) throws(FamfsError) -> NodeNumber {
    let layout = try logEnd.withLock { (logEnd) throws(FamfsError) in
      guard let pending = logEnd.reservations[id] else { throw .noReservation }
      return pending.record.layout
    }
    // Without the lock: it can be much. What fails is thrown where the reservation is given back.
    let synced = Result { () throws(FamfsError) in try sync(layout) }
    return try logEnd.withLock { (logEnd) throws(FamfsError) in
      guard let pending = logEnd.take(id) else { throw .noReservation }
      do throws(FamfsError) {
        // Since the reservation others may have appended, and the device may hold another volume by now.
        try checkAppend(&logEnd)
        try checkName(pending.record.path, logEnd)
        try checkDevices(of: pending.record)
        try synced.get()
        return try append(.file(pending.record), to: &logEnd)
      } catch {
        release(pending)
        throw error
      }
    }
  }

  /// Gives a reservation's space and name back. One that is gone already is no error.
  public func cancel(_ id: UInt64) {
    logEnd.withLock { logEnd in
      guard let pending = logEnd.take(id) else { return }
      release(pending)
    }
  }

  private func release(_ pending: Reservation.Pending) {
    giveSpace(TakenSpace(pending.record.layout.extents.array, in: pending.term))
  }

  /// Makes a second file of another's very extents, with its size, mode and owner: a cross-linked volume, which fsck
  /// warns of. For tests.
  @discardableResult
  public func clone(_ source: EntryPath, to path: EntryPath) throws(FamfsError) -> NodeNumber {
    try logEnd.withLock { (logEnd) throws(FamfsError) in
      try checkAppend(&logEnd)
      try checkName(path, logEnd)
      let (layout, node) = try replayed.withLock { (replayed) throws(FamfsError) in
        guard let number = replayed.namespace.find(source), let node = replayed.namespace[number] else {
          throw .notFound("\(source)")
        }
        guard node.kind == .file else { throw .other("\(source) is a directory; name a file") }
        // A file that lies over the superblock or the log would be a bad entry, and end all appending.
        guard number.rawValue >= NodeNumber.firstEntry else { throw .reserved("\(source)") }
        let layout = replayed.namespace.layout(of: node)
        // Written by a version that gave empty files no extents.
        guard layout.extents.count > 0 else { throw .other("\(source) is empty and has no extents; name another file") }
        return (layout, node)
      }
      let record = FileRecord(
        path: path, size: node.size, permissions: UInt32(node.permissions), userID: node.userID,
        groupID: node.groupID, layout: layout)
      return try append(.file(record), to: &logEnd, original: source)
    }
  }

  /// Makes a directory: one log entry.
  /// - Throws: a sentence; then nothing has changed.
  @discardableResult
  public func makeDirectory(
    path: EntryPath, permissions: UInt32, userID: UInt32, groupID: UInt32
  ) throws(FamfsError) -> NodeNumber {
    try logEnd.withLock { (logEnd) throws(FamfsError) in
      try checkAppend(&logEnd)
      try checkName(path, logEnd)
      let record = DirectoryRecord(
        path: path, permissions: permissions & 0o7777, userID: userID, groupID: groupID)
      return try append(.directory(record), to: &logEnd)
    }
  }

  // MARK: Checks

  /// Whether anything may be added: the role, the log's health, a free slot that no reservation counts on.
  func checkAppend(_ logEnd: inout LogEnd) throws(FamfsError) {
    catchUp(&logEnd)  // also tells whether this host still is the master
    guard role == .master else { throw isNoMaster }
    if let failure = logEnd.failure { throw .disabled(failure) }
    let (count, first) = replayed.withLock { ($0.problemCount, $0.problems.first) }
    if let first { throw .badEntries(count, first) }
    guard logEnd.follower.played + UInt64(logEnd.reservations.count) + logEnd.heldSlots < logEnd.follower.capacity
    else {
      throw .logFull(logEnd.follower.capacity)
    }
  }

  /// Whether all devices of a file are still there: one that was let go of does not have its contents.
  private func checkDevices(of record: FileRecord) throws(FamfsError) {
    let present = presentDevices()
    guard let lost = record.layout.extents.array.first(where: { !present.contains($0.device) }) else { return }
    throw .other(
      "\(record.path): device \(lost.device) of the volume, on which it was to be, is no more this volume's, or fails; try again"
    )
  }

  /// Whether a name is free and has a directory to be in.
  func checkName(_ path: EntryPath, _ logEnd: borrowing LogEnd) throws(FamfsError) {
    let (parent, exists) = replayed.withLock { replayed in
      (
        Result { () throws(EntryProblem) in try replayed.namespace.parent(of: path) },
        replayed.namespace.find(path) != nil
      )
    }
    switch parent {
    case .failure(.parentIsFile): throw .parentIsFile("\(path)")
    case .failure: throw .noParent("\(path)")
    case .success(.meta): throw .reserved("\(path)")
    case .success: break
    }
    if exists || logEnd.reservedPaths.contains(path) { throw .exists("\(path)") }
  }

  /// Appends one entry and takes it into the replayed log.
  @discardableResult
  func append(
    _ payload: LogEntry.Payload, to logEnd: inout LogEnd, original: EntryPath? = nil
  ) throws(FamfsError) -> NodeNumber {
    if let failure = logEnd.failure { throw .disabled(failure) }
    let index = logEnd.follower.played
    do {
      if try !write(LogEntry(sequence: index, payload)) {
        catchUp(&logEnd)
        if role != .master { throw isNoMaster }
        throw FamfsError.other("somebody else appended to the log at this moment; only one program may, try again")
      }
    } catch let error as FamfsError {
      throw error
    } catch {
      // Whether other hosts see the entry is unknown, so its slot must never be written again.
      let reason =
        "log entry \(index) could not be written: \(error), so nothing can be added; copy the files elsewhere, and make "
        + "the file system anew with mkfs.famfs --force"
      logEnd.failure = reason
      throw .disabled(reason)
    }
    _ = logEnd.follower.see(index + 1)
    let isAdmitted = replayed.withLock { replayed in
      guard let change = replayed.admit(payload, at: index, original: original, time: Clock.fileTime()) else {
        return false
      }
      logEnd.news.note(change, replayed.namespace)
      return true
    }
    if !isAdmitted { logEnd.failure = "log entry \(index) is written but does not fit; unmount, and check with fsck" }
    switch payload {
    case .file: logEnd.news.files += 1
    case .directory: logEnd.news.newDirectories += 1
    case .removal, .addDevice, .attributes: break
    }
    return .entry(index)
  }
}

extension Volume {
  /// - Returns: false when the log is another's by now.
  private func write(_ entry: LogEntry) throws -> Bool {
    let isOurs: LogWriter.Ownership = { () throws(Errno) in try self.isOurs(at: entry.sequence) }
    do throws(Errno) {
      guard try writer.put(entry, while: isOurs) else { return false }
    } catch {
      // The slot does not count yet, and can be written when there is room.
      if error == .noSpace { throw FamfsError.memory(device.path, error) }
      throw error
    }
    return try writer.admit(entry.sequence, while: isOurs)
  }

  /// Whether the log has as many entries as this, and the superblock names this host as the master.
  private func isOurs(at index: UInt64) throws(Errno) -> Bool {
    guard try nextIndex() == index else { return false }
    let found = try Volume.identity(of: device)
    return found.volume == superblock.uuid && found.master == host
  }
}

extension Volume.LogEnd {
  /// Takes a reservation out, and frees its path.
  fileprivate mutating func take(_ id: UInt64) -> Reservation.Pending? {
    guard let pending = reservations.removeValue(forKey: id) else { return nil }
    reservedPaths.remove(pending.record.path)
    return pending
  }
}
