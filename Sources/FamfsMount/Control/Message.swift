import Erofs
import Famfs
import Glibc
import Platform

/// What a command asks of the daemon. One message each, answered by one `ControlReply`.
public enum ControlRequest: Equatable, Sendable {
  /// Who are you and how are you?
  case status
  /// Give me the device of this index: as you have it open, whatever stands at its path by now.
  case device(UInt64)
  /// Which devices has the volume?
  case devices
  /// Make the device at this path part of the volume, by force if need be; or take it into use if it is part of it.
  case addDevice(String, force: Bool)
  /// Make a directory.
  case makeDirectory(NewName)
  /// Take space for a file of so many bytes; it lasts as long as the connection, or until commit or cancel.
  case reserve(NewName, size: UInt64, Striping?)
  /// Make reserved files real, in this order: their contents are in the memory. The first that fails ends it, and the
  /// space of all behind it is free again.
  case commit([UInt64])
  /// Give a reservation back.
  case cancel(UInt64)
  /// Look at the log now.
  case replay
  /// Where do a file's bytes lie? The path is relative to the volume's root.
  case map(String)
  /// Which mounts have left signs of life?
  case peers
  /// Make this host the volume's master, although the old one lives if it is forced.
  case takeOver(force: Bool)
  /// Commit what programs have made at a path and below, relative to the volume's root; all with an empty path.
  case commitStaged(String)
  /// Change what can be changed of a live mount; nil leaves it as it is. The lifetime is in nanoseconds.
  case change(cache: CachePolicy?, lifetime: UInt64?)
  /// Have the kernel forget the pages that it has cached of a file. The path is relative to the volume's root.
  case forget(String)
  /// Remove the file or empty directory at a path, relative to the volume's root.
  case remove(String)
  /// Make a second file of another's extents.
  case clone(String, to: String)
  /// How is the memory?
  case memory
  /// Look through this range of a device, which a command could not use.
  case examine(Extent)
  /// Begin to publish the volume for EROFS, although files can be removed if it is forced.
  case publish(force: Bool)
  /// What became of the view of this number?
  case publication(UInt64)
  /// What have you done so far?
  case activity
  /// Which space of the device of this index is free, from this byte on? So many runs as one message holds.
  case freeRuns(device: UInt64, from: UInt64)
}

/// A name to be made, and what goes with it.
public struct NewName: Equatable, Sendable {
  /// Relative to the volume's root.
  public var path: String
  /// The low 12 bits of a mode.
  public var permissions: UInt32
  /// Owner.
  public var userID: UInt32
  /// Group.
  public var groupID: UInt32

  /// A name and what goes with it.
  public init(path: String, permissions: UInt32, userID: UInt32, groupID: UInt32) {
    self.path = path
    self.permissions = permissions
    self.userID = userID
    self.groupID = groupID
  }
}

/// What the daemon answers.
public enum ControlReply: Equatable, Sendable {
  /// It is done.
  case done
  /// The reservation, and where the file's bytes go on the device.
  case reserved(UInt64, FileLayout)
  /// How the mount is.
  case status(MountStatus)
  /// The device's path, and how many the volume has; the open device is attached to the message.
  case device(String, count: UInt64)
  /// The volume's devices.
  case devices([DeviceUsage])
  /// Mounts that have left signs of life.
  case peers([Peer])
  /// The device's index in the volume.
  case added(UInt64)
  /// Entries in the log, and the files and directories that came with this look.
  case replayed(entries: UInt64, files: UInt64, directories: UInt64)
  /// Where a file's bytes lie on the device, and how many there are.
  case mapped(FileLayout, size: UInt64)
  /// How the memory is.
  case memory(MemoryStatus)
  /// The view of this number is being written.
  case publishing(UInt64)
  /// A view is written.
  case published(View)
  /// What the mount has done.
  case activity(MountActivity)
  /// Runs of free bytes, in order; there are more behind them when there are `mostRuns`.
  case freeRuns([Range<UInt64>])
  /// It was refused, or failed: a sentence.
  case failed(String)
}

