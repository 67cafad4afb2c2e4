import ControlChannel
import Erofs
import Famfs
import Platform

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
  /// Mounts that have left heartbeats; there are more behind them when there are `mostPeers`.
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

// MARK: - Bytes

extension ControlReply {
  /// As many as one message holds, each with the longest name.
  package static let mostPeers = 300
  /// As many as one message holds.
  public static let mostRuns: UInt64 = 4096

  /// The second word of a message.
  private enum Kind: UInt64 {
    case done = 1
    case reserved = 2
    case status = 3
    case replayed = 4
    /// The versions that had no word for themselves read it, too.
    case failed = 5
    case device = 6
    case mapped = 7
    case devices = 8
    case added = 9
    case peers = 10
    case memory = 30
    case activity = 40
    case freeRuns = 41
    case publishing = 50
    case published = 51
  }

  /// The message's bytes.
  public func encode() -> [UInt8] {
    var message = MessageWriter()
    switch self {
    case .done: message.put(Kind.done.rawValue)
    case .reserved(let id, let layout):
      message.put(Kind.reserved.rawValue)
      message.put(id)
      message.put(layout)
    case .mapped(let layout, let size):
      message.put(Kind.mapped.rawValue)
      message.put(layout)
      message.put(size)
    case .status(let status):
      message.put(Kind.status.rawValue)
      message.put(status)
    case .replayed(let entries, let files, let directories):
      message.put(Kind.replayed.rawValue)
      for number in [entries, files, directories] { message.put(number) }
    case .device(let path, let count):
      message.put(Kind.device.rawValue)
      message.put(path)
      message.put(count)
    case .devices(let devices):
      message.put(Kind.devices.rawValue)
      message.put(UInt64(devices.count))
      for device in devices { message.put(device) }
    case .peers(let peers):
      message.put(Kind.peers.rawValue)
      message.put(UInt64(peers.count))
      for peer in peers { message.put(peer) }
    case .added(let index):
      message.put(Kind.added.rawValue)
      message.put(index)
    case .memory(let status):
      message.put(Kind.memory.rawValue)
      message.put(status)
    case .publishing(let number):
      message.put(Kind.publishing.rawValue)
      message.put(number)
    case .published(let view):
      message.put(Kind.published.rawValue)
      message.put(view)
    case .activity(let activity):
      message.put(Kind.activity.rawValue)
      message.put(activity)
    case .freeRuns(let runs):
      message.put(Kind.freeRuns.rawValue)
      message.put(runs)
    case .failed(let sentence):
      message.put(Kind.failed.rawValue)
      // By bytes: one character can have any number of them, and a message has a limit.
      message.put(String(decoding: sentence.utf8.prefix(6000), as: UTF8.self))
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
    case .done: self = .done
    case .reserved:
      self = .reserved(try message.number(), try message.layout())
    case .status:
      self = .status(try message.status())
    case .replayed:
      self = .replayed(
        entries: try message.number(), files: try message.number(), directories: try message.number())
    case .failed: self = .failed(try message.text())
    case .device: self = .device(try message.text(), count: try message.number())
    case .devices:
      let count = try message.number()
      guard count <= Volume.deviceLimit else { throw .protocolError }
      var devices: [DeviceUsage] = []
      for _ in 0..<count { devices.append(try message.device()) }
      self = .devices(devices)
    case .added: self = .added(try message.number())
    case .memory: self = .memory(try message.memoryStatus())
    case .peers:
      let count = try message.number()
      guard count <= ControlReply.mostPeers else { throw .protocolError }
      var peers: [Peer] = []
      for _ in 0..<count { peers.append(try message.peer()) }
      self = .peers(peers)
    case .mapped: self = .mapped(try message.layout(), size: try message.number())
    case .publishing: self = .publishing(try message.number())
    case .published: self = .published(try message.view())
    case .activity: self = .activity(try message.activity())
    case .freeRuns: self = .freeRuns(try message.runs())
    }
  }
}
