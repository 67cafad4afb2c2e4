import ControlChannel
import Fuse
import Glibc
import Platform
import Synchronization

/// The mount that a daemon serves, from mount(2) until nothing is left of it.
package final class DaemonMount: Sendable {
  private let place: String
  private let log: DaemonLog
  private let mount = Mutex<Mount?>(nil)
  private let hasEnded = Monitor(false)

  /// Nothing is mounted yet.
  /// - Parameter place: the mount point.
  package init(at place: String, _ log: DaemonLog) { (self.place, self.log) = (place, log) }

  /// Mounts.
  /// - Throws: a sentence; then nothing is mounted.
  package func begin(_ options: MountOptions) throws -> (transport: DevFuse, mount: Mount) {
    let transport = try Mounting.mount(on: place, options)
    guard let mount = Mount.top(at: place) else {
      throw SentenceError("\(place) was unmounted at once; is something else unmounting it?")
    }
    self.mount.withLock { $0 = mount }
    return (transport, mount)
  }

  /// Runs a session in a thread of its own; `waitForEnd` returns when it is over.
  package func serve(inThread name: String, _ session: @escaping @Sendable () throws -> Void) throws {
    let (log, hasEnded) = (log, hasEnded)
    try Thread.detached(named: name) {
      do { try session() } catch { log.error("the session ended: \(error)") }
      hasEnded.change { $0 = true }
    }
  }

  /// Whether it was mounted, and the kernel has unmounted it. If it was cut off, it is still there.
  package var isUnmounted: Bool { mount.withLock { $0 }.map { !isThere($0) } ?? false }

  /// Unmounts, once the last file is closed, unless that has happened: then the place may be another's by now. Does not wait.
  package func unmount() {
    guard let mount = mount.withLock({ $0 }), isThere(mount) else { return }
    do { try Mounting.unmount(place, lazily: true) } catch { log.error("\(error)") }
  }

  /// Waits until the session is over.
  package func waitForEnd() { hasEnded.wait { $0 ? () : nil } }

  private func isThere(_ mount: Mount) -> Bool { Mount.top(at: place)?.device ?? (0, 0) == mount.device }
}
