import Famfs
import Fuse
import Glibc
import Memory
import Platform

// Contents: opened, read, written and made durable.
extension FamfsFileSystem {
  func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    if AllocationDefaults.owns(node) { return Opened(.none, .directIO) }
    let number = try NodeNumber(node)
    if number.isMeta {
      if intent.isWriting { throw refusal }
      return Opened(.none, settings.kernelMaps ? .keepCache : .directIO)  // it changes with every append
    }
    if intent.killsSetID { _ = try change(number) { $0.clearSetID() } }
    guard heartbeats != nil else { return opened([], flags(intent)) }
    // A name that the kernel kept a moment too long: ESTALE has it look again.
    do throws(Errno) { try volume.opened(number) } catch { throw error == .noEntry ? .stale : error }
    return opened(.counted, flags(intent))
  }

  /// A file that is open, and how the kernel treats it.
  func opened(_ handle: HandleFlags, _ flags: OpenFlags) -> Opened {
    Opened(openFiles.open(flags.contains(.directIO) ? handle.union(.direct) : handle), flags)
  }

  func release(_ node: NodeID, _ handle: FileHandle, _ flockOwner: LockOwner?) {
    openFiles.close(handle)
    if handle.flags.contains(.counted), let number = try? NodeNumber(node) { volume.closed(number) }
  }

  /// How the kernel treats an open file that is staged. Past its cache a write is cut into pieces, each of which is
  /// synchronous, and the first would be committed without the others; so a file whose writes are synchronous goes
  /// through it, unless what was read there would be kept against the mount's policy.
  func stagedFlags(_ intent: OpenIntent) -> OpenFlags {
    let isCached = intent.isSynchronous && intent.isWriting && (settings.cache != .never || !intent.isReading)
    return isCached ? flags(intent).subtracting([.directIO, .parallelDirectWrites]) : flags(intent)
  }

  /// How the kernel treats an open file.
  func flags(_ intent: OpenIntent) -> OpenFlags {
    // Nothing of a mapped file is in the page cache; to have it dropped would take the memory from who has it mapped.
    if settings.kernelMaps { return .keepCache }
    return switch settings.cache {
    case .never: [.directIO, .parallelDirectWrites]
    // A writer goes past the page cache, which would cut a write into pages and hand them over one by one: then one
    // that crosses the file's end is refused whole, up to the largest request.
    case .auto where intent.isWriting && settings.mapsDirectFiles: [.directIO, .parallelDirectWrites]
    case .auto: []
    case .always: .keepCache
    }
  }

  func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {
    if AllocationDefaults.owns(node) { return try defaults.read(node, at: offset, into: &reply) }
    let number = try NodeNumber(node)
    if let heartbeats, !number.isMeta { return try read(number, at: offset, into: &reply, while: heartbeats) }
    let wanted = UInt64(reply.wanted)
    let outcome = withPieces(of: reply.wanted) { ranges in
      Result { () throws(Errno) in
        let found = try volume.resolve(number, offset: offset, count: wanted, into: ranges)
        let isFresh = settings.coherence == .coherent && !number.isMeta
        for range in ranges[..<found.pieces] {
          let memory = try volume.memory(range.device)
          if !isFresh || memory.isPageCache { try memory.invalidate(at: range.offset, count: range.length) }
          // Mapped for as long as the volume is.
          try reply.append(memory.bytes(at: range.offset, count: Int(range.length)), keeping: nil)
        }
      }
    }
    try outcome.get()
  }

  /// Reads where files can be removed: the bytes are copied, and count if this mount did so all the time. Else the file may
  /// have been removed, and its space may be another's.
  private func read(
    _ number: NodeNumber, at offset: UInt64, into reply: inout ReadReply, while heartbeats: HeartbeatKeeper
  ) throws(Errno) {
    try reply.append(upTo: reply.wanted) { (buffer) throws(Errno) in
      while true {
        let mount = heartbeats.currentMount
        let outcome = withPieces(of: buffer.count) { ranges in
          Result { () throws(Errno) in
            let found = try volume.resolve(number, offset: offset, count: UInt64(buffer.count), into: ranges)
            var done = 0
            for range in ranges[..<found.pieces] {
              let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + Int(range.length)])
              let memory = try volume.memory(range.device)
              if settings.coherence == .noncoherent || memory.isPageCache {
                try memory.invalidate(at: range.offset, count: range.length)
              }
              try memory.read(at: range.offset, into: piece)
              done += piece.count
            }
            return done
          }
        }
        if try heartbeats.hasCounted(as: mount) { return try outcome.get() }
      }
    }
  }

  func memoryMap(_ node: NodeID, _ caller: Caller) throws(Errno) -> MemoryMap {
    guard let kernelMaps, !AllocationDefaults.owns(node) else { throw .noData }
    return try kernelMaps.map(of: NodeNumber(node))
  }

  func memoryDevice(_ index: UInt32, _ caller: Caller) throws(Errno) -> [UInt8] {
    guard let kernelMaps else { throw .noDevice }
    return try kernelMaps.device(index)
  }

  func foundUnreadable(_ memory: UnsafeRawBufferPointer) { volume.examine(memory) }

  /// Bytes from which on a write is likely to be followed by one behind it.
  private static let bulk = 128 << 10

  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int {
    if AllocationDefaults.owns(node) {
      try defaults.write(node, at: offset, data)
      return data.count
    }
    let number = try NodeNumber(node)
    if number.isMeta { throw refusal }
    if !intent.isWriteBack { try openFiles.checkWritable(handle) }
    // A stop between this and the store goes unnoticed: see SPEC-famfs, "Removing".
    if let heartbeats { _ = try heartbeats.hasCounted(as: heartbeats.currentMount) }
    let size = try volume.node(number).size
    let (end, overflow) = offset.addingReportingOverflow(UInt64(data.count))
    if overflow || end > size { throw .fileTooLarge }
    let outcome = withPieces(of: data.count) { ranges in
      Result { () throws(Errno) in
        let found = try volume.resolve(number, offset: offset, count: UInt64(data.count), into: ranges)
        var done = 0
        for range in ranges[..<found.pieces] {
          let piece = UnsafeRawBufferPointer(rebasing: data[done..<done + Int(range.length)])
          let memory = try volume.memory(range.device)
          if data.count >= FamfsFileSystem.bulk && size >= 2 << 20 { memory.prepare(around: range) }
          switch settings.coherence {
          case .coherent: try memory.write(at: range.offset, from: piece)
          case .noncoherent: try memory.writeAmongOthers(at: range.offset, from: piece)
          }
          done += piece.count
        }
        return done
      }
    }
    let done = try outcome.get()
    volume.device.fence()  // of this CPU, for all devices
    let now = Clock.fileTime()
    if intent.killsSetID { _ = try change(number) { $0.clearSetID() } }
    _ = try volume.update(number) { ($0.modified, $0.changed) = (now, now) }
    if intent.isSynchronous && handle.flags.contains(.direct) { try volume.sync(number) }
    return done
  }

  /// Every write is in the memory when it returns, and on a disk, if that is what the memory is, after this; attributes
  /// are in the log.
  func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    if AllocationDefaults.owns(node) { return }
    if !dataOnly { try saveAttributes(of: node) }
    try volume.sync(NodeNumber(node))
  }

  func syncfs(_ caller: Caller) throws(Errno) { try volume.syncAll() }

  func fsyncdir(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    try saveAttributes(of: node)
  }

  func lseek(
    _ node: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller
  ) throws(Errno) -> UInt64 {
    let isDefaults = AllocationDefaults.owns(node)
    let size = isDefaults ? try defaults.attributes(of: node).attributes.size : try volume.node(NodeNumber(node)).size
    if offset >= size { throw .noSuchAddress }
    return target == .data ? offset : size
  }
}

/// Calls `body` with room for the pieces that a request for `byteCount` bytes can have. A request carries at most 1 MiB, and no
/// two of its pieces lie in the same 4 KiB.
private func withPieces<Result>(of byteCount: Int, _ body: (UnsafeMutableBufferPointer<Extent>) -> Result) -> Result {
  // A constant of up to 1,024 bytes is on the stack. Anything else is malloc, a fifth of the work of a small read.
  if byteCount <= 128 << 10 { return withUnsafeTemporaryAllocation(of: Extent.self, capacity: 34, body) }
  return withUnsafeTemporaryAllocation(of: Extent.self, capacity: 258, body)
}

extension MemoryDevice {
  /// Prepares the huge pages that a range lies in.
  fileprivate func prepare(around range: Extent) {
    let huge: UInt64 = 2 << 20
    let start = range.offset / huge * huge
    prepare(at: start, count: (range.offset - start + range.length + huge - 1) / huge * huge)
  }
}
