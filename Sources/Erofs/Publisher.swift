import Famfs
import Memory
import Platform
import Synchronization

/// What was published.
public struct View: Equatable, Sendable {
  /// The file with its metadata, from the volume's root.
  public var area: String
  /// Where the metadata begins on the first device, in bytes.
  public var offset: UInt64
  /// Bytes of metadata.
  public var size: UInt64
  /// Files that it shows.
  public var files: UInt64
  /// Directories that it shows, without the root.
  public var directories: UInt64
  /// The log's entries that it takes account of.
  public var entries: UInt64

  /// A view and where it is.
  public init(area: String, offset: UInt64, size: UInt64, files: UInt64, directories: UInt64, entries: UInt64) {
    (self.area, self.offset, self.size) = (area, offset, size)
    (self.files, self.directories, self.entries) = (files, directories, entries)
  }
}

/// Writes views of a volume for EROFS, one at a time.
///
/// What a host may have mounted is never written again: a view goes where no view was, and its superblock is stored last.
public final class Publisher: Sendable {
  private let volume: Volume
  private let turn = Mutex(())

  /// A publisher of a volume that no other process publishes.
  public init(of volume: Volume) { self.volume = volume }

  /// Writes a view of what the log has now.
  /// - Parameter mostOfAreas: bytes that areas may take together; a view that needs more is refused.
  /// - Throws: a sentence; then the view that was there still is.
  @discardableResult
  public func publish(mostOfAreas: UInt64 = .max) throws(FamfsError) -> View {
    try turn.withLock { (_) throws(FamfsError) in
      volume.catchUp()
      guard volume.role == .master else { throw volume.isNoMaster }
      let claim = Claim(volume)
      let image = try ViewImage(try ViewTree(volume), limit: volume.device.size)
      if let (area, end) = try current(), end - area.extent.offset >= image.size {
        return try publish(image, in: area, endingAt: end, claim) { () throws(FamfsError) in }
      }
      let (area, reservation) = try reserve(for: image, mostOfAreas)
      do throws(FamfsError) {
        return try publish(image, in: area, endingAt: area.extent.offset + area.extent.length, claim, isNew: true) {
          () throws(FamfsError) in _ = try volume.commit(reservation)
        }
      } catch {
        volume.cancel(reservation)
        throw error
      }
    }
  }

  /// How many of the log's entries the view that hosts find now takes account of; nil when there is none.
  public func publishedEntries() throws(FamfsError) -> UInt64? {
    guard let (_, start) = try current() else { return nil }
    return try memory { (device) throws(Errno) in
      try device.invalidate(at: start, count: 16)
      return try device.load64(at: start) == ViewImage.magic ? try device.load64(at: start + 8) : nil
    }
  }

  /// Whether a path is that of the file with the view that hosts find now.
  public func isInUse(_ path: EntryPath) throws(FamfsError) -> Bool {
    // Most are files of another name, and areas are looked for among all in the root.
    guard path.withBytes({ ViewArea.number(in: $0) }) != nil else { return false }
    return try current()?.area.name == "\(path)"
  }

  // MARK: Areas

  /// The area with the view that hosts find now, and where that begins; nil when there is none.
  private func current() throws(FamfsError) -> (area: ViewArea, start: UInt64)? {
    let block = try memory { (device) throws(Errno) in
      try ViewSuperblock.metadata(on: device, of: volume.superblock.uuid)
    }
    guard let block else { return nil }
    let start = UInt64(block) * ViewTree.blockSize
    return try ViewArea.all(of: volume).first { $0.holds(start) }.map { ($0, start) }
  }

