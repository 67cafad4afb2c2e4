import Memory
import Platform

/// A range of one of the volume's devices that could not be used, and what lies there.
public struct BadRange: Equatable, Sendable {
  /// The device's index.
  public var device: UInt64
  /// Where, why, how often and since when.
  public var error: MemoryError
  /// What the volume has there, in a few words.
  public var contents: String
  /// The paths of the first files that have bytes there.
  public var files: [String]
  /// How many files have.
  public var fileCount: UInt64

  /// A range and what lies there.
  public init(device: UInt64, error: MemoryError, contents: String, files: [String] = [], fileCount: UInt64 = 0) {
    (self.device, self.error, self.contents) = (device, error, contents)
    (self.files, self.fileCount) = (files, fileCount)
  }
}

// Memory that fails. Who meets it gets EIO; the device notes where. In a volume's metadata it ends all appending; what
// can be read is still read.
extension Volume {
  /// Paths that are named for one range.
  private static let mostNames = 4

  /// Every device that this host has, or had: replies on their way may point into those.
  private func memories() -> [(index: UInt64, memory: any MemoryDevice)] {
    var all: [(index: UInt64, memory: any MemoryDevice)] = [(0, device)]
    members.withLock { members in
      for member in members {
        for memory in member.former { all.append((UInt64(member.record.index), memory)) }
        if let memory = member.memory { all.append((UInt64(member.record.index), memory)) }
      }
    }
    return all
  }

  /// Grows with every memory error.
  public var memoryErrorCount: UInt64 { memories().reduce(0) { $0 &+ ($1.memory.errors?.generation ?? 0) } }

  /// Why nothing may be added any more; nil while something may.
  public var failure: String? { logEnd.withLock { $0.failure } }

  /// Looks through memory of a device that a system call could not read, and notes what cannot be used.
  public func examine(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    for (_, memory) in memories() {
      if let offset = memory.offset(of: start) { memory.examine(at: offset, count: UInt64(bytes.count)) }
    }
  }

  /// The same for a range that a command could not use.
  public func examine(_ range: Extent) throws(Errno) {
    try memory(range.device).examine(at: range.offset, count: range.length)
  }

  /// Why the metadata cannot be trusted; nil while no error was met in it.
  var metadataTrouble: String? {
    guard let error = device.errors?.first(below: superblock.dataOffset) else { return nil }
    let (contents, path) = (metadata(at: error), device.path)
    return
      "\(contents) of \(path), at byte \(error.offset), \(error.fault.sentence), so nothing can be added; copy the "
      + "files elsewhere, and make the file system anew with mkfs.famfs --force"
  }

  /// What of the first device's metadata a range is.
  private func metadata(at error: MemoryError) -> String {
    let heartbeats = Heartbeat.areaOffset..<Heartbeat.revocation(of: Heartbeat.slots)
    if error.offset < heartbeats.lowerBound { return "the superblock" }
    if error.offset < heartbeats.upperBound { return "the area of the mounts' heartbeats" }
    if error.offset < superblock.logOffset { return "the superblock's area" }
    if error.offset < superblock.logOffset + UInt64(LogHeader.size) { return "the log header" }
    let (header, entry) = (superblock.logOffset + UInt64(LogHeader.size), UInt64(LogEntry.size))
    return "the log from entry \((error.offset - header) / entry) on"
  }

  /// Ranges that new files must not get: those that a device fails at, not those that a plain file lacks.
  func unusable() -> [Extent] {
    memories().flatMap { index, memory -> [Extent] in
      guard let errors = memory.errors, errors.generation > 0 else { return [] }
      return errors.all.ranges.filter { $0.fault == .unreadable || $0.fault == .unwritable }
        .map { Extent(device: index, offset: $0.offset, length: $0.length) }
    }
  }

  /// All bad ranges, 64 at most, and how many accesses met others.
  public func badMemory() -> (ranges: [BadRange], unlisted: UInt64) {
    var found: [BadRange] = []
    var unlisted: UInt64 = 0
    for (index, memory) in memories() {
      guard let errors = memory.errors, errors.generation > 0 else { continue }
      let (ranges, more) = errors.all
      unlisted += more
      for error in ranges {
        guard found.count < MemoryErrors.limit else {
          unlisted += error.count
          continue
        }
        found.append(BadRange(device: index, error: error, contents: contents(of: error, on: index)))
      }
    }
    if !found.isEmpty { replayed.withLock { $0.nameFiles(in: &found, atMost: Volume.mostNames) } }
    return (found, unlisted)
  }

  private func contents(of error: MemoryError, on index: UInt64) -> String {
    if index == 0 && error.offset < superblock.dataOffset { return metadata(at: error) }
    if index > 0 && error.offset < Superblock.area { return "the device's superblock" }
    return "no file"
  }
}

extension MemoryFault {
  /// What it means for whoever reads or writes there.
  public var sentence: String {
    switch self {
    case .unreadable: "cannot be read"
    case .unwritable: "cannot be written"
    case .cutShort: "is gone: the device's file was cut short"
    case .noRoom: "is a hole, and the file system below has no room to fill it"
    }
  }
}

extension ReplayedLog {
  /// Says of each range which files have bytes there.
  fileprivate func nameFiles(in ranges: inout [BadRange], atMost limit: Int) {
    let lowest = ranges.map(\.error.offset).min() ?? 0
    let highest = ranges.map(\.error.end).max() ?? 0
    for number in NodeNumber.firstEntry..<UInt64(namespace.nodes.count) {
      let number = NodeNumber(UInt32(number))
      guard let node = namespace[number], node.kind == .file else { continue }
      var left = node.size
      for extent in namespace.extents(of: node) {
        // A strip's last bytes may be no bytes of the file; of the others it is known.
        let length = node.chunkSize == 0 ? min(left, extent.length) : extent.length
        left -= min(left, length)
        guard extent.offset < highest, extent.offset + length > lowest else { continue }
        let piece = Extent(device: extent.device, offset: extent.offset, length: length)
        for place in ranges.indices where ranges[place].extent.overlaps(piece) {
          ranges[place].add(namespace.path(of: number), atMost: limit)
        }
      }
    }
  }
}

extension BadRange {
  fileprivate var extent: Extent { Extent(device: device, offset: error.offset, length: error.length) }

  fileprivate mutating func add(_ path: String, atMost limit: Int) {
    if files.last == path { return }
    contents = "files"
    fileCount += 1
    if files.count < limit { files.append(path) }
  }
}

extension Space {
  /// Takes what is free of these ranges, for good: nobody shall get it.
  mutating func avoid(_ ranges: [Extent]) {
    for range in ranges where devices.indices.contains(Int(range.device)) {
      let first = range.offset / unit
      let end = min((range.offset + range.length + unit - 1) / unit, devices[Int(range.device)].unitCount)
      for place in first..<max(first, end) {
        let extent = Extent(device: range.device, offset: place * unit, length: unit)
        if !isTaken(extent) { take(extent) }
      }
    }
  }
}

extension BadRange {
  /// What is wrong, and with what.
  public var sentence: String {
    let names = files.joined(separator: ", ")
    let more = fileCount > UInt64(files.count) ? " and \(fileCount - UInt64(files.count)) more" : ""
    return
      "\(error.length) bytes at \(error.offset) (\(fileCount == 0 ? contents : names + more)): it \(error.fault.sentence)"
  }
}
