import CommandKit
import Famfs
import FamfsControl
import Glibc
import Platform

/// famfs status
enum StatusCommand: Command {
  static let name = "status"
  static let synopsis = "[options] [PATH|DEVICE]"
  static let about = """
    Show the famfs mounts of this host, or one of them, and how each is used.

    A daemon that does not answer within 5 seconds is left alone, and its mount shown as unreachable. Views that famfs
    publish made and the kernel's EROFS has mounted are shown too, if this user may read their device.

    Exit status 0, also when a daemon is gone, which is shown; 1 when what is named is not mounted. With --json: mounts,
    a list of device, mount_point, state (serving, dead, unreachable or view) and trouble (a sentence, or null); of views
    also volume_uuid and data_path; of those that serve also role (master or client), master_uuid, volume_uuid, entries, entry_capacity, bad_entries, files,
    directories, used_bytes, free_bytes, daemon_pid, strict (see famfs mount), data_path, devices (of index, uuid, bytes, free_bytes, path or null,
    trouble or null, page_bytes: of the largest pages that it is mapped by, and page_origin: why), hosts (the mounts of the volume on all hosts: host_name, system_uuid, role, alive, since, entries,
    seconds_silent or null), coherence (coherent or noncoherent), disabled (why nothing can be added any more, or null),
    memory_errors (ranges that could not be used: device, offset, bytes, fault, count, first, contents, files, file_count)
    and memory_errors_unlisted (accesses that met others).
    """
  static let options = [Option(nil, "json", nil, "print it for programs")]
  static let examples = ["famfs status", "famfs status /mnt/fam"]

  private enum State: Sendable {
    case serving(MountStatus, [DeviceUsage], [Peer], MemoryStatus)
    case dead
    case unreachable(String)
  }

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count <= 1 else { throw UsageError("name one path or one device, or nothing") }
    let (mounts, views) = try arguments.operands.first.map(find) ?? (MountedVolume.all(), ViewMount.all())
    let looks = mounts.map { mount in (mount, try? AbandonableCall { state(of: mount) }) }
    let deadline = Clock.monotonic() + MountedVolume.patience
    let found = looks.map { ($0, $1?.wait(until: deadline) ?? .unreachable(MountedVolume.silence(of: $0))) }
    if arguments.has("json") {
      JSON.object([("mounts", .list(found.map(json) + views.map(\.json)))]).print()
    } else if found.isEmpty, views.isEmpty {
      printOut("no famfs is mounted\n")
    } else {
      printOut((found.map(text) + views.map(\.text)).joined(separator: "\n"))
    }
    return 0
  }

  private static func find(_ operand: String) throws -> ([Mount], [ViewMount]) {
    // Who touches a mount that does not answer can wait for ever.
    if let mount = MountedVolume.around(operand) { return ([mount], []) }
    let views = ViewMount.all(named: operand)
    let mounts = MountedVolume.of(device: operand)
    if !views.isEmpty || !mounts.isEmpty { return (mounts, views) }
    throw FamfsError.other("\(operand) is no mounted famfs, and in none; famfs status shows all")
  }

  private static func state(of mount: Mount) -> State {
    let client: ControlClient
    do throws(NoDaemon) { client = try ControlClient.reaching(mount) } catch {
      if case .gone = error { return .dead }
      return .unreachable(error.reason)
    }
    do {
      guard case .devices(let devices) = try client.ask(.devices) else { throw ControlClient.nonsense }
      guard case .memory(let memory) = try client.ask(.memory) else { throw ControlClient.nonsense }
      return .serving(try client.status(), devices, try client.peers(), memory)
    } catch {
      return .unreachable("\(error)")
    }
  }

  private static let remedy = "its daemon is gone; unmount it with famfs umount, then mount it again"

  private static func text(_ mount: Mount, _ state: State) -> String {
    let head = "\(oneLine(mount.source)) on \(oneLine(mount.mountPoint))\n"
    switch state {
    case .dead: return head + "  dead: \(remedy)\n"
    case .unreachable(let sentence): return head + "  unreachable: \(oneLine(sentence))\n"
    case .serving(let status, let devices, let peers, let memory):
      return head + """
          role:        \(status.role.rawValue)
          master:      \(status.masterUUID)
          volume:      \(status.volumeUUID)
          entries:     \(status.entries) of \(status.entryCapacity) used, \(status.badEntries) bad
          contents:    \(status.files) files, \(status.directories) directories
          space:       \(status.usedBytes) bytes used, \(status.freeBytes) free
          strict:      \(status.isStrict ? "yes: does no more than the public famfs" : "no")
          daemon:      process \(status.processID)
          data path:   \(status.dataPath)

        """ + pages(devices) + memory.text + (devices.count > 1 ? devices.map(text).joined() : "")
        + peers.map(text).joined()
    }
  }

  /// A line about a mount of the volume, here or elsewhere.
  private static func text(_ peer: Peer) -> String {
    let heartbeat = peer.heartbeat
    let life = peer.isAlive ? "alive" : peer.age == nil ? "not heard of yet" : "silent"
    return
      "  mounted by:  \(oneLine(heartbeat.hostName)) (\(heartbeat.host)), \(heartbeat.isMaster ? "master" : "client"), \(life), since "
      + "\(timestamp(heartbeat.since)), has followed \(heartbeat.entries) entries\n"
  }

  /// A line for all devices, when they have the same.
  private static func pages(_ devices: [DeviceUsage]) -> String {
    guard let pages = devices.first?.pages, devices.allSatisfy({ $0.pages == pages }) else { return "" }
    return "  pages:       \(pages.name) (\(oneLine(pages.origin)))\n"
  }

  private static func text(_ device: DeviceUsage) -> String {
    let place = device.trouble ?? device.path ?? ""
    let pages = device.pages.map { ", pages of \($0.name)" } ?? ""
    return "  device \(device.index):    \(device.size) bytes, \(device.free) free\(pages), \(oneLine(place))\n"
  }

  private static func json(_ mount: Mount, _ state: State) -> JSON {
    let head: [(key: String, value: JSON)] = [
      ("device", .text(mount.source)), ("mount_point", .text(mount.mountPoint)),
    ]
    switch state {
    case .dead: return .object(head + [("state", "dead"), ("trouble", .text(remedy))])
    case .unreachable(let sentence): return .object(head + [("state", "unreachable"), ("trouble", .text(sentence))])
    case .serving(let status, let devices, let peers, let memory):
      return .object(
        head + [("state", "serving"), ("trouble", .null)] + status.members(devices: devices, peers: peers)
          + memory.members)
    }
  }
}
