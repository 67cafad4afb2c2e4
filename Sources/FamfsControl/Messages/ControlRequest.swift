import ControlChannel
import Famfs
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
  /// AbandonableCall at the log now.
  case replay
  /// Where do a file's bytes lie? The path is relative to the volume's root.
  case map(String)
  /// Which mounts have left heartbeats, but for the first ones? As many as one message holds.
  case peers(from: UInt64)
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
  /// AbandonableCall through this range of a device, which a command could not use.
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

extension ControlRequest {
  /// Whether it changes what the volume has, or the host that may change it. A device that the volume has already can be
  /// taken into use on a read-only mount too, so `addDevice` is the daemon's to judge.
  package var changesNames: Bool {
    switch self {
    case .makeDirectory, .reserve, .commitStaged, .remove, .clone, .publish, .takeOver: true
    default: false
    }
  }
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

// MARK: - Bytes

extension ControlRequest {
  /// The second word of a message.
  private enum Kind: UInt64 {
    case status = 1
    case makeDirectory = 2
    case reserve = 3
    case commit = 4
    case cancel = 5
    case replay = 6
    case device = 7
    case map = 8
    case clone = 9
    case devices = 10
    case addDevice = 11
    case commitStaged = 12
    case peers = 13
    case takeOver = 14
    case remove = 15
    case change = 20
    case forget = 21
    case memory = 30
    case examine = 31
    case activity = 40
    case freeRuns = 41
    case publish = 50
    case publication = 51
  }

  /// The message's bytes.
  public func encode() -> [UInt8] {
    var message = MessageWriter()
    switch self {
    case .status: message.put(Kind.status.rawValue)
    case .makeDirectory(let name):
      message.put(Kind.makeDirectory.rawValue)
      message.put(name)
    case .reserve(let name, let size, let striping):
      message.put(Kind.reserve.rawValue)
      message.put(name)
      for number in [size, striping?.strips ?? 0, striping?.buckets ?? 0, striping?.chunkSize ?? 0] {
        message.put(number)
      }
    case .commit(let ids):
      message.put(Kind.commit.rawValue)
      message.put(UInt64(ids.count))
      for id in ids { message.put(id) }
    case .cancel(let id):
      message.put(Kind.cancel.rawValue)
      message.put(id)
    case .replay: message.put(Kind.replay.rawValue)
    case .device(let index):
      message.put(Kind.device.rawValue)
      message.put(index)
    case .devices: message.put(Kind.devices.rawValue)
    case .peers(let start):
      message.put(Kind.peers.rawValue)
      message.put(start)
    case .takeOver(let force):
      message.put(Kind.takeOver.rawValue)
      message.put(force ? 1 : 0)
    case .commitStaged(let path):
      message.put(Kind.commitStaged.rawValue)
      message.put(path)
    case .addDevice(let path, let force):
      message.put(Kind.addDevice.rawValue)
      message.put(path)
      message.put(force ? 1 : 0)
    case .map(let path):
      message.put(Kind.map.rawValue)
      message.put(path)
    case .clone(let source, let path):
      message.put(Kind.clone.rawValue)
      message.put(source)
      message.put(path)
    case .change(let cache, let lifetime):
      message.put(Kind.change.rawValue)
      message.put(cache?.rawValue ?? "")
      message.put(lifetime == nil ? 0 : 1)
      message.put(lifetime ?? 0)
    case .forget(let path):
      message.put(Kind.forget.rawValue)
      message.put(path)
    case .remove(let path):
      message.put(Kind.remove.rawValue)
      message.put(path)
    case .memory: message.put(Kind.memory.rawValue)
    case .examine(let range):
      message.put(Kind.examine.rawValue)
      message.put(range)
    case .publish(let force):
      message.put(Kind.publish.rawValue)
      message.put(force ? 1 : 0)
    case .publication(let number):
      message.put(Kind.publication.rawValue)
      message.put(number)
    case .activity: message.put(Kind.activity.rawValue)
    case .freeRuns(let device, let start):
      message.put(Kind.freeRuns.rawValue)
      message.put(device)
      message.put(start)
    }
    return message.bytes
  }

  /// Reads a message.
  /// - Throws: `ControlVersion.mismatch` for one of another version; else EPROTO.
  public init(parsing bytes: UnsafeRawBufferPointer) throws(Errno) {
    var message = MessageReader(bytes)
    try message.checkVersion()
    guard let kind = Kind(rawValue: try message.number()) else { throw .protocolError }
    switch kind {
    case .status: self = .status
    case .makeDirectory: self = .makeDirectory(try message.name())
    case .reserve:
      self = .reserve(
        try message.name(), size: try message.number(),
        Striping(
          strips: try message.number(), buckets: try message.number(), chunkSize: try message.number()))
    case .commit: self = .commit(try message.numbers())
    case .cancel: self = .cancel(try message.number())
    case .replay: self = .replay
    case .device: self = .device(try message.number())
    case .devices: self = .devices
    case .peers: self = .peers(from: try message.number())
    case .remove: self = .remove(try message.text())
    case .takeOver: self = .takeOver(force: try message.number() != 0)
    case .commitStaged: self = .commitStaged(try message.text())
    case .addDevice: self = .addDevice(try message.text(), force: try message.number() != 0)
    case .map: self = .map(try message.text())
    case .clone: self = .clone(try message.text(), to: try message.text())
    case .change: self = .change(cache: try message.cache(), lifetime: try message.optionalNumber())
    case .forget: self = .forget(try message.text())
    case .memory: self = .memory
    case .examine: self = .examine(try message.extent())
    case .publish: self = .publish(force: try message.number() != 0)
    case .publication: self = .publication(try message.number())
    case .activity: self = .activity
    case .freeRuns: self = .freeRuns(device: try message.number(), from: try message.number())
    }
  }
}
