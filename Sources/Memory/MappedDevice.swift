import CLinux
import Glibc
import Platform
import Synchronization

/// A device that is mapped whole: every kind there is.
public final class MappedDevice: MemoryDevice {
  /// The path it was opened by.
  public let path: String
  /// Bytes, when it was opened.
  public let size: UInt64
  /// What it is.
  public let kind: DeviceKind
  let file: FileDescriptor
  let mapping: Mapping
  private let persistence: Persistence
  private let durability = Durability()
  /// Of this host, in bytes.
  let pageSize: Int
  let isWritable: Bool
  let found = MemoryErrors()
  let shape: DeviceShape
  let knownSource = Mutex<PageSource?>(nil)

  /// Opens and maps the device at `path`.
  /// - Parameter unmounted: insists that no other file system has it mounted (block devices only; the kernel knows).
  /// - Throws: a sentence: no such device, no permission, not memory, empty, in use.
  public convenience init(path: String, writable: Bool, unmounted: Bool = false) throws(DeviceError) {
    let file = try MappedDevice.open(path, writable: writable, unmounted: unmounted)
    try self.init(adopting: file, path: path, writable: writable)
  }

  private static func open(_ path: String, writable: Bool, unmounted: Bool) throws(DeviceError) -> FileDescriptor {
    do throws(Errno) {
      // Without waiting: opening a fifo by mistake must fail and not hang.
      var options: OpenOptions = [writable ? .readWrite : .readOnly, .nonBlocking]
      if unmounted, try FileStatus(path: path).kind == .blockDevice { options.insert(.exclusive) }
      return try FileDescriptor(opening: path, options)
    } catch {
      throw explain(error, path)
    }
  }

  /// Maps a device that is open, for reading and writing if `writable`.
  public convenience init(
    adopting file: consuming FileDescriptor, path: String, writable: Bool = true
  ) throws(DeviceError) {
    try self.init(adopting: file, path: path, writable: writable, pageSize: Platform.pageSize)
  }

  /// The same on a host whose pages have a size of the caller's choosing.
  convenience init(
    adopting file: consuming FileDescriptor, path: String, writable: Bool, pageSize: Int
  ) throws(DeviceError) {
    let shape = try DeviceShape(of: file, path: path, pageSize: pageSize)
    let mapping = try MappedDevice.map(file, shape, path, writable: writable)
    self.init(file, mapping, shape, path, writable, pageSize)
  }

  private init(
    _ file: consuming FileDescriptor, _ mapping: consuming Mapping, _ shape: DeviceShape, _ path: String,
    _ isWritable: Bool, _ pageSize: Int
  ) {
    self.path = path
    self.isWritable = isWritable
    self.shape = shape
    self.pageSize = pageSize
    kind = shape.kind
    size = shape.size
    persistence = Persistence(of: shape.kind, file: file)
    self.mapping = mapping
    self.file = file
  }

  private static func map(
    _ file: borrowing FileDescriptor, _ shape: DeviceShape, _ path: String, writable: Bool
  ) throws(DeviceError) -> Mapping {
    do throws(Errno) {
      let mapping = try Mapping(of: file, count: shape.size, writable: writable, alignment: shape.alignment)
      if shape.kind == .file { mapping.preferHugePages() }
      return mapping
    } catch {
      guard shape.kind == .dax, daxMode(of: file) == .famfs else {
        throw DeviceError("\(path) cannot be mapped: \(error)", error)
      }
      throw DeviceError(
        "\(path) is in mode famfs, and this kernel lets no program map a device in that mode (\(error)); switch it with: "
          + "famfs device mode \(path) devdax", error)
    }
  }

  /// Whether one host's caches are all that there are: nothing is ever written back or invalidated.
  public var isCoherent: Bool { persistence.isCoherent }

  /// Whether it is a block device, pmem or a disk.
  public var isPageCache: Bool {
    if case .pages = persistence { true } else { false }
  }

  /// Whether it lies on a disk: what was written outlasts a crash of this host only after `sync`.
  public var isOnDisk: Bool {
    if case .disk = persistence { true } else { false }
  }

  /// The open device, to be handed to another process; it stays this value's.
  public var rawDescriptor: Int32 { file.rawValue }

  /// The open device, whatever its path names by now.
  public func status() throws(Errno) -> FileStatus { try file.status() }

