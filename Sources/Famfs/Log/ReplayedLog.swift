import Platform

/// What an entry has done to the names.
enum Change {
  case none
  /// A directory has one more child.
  case added(to: NodeNumber)
  /// A directory has one less.
  case removed(NodeNumber, from: NodeNumber)
  /// A file or directory has other attributes.
  case attributes(of: NodeNumber)
}

/// What the log's entries add up to: names, and which space they use.
struct ReplayedLog: Sendable {
  var namespace: Namespace
  var space: Space
  /// What the log says of the devices beside the first.
  private(set) var devices: [DeviceRecord] = []
  /// The first bad entries; `problemCount` counts all.
  private(set) var problems: [LogProblem] = []
  private(set) var problemCount: UInt64 = 0
  /// Files that share all their extents with an earlier one, and that one: made by `famfs clone`.
  private(set) var clones: [(clone: NodeNumber, original: NodeNumber)] = []
  /// Files of which each has a clone, or is one.
  private(set) var sharers: Set<NodeNumber> = []
  /// What is gone.
  var removals = Removals()
  /// From the place of a file's first extent to the file. Made when the first shared extent is met.
  private var owners: [ExtentStart: NodeNumber]?
  private let dataOffset: UInt64
  private let firstDevice: UUID
  private static let problemLimit = 1000

  init(superblock: Superblock, deviceSize: UInt64, isMaster: Bool, time: Int64) {
    namespace = Namespace(logLength: superblock.logLength, isMaster: isMaster, time: time)
    space = Space(size: deviceSize, unit: superblock.allocationUnit, reserved: superblock.dataOffset)
    dataOffset = superblock.dataOffset
    firstDevice = superblock.deviceUUID
  }

  /// Makes room for this many entries in all.
  mutating func makeRoom(entries: UInt64) { namespace.makeRoom(entries: Int(entries)) }

  /// Takes in the next slot of the log, if the log is believed that far.
  mutating func take(
    _ index: UInt64, _ entry: Result<LogEntry, EntryProblem>, bytes: RawSpan, _ follower: inout LogFollower,
    time: Int64, isNews: Bool = true
  ) -> Change {
    if follower.isHollow { return .none }
    follower.take(index, entry)
    let change = play(index, entry, bytes: bytes, time: time, isNews: isNews)
    if follower.isHollow { forgetLast(LogFollower.mostEmpty) }
    return change
  }

  /// Forgets the last slots taken in, all of which hold no entry: they are behind the log's end.
  private mutating func forgetLast(_ count: UInt64) {
    precondition(problemCount >= count, "slots are forgotten that were no problems")
    namespace.unskip(Int(count))
    problemCount -= count
    problems.removeAll { $0.index >= namespace.entryCount }
  }

  /// Takes in the next entry of the log.
  /// - Parameter isNews: whether the entry has just come: then a directory changes now by what is made in it; else when
  ///   the entry says that this was changed, where it says it.
  mutating func play(
    _ index: UInt64, _ entry: Result<LogEntry, EntryProblem>, bytes: RawSpan, time: Int64, isNews: Bool = true
  ) -> Change {
    let problem: EntryProblem
    do {
      switch try entry.get().payload {
      case .file(let record): return .added(to: try play(record, time: time, isNews: isNews))
      case .directory(let record): return .added(to: try play(record, time: time, isNews: isNews))
      case .attributes(let record): return .attributes(of: try play(record, at: index))
      case .addDevice(let record):
        try play(record)
        return .none
      case .removal(let record):
        let gone = try play(record, at: index, holding: false, time: time)
        return .removed(gone.number, from: gone.parent)
      }
    } catch {
      problem = error
    }
    namespace.skip()
    problemCount += 1
    if problems.count < ReplayedLog.problemLimit {
      problems.append(LogProblem(index: index, path: LogReader.path(in: bytes), problem: problem))
    }
    return .none
  }

  /// Takes in one more device.
  private mutating func play(_ record: DeviceRecord) throws(EntryProblem) {
    guard record.index == devices.count + 1, record.index < Volume.deviceLimit else {
      throw .badDeviceIndex(record.index)
    }
    guard Volume.isDeviceSize(record.size, unit: space.unit) else { throw .badDeviceSize(record.size) }
    guard record.uuid != firstDevice, !devices.contains(where: { $0.uuid == record.uuid }) else {
      throw .deviceExists(record.uuid)
    }
    devices.append(record)
    space.addDevice(size: record.size)
    namespace.skip()
  }

  private mutating func play(
    _ record: DirectoryRecord, time: Int64, isNews: Bool
  ) throws(EntryProblem) -> NodeNumber {
    var node = Node(
      kind: .directory, permissions: record.permissions, userID: record.userID, groupID: record.groupID, time: time)
    node.stamp(record.modified)
    return try namespace.insert(node, at: record.path, time: isNews ? time : node.modified)
  }

  private mutating func play(
    _ record: FileRecord, time: Int64, isNews: Bool
  ) throws(EntryProblem) -> NodeNumber {
    try check(record)
    // The name before the space: a bad name must leave no trace in the space map.
    try namespace.checkFree(record.path)
    let original = try take(record.layout)
    let parent = try insert(record, time: time, isNews: isNews)
    let number = NodeNumber(UInt32(namespace.nodes.count - 1))
    if let original { share(number, original) } else if owners != nil { note(number) }
    return parent
  }

  private mutating func share(_ clone: NodeNumber, _ original: NodeNumber) {
    clones.append((clone, original))
    sharers.formUnion([clone, original])
  }