/// How a mount is.
public struct MountStatus: Equatable, Sendable {
  /// The mount that is served: what stat(2) gives as st_dev, as numbers.
  public var mountMajor: UInt64
  /// The number behind it.
  public var mountMinor: UInt64
  /// Whether this mount may add files.
  public var isMaster: Bool
  /// Whether it does no more than the public famfs does.
  public var isStrict = false
  /// The daemon's process.
  public var processID: UInt64 = 0
  /// The volume's own identifier.
  public var volumeUUID = UUID.zero
  /// The identifier of the host that may append to the log.
  public var masterUUID = UUID.zero
  /// How file contents travel: a few words for people.
  public var dataPath = ""
  /// Log entries played.
  public var entries: UInt64 = 0
  /// Log entries that fit.
  public var entryCapacity: UInt64 = 0
  /// Bad ones among those played.
  public var badEntries: UInt64 = 0
  /// Files in the volume.
  public var files: UInt64 = 0
  /// Directories in the volume, without the root.
  public var directories: UInt64 = 0
  /// Bytes in use, superblock and log among them.
  public var usedBytes: UInt64 = 0
  /// Bytes that nobody uses.
  public var freeBytes: UInt64 = 0

  /// How the mount of this device number is, of which nothing more is known.
  init(mountMajor: UInt32, mountMinor: UInt32, isMaster: Bool) {
    (self.mountMajor, self.mountMinor) = (UInt64(mountMajor), UInt64(mountMinor))
    self.isMaster = isMaster
  }

  /// How the mount of a volume is that this process serves.
  init(_ volume: Volume, mountedAs device: (major: UInt32, minor: UInt32), cache: CachePolicy, isStrict: Bool) {
    self.init(mountMajor: device.major, mountMinor: device.minor, isMaster: volume.role == .master)
    let usage = volume.usage()
    self.isStrict = isStrict
    processID = UInt64(getpid())
    (volumeUUID, masterUUID) = (volume.superblock.uuid, volume.master)
    dataPath = cache == .never ? "FUSE, direct I/O" : "FUSE, page cache"
    (entries, entryCapacity, badEntries) = (usage.entries, usage.entryCapacity, usage.problemCount)
    (files, directories) = (usage.files, usage.directories)
    (usedBytes, freeBytes) = (usage.allocated, usage.free)
  }
}

// MARK: - Bytes

extension ControlRequest {
  /// The message's bytes.
  public func encode() -> [UInt8] {
    var message = MessageWriter()
    switch self {
    case .status: message.put(1)
    case .makeDirectory(let name):
      message.put(2)
      message.put(name)
    case .reserve(let name, let size, let striping):
      message.put(3)
      message.put(name)
      for number in [size, striping?.strips ?? 0, striping?.buckets ?? 0, striping?.chunkSize ?? 0] {
        message.put(number)
      }
    case .commit(let ids):
      message.put(4)
      message.put(UInt64(ids.count))
      for id in ids { message.put(id) }
    case .cancel(let id):
      message.put(5)
      message.put(id)
    case .replay: message.put(6)
    case .device(let index):
      message.put(7)
      message.put(index)
    case .devices: message.put(10)
    case .peers: message.put(13)
    case .takeOver(let force):
      message.put(14)
      message.put(force ? 1 : 0)
    case .commitStaged(let path):
      message.put(12)
      message.put(path)
    case .addDevice(let path, let force):
      message.put(11)
      message.put(path)
      message.put(force ? 1 : 0)
    case .map(let path):
      message.put(8)
      message.put(path)
    case .clone(let source, let path):
      message.put(9)
      message.put(source)
      message.put(path)
    case .change(let cache, let lifetime):
      message.put(20)
      message.put(cache?.rawValue ?? "")
      message.put(lifetime == nil ? 0 : 1)
      message.put(lifetime ?? 0)
    case .forget(let path):
      message.put(21)
      message.put(path)
    case .remove(let path):
      message.put(15)
      message.put(path)
    case .memory: message.put(30)
    case .examine(let range):
      message.put(31)
      message.put(range)
    case .publish(let force):
      message.put(50)
      message.put(force ? 1 : 0)
    case .publication(let number):
      message.put(51)
      message.put(number)
    case .activity: message.put(40)
    case .freeRuns(let device, let start):
      message.put(41)
      message.put(device)
      message.put(start)
    }
    return message.bytes
  }

  /// Reads a message.
  public init(parsing bytes: UnsafeRawBufferPointer) throws(Errno) {
    var message = MessageReader(bytes)
    switch try message.number() {
    case 1: self = .status
    case 2: self = .makeDirectory(try message.name())
    case 3:
      self = .reserve(
        try message.name(), size: try message.number(),
        Striping(
          strips: try message.number(), buckets: try message.number(), chunkSize: try message.number()))
    case 4: self = .commit(try message.numbers())
    case 5: self = .cancel(try message.number())
    case 6: self = .replay
    case 7: self = .device(try message.number())
    case 10: self = .devices
    case 13: self = .peers
    case 15: self = .remove(try message.text())
    case 14: self = .takeOver(force: try message.number() != 0)
    case 12: self = .commitStaged(try message.text())
    case 11: self = .addDevice(try message.text(), force: try message.number() != 0)
    case 8: self = .map(try message.text())
    case 9: self = .clone(try message.text(), to: try message.text())
    case 20: self = .change(cache: try message.cache(), lifetime: try message.optionalNumber())
    case 21: self = .forget(try message.text())
    case 30: self = .memory
    case 31: self = .examine(try message.extent())
    case 50: self = .publish(force: try message.number() != 0)
    case 51: self = .publication(try message.number())
    case 40: self = .activity
    case 41: self = .freeRuns(device: try message.number(), from: try message.number())
    default: throw .protocolError
    }
  }
}