  /// Takes space for a new area, with room for further views if there is.
  private func reserve(for image: ViewImage, _ most: UInt64) throws(FamfsError) -> (ViewArea, reservation: UInt64) {
    let areas = try ViewArea.all(of: volume)
    let used = areas.reduce(0) { $0 + $1.extent.length }
    guard used < most, image.size <= most - used else {
      throw .other(
        "the views published so far take \(used) bytes, and \(most) are the most that this mount gives them by itself; run "
          + "famfs publish when it matters")
    }
    let number = try ViewArea.unusedNumber(in: volume)
    let name = ViewArea.prefix + "\(number)"
    let wishes = [max(ViewArea.least, image.size * ViewArea.views), image.size].filter { $0 <= most - used }
    for size in wishes {
      let path: EntryPath
      do { path = try EntryPath(name) } catch { throw .badPath(name, error) }
      let reservation: Reservation
      do throws(FamfsError) {
        reservation = try volume.reserve(path: path, size: size, permissions: 0o400, userID: 0, groupID: 0)
      } catch {
        if size == wishes.last { throw error }
        continue
      }
      if reservation.extents.count == 1 && reservation.extents[0].device == 0 {
        return (ViewArea(number: number, extent: reservation.extents[0]), reservation.id)
      }
      volume.cancel(reservation.id)
    }
    throw .other(
      "\(volume.device.path) has no \(image.size) bytes free in one piece, which the metadata for EROFS needs")
  }

  // MARK: Writing

  /// The master's term in which a view is written: in another one its space may be another host's file.
  private struct Claim {
    let volume: Volume
    let term: UInt64

    init(_ volume: Volume) {
      self.volume = volume
      term = volume.term
    }

    /// The writer asks before each piece, as commands that fill files do.
    func check() throws(FamfsError) {
      do throws(Errno) { try volume.checkMaster(since: term) } catch {
        guard error == .stale || error == .readOnlyFileSystem else { throw .memory(volume.device.path, error) }
        throw .other("another host has taken the volume over, or another file system was made on the device")
      }
    }
  }

  private func publish(
    _ image: ViewImage, in area: ViewArea, endingAt end: UInt64, _ claim: Claim, isNew: Bool = false,
    _ commit: () throws(FamfsError) -> Void
  ) throws(FamfsError) -> View {
    let start = end - image.size
    guard let block = UInt32(exactly: start / ViewTree.blockSize) else {
      throw .other("EROFS reaches 16 TiB of a device, and there is no room for its metadata before that")
    }
    let superblock = try superblock(for: image, at: block)
    // A new area is one entry more.
    let entries = image.tree.entries + (isNew ? 1 : 0)
    let device = volume.device
    try image.write(at: block, entries: entries) { (offset, bytes) throws(FamfsError) in
      try claim.check()
      do throws(Errno) {
        try bytes.withUnsafeBytes { (bytes) throws(Errno) in try device.write(at: start + offset, from: bytes) }
      } catch { throw .memory(device.path, error) }
    }
    try memory { (device) throws(Errno) in try device.sync(at: start, count: image.size) }
    try commit()
    try claim.check()
    try memory { (device) throws(Errno) in try superblock.store(on: device) }
    let directories = UInt64(image.tree.directoryCount)
    return View(
      area: area.name, offset: start, size: image.size, files: UInt64(image.tree.items.count) - directories,
      directories: directories - 1, entries: entries)
  }

  private func superblock(for image: ViewImage, at block: UInt32) throws(FamfsError) -> ViewSuperblock {
    let devices = volume.devices()
    // All of them in one row, as kernels number their blocks.
    let sum = devices.reduce(0) { $0 + $1.size / ViewTree.blockSize }
    guard devices.count == 1 || sum <= UInt64(UInt32.max) else {
      throw .other("the volume's devices have more than 16 TiB together, which EROFS does not reach")
    }
    return ViewSuperblock(
      volume: volume.superblock.uuid, metadata: block, inodes: UInt64(image.tree.items.count),
      time: Clock.realtime() / 1_000_000_000,
      blocks: UInt32(clamping: volume.device.size / ViewTree.blockSize),
      devices: devices.dropFirst().map { .init(uuid: $0.uuid, blocks: UInt32(clamping: $0.size / ViewTree.blockSize)) })
  }

  private func memory<Result>(_ body: (any MemoryDevice) throws(Errno) -> Result) throws(FamfsError) -> Result {
    do throws(Errno) { return try body(volume.device) } catch { throw .memory(volume.device.path, error) }
  }
}
