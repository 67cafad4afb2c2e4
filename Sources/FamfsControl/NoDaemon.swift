import ControlChannel
import Famfs
import Glibc
import Platform

/// Why the daemon of a mount cannot be asked.
public enum NoDaemon: Error {
  /// Neither root nor this user mounted it, but this one.
  case ofAnotherUser(UInt32?)
  /// No daemon says that it serves it.
  case unknown
  /// The daemon has ended.
  case gone
  /// It does not answer in time; its process, if that is known.
  case silent(pid_t?)
  /// It is another user's to ask.
  case refused
  /// It is of another version, and their messages differ.
  case ofAnotherVersion
  /// Anything else.
  case failed(Errno)

  /// - Parameter process: the daemon's, if that is known.
  package init(_ error: Errno, _ process: pid_t?) {
    switch error {
    case .accessDenied, .notPermitted: self = .refused
    case Errno(rawValue: ENOTCONN), Errno(rawValue: ECONNABORTED), Errno(rawValue: ECONNRESET),
      Errno(rawValue: ECONNREFUSED), Errno(rawValue: EPIPE), .noEntry:
      self = .gone
    case Errno(rawValue: EAGAIN): self = .silent(process)
    case ControlVersion.mismatch: self = .ofAnotherVersion
    default: self = .failed(error)
    }
  }

  /// What to say of a mount of which this is so.
  package func sentence(of mountPoint: String) -> FamfsError { .other("\(mountPoint): \(reason)") }

  /// The same without the mount point in front.
  public var reason: String {
    switch self {
    case .ofAnotherUser(let user):
      "\(user.map { "user \($0)" } ?? "another program") mounted it, and this user cannot ask what serves it"
    case .unknown:
      "no famfs daemon that can be found here serves it; it is another program's, an older famfs's, or has another /run"
    case .gone: "its daemon is gone; unmount it with famfs umount, then mount it again"
    case .silent(let process): NoDaemon.silence(of: process)
    case .refused: "only root and the user who mounted it may ask its daemon; use sudo"
    case .ofAnotherVersion: NoDaemon.otherVersion
    case .failed(Errno(rawValue: EBUSY)): "its daemon serves too many commands; try again when some have ended"
    case .failed(let error): "its daemon cannot be reached: \(error)"
    }
  }

  /// What to say where a daemon and a command are of different versions.
  package static let otherVersion =
    "its daemon is of another version than this program; use the famfs that mounted it, or unmount it and mount it again"

  /// What to say of a daemon that does not answer. What ends a process is advised only where a signal has stopped it: one
  /// that is busy is left to its work.
  package static func silence(of process: pid_t?) -> String {
    let words = "its daemon does not answer"
    guard let process, let state = processState(process) else { return words + "; try again" }
    if state == "T" || state == "t" {
      return words + "; process \(process) is stopped: let it go on with kill -CONT \(process), else end it with kill "
        + "-KILL \(process)"
    }
    return words + "; process \(process) runs, and is busy or waits for its device: try again"
  }
}

extension MountedVolume {
  /// What to say of a mount whose daemon has not answered in time.
  public static func silence(of mount: Mount) -> String {
    NoDaemon.silence(of: FoundRecord.of(mount, .famfs)?.record.process)
  }
}