extension ControlReply {
  /// As many as one message holds.
  static let mostPeers = 500
  /// As many as one message holds.
  public static let mostRuns: UInt64 = 4096

  /// The message's bytes.
  public func encode() -> [UInt8] {
    var message = MessageWriter()
    switch self {
    case .done: message.put(1)
    case .reserved(let id, let layout):
      message.put(2)
      message.put(id)
      message.put(layout)
    case .mapped(let layout, let size):
      message.put(7)
      message.put(layout)
      message.put(size)
    case .status(let status):
      message.put(3)
      message.put(status)
    case .replayed(let entries, let files, let directories):
      message.put(4)
      for number in [entries, files, directories] { message.put(number) }
    case .device(let path, let count):
      message.put(6)
      message.put(path)
      message.put(count)
    case .devices(let devices):
      message.put(8)
      message.put(UInt64(devices.count))
      for device in devices { message.put(device) }
    case .peers(let peers):
      message.put(10)
      message.put(UInt64(peers.count))
      for peer in peers { message.put(peer) }
    case .added(let index):
      message.put(9)
      message.put(index)
    case .memory(let status):
      message.put(30)
      message.put(status)
    case .publishing(let number):
      message.put(50)
      message.put(number)
    case .published(let view):
      message.put(51)
      message.put(view)
    case .activity(let activity):
      message.put(40)
      message.put(activity)
    case .freeRuns(let runs):
      message.put(41)
      message.put(runs)
    case .failed(let sentence):
      message.put(5)
      // By bytes: one character can have any number of them, and a message has a limit.
      message.put(String(decoding: sentence.utf8.prefix(6000), as: UTF8.self))
    }
    return message.bytes
  }

  /// Reads a message.
  public init(parsing bytes: UnsafeRawBufferPointer) throws(Errno) {
    var message = MessageReader(bytes)
    switch try message.number() {
    case 1: self = .done
    case 2:
      self = .reserved(try message.number(), try message.layout())
    case 3:
      self = .status(try message.status())
    case 4:
      self = .replayed(
        entries: try message.number(), files: try message.number(), directories: try message.number())
    case 5: self = .failed(try message.text())
    case 6: self = .device(try message.text(), count: try message.number())
    case 8:
      let count = try message.number()
      guard count <= Volume.deviceLimit else { throw .protocolError }
      var devices: [DeviceUsage] = []
      for _ in 0..<count { devices.append(try message.device()) }
      self = .devices(devices)
    case 9: self = .added(try message.number())
    case 30: self = .memory(try message.memoryStatus())
    case 10:
      let count = try message.number()
      guard count <= ControlReply.mostPeers else { throw .protocolError }
      var peers: [Peer] = []
      for _ in 0..<count { peers.append(try message.peer()) }
      self = .peers(peers)
    case 7: self = .mapped(try message.layout(), size: try message.number())
    case 50: self = .publishing(try message.number())
    case 51: self = .published(try message.view())
    case 40: self = .activity(try message.activity())
    case 41: self = .freeRuns(try message.runs())
    default: throw .protocolError
    }
  }
}

/// Numbers are 8 bytes, little-endian; texts are their length in bytes and UTF-8.
struct MessageWriter {
  var bytes: [UInt8] = []

