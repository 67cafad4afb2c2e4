import ControlChannel
import Glibc
import Platform

/// A daemon's folder with its sockets, for its user alone, and its record beside it. Both are gone with the process; of
/// one that was killed the next daemon clears them away.
package final class RunFolder: Sendable {
  package let path: String
  /// Locked as long as this process lives.
  private let record: FileDescriptor

  /// Makes them, and clears away what others left.
  /// - Parameters:
  ///   - service: the kind of daemon.
  ///   - mounts: all that there are, of this kind.
  package init(of service: ServiceName, mounts: [Mount]) throws(SentenceError) {
    let directory = try RunDirectory.own(service)
    RunFolder.removeStale(in: directory, of: service, mounts)
    do throws(Errno) {
      let made = try RunFolder.make(in: directory)
      path = made.path
      record = FileDescriptor(owning: made.record)
    } catch {
      throw SentenceError("\(directory), for the daemon's control socket, cannot be used: \(error)")
    }
  }

  /// The record first: a folder that has none may be cleared away.
  private static func make(in directory: String) throws(Errno) -> (path: String, record: Int32) {
    for attempt in 0..<1000 {
      // A process of another name space may have the same number, or one that was killed had it.
      let path = directory + "/\(RunDirectory.folderPrefix)\(getpid())" + (attempt == 0 ? "" : ".\(attempt)")
      do throws(Errno) {
        let options: OpenOptions = [.readWrite, .create, .exclusive]
        let record = try FileDescriptor(opening: path + MountRecord.suffix, options, mode: 0o644)
        try retrying { fchmod(record.rawValue, 0o644) }
        try record.lock(byte: 0, exclusive: true)
        // Between the two another daemon can have taken it for one that was left behind, and removed it.
        if try !hasName(record) { continue }
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
  package func write(_ mount: MountRecord) throws(SentenceError) {
    do throws(Errno) { try record.write(mount.text) } catch {
      throw SentenceError("\(path)\(MountRecord.suffix) cannot be written: \(error)")
    }
  }

  package func remove() {
    unlink(path + MountRecord.suffix)
    RunFolder.clear(path)
  }

  private static func clear(_ path: String) {
    for name in [RunDirectory.controlSocket, HttpServer.socketName] { unlink(path + "/" + name) }
    rmdir(path)
  }

  /// Clears away what daemons left that were killed. The record of a mount that is still there stays: it tells that the
  /// mount's daemon is gone.
  private static func removeStale(in directory: String, of service: ServiceName, _ mounts: [Mount]) {
    for name in directoryNames(directory) where name.hasPrefix(RunDirectory.folderPrefix) {
      let path = directory + "/" + name
      if name.hasSuffix(MountRecord.suffix) {
        // Who holds the lock may remove it. A daemon that is just beginning sees that its record is gone.
        guard let file = try? FileDescriptor(opening: path, [.readWrite, .noFollow, .nonBlocking]),
          (try? file.lock(byte: 0, exclusive: true)) != nil,
          // Else another daemon has cleared it away, and the name may be a new record's.
          (try? hasName(file)) == true
        else { continue }
        clear(String(path.dropLast(MountRecord.suffix.count)))
        let bytes = (try? readSmallFile(path, limit: MountRecord.limit)) ?? []
        let record = MountRecord(text: String(decoding: bytes, as: UTF8.self), of: service)
        if !mounts.contains(where: { record?.names($0) == true }) { unlink(path) }
      } else if !fileExists(path + MountRecord.suffix),
        let process = pid_t(name.dropFirst(RunDirectory.folderPrefix.utf8.count).prefix { $0 != "." }),
        hasEnded(process)
      {
        clear(path)  // of a version that left no record
      }
    }
  }

  private static func hasName(_ file: borrowing FileDescriptor) throws(Errno) -> Bool {
    var status = stat()
    try retrying { fstat(file.rawValue, &status) }
    return status.st_nlink > 0
  }

  private static func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Whether a process is gone, or dead and not yet missed by its parent.
  private static func hasEnded(_ process: pid_t) -> Bool {
    if kill(process, 0) == -1 && errno == ESRCH { return true }
    return processState(process) == "Z"
  }
}
