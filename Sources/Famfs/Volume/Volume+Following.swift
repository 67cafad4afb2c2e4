import Memory
import Platform

/// What following the log brought.
public struct FollowedChanges: Sendable {
  /// Directories that have new children, each once in a row.
  public var directories: [NodeNumber] = []
  /// What is gone, in order.
  public var removals: [RemovedNode] = []
  /// What has other attributes, each once in a row.
  public var attributes: [NodeNumber] = []
  /// New files.
  public var files: UInt64 = 0
  /// New directories.
  public var newDirectories: UInt64 = 0
  /// Bad entries among the new ones.
  public var problems: UInt64 = 0
  /// What is wrong with the log or the device, if it cannot be followed.
  public var trouble: String?

  mutating func note(_ change: Change, _ names: borrowing Namespace) {
    switch change {
    case .none: break
    case .added(let parent): if directories.last != parent { directories.append(parent) }
    case .removed(let number, let parent):
      if directories.last != parent { directories.append(parent) }
      removals.append(RemovedNode(number: number, parent: parent, name: names.withName(of: number) { Array($0) }))
    case .attributes(let number): if attributes.last != number { attributes.append(number) }
    }
  }
}

/// A name that is gone, and what had it.
public struct RemovedNode: Sendable {
  /// The file or directory.
  public let number: NodeNumber
  /// Its directory.
  public let parent: NodeNumber
  /// Its name.
  public let name: [UInt8]
}

extension Volume {
  /// Looks whether the log has grown, takes in what is new, and tells all that has come since the last call, by this
  /// host's own appends too. Cheap when there is nothing: two cache lines are read.
  public func follow() -> FollowedChanges {
    catchUp()
    return logEnd.withLock { logEnd in
      defer { logEnd.news = FollowedChanges(trouble: logEnd.news.trouble) }
      return logEnd.news
    }
  }

  /// Tells all that has come since the last call, without taking in what is new in the log; but whether log and devices
  /// still are this volume's is looked at.
  public func takeNews() -> FollowedChanges {
    logEnd.withLock { logEnd in
      if (try? isReplaced(&logEnd)) == true {
        giveUp(&logEnd)
      } else {
        checkMembers()
      }
      noteFailure(&logEnd)
      defer { logEnd.news = FollowedChanges(trouble: logEnd.news.trouble) }
      return logEnd.news
    }
  }

  /// Ends all appending when there is trouble.
  private func noteFailure(_ logEnd: inout LogEnd) {
    if logEnd.news.trouble == nil { logEnd.news.trouble = metadataTrouble }
    if logEnd.failure == nil { logEnd.failure = logEnd.news.trouble }
  }

  /// Takes in what is new and leaves the telling to `follow`. The log's end is locked for a batch of entries at a time,
  /// so that nobody else waits for long.
  public func catchUp() { while logEnd.withLock({ catchUp(&$0, atMost: LogFollower.batch) }) {} }

  /// Plays all that others appended.
  func catchUp(_ logEnd: inout LogEnd) { while catchUp(&logEnd, atMost: LogFollower.batch) {} }

  /// Plays what others appended, a bounded number of entries.
  /// - Returns: whether there is more.
  private func catchUp(_ logEnd: inout LogEnd, atMost limit: UInt64) -> Bool {
    defer { noteFailure(&logEnd) }
    do {
      // The index first: mkfs wipes the superblock before it touches the log, so where the superblock is still there
      // afterwards, the index was this volume's own.
      let index = try nextIndex()
      if try isReplaced(&logEnd) {
        giveUp(&logEnd)
      } else {
        checkMembers()
        switch logEnd.follower.see(index, atMost: limit) {
        case .rest: break
        case .play(let range):
          play(range, &logEnd)
          return logEnd.follower.isHollow || logEnd.follower.played < index
        case .wentBack:
          logEnd.news.trouble = "the log is shorter than it was, so it is another one by now; unmount this volume"
          lost.store(true, ordering: .relaxed)
        case .beyond:
          logEnd.news.trouble = "the log header claims more entries than fit; unmount, and check with fsck"
        case .hollow:
          logEnd.news.trouble = logEnd.follower.problem(of: index).map { "\($0); unmount, and check with fsck" }
        }
      }
    } catch {
      logEnd.news.trouble =
        "the log cannot be read: \(error); nothing can be added, nor is anything new seen. Copy the files elsewhere, and "
        + "make the file system anew with mkfs.famfs --force"
    }
    return false
  }

  private func giveUp(_ logEnd: inout LogEnd) {
    logEnd.news.trouble = "another file system was made on the device; unmount this one"
    lost.store(true, ordering: .relaxed)
  }

  /// The number of entries, as the memory has it now.
  func nextIndex() throws(Errno) -> UInt64 {
    let place = superblock.logOffset + LogHeader.nextIndexOffset
    try device.invalidate(at: place, count: 8)
    return try device.load64(at: place)
  }

  private func play(_ range: Range<UInt64>, _ logEnd: inout LogEnd) {
    let time = Clock.fileTime()
    let before = replayed.withLock { ($0.namespace.fileCount, $0.namespace.directoryCount, $0.problemCount) }
    var found = FollowedChanges(
      directories: logEnd.news.directories, removals: logEnd.news.removals, attributes: logEnd.news.attributes)
    (logEnd.news.directories, logEnd.news.removals, logEnd.news.attributes) = ([], [], [])
    LogReader(device: device, start: superblock.logOffset).read(range) { index, entry, bytes in
      // One entry at a time, so that no request waits long.
      replayed.withLock { replayed in
        let change = replayed.take(index, entry, bytes: bytes, &logEnd.follower, time: time)
        found.note(change, replayed.namespace)
      }
      // Before anybody can find a file that lies on it.
      if case .success(let entry) = entry, case .addDevice = entry.payload { findNewDevices() }
    }
    let after = replayed.withLock { ($0.namespace.fileCount, $0.namespace.directoryCount, $0.problemCount) }
    (logEnd.news.directories, logEnd.news.removals) = (found.directories, found.removals)
    logEnd.news.attributes = found.attributes
    logEnd.news.files += after.0 - min(before.0, after.0)
    logEnd.news.newDirectories += after.1 - min(before.1, after.1)
    // Slots behind the log's end are no bad entries any more.
    logEnd.news.problems = logEnd.news.problems + after.2 - min(before.2, logEnd.news.problems + after.2)
  }

  /// Whether the superblock is no longer that of this volume. If it is, who is master is taken in.
  private func isReplaced(_ logEnd: inout LogEnd) throws(Errno) -> Bool {
    let found = try Volume.identity(of: device)
    if found.volume != superblock.uuid { return true }
    note(master: found.master, &logEnd)
    return false
  }

  /// The UUIDs that a device's superblock has of the volume and its master, unchecked: for a look at whether they are
  /// the same as before.
  public struct Identity: Equatable, Sendable {
    let volume: UUID
    let master: UUID

    /// What was known at some time.
    public init(volume: UUID, master: UUID) {
      self.volume = volume
      self.master = master
    }
  }

  /// What a device's superblock says at this moment.
  public static func identity(of device: any MemoryDevice) throws(Errno) -> Identity {
    try device.invalidate(at: 48, count: 48)
    var bytes = InlineArray<48, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    try span.withUnsafeMutableBytes { (buffer) throws(Errno) in try device.read(at: 48, into: buffer) }
    return Identity(volume: UUID(bytes.span.bytes), master: UUID(bytes.span.bytes, at: 32))
  }
}