  mutating func put(_ number: UInt64) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func put(_ text: String) {
    put(UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  mutating func put(_ layout: FileLayout) {
    put(layout.chunkSize)
    put(UInt64(layout.extents.count))
    for extent in layout.extents.array {
      for number in [extent.device, extent.offset, extent.length] { put(number) }
    }
  }

  mutating func put(_ status: MountStatus) {
    for number in [
      status.mountMajor, status.mountMinor, status.isMaster ? 1 : 0, status.isStrict ? 1 : 0, status.processID,
      status.entries,
      status.entryCapacity, status.badEntries, status.files, status.directories, status.usedBytes, status.freeBytes,
    ] { put(number) }
    for text in ["\(status.volumeUUID)", "\(status.masterUUID)", status.dataPath] { put(text) }
  }

  mutating func put(_ peer: Peer) {
    let beat = peer.beat
    put("\(beat.host)")
    for number in [
      beat.mount, beat.isMaster ? 1 : 0, beat.since, beat.time, beat.count, beat.entries, peer.age == nil ? 0 : 1,
      peer.age ?? 0,
    ] { put(number) }
    put(beat.hostName)
  }

  mutating func put(_ device: DeviceUsage) {
    for number in [device.index, device.size, device.free] { put(number) }
    // All devices must fit one message.
    let trouble = String(decoding: (device.trouble ?? "").utf8.prefix(1000), as: UTF8.self)
    for text in ["\(device.uuid)", device.path ?? "", trouble] { put(text) }
  }

  mutating func put(_ name: NewName) {
    put(name.path)
    for number in [name.permissions, name.userID, name.groupID] { put(UInt64(number)) }
  }
}

struct MessageReader {
  private var rest: Slice<UnsafeRawBufferPointer>

  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

  mutating func number() throws(Errno) -> UInt64 {
    guard rest.count >= 8 else { throw .protocolError }
    defer { rest = rest.dropFirst(8) }
    return UnsafeRawBufferPointer(rebasing: rest).bytes.u64(0)
  }

  mutating func numbers() throws(Errno) -> [UInt64] {
    guard let count = Int(exactly: try number()), count <= rest.count / 8 else { throw .protocolError }
    var numbers: [UInt64] = []
    for _ in 0..<count { numbers.append(try number()) }
    return numbers
  }

  mutating func number32() throws(Errno) -> UInt32 {
    guard let number = UInt32(exactly: try number()) else { throw .protocolError }
    return number
  }

  mutating func text() throws(Errno) -> String {
    guard let count = Int(exactly: try number()), count <= rest.count else { throw .protocolError }
    defer { rest = rest.dropFirst(count) }
    guard let text = String(validating: rest.prefix(count), as: UTF8.self) else { throw .protocolError }
    return text
  }

  mutating func cache() throws(Errno) -> CachePolicy? {
    let text = try text()
    if text.isEmpty { return nil }
    guard let cache = CachePolicy(rawValue: text) else { throw .protocolError }
    return cache
  }

  /// A number with a word before it that says whether there is one.
  mutating func optionalNumber() throws(Errno) -> UInt64? {
    let (isThere, number) = (try number() != 0, try number())
    return isThere ? number : nil
  }

  mutating func layout() throws(Errno) -> FileLayout {
    let chunkSize = try number()
    let count = try number()
    guard count <= ExtentList.capacity else { throw .protocolError }
    var extents = ExtentList()
    for _ in 0..<count {
      extents.append(Extent(device: try number(), offset: try number(), length: try number()))
    }
    return FileLayout(extents, chunkSize: chunkSize)
  }

  mutating func status() throws(Errno) -> MountStatus {
    var status = MountStatus(
      mountMajor: try number32(), mountMinor: try number32(), isMaster: try number() != 0)
    status.isStrict = try number() != 0
    status.processID = try number()
    (status.entries, status.entryCapacity, status.badEntries) = (try number(), try number(), try number())
    (status.files, status.directories) = (try number(), try number())
    (status.usedBytes, status.freeBytes) = (try number(), try number())
    (status.volumeUUID, status.masterUUID) = (try uuid(), try uuid())
    status.dataPath = try text()
    return status
  }

  mutating func peer() throws(Errno) -> Peer {
    let host = try uuid()
    var beat = Heartbeat(
      host: host, mount: try number(), isMaster: try number() != 0, since: try number(), hostName: "")
    (beat.time, beat.count, beat.entries) = (try number(), try number(), try number())
    let (hasAge, age) = (try number() != 0, try number())
    beat.hostName = try text()
    return Peer(beat: beat, age: hasAge ? age : nil)
  }

  mutating func device() throws(Errno) -> DeviceUsage {
    let (index, size, free) = (try number(), try number(), try number())
    let (uuid, path, trouble) = (try uuid(), try text(), try text())
    return DeviceUsage(
      index: index, uuid: uuid, size: size, free: free, path: path.isEmpty ? nil : path,
      trouble: trouble.isEmpty ? nil : trouble)
  }

  private mutating func uuid() throws(Errno) -> UUID {
    guard let uuid = UUID(try text()) else { throw .protocolError }
    return uuid
  }

  mutating func name() throws(Errno) -> NewName {
    NewName(path: try text(), permissions: try number32(), userID: try number32(), groupID: try number32())
  }
}

/// The longest control message, in bytes: as many devices as can be, each with the longest path.
let controlMessageLimit = 128 << 10
