import Famfs
import Fuse
import Platform
import Synchronization

/// The bytes of a file that is being made: in the device already, in space that grows.
///
/// Requests hold its lock while they access the device; they are those of this one file.
final class StagedContents: Sendable {
  struct State {
    var space: TakenSpace
    /// Bytes of the file.
    var size: UInt64 = 0
    /// Bytes from the file's start that hold what was written, or zeros; behind them the device has old bytes.
    var written: UInt64 = 0
    /// The log has it: nothing here may change any more.
    var isCommitted = false
    /// Counts its space for the user that made it.
    let share: SpaceShare
    /// Bytes that are counted.
    var counted: UInt64 = 0
    /// The file is gone, and its space was given back.
    var isAbandoned = false
    /// Counts changes, for they may be noted in another order than they came in.
    var revision: UInt64 = 0

    /// Bytes that fit the space.
    var capacity: UInt64 { space.capacity }
  }

  private let volume: Volume
  /// The master's term in which it was made. When that is over its space is another master's to give out.
  private let term: UInt64
  private let state: Mutex<State>

  init(of volume: Volume, term: UInt64, _ share: SpaceShare) {
    self.volume = volume
    self.term = term
    state = Mutex(State(space: TakenSpace(in: term), share: share))
  }

  /// What can be told without the lock being held for long.
  typealias Shape = (size: UInt64, allocated: UInt64, revision: UInt64)

  /// Does something with the contents, unless the log has them: then nil.
  func withState<Result>(_ body: (inout State) throws(Errno) -> Result) throws(Errno) -> (Result, Shape)? {
    try state.withLock { (state) throws(Errno) in
      if state.isCommitted { return nil }
      if state.isAbandoned { throw .stale }
      try volume.checkMaster(since: term)
      let result = try body(&state)
      state.revision += 1
      return (result, (state.size, state.capacity, state.revision))
    }
  }

  /// Appends a copy of what the file holds to a reply: its space can be given to another file as soon as the lock is
  /// let go of, before the reply is sent.
  /// - Returns: false when the log has the file.
  func read(at offset: UInt64, into reply: inout ReadReply) throws(Errno) -> Bool {
    try state.withLock { (state) throws(Errno) in
      if state.isCommitted { return false }
      if state.isAbandoned { throw .stale }
      try reply.append(upTo: reply.wanted) { (buffer) throws(Errno) in
        let count = try state.read(at: offset, into: buffer, on: volume)
        // Afterwards: if this thread was stopped, the bytes may be those of a file of the next master.
        try volume.checkMaster(since: term)
        return count
      }
      return true
    }
  }

  /// Does the last things and hands the layout to `commit`; when that says that it is done nothing changes any more.
  func finish(_ commit: (UInt64, FileLayout) throws(FamfsError) -> Bool) throws(FamfsError) {
    try state.withLock { (state) throws(FamfsError) in
      if state.isCommitted || state.isAbandoned { return }
      try checkMaster()
      do throws(Errno) { try state.complete(on: volume) } catch { throw .memory(volume.device.path, error) }
      // The public tools cannot read an entry of a file that has no extents: an empty one has a unit.
      if state.space.extents.isEmpty {
        state.space = try volume.takeSpace(1, behind: nil, in: term, for: "an empty file")
      }
      let unit = volume.superblock.allocationUnit
      let (kept, surplus) = state.space.split(at: max(1, (state.size + unit - 1) / unit) * unit)
      precondition(!kept.extents.isEmpty, "a file that is committed has an extent")
      guard try commit(state.size, FileLayout(ExtentList(kept.extents))) else { return }
      state.isCommitted = true
      state.endCounting()
      state.space = TakenSpace(in: term)  // what is kept is the log's
      volume.giveSpace(surplus)
    }
  }

  /// Makes sure that the space still is this host's to write.
  private func checkMaster() throws(FamfsError) {
    do throws(Errno) { try volume.checkMaster(since: term) } catch {
      volume.catchUp()
      switch error {
      case .stale: throw .disabled("another file system was made on the device; unmount this one")
      case .readOnlyFileSystem: throw volume.isNoMaster
      default: throw .memory(volume.device.path, error)
      }
    }
  }

  /// Gives back all its space: the file is gone.
  func abandon() {
    state.withLock { state in
      if state.isCommitted || state.isAbandoned { return }
      state.isAbandoned = true
      state.endCounting()
      volume.giveSpace(state.space)
      state.space = TakenSpace(in: term)
    }
  }
}

extension StagedContents.State {
  private static let most: UInt64 = 1 << 30

  /// Writes, growing as need be.
  mutating func write(_ data: UnsafeRawBufferPointer, at offset: UInt64, on volume: Volume) throws(Errno) {
    let (end, overflow) = offset.addingReportingOverflow(UInt64(data.count))
    if overflow || end > UInt64(Int64.max) { throw .fileTooLarge }
    if data.isEmpty { return }
    // Twice the room each time, so that a file of any size has few extents.
    if end > capacity { try grow(to: end, preferably: max(end, capacity + min(capacity, Self.most)), on: volume) }
    try prepare(for: end, on: volume)
    if offset > written { try zero(written..<offset, on: volume) }
    var done = 0
    try forEachRange(offset, UInt64(data.count)) { (range) throws(Errno) in
      let piece = data[done..<done + Int(range.length)]
      try volume.memory(range.device).write(at: range.offset, from: UnsafeRawBufferPointer(rebasing: piece))
      done += piece.count
    }
    volume.device.fence()  // of this CPU, for all devices
    written = max(written, end)
    size = max(size, end)
  }