  private static func explain(_ error: Errno, _ path: String) -> DeviceError {
    switch error {
    case .noEntry: DeviceError("\(path): no such device; check the name, or make a file with mkfs.famfs --size", error)
    case .accessDenied, .notPermitted: DeviceError("\(path): \(error); run as root or ask for access to it", error)
    case .busy: DeviceError("\(path) is mounted as another file system; unmount it first", error)
    case .isDirectory: DeviceError("\(path) is a directory; name a dax or pmem device, or a file", error)
    case .noSuchAddress: DeviceError("\(path) is no memory device; name a dax or pmem device, or a file", error)
    case .notDirectory, .nameTooLong, .tooManyLinks: DeviceError("\(path): \(error); check the name", error)
    default: DeviceError("\(path): \(error)", error)
    }
  }

  /// Takes one of the device's locks for as long as this value lives; see `FileDescriptor.lock`.
  public func lock(byte: Int64, exclusive: Bool) throws(Errno) { try file.lock(byte: byte, exclusive: exclusive) }

  /// Gives one back.
  public func unlock(byte: Int64) { file.unlock(byte: byte) }

  private func address(_ offset: UInt64, _ count: UInt64) throws(Errno) -> UnsafeMutableRawPointer {
    try check(offset, count)
    guard let base = mapping.bytes.baseAddress else { throw .inputOutput }
    return base + Int(offset)
  }

  /// A range to be written: a store into a mapping made for reading would end the process.
  private func target(_ offset: UInt64, _ count: UInt64) throws(Errno) -> UnsafeMutableRawPointer {
    guard isWritable else { throw .readOnlyFileSystem }
    return try address(offset, count)
  }

  /// The mapping itself.
  public func bytes(at offset: UInt64, count: Int) throws(Errno) -> UnsafeRawBufferPointer {
    guard let length = UInt64(exactly: count) else { throw .invalidArgument }
    return UnsafeRawBufferPointer(start: try address(offset, length), count: count)
  }

