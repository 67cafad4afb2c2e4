import ControlChannel
import Fuse
import Glibc
import Platform

/// The directory that a file system is mounted on.
package enum MountPoint {
  /// Checks that a file system can be mounted there; mounts of the same kind whose daemons died there are cleared away, and no
  /// others.
  /// - Parameters:
  ///   - type: what /proc/mounts shows as the type of those.
  ///   - life: whether the daemon of one is there.
  package static func prepare(_ path: String, type: String, life: (Mount) -> DaemonLife) throws(SentenceError) {
    while let mount = Mount.top(at: path) {
      let life = mount.type == type ? life(mount) : .answers
      guard life == .isGone else {
        let silence = life == .isSilent ? ", and its daemon does not answer" : ""
        throw SentenceError(
          "\(path) has \(mount.source) mounted on it already\(silence); unmount it first, or use another directory")
      }
      do { try Mounting.unmount(path, lazily: true) } catch {
        throw SentenceError(
          "\(path) has \(mount.source) mounted on it, whose daemon is gone, and it cannot be unmounted: \(error)")
      }
    }
    if let error = statusError(of: path) {
      throw SentenceError(
        "mount point \(path): \(error); \(error == .noEntry ? "make it with mkdir" : "name another directory")")
    }
    guard (try? FileStatus(path: path))?.kind == .directory else {
      throw SentenceError("mount point \(path) is not a directory; name one that is empty")
    }
    guard try isEmpty(path) else {
      throw SentenceError("mount point \(path) is not empty, and its files would be hidden; name an empty directory")
    }
  }

  /// Asks a new mount something that only its daemon can answer.
  package static func checkAnswers(_ path: String) throws(SentenceError) {
    var status = statvfs()
    if statvfs(path.cFileName, &status) == -1 {
      throw SentenceError("\(path) is mounted but does not answer: \(Errno.current)")
    }
  }

  private static func statusError(of path: String) -> Errno? {
    do { _ = try FileStatus(path: path) } catch { return error }
    return nil
  }

  private static func isEmpty(_ path: String) throws(SentenceError) -> Bool {
    guard let directory = opendir(path.cFileName) else { throw SentenceError("mount point \(path): \(Errno.current)") }
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    return count <= 2  // . and ..
  }
}
