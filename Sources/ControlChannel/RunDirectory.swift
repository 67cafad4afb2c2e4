import Glibc
import Platform

/// The directories in which a user's daemons have their sockets and records.
package enum RunDirectory {
  /// What the control socket in a daemon's folder is called.
  package static let controlSocket = "control"
  /// What the names of all those folders begin with; the number of the process follows, and `.N` when
  /// that name was taken.
  package static let folderPrefix = "mount-"

  /// Whether this user believes what a user's daemons say: root's and the own ones.
  package static func isBelieved(_ user: UInt32) -> Bool { user == 0 || user == ownUserID() }

  /// Where they may be, the best first.
  package static func candidates(of user: UInt32, _ service: ServiceName) -> [String] {
    if user == 0 { return ["/run/\(service.text)"] }
    var bases = ["/run/user/\(user)", "/tmp"]
    if let own = environment("XDG_RUNTIME_DIR"), own.hasPrefix("/"), !bases.contains(own) { bases.insert(own, at: 0) }
    return bases.map { $0 + "/\(service.text)-\(user)" }
  }

  /// Whether a directory is a user's own, and no other user may write to it.
  package static func belongs(_ path: String, to user: UInt32) -> Bool {
    let options: OpenOptions = [.readOnly, .directory, .noFollow]
    guard let directory = try? FileDescriptor(opening: path, options), let status = try? directory.status() else {
      return false
    }
    return status.userID == user && status.permissions & 0o022 == 0
  }

  /// Makes this user's, if there is none yet.
  /// - Throws: a sentence, when no place is safe.
  package static func own(_ service: ServiceName) throws(SentenceError) -> String {
    let user = ownUserID()
    let places = candidates(of: user, service)
    for place in places {
      // Another user could have made it, or a link in its place: look before anything in it is touched.
      let isNew = mkdir(place, 0o755) == 0
      let isThere = isNew || errno == EEXIST
      // Whatever this process masks: other users' programs read the records of root's daemons.
      if isNew { chmod(place, 0o755) }
      if isThere && belongs(place, to: user) && access(place, W_OK | X_OK) == 0 { return place }
    }
    let last = places.last ?? ""
    var owner = "cannot be made or written"
    var status = stat()
    if lstat(last, &status) == 0 && status.st_uid != user { owner = "belongs to user \(status.st_uid)" }
    let remedy =
      user == 0
      ? "it must be a directory that only root writes to"
      : "set XDG_RUNTIME_DIR to a directory of yours that no other user writes to"
    throw SentenceError("\(last), for the daemon's socket, \(owner); \(remedy)")
  }
}
