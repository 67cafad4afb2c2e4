import Famfs
import Glibc
import Platform

/// The folder with a daemon's sockets: one per process, for its user alone, gone with the process.
struct RunFolder {
  let path: String

  init() throws(FamfsError) {
    let parent = RunFolder.parent
    path = "\(parent)/mount-\(getpid())"
    _ = mkdir(parent, 0o755)
    // In /tmp a stranger could have made it, or a link in its place: look before anything in it is touched.
    guard RunFolder.isOwn(parent) else {
      throw .other("\(parent), for the daemon's socket, must be a directory of this user's that nobody else writes to")
    }
    RunFolder.removeStale(in: parent)
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw .other("\(path), for the daemon's control socket, cannot be made: \(Errno.current)")
    }
    RunFolder.empty(path)
  }

  private static func isOwn(_ path: String) -> Bool {
    let options: OpenOptions = [.readOnly, .directory, .noFollow]
    guard let directory = try? FileDescriptor(opening: path, options), let status = try? directory.status() else {
      return false
    }
    return status.userID == geteuid() && status.permissions & 0o022 == 0
  }

  private static var parent: String {
    if geteuid() == 0 { return "/run/famfs" }
    return (environment("XDG_RUNTIME_DIR") ?? "/tmp") + "/famfs-\(geteuid())"
  }

  func remove() {
    RunFolder.empty(path)
    rmdir(path)
  }

  private static func empty(_ path: String) {
    for name in [ControlClient.socketName, HttpServer.socketName] { unlink(path + "/" + name) }
  }

  /// Clears away what daemons left that were killed.
  private static func removeStale(in parent: String) {
    guard let directory = opendir(parent) else { return }
    defer { closedir(directory) }
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard name.hasPrefix("mount-"), let process = pid_t(name.dropFirst(6)), hasEnded(process) else { continue }
      empty(parent + "/" + name)
      rmdir(parent + "/" + name)
    }
  }

  /// Whether a process is gone, or dead and not yet missed by whoever started it.
  private static func hasEnded(_ process: pid_t) -> Bool {
    if kill(process, 0) == -1 && errno == ESRCH { return true }
    guard let line = firstLine(of: "/proc/\(process)/stat"), let end = line.lastIndex(of: ")") else { return false }
    return line[end...].dropFirst(2).first == "Z"
  }
}
