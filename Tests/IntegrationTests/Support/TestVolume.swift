import Foundation
import Platform
import Testing

/// Two machines, as famfs tells them apart.
enum Host: String, CaseIterable {
  case master = "aaaaaaaa-0000-4000-8000-000000000001"
  case client = "bbbbbbbb-0000-4000-8000-000000000002"

  var environment: [String: String] { ["FAMFS_SYSTEM_UUID": rawValue] }
}

/// A device in shared memory, and where its two hosts mount it.
final class TestVolume {
  let room: Room
  let device: String
  let master: String
  let client: String

  init(in room: Room, device: String? = nil) {
    self.room = room
    self.device = device ?? room.at("device")
    master = room.directory("master")
    client = room.directory("client")
  }

  func mountPoint(of host: Host) -> String { host == .master ? master : client }

  /// Both mount points.
  var mounts: [String] { [master, client] }

  /// Runs a famfs command as a host.
  @discardableResult
  func famfs(_ words: String..., as host: Host = .master) throws -> Outcome {
    try run(["famfs"] + words, environment: host.environment)
  }

  func make(size: String = "64m", _ options: [String] = []) throws {
    try succeed(run(["mkfs.famfs", "--size", size] + options + [device], environment: Host.master.environment))
  }

  func mount(_ host: Host = .master, _ options: [String] = []) throws {
    try succeed(
      run(["famfs", "mount"] + options + [device, mountPoint(of: host)], environment: host.environment))
  }

  /// Unmounts cleanly. A program that another test starts at this moment has copies of this process's files until it
  /// runs, so a mount that was just used may be busy for a moment.
  func unmount(_ host: Host = .master) throws {
    var outcome = try famfs("umount", mountPoint(of: host), as: host)
    try seconds(
      until: {
        if !outcome.stderr.contains("is in use") { return true }
        outcome = try famfs("umount", mountPoint(of: host), as: host)
        return false
      })
    try succeed(outcome)
  }

  func isMounted(_ host: Host = .master) -> Bool {
    Machine.mounts(in: room.path).contains(mountPoint(of: host))
  }

  /// The process that serves a mount, by the name of its folder: `mount-PID`, or `mount-PID.N` when an earlier process
  /// of that number has left one.
  func daemon(of host: Host = .master) throws -> pid_t {
    let folder = try folder(of: host)
    let name = folder.split(separator: "-").last ?? ""
    return try #require(pid_t(name.prefix { $0 != "." }), "\(folder) names no process")
  }

  /// The folder with a daemon's socket.
  func folder(of host: Host = .master) throws -> String {
    var value = [UInt8](repeating: 0, count: 4096)
    let count = try retrying { getxattr(mountPoint(of: host), "user.famfs.shadow", &value, value.count) }
    return String(decoding: value[..<count], as: UTF8.self)
  }

  /// Makes a file on the master, with famfs cp, and returns what it holds.
  @discardableResult
  func add(_ name: String, count: Int, seed: UInt64 = 1) throws -> [UInt8] {
    let bytes = contents(count, seed: seed)
    let source = try room.file("source", bytes)
    try succeed(famfs("cp", source, master + "/" + name))
    return bytes
  }

  /// The first 10 MiB: superblock and log, but for heartbeats.
  func metadata() throws -> Data { try everything().prefix(10 << 20) }

  /// Every byte, but for the mounts' heartbeats, which always change.
  func everything() throws -> Data {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: device))
    if bytes.count > 4096 { bytes.resetBytes(in: 4096..<min(4096 + 256 * 1024, bytes.count)) }
    return bytes
  }

  /// Bytes that df says are free.
  func freeBytes(_ host: Host = .master) throws -> UInt64 {
    var status = statvfs()
    try retrying { statvfs(mountPoint(of: host), &status) }
    return UInt64(status.f_bfree) * UInt64(status.f_frsize)
  }
}

/// Expects a command to end with status 0.
func succeed(_ outcome: Outcome, sourceLocation: SourceLocation = #_sourceLocation) throws {
  try #require(outcome.status == 0, "\(outcome.stderr)", sourceLocation: sourceLocation)
}

/// Expects a refusal as people want it: status 1, nothing on standard output, one line on standard error that holds
/// these words: the thing and the remedy.
func expectRefusal(
  _ outcome: Outcome, naming words: [String], status: Int32 = 1, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(outcome.status == status, "\(outcome)", sourceLocation: sourceLocation)
  #expect(outcome.stdout == "", sourceLocation: sourceLocation)
  #expect(outcome.complaints.count == 1, "\(outcome.stderr)", sourceLocation: sourceLocation)
  for word in words {
    #expect(outcome.stderr.contains(word), "'\(word)' is not in: \(outcome.stderr)", sourceLocation: sourceLocation)
  }
}

/// Expects nothing to be mounted in a room, and its daemons to be gone or going.
func expectNothingRuns(in room: Room, sourceLocation: SourceLocation = #_sourceLocation) {
  #expect(Machine.mounts(in: room.path) == [], sourceLocation: sourceLocation)
  let areGone: () -> Bool = { Machine.daemons(in: room.path).isEmpty }
  #expect(seconds(until: areGone) != nil, "a daemon is left", sourceLocation: sourceLocation)
}

/// Lends a volume that the master has mounted, and a client too if asked for. What is still mounted afterwards must
/// unmount cleanly, with its daemon gone.
func withVolume(
  size: String = "64m", _ options: [String] = [], client: Bool = false, mounting: [String] = [],
  _ body: (TestVolume) throws -> Void
) throws {
  try withRoom { room in
    let volume = TestVolume(in: room)
    try volume.make(size: size, options)
    try volume.mount(.master, mounting)
    if client { try volume.mount(.client, mounting) }
    try body(volume)
    for host in Host.allCases where volume.isMounted(host) { try volume.unmount(host) }
    expectNothingRuns(in: room)
  }
}
