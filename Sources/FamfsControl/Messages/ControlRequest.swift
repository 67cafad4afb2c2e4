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
    case .peers(let start):
      message.put(13)
      message.put(start)
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
    case 13: self = .peers(from: try message.number())
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
