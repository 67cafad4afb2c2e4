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
