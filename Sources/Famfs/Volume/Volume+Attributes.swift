import Platform

// Attributes of what the log has: mode, owner and times. They change in this mount's memory first; an entry of the log
// makes the last state every host's.
extension Volume {
  /// Appends an entry with the attributes that a file or directory has now.
  /// - Returns: false when it is there no more.
  /// - Throws: a sentence; then the attributes are this mount's alone.
  @discardableResult
  public func saveAttributes(of number: NodeNumber) throws(FamfsError) -> Bool {
    try logEnd.withLock { (logEnd) throws(FamfsError) in
      guard let record = replayed.withLock({ $0.attributeRecord(of: number) }) else { return false }
      try checkAppend(&logEnd)
      guard logEnd.freeSlots > logEnd.follower.capacity / Volume.keptShare else { throw .noAttributeSlots }
      try append(.attributes(record), to: &logEnd)
      return true
    }
  }

  /// One part in so many of the log is kept from attributes, for what new files and directories need.
  static let keptShare: UInt64 = 4
}

extension Volume.LogEnd {
  /// Slots of the log that nothing counts on.
  var freeSlots: UInt64 {
    let counted = follower.played + UInt64(reservations.count) + heldSlots
    return follower.capacity - min(counted, follower.capacity)
  }
}

extension ReplayedLog {
  /// What an entry about a node's attributes says; nil when the node is gone, or is the volume's own.
  func attributeRecord(of number: NodeNumber) -> AttributeRecord? {
    guard number == .root || number.rawValue >= NodeNumber.firstEntry, let node = namespace[number] else { return nil }
    let path = number == .root ? nil : try? EntryPath(bytes: namespace.pathBytes(of: number))
    return AttributeRecord(
      target: number == .root ? AttributeRecord.root : UInt64(number.rawValue) - NodeNumber.firstEntry, path: path,
      permissions: UInt32(node.permissions), userID: node.userID, groupID: node.groupID,
      modified: EntryTime(node.modified), changed: EntryTime(node.changed), accessed: EntryTime(node.accessed))
  }

  /// Takes in changed attributes, entry `index` of the log.
  /// - Returns: whose they are.
  mutating func play(_ record: AttributeRecord, at index: UInt64) throws(EntryProblem) -> NodeNumber {
    var number = NodeNumber.root
    if let path = record.path {
      guard record.target < index, let found = namespace.find(path), found == .entry(record.target) else {
        throw .nothingToChange
      }
      number = found
    }
    namespace.update(number) { node in
      node.permissions = UInt16(record.permissions)
      (node.userID, node.groupID) = (record.userID, record.groupID)
      node.modified = record.modified.nanosecondsSince1970
      node.changed = record.changed.nanosecondsSince1970
      node.accessed = record.accessed.nanosecondsSince1970
    }
    namespace.skip()
    return number
  }
}

extension LogEntry.Payload {
  /// Replaces the attributes that it had when it was made.
  mutating func setAttributes(of node: Node) {
    switch self {
    case .file(var record):
      (record.permissions, record.userID, record.groupID) = (UInt32(node.permissions), node.userID, node.groupID)
      self = .file(record)
    case .directory(var record):
      (record.permissions, record.userID, record.groupID) = (UInt32(node.permissions), node.userID, node.groupID)
      self = .directory(record)
    case .removal, .addDevice, .attributes: break
    }
  }
}

extension Node {
  /// Takes in the time stamp of the entry that makes it, if there is one.
  mutating func stamp(_ time: EntryTime?) {
    guard let time else { return }
    (modified, accessed) = (time.nanosecondsSince1970, time.nanosecondsSince1970)
  }
}

extension EntryTime {
  /// A time as nodes have it.
  public init(_ nodeTime: Int64) { self.init(nanosecondsSince1970: nodeTime) }
}