  /// A guarded copy.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    let from = try address(offset, UInt64(buffer.count))
    guard let to = buffer.baseAddress else { return }
    if !weft_guarded_copy(to, from, buffer.count) { try readInstead(at: offset, into: buffer) }
  }

  /// Into plain files by pwrite(2) or a copy, into dax past the caches, into pmem by a copy and msync(2).
  public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    let to = try target(offset, UInt64(buffer.count))
    guard let from = buffer.baseAddress else { return }
    switch persistence {
    case .none where buffer.count >= MappedDevice.bulk, .disk where buffer.count >= MappedDevice.bulk:
      if try writeThroughKernel(at: offset, from: buffer) { return }
      fallthrough
    case .none, .disk:
      if !weft_guarded_copy(to, from, buffer.count) { try writeInstead(at: offset, from: buffer) }
    case .cacheLines:
      if !weft_guarded_stream(to, from, buffer.count) { try writeInstead(at: offset, from: buffer) }
    case .pages:
      if !weft_guarded_copy(to, from, buffer.count) { try writeInstead(at: offset, from: buffer) }
      try persistence.writeBack(to, UInt64(buffer.count), pageSize)
    }
  }

  /// In plain files a hole, on dax stores past the caches, elsewhere, and for parts of pages, stores.
  public func zero(at offset: UInt64, count: UInt64) throws(Errno) {
    _ = try target(offset, count)
    // In a plain file a hole is the quickest zero there is, and takes no memory.
    let hole = kind == .file && count >= 4096 ? hole(in: offset..<offset + count) : nil
    guard let hole, try !isCutShort(),
      weft_punch_hole(file.rawValue, Int64(hole.lowerBound), Int64(hole.count)) == 0
    else { return try store(zeros: offset..<offset + count) }
    try store(zeros: offset..<hole.lowerBound)
    try store(zeros: hole.upperBound..<offset + count)
  }

  /// What of a range is to become a hole: whole pages, for a part of a huge one would break it up; and nothing of what was
  /// taken for the device alone, which another could take.
  private func hole(in range: Range<UInt64>) -> Range<UInt64>? {
    switch pageSource {
    case .hugetlbfs: return nil
    case .fixed, .gathered, .small: return range
    case .hugeTmpfs:
      let huge = UInt64(DeviceShape.hugePage)
      let (start, end) = ((range.lowerBound + huge - 1) / huge * huge, range.upperBound / huge * huge)
      return start < end ? start..<end : nil
    }
  }

  /// Whether nothing of a range was ever written; a store would make it take memory, as much as a large page has.
  private func isHole(_ range: Range<UInt64>) -> Bool {
    guard let run = try? file.run(at: range.lowerBound, before: range.upperBound), run.isHole else { return false }
    return run.end >= range.upperBound && (try? isCutShort()) == false
  }

  private func store(zeros range: Range<UInt64>) throws(Errno) {
    let (offset, count) = (range.lowerBound, range.upperBound - range.lowerBound)
    if count == 0 || kind == .file && count >= 4096 && isHole(range) { return }
    let to = try target(offset, count)
    if case .cacheLines = persistence { return try streamZeros(at: offset, count) }
    if !weft_guarded_fill(to, 0, Int(count)) { try streamZeros(at: offset, count) }
    try persistence.writeBack(to, count, pageSize)
  }

  /// Past the caches, which then hold nothing to be written back.
  private func streamZeros(at offset: UInt64, _ count: UInt64) throws(Errno) {
    let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(min(count, 256 << 10)), alignment: 4096)
    defer { zeros.deallocate() }
    zeros.initializeMemory(as: UInt8.self, repeating: 0)
    var done: UInt64 = 0
    while done < count {
      let piece = UnsafeRawBufferPointer(rebasing: zeros[..<Int(min(UInt64(zeros.count), count - done))])
      let to = try target(offset + done, UInt64(piece.count))
      if !weft_guarded_stream(to, piece.baseAddress, piece.count) { try writeInstead(at: offset + done, from: piece) }
      done += UInt64(piece.count)
    }
  }

  /// A guarded load.
  public func load64(at offset: UInt64) throws(Errno) -> UInt64 {
    var value: UInt64 = 0
    if !weft_guarded_load64(try address(offset, 8), &value) {
      var bytes = InlineArray<8, UInt8>(repeating: 0)
      var span = bytes.mutableSpan
      try span.withUnsafeMutableBytes { (buffer) throws(Errno) in try readInstead(at: offset, into: buffer) }
      return bytes.span.bytes.u64(0)
    }
    return UInt64(littleEndian: value)
  }

  /// A guarded store.
  public func store64(at offset: UInt64, _ value: UInt64) throws(Errno) {
    if weft_guarded_store64(try target(offset, 8), value.littleEndian) { return }
    var little = value.littleEndian
    let outcome = withUnsafeBytes(of: &little) { bytes in
      Result { () throws(Errno) in try writeInstead(at: offset, from: bytes) }
    }
    try outcome.get()
  }

  /// A guarded compare-and-swap.
  public func replace64(at offset: UInt64, _ old: UInt64, with new: UInt64) throws(Errno) -> Bool {
    var (expected, isDone) = (old.littleEndian, false)
    guard weft_guarded_replace64(try target(offset, 8), &expected, new.littleEndian, &isDone) else {
      throw .inputOutput
    }
    return isDone
  }

  /// By cache-line instructions or msync(2); nothing for plain files.
  public func writeBack(at offset: UInt64, count: UInt64) throws(Errno) {
    let start = try address(offset, count)
    do { try persistence.writeBack(start, count, pageSize) } catch {
      examine(at: offset, count: count)
      throw error
    }
  }

  /// By cache-line instructions, or by dropping pages; nothing for plain files.
  public func invalidate(at offset: UInt64, count: UInt64) throws(Errno) {
    let start = try address(offset, count)
    do { try persistence.invalidate(start, count, at: offset, pageSize) } catch {
      examine(at: offset, count: count)
      throw error
    }
  }

  /// A store fence.
  public func fence() { weft_fence() }

  /// A store fence, and on a disk msync(2). After one that has failed all fail.
  public func sync(at offset: UInt64, count: UInt64) throws(Errno) {
    let start = try address(offset, count)
    weft_fence()
    if isOnDisk { try durability.sync(start, count, pageSize) }
  }
}

// MARK: - Bulk writes

extension MappedDevice {
  /// From this many bytes on a system call is cheaper than faulting a plain file's pages in and zeroing them.
  private static let bulk = 64 << 10

  /// The kernel's own copy would silently make a file that was cut short grow again.
  func isCutShort() throws(Errno) -> Bool { try file.status().size < size }

  /// Writes to a plain file by pwrite(2).
  /// - Returns: false when the file system underneath cannot (hugetlbfs).
  private func writeThroughKernel(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) -> Bool {
    if try isCutShort() { throw fault(at: offset, UInt64(buffer.count)) }
    var done = 0
    while done < buffer.count {
      let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
      do {
        done += try retrying { pwrite(file.rawValue, rest.baseAddress, rest.count, off_t(offset) + done) }
      } catch {
        if error == .invalidArgument { return false }
        note(error, at: offset + UInt64(done), UInt64(rest.count))
        throw error
      }
    }
    return true
  }
}
