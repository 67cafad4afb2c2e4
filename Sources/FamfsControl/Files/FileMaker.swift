import Famfs
import Memory
import Platform

/// Makes files and fills them: space from the daemon, contents straight into the device, then the commit. For the
/// thread that made it.
package final class FileMaker {
  package let client: ControlClient
  private var devices: MountedDevices
  /// What people know a path in the volume by, in front of it; below a bind mount nothing.
  private let prefix: String
  private let striping: Striping?
  /// The volume and its master, when this began.
  private let identity: Volume.Identity

  /// Stores one range's part of a file's contents, which begins at this offset of the file.
  package typealias Fill = (_ device: MappedDevice, _ range: Extent, _ fileOffset: UInt64) throws -> Void

  /// A file that is to be made.
  package struct NewFile {
    package let name: NewName
    /// Bytes.
    package let size: UInt64

    /// A file of so many bytes.
    package init(name: NewName, size: UInt64) { (self.name, self.size) = (name, size) }
  }

  /// The room of a file that nobody sees yet.
  package struct Space {
    fileprivate let id: UInt64
    fileprivate let layout: FileLayout
    fileprivate let file: NewFile
  }

  /// Connects to a mount's daemon, which hands over its devices.
  /// - Parameter striping: how new files are laid out, asked once the daemon answers; nil for contiguous ones.
  /// - Throws: a sentence, also when this host may not add files there.
  package init(mount: Mount, striping: (Mount) throws -> Striping? = { _ in nil }) throws {
    let client = try ControlClient(to: mount)
    let status = client.greeting
    guard status.isMaster else { throw status.isNoMaster }
    try client.checkWritable()
    self.striping = try striping(mount)
    devices = try client.devices()
    identity = Volume.Identity(volume: status.volumeUUID, master: status.masterUUID)
    prefix = mount.root == "/" ? mount.mountPoint + "/" : ""
    self.client = client
  }

  // MARK: New files

  /// Makes files, all or none.
  /// - Parameter fill: is also told which of the files it is.
  /// - Throws: a sentence; then there is none of them, on no host.
  package func make(_ files: [NewFile], fill: (Int, MappedDevice, Extent, UInt64) throws -> Void) throws {
    let outcomes = reserve(files)
    let spaces = outcomes.compactMap { try? $0.get() }
    do {
      for outcome in outcomes { _ = try outcome.get() }
      for (place, space) in spaces.enumerated() {
        try self.fill(space) { device, range, fileOffset in try fill(place, device, range, fileOffset) }
      }
    } catch {
      for space in spaces { cancel(space) }
      throw error
    }
    try commit(spaces)
  }

  /// What became of one of several files.
  package enum Outcome {
    case made
    /// There was no name or no space to be had; nothing was stored.
    case refused(FamfsError)
    /// Its contents could not be stored, or it could not become visible.
    case failed(any Error)
  }

  /// Makes files, each for itself and a few dozen at most: they share their messages to the daemon and become visible
  /// together.
  /// - Parameter fill: stores the contents of one of them, by `fill(_:with:)`.
  package func makeEach(_ files: [NewFile], fill: (Int, Space) throws -> Void) -> [Outcome] {
    var filled: [(place: Int, space: Space)] = []
    var outcomes: [Outcome] = []
    for (place, reserved) in reserve(files).enumerated() {
      switch reserved {
      case .failure(let error): outcomes.append(.refused(error))
      case .success(let space):
        do {
          try fill(place, space)
          filled.append((place, space))
          outcomes.append(.made)
        } catch {
          cancel(space)
          outcomes.append(.failed(error))
        }
      }
    }
    do { try commit(filled.map(\.space)) } catch {
      // Those before the one that failed are there.
      for (place, space) in filled where (try? client.ask(.map(space.file.name.path))) == nil {
        outcomes[place] = .failed(error)
      }
    }
    return outcomes
  }

  private func reserve(_ files: [NewFile]) -> [Result<Space, FamfsError>] {
    let replies = client.ask(all: files.map { .reserve($0.name, size: $0.size, striping) })
    return zip(files, replies).map { file, reply in
      reply.flatMap { reply in
        guard case .reserved(let id, let layout) = reply else { return .failure(ControlClient.nonsense) }
        return .success(Space(id: id, layout: layout, file: file))
      }
    }
  }

  /// Stores the contents of a file that is being made.
  package func fill(_ space: Space, with fill: Fill) throws {
    try self.fill(space.layout, size: space.file.size, of: space.file.name.path, fill)
  }

  /// Gives space and name back.
  private func cancel(_ space: Space) { _ = try? client.ask(.cancel(space.id)) }

  /// Makes filled files real, in this order, also when this process is killed meanwhile.
  /// - Throws: a sentence; then the first that failed is not there and none behind it.
  private func commit(_ spaces: [Space]) throws { try client.ask(.commit(spaces.map(\.id))) }

  // MARK: Files that exist

  /// Fills a file that is there again, in place.
  /// - Parameter size: what it has to be, in bytes; nil for whatever it is.
  /// - Throws: a sentence; when it is about the file or its size, nothing has changed.
  package func refill(_ path: VolumePath, size wanted: UInt64?, fill: Fill) throws {
    if path.isReserved { throw FamfsError.reserved(path.absolute) }
    // Whoever may not write the file, or any on this mount, shall not by way of the device. While it is open its space
    // stays its own, should it be removed.
    let file: FileDescriptor
    do { file = try FileDescriptor(opening: path.absolute, .writeOnly) } catch {
      throw FamfsError.other("\(path.absolute) cannot be written: \(error)")
    }
    guard case .mapped(let layout, let size) = try client.ask(.map(path.path)) else { throw ControlClient.nonsense }
    guard try file.status().inode == FileStatus(path: path.absolute).inode else {
      throw FamfsError.other("\(path.absolute) was removed and made anew at this moment; try again")
    }
    if let wanted, wanted != size { throw FileMaker.otherSize(path, size, wanted: wanted) }
    // What was written through the mount must not come after these bytes, nor hide them.
    try emptyPageCache(of: path.absolute)
    try self.fill(layout, size: size, of: path.path, fill)
    try emptyPageCache(of: path.absolute)
  }

  /// Why a file that exists cannot be had with another size.
  package static func otherSize(_ path: VolumePath, _ size: UInt64, wanted: UInt64) -> FamfsError {
    .other(
      "\(path.absolute) exists already with \(size) bytes, not \(wanted), and a file's size is fixed; choose another name"
    )
  }

  // MARK: The device

  /// Bytes that are stored without another look at who is master: a millisecond's worth.
  private static let stride: UInt64 = 4 << 20

  /// Checks that the space of files that are being made still is this host's to write. Whoever fills them asks right
  /// before a store, when anything before it may have taken long: a takeover lets a second go by, no more.
  package func checkMaster() throws {
    guard try Volume.identity(of: devices[0]) == identity else {
      throw FamfsError.other("another host has taken the volume over, or another file system was made on the device")
    }
  }

  /// The one place where extents become ranges of the device.
  private func fill(_ layout: FileLayout, size: UInt64, of path: String, _ fill: Fill) throws {
    try layout.forEachRange(size: size) { range, fileOffset in
      // It may have been added, or taken into use, while this command runs.
      if !devices.has(range.device) { devices = try client.devices() }
      let device = try devices.memory(of: range)
      var done: UInt64 = 0
      do {
        while done < range.length {
          try checkMaster()
          // No huge page of the device lies across two of them.
          let count = min(FileMaker.stride - (range.offset + done) % FileMaker.stride, range.length - done)
          let piece = Extent(device: range.device, offset: range.offset + done, length: count)
          try fill(device, piece, fileOffset + done)
          done += count
        }
        // The rest of the last page: whoever maps the device's own memory sees whole pages.
        let tail = (4096 - size % 4096) % 4096
        if tail > 0 && fileOffset + range.length == size {
          try device.zero(at: range.offset + range.length, count: tail)
        }
      } catch let error as Errno {
        // The daemon shall know: it keeps others off, and shows it.
        let count = min(FileMaker.stride, range.length - done)
        _ = try? client.ask(.examine(Extent(device: range.device, offset: range.offset + done, length: count)))
        throw FamfsError.memory(prefix + path, error)
      } catch {
        let count = min(FileMaker.stride, range.length - done)
        _ = try? client.ask(.examine(Extent(device: range.device, offset: range.offset + done, length: count)))
        throw error
      }
    }
    try devices[0].fence()  // of this CPU, for all devices
  }
}
