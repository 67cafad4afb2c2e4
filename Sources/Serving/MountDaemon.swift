import Glibc
import Platform

/// A daemon that mounts one file system and serves it until it is unmounted.
package protocol MountDaemon: Sendable {
  /// Mounts and begins to serve.
  /// - Returns: once the mount answers, what its user should know.
  /// - Throws: a sentence; then nothing is mounted.
  func start() throws -> String
  /// Unmounts, once the last file is closed. Does not wait.
  func stop()
  /// Returns after the unmount.
  func waitForEnd()
  /// Tells its log, and others that want to know.
  func tell(_ news: MountNews)
}

/// What becomes of a daemon's mount.
package enum MountNews: Sendable {
  /// It answers.
  case isMounted
  /// A signal asked to unmount it.
  case isAskedToStop
}

extension MountDaemon {
  /// Mounts and serves until the unmount; SIGINT, SIGTERM and SIGHUP ask for that.
  /// - Parameters:
  ///   - name: what threads are named after.
  ///   - ready: called once the mount answers, with what `start` returns. When it throws, because no process waits for the
  ///     mount any more, it is unmounted.
  ///   - make: makes the daemon. Signals wait from before that, in threads that it starts, too.
  /// - Throws: a sentence, when nothing was mounted.
  package static func serve(named name: String, ready: (String) throws -> Void, _ make: () throws -> Self) throws {
    let signals = StopSignals()
    signal(SIGPIPE, SIG_IGN)
    let daemon = try make()
    let line = try daemon.start()
    do {
      try ready(line)
    } catch {
      daemon.stop()
      throw error
    }
    daemon.tell(.isMounted)
    try Thread.detached(named: "\(name)-signals") {
      while true {
        guard signals.wait() != SIGUSR1 else { continue }
        daemon.tell(.isAskedToStop)
        daemon.stop()
      }
    }
    daemon.waitForEnd()
  }
}