  private mutating func insert(
    _ record: FileRecord, time: Int64, isNews: Bool
  ) throws(EntryProblem) -> NodeNumber {
    var node = Node(
      kind: .file, permissions: record.permissions, userID: record.userID, groupID: record.groupID, time: time)
    node.stamp(record.modified)
    node.size = record.size
    namespace.setLayout(of: &node, record.layout)
    return try namespace.insert(node, at: record.path, time: isNews ? time : node.modified)
  }

  /// Takes in what this host has just appended: its name was checked and its space taken before.
  /// - Returns: nil when it does not fit.
  mutating func admit(
    _ payload: LogEntry.Payload, at index: UInt64, original: EntryPath? = nil, time: Int64
  ) -> Change? {
    do throws(EntryProblem) {
      switch payload {
      case .file(let record):
        let parent = try insert(record, time: time, isNews: true)
        let number = NodeNumber(UInt32(namespace.nodes.count - 1))
        if let original = original.flatMap({ namespace.find($0) }) {
          share(number, original)
        } else if owners != nil {
          note(number)
        }
        return .added(to: parent)
      case .directory(let record): return .added(to: try play(record, time: time, isNews: true))
      case .attributes:
        // They are in the replayed log already, and may be newer there by now.
        namespace.skip()
        return Change.none
      case .addDevice(let record):
        try play(record)
        return Change.none
      case .removal(let record):
        let gone = try play(record, at: index, holding: true, time: time)
        return .removed(gone.number, from: gone.parent)
      }
    } catch {
      namespace.skip()
      return nil
    }
  }

  // MARK: Space

  /// Checks that a file's extents can be what they say: aligned, in the data area, long enough.
  private func check(_ record: FileRecord) throws(EntryProblem) {
    let extents = record.layout.extents
    var total: UInt64 = 0
    for place in 0..<extents.count {
      let extent = extents[place]
      guard extent.device <= devices.count else { throw .unknownDevice(extent.device) }
      let start = extent.device == 0 ? dataOffset : Superblock.area
      let end = space.devices[Int(extent.device)].unitCount * space.unit
      guard extent.length > 0, extent.offset % space.unit == 0, extent.length % space.unit == 0 else {
        throw .misaligned(extent)
      }
      guard extent.offset >= start, extent.offset <= end, extent.length <= end - extent.offset else {
        throw .outside(extent)
      }
      total += extent.length  // at most 16 times a device's size, which has 2^32 units at most
    }
    guard record.size <= total else { throw .tooShort }
    if record.layout.chunkSize > 0 { try checkStrips(record) }
  }

  private func checkStrips(_ record: FileRecord) throws(EntryProblem) {
    let (strips, chunkSize) = (record.layout.extents, record.layout.chunkSize)
    guard chunkSize % space.unit == 0 else { throw .badChunkSize(chunkSize) }
    for place in 1..<strips.count where strips[place].length != strips[0].length { throw .unevenStrips }
    if record.size == 0 { return }
    // The last byte of the longest strip: a full chunk of the last row, unless the file ends in the row's first.
    let lastChunk = (record.size - 1) / chunkSize
    let row = lastChunk / UInt64(strips.count)
    let isFirstOfRow = lastChunk % UInt64(strips.count) == 0
    let inLastRow = isFirstOfRow ? record.size - lastChunk * chunkSize : chunkSize
    guard row * chunkSize + inLastRow <= strips[0].length else { throw .tooShort }
  }

  /// Takes a file's extents, all or none.
  /// - Returns: the file that has exactly the same extents, if this one is its clone.
  private mutating func take(_ layout: FileLayout) throws(EntryProblem) -> NodeNumber? {
    let extents = layout.extents
    for place in 0..<extents.count {
      for earlier in 0..<place where extents[earlier].overlaps(extents[place]) { throw .shared(extents[place]) }
      if space.isTaken(extents[place]) {
        if let original = original(of: layout) { return original }
        throw .shared(extents[place])
      }
    }
    for place in 0..<extents.count { space.take(extents[place]) }
    return nil
  }

  /// Takes what the log's files use, and nothing else.
  mutating func rebuildSpace() {
    var fresh = Space(
      size: space.devices[0].unitCount * space.unit, unit: space.unit, reserved: dataOffset)
    for device in devices { fresh.addDevice(size: device.size) }
    for number in NodeNumber.firstEntry..<UInt64(namespace.nodes.count) {
      guard let node = namespace[NodeNumber(UInt32(number))] else { continue }
      for extent in namespace.extents(of: node) where !fresh.isTaken(extent) { fresh.take(extent) }
    }
    removals.forgetHeld()
    space = fresh
  }

  private mutating func original(of layout: FileLayout) -> NodeNumber? {
    if owners == nil {
      owners = [:]
      for number in NodeNumber.firstEntry..<UInt64(namespace.nodes.count) { note(NodeNumber(UInt32(number))) }
    }
    guard let owner = owners?[ExtentStart(layout.extents[0])], let node = namespace[owner],
      node.chunkSize == layout.chunkSize, Array(namespace.extents(of: node)) == layout.extents.array
    else { return nil }
    return owner
  }

  /// Bytes of memory in use.
  var memoryUse: Int { namespace.memoryUse + space.memoryUse + removals.memoryUse }

  private mutating func note(_ number: NodeNumber) {
    guard let node = namespace[number], let extent = namespace.extents(of: node).first else { return }
    owners?[ExtentStart(extent)] = number
  }

  private struct ExtentStart: Hashable {
    let device: UInt64
    let offset: UInt64
    init(_ extent: Extent) { (device, offset) = (extent.device, extent.offset) }
  }
}
