import Famfs
import Glibc
import Platform

/// The directories in which a user's daemons have their sockets and records.
enum RunDirectory {
  /// Where they may be, the best first.
  static func candidates(of user: UInt32) -> [String] {
    if user == 0 { return ["/run/famfs"] }
    var bases = ["/run/user/\(user)", "/tmp"]
    if let own = environment("XDG_RUNTIME_DIR"), own.hasPrefix("/"), !bases.contains(own) { bases.insert(own, at: 0) }
    return bases.map { $0 + "/famfs-\(user)" }
  }

  /// Whether a directory is a user's own, and no other user may write to it.
  static func belongs(_ path: String, to user: UInt32) -> Bool {
    let options: OpenOptions = [.readOnly, .directory, .noFollow]
    guard let directory = try? FileDescriptor(opening: path, options), let status = try? directory.status() else {
      return false
    }
    return status.userID == user && status.permissions & 0o022 == 0
  }

  /// Makes this user's, if there is none yet.
  /// - Throws: a sentence, when no place is safe.
  static func own() throws(FamfsError) -> String {
    let user = ownUserID()
    let places = candidates(of: user)
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
    throw .other("\(last), for the daemon's socket, \(owner); \(remedy)")
  }
}

/// A daemon's folder with its sockets, for its user alone, and its record beside it. Both are gone with the process; of
/// one that was killed the next daemon clears them away.
final class RunFolder: Sendable {
  /// What the names of all of them begin with; the number of the process follows.
  static let prefix = "mount-"

  let path: String
  /// Locked as long as this process lives.
  private let record: FileDescriptor

  init() throws(FamfsError) {
    let directory = try RunDirectory.own()
    RunFolder.removeStale(in: directory)
    do throws(Errno) {
      let made = try RunFolder.make(in: directory)
      path = made.path
      record = FileDescriptor(owning: made.record)
    } catch {
      throw .other("\(directory), for the daemon's control socket, cannot be used: \(error)")
    }
  }

  /// The record first: a folder that has none may be cleared away.
  private static func make(in directory: String) throws(Errno) -> (path: String, record: Int32) {
    for attempt in 0..<1000 {
      // A process of another name space may have the same number.
      let path = directory + "/\(prefix)\(getpid())" + (attempt == 0 ? "" : ".\(attempt)")
      do throws(Errno) {
        let options: OpenOptions = [.readWrite, .create, .exclusive]
        let record = try FileDescriptor(opening: path + MountRecord.suffix, options, mode: 0o644)
        try retrying { fchmod(record.rawValue, 0o644) }
        try record.lock(byte: 0, exclusive: true)
        var status = stat()
        try retrying { fstat(record.rawValue, &status) }
        // Between the two another daemon can have taken it for one that was left behind, and removed it.
        if status.st_nlink == 0 { continue }
        if mkdir(path, 0o700) == 0 { return (path, record.release()) }
        let error = Errno.current
        unlink(path + MountRecord.suffix)
        if error != .exists { throw error }
      } catch .exists {
        continue
      } catch Errno(rawValue: EAGAIN) {
        continue
      }
    }
    throw .exists
  }

  /// Says which mount this process serves, for all who look for its daemon. Before the mount answers anything.
  func write(_ mount: MountRecord) throws(FamfsError) {
    do throws(Errno) { try record.write(mount.text) } catch {
      throw .other("\(path)\(MountRecord.suffix) cannot be written: \(error)")
    }
  }

  func remove() {
    unlink(path + MountRecord.suffix)
    RunFolder.clear(path)
  }

  private static func clear(_ path: String) {
    for name in [ControlClient.socketName, HttpServer.socketName] { unlink(path + "/" + name) }
    rmdir(path)
  }

  /// Clears away what daemons left that were killed. The record of a mount that is still there stays: it tells that the
  /// mount's daemon is gone.
  private static func removeStale(in directory: String) {
    let mounts = MountedVolume.all()
    for name in directoryNames(directory) where name.hasPrefix(prefix) {
      let path = directory + "/" + name
      if name.hasSuffix(MountRecord.suffix) {
        // Who holds the lock may remove it. A daemon that is just beginning sees that its record is gone.
        guard let file = try? FileDescriptor(opening: path, [.readWrite, .noFollow, .nonBlocking]),
          (try? file.lock(byte: 0, exclusive: true)) != nil
        else { continue }
        clear(String(path.dropLast(MountRecord.suffix.count)))
        let bytes = (try? readSmallFile(path, limit: MountRecord.limit)) ?? []
        let record = MountRecord(text: String(decoding: bytes, as: UTF8.self))
        if !mounts.contains(where: { record?.names($0) == true }) { unlink(path) }
      } else if !fileExists(path + MountRecord.suffix), let process = pid_t(name.dropFirst(prefix.utf8.count)),
        hasEnded(process)
      {
        clear(path)  // of a version that left no record
      }
    }
  }

  private static func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Whether a process is gone, or dead and not yet missed by its parent.
  private static func hasEnded(_ process: pid_t) -> Bool {
    if kill(process, 0) == -1 && errno == ESRCH { return true }
    return processState(process) == "Z"
  }
}
