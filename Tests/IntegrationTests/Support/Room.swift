import Foundation
import Platform
import Testing

/// A test's own directory in shared memory. Whatever happens in it, nothing is left: no mount, no daemon, no file.
final class Room {
  let path: String

  init() throws {
    var template = Array("/dev/shm/weft-test-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw Failure("no directory in /dev/shm: \(Errno.current)") }
    guard let real = realpath(made, nil) else { throw Failure("/dev/shm: \(Errno.current)") }
    defer { free(real) }
    path = String(cString: real)
    chmod(path, 0o755)
  }

  /// A path in it.
  func at(_ name: String) -> String { path + "/" + name }

  /// A path of a new directory in it.
  func directory(_ name: String) -> String {
    mkdir(at(name), 0o755)
    return at(name)
  }

  /// Writes a file.
  @discardableResult
  func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    try write(bytes, to: at(name))
    return at(name)
  }

  /// Makes a symbolic link.
  func link(_ name: String, to target: String) throws -> String {
    let path = at(name)
    try retrying { symlink(target, path) }
    return path
  }

  /// Mounts a tmpfs on a new directory, and gives its path; cancels the test where the kernel does not know the options.
  func tmpfs(_ name: String, _ options: String) throws -> String {
    let place = directory(name)
    let outcome = try run(["mount", "-t", "tmpfs", "-o", options, "none", place])
    if outcome.status != 0 { try Test.cancel("this kernel mounts no tmpfs with \(options): \(outcome.stderr)") }
    return place
  }

  /// Ends what famfs mounts there are in it.
  func unmount() {
    let daemons = Machine.daemons(in: path)
    for mount in Machine.mounts(in: path, type: "fuse.famfs").reversed() { umount2(mount, 2) }  // MNT_DETACH
    let areGone: () -> Bool = { !daemons.contains { Machine.isRunning($0) } }
    if seconds(until: areGone) == nil {
      for daemon in daemons where Machine.isRunning(daemon) { kill(daemon, SIGKILL) }
      seconds(until: areGone)
    }
  }

  func clear() {
    unmount()
    for mount in Machine.mounts(in: path).reversed() { umount2(mount, 2) }
    try? FileManager.default.removeItem(atPath: path)
  }
}

/// Lends a room.
func withRoom(_ body: (Room) throws -> Void) throws {
  let room = try Room()
  defer { room.clear() }
  try body(room)
}

/// Replaces a file's contents.
func write(_ bytes: [UInt8], to path: String) throws {
  let file = try FileDescriptor(opening: path, [.writeOnly, .create], mode: 0o644)
  try file.truncate(to: 0)
  try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(all: bytes) }
}

/// What a system call fails with; nil when it succeeds.
func failure(_ call: () -> some FixedWidthInteger & SignedInteger) -> Errno? {
  do throws(Errno) { try retrying(call) } catch { return error }
  return nil
}
