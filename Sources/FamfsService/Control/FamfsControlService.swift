import ControlChannel
import Famfs
import FamfsControl
import Memory
import Platform
import Serving

/// What a famfs volume's daemon answers commands. Most requests are quick, because the commands copy data themselves.
struct FamfsControlService: ControlService {
  let volume: Volume
  let staging: Staging?
  let heartbeats: HeartbeatKeeper?
  let publishing: Publishing?
  let isReadOnly: Bool
  let isStrict: Bool
  let settings: LiveSettings
  let forget: @Sendable (NodeNumber) throws(Errno) -> Void
  let status: @Sendable () -> MountStatus
  let activity: @Sendable () -> MountActivity

  /// - Parameters:
  ///   - activity: what the mount has done.
  ///   - forget: has the kernel forget what it has cached of a file.
  init(
    volume: Volume, staging: Staging? = nil, heartbeats: HeartbeatKeeper? = nil, publishing: Publishing? = nil,
    isReadOnly: Bool, isStrict: Bool = false,
    settings: LiveSettings = LiveSettings(), activity: @escaping @Sendable () -> MountActivity = { MountActivity() },
    forget: @escaping @Sendable (NodeNumber) throws(Errno) -> Void = { _ in },
    status: @escaping @Sendable () -> MountStatus
  ) {
    self.volume = volume
    self.staging = staging
    self.heartbeats = heartbeats
    self.publishing = publishing
    self.isReadOnly = isReadOnly
    self.isStrict = isStrict
    self.settings = settings
    self.forget = forget
    self.status = status
    self.activity = activity
  }

  var otherVersion: String { NoDaemon.otherVersion }

  func parse(_ message: UnsafeRawBufferPointer) throws(Errno) -> ControlRequest { try ControlRequest(parsing: message) }

  func refusal(_ sentence: String) -> [UInt8] { ControlReply.failed(sentence).encode() }

  /// A connection's reservations.
  func begin() -> Set<UInt64> { [] }

  /// A command that goes away without a commit has made nothing.
  func end(_ reservations: Set<UInt64>) { for id in reservations { volume.cancel(id) } }

  func answer(_ request: ControlRequest, _ reservations: inout Set<UInt64>) -> ControlAnswer {
    do {
      let answer = try reply(to: request, &reservations)
      return ControlAnswer(
        answer.reply.encode(), descriptor: answer.device?.rawDescriptor ?? -1, of: answer.device)
    } catch let error as FamfsError {
      return ControlAnswer(refusal("\(error)"))
    } catch let error as Errno where error == .stale {
      return ControlAnswer(refusal("another file system was made on \(volume.device.path); unmount this one"))
    } catch {
      return ControlAnswer(refusal("\(volume.device.path): \(error)"))
    }
  }
}