  /// Once a file is larger than a huge page, it gets huge ones: those that a write up to `end` begins, before they are
  /// written, and the two before: the device's may lie across them, or across where its space ended then. Earlier, a
  /// small file would take as much memory as its space has.
  private func prepare(for end: UInt64, on volume: Volume) throws(Errno) {
    let huge: UInt64 = 2 << 20
    let first = (written + huge - 1) / huge
    let behind = (end + huge - 1) / huge
    guard behind > max(first, 1) else { return }
    let start = (max(first, 2) - 2) * huge
    try forEachRange(start, min(behind * huge, capacity) - start) { (range) throws(Errno) in
      try volume.memory(range.device).prepare(at: range.offset, count: range.length)
    }
  }

  /// Sets the size; what is new reads as zeros.
  mutating func resize(to new: UInt64, on volume: Volume) throws(Errno) {
    if new > capacity { try grow(to: new, preferably: new, on: volume) }
    size = new
    written = min(written, new)
  }

  /// Makes sure that there is room for so many bytes.
  mutating func reserve(_ bytes: UInt64, on volume: Volume) throws(Errno) {
    if bytes > capacity { try grow(to: bytes, preferably: bytes, on: volume) }
  }

  /// Makes a range of the file read as zeros.
  mutating func clear(_ range: Range<UInt64>, on volume: Volume) throws(Errno) {
    let range = range.clamped(to: 0..<written)
    if !range.isEmpty { try zero(range, on: volume) }
  }

  /// Zeros behind what was written: whoever maps the device's own memory sees whole pages.
  mutating func complete(on volume: Volume) throws(Errno) {
    let end = min((size + 4095) / 4096 * 4096, capacity)
    if written < end { try zero(written..<end, on: volume) }
    volume.device.fence()
    written = size
  }

  /// Copies what the file holds into a buffer.
  /// - Returns: how many bytes: fewer than it has room for where the file ends.
  func read(
    at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, on volume: Volume
  ) throws(Errno) -> Int {
    guard offset < size else { return 0 }
    let end = min(size, offset + UInt64(buffer.count))
    var done = 0
    if offset < min(end, written) {
      try forEachRange(offset, min(end, written) - offset) { (range) throws(Errno) in
        let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + Int(range.length)])
        try volume.memory(range.device).read(at: range.offset, into: piece)
        done += piece.count
      }
    }
    // What was never written.
    let hole = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<Int(end - offset)])
    hole.initializeMemory(as: UInt8.self, repeating: 0)
    return done + hole.count
  }

  private mutating func zero(_ range: Range<UInt64>, on volume: Volume) throws(Errno) {
    try forEachRange(range.lowerBound, range.upperBound - range.lowerBound) { (piece) throws(Errno) in
      try volume.memory(piece.device).zero(at: piece.offset, count: piece.length)
    }
  }

  private func forEachRange<Failure: Error>(
    _ offset: UInt64, _ count: UInt64, _ body: (Extent) throws(Failure) -> Void
  ) throws(Failure) {
    try resolve(space.extents[...], chunkSize: 0, offset: offset, count: count) {
      (device, start, length) throws(Failure) in
      try body(Extent(device: device, offset: start, length: length))
    }
  }

  private mutating func grow(to needed: UInt64, preferably wanted: UInt64, on volume: Volume) throws(Errno) {
    do throws(FamfsError) {
      for target in wanted > needed ? [wanted, needed] : [needed] {
        do throws(FamfsError) { return try take(target, on: volume) } catch {
          if target == needed || error.errno != .noSpace { throw error }
        }
      }
    } catch {
      throw error.errno
    }
  }

  /// Takes room for `target` bytes in all, and counts it.
  private mutating func take(_ target: UInt64, on volume: Volume) throws(FamfsError) {
    let unit = volume.superblock.allocationUnit
    let more = (target - capacity + unit - 1) / unit * unit
    do throws(Errno) { try share.take(more, of: volume) } catch { throw .noSpace("the file", needed: more, free: 0) }
    do throws(FamfsError) { try extend(to: target, on: volume) } catch {
      share.give(more)
      throw error
    }
    counted += more
  }

  /// The space is the user's no more: it is the log's, or given back.
  mutating func endCounting() {
    share.give(counted)
    counted = 0
  }

  private mutating func extend(to target: UInt64, on volume: Volume) throws(FamfsError) {
    let more = try volume.takeSpace(
      target - capacity, behind: space.extents.last, in: space.term, for: "the file")
    let grown = space.joined(with: more)
    if grown.extents.count <= ExtentList.capacity {
      space = grown
      return
    }
    // Too many pieces: to a new place, as a whole.
    volume.giveSpace(more)
    let room = try volume.takeSpace(target, behind: nil, in: space.term, for: "the file")
    do throws(Errno) { try copy(to: room.extents, on: volume) } catch {
      volume.giveSpace(room)
      throw error == .readOnlyFileSystem ? volume.isNoMaster : .memory(volume.device.path, error)
    }
    volume.giveSpace(space)
    space = room
  }

  private func copy(to room: [Extent], on volume: Volume) throws(Errno) {
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { piece.deallocate() }
    var done: UInt64 = 0
    while done < written {
      let count = min(UInt64(piece.count), written - done)
      try volume.checkMaster(since: space.term)
      var place = 0
      try forEachRange(done, count) { (range) throws(Errno) in
        let part = UnsafeMutableRawBufferPointer(rebasing: piece[place..<place + Int(range.length)])
        try volume.memory(range.device).read(at: range.offset, into: part)
        place += part.count
      }
      place = 0
      try resolve(room[...], chunkSize: 0, offset: done, count: count) { (device, start, length) throws(Errno) in
        let part = UnsafeRawBufferPointer(rebasing: piece[place..<place + Int(length)])
        try volume.memory(device).write(at: start, from: part)
        place += part.count
      }
      done += count
    }
    volume.device.fence()
  }
}
