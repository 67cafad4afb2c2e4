import Glibc
import Platform

/// Why mounting or unmounting failed, as a sentence that names the thing and what helps.
public enum MountError: Error, Equatable, Sendable, CustomStringConvertible {
  /// /dev/fuse is not there.
  case deviceMissing
  /// /dev/fuse could not be opened.
  case device(Errno)
  /// The directory to mount on cannot be used.
  case mountPoint(String, Errno)
  /// mount(2) failed.
  case mount(String, Errno)
  /// fusermount3, which mounts for users other than root, is not installed.
  case helperMissing
  /// fusermount3 could not be run or did not do its part.
  case helper(Errno)
  /// fusermount3 refused: its own words.
  case helperRefused(String)
  /// umount2(2) failed.
  case unmount(String, Errno)

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public var description: String {
    switch self {
    case .deviceMissing:
      "\(DevFuse.path) does not exist; load the kernel's FUSE with: modprobe fuse"
    case .device(.noDevice), .device(.noSuchAddress):
      "\(DevFuse.path) has no driver behind it; load the kernel's FUSE with: modprobe fuse"
    case .device(let error):
      "\(DevFuse.path) cannot be opened: \(error); check its permissions and, in a container, that it is passed in"
    case .mountPoint(let path, let error): MountError.describe(mountPoint: path, error)
    case .mount(let path, .notPermitted):
      "mounting on \(path) is not permitted; it takes CAP_SYS_ADMIN, which containers lack unless it is given to them"
    case .mount(let path, .noDevice):
      "mounting on \(path) failed: the kernel does not know FUSE; load it with: modprobe fuse"
    case .mount(let path, .busy):
      "mounting on \(path) failed: it is in use; choose another directory or unmount what is there"
    case .mount(let path, let error): "mounting on \(path) failed: \(error)"
    case .helperMissing:
      "mounting without root needs fusermount3, which is not installed; install it with: apt install fuse3"
    case .helper(let error): "fusermount3 could not be used: \(error)"
    case .helperRefused(let words):
      words.isEmpty ? "fusermount3 failed without saying why" : words
    case .unmount(let path, .invalidArgument): "\(path) is not a mount point"
    case .unmount(let path, .noEntry): "\(path) does not exist"
    case .unmount(let path, .busy):
      "\(path) is in use; fuser -vm \(path) shows by whom"
    case .unmount(let path, .notPermitted): "unmounting \(path) is not permitted; it takes root"
    case .unmount(let path, let error): "unmounting \(path) failed: \(error)"
    }
  }

  private static func describe(mountPoint path: String, _ error: Errno) -> String {
    switch error {
    case .noEntry: "mount point \(path) does not exist; make it with: mkdir -p \(path)"
    case .notDirectory: "mount point \(path) is not a directory"
    case Errno(rawValue: ENOTCONN):
      "on \(path) something is mounted whose server is gone; unmount it with: umount -l \(path)"
    default: "mount point \(path) cannot be used: \(error)"
    }
  }
}
