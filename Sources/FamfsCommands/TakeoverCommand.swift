import CommandKit
import Famfs
import FamfsControl
import Platform

/// famfs takeover
enum TakeoverCommand: Command {
  static let name = "takeover"
  static let synopsis = "[options] PATH|DEVICE"
  static let about = """
    Make this host the volume's master, the one that may add files, when the old master is gone.

    PATH is any path in a mounted famfs, DEVICE one that is not mounted. A master that lives is not taken over, unless
    forced: mounts leave a heartbeat on the device twice a second. An old master that comes back, or that was not
    gone, is a client from then on, and what was staged on it and not committed is lost.

    An old master on this machine whose daemon is stopped cannot be taken over, also not by force, and nothing is changed:
    end the daemon first, or let it go on.
    """
  static let options = [
    Option("f", "force", nil, "take over although the old master lives"),
    Option("v", "verbose", nil, "print a line about it"),
  ]
  static let examples = ["famfs takeover /mnt/fam"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1 else { throw UsageError("name one path in a mounted famfs, or one device") }
    let (operand, force) = (arguments.operands[0], arguments.has("force"))
    switch try VolumeOperand(operand) {
    case .mount(let mount): try takeOver(ControlClient(to: mount), mount, force)
    case .device(let path):
      let volume = try Volume(on: try MountLock.exclusive(path), host: try HostIdentity.systemUUID())
      if volume.role == .client {
        if !force { try Mastership.checkGone(volume) }
        try volume.claimMastership()
      }
    }
    if arguments.has("verbose") { printOut("\(command): this host is the master of \(operand)\n") }
    return 0
  }

  private static func takeOver(_ client: borrowing ControlClient, _ mount: Mount, _ force: Bool) throws {
    try client.ask(.takeOver(force: force))
    let deadline = Clock.monotonic() + 10_000_000_000
    while try !client.status().isMaster {
      if Clock.monotonic() > deadline {
        throw FamfsError.other("\(mount.mountPoint): \(FamfsError.notMasterYet)")
      }
      Clock.sleep(nanoseconds: 50_000_000)
    }
  }
}
