import CommandKit
import Platform

/// mount.famfs: what mount(8) calls for /etc/fstab and `mount -t famfs`.
enum MountFamfsCommand: Command {
  static let name = "mount.famfs"
  static let synopsis = "DEVICE MOUNTPOINT [options]"
  static let about = """
    Mount a famfs for mount(8), which calls it for /etc/fstab and for mount -t famfs.

    Mount options are cache=never|auto|always, timeout=SECONDS, commit=SECONDS, device=PATH (where a further device of
    the volume is, if it is a plain file; may be repeated), coherent, noncoherent, publish, nouseraccess, dummy, strict, ro
    and noexec; what is for mount(8) itself or for systemd is passed over. Exit status 1 for a wrong command line, 32 when the mount failed.
    """
  static let options = [
    Option("o", "options", "LIST", "mount options, with commas between"),
    Option("s", "sloppy", nil, "pass over mount options that are not known"),
    Option("f", "fake", nil, "check the command line and mount nothing"),
    Option("n", "no-mtab", nil, "nothing: there is no mtab"),
    Option("v", "verbose", nil, "tell what was mounted"),
  ]
  static let examples = ["mount -t famfs -o cache=never /dev/shm/fam /mnt/fam"]

  private static let mountFailure: Int32 = 32

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 2 else { throw UsageError("name a device and a mount point") }
    let list = try MountOptionList(arguments.all("options"), isSloppy: arguments.has("sloppy"))
    if arguments.has("fake") { return 0 }
    do {
      let options = list.text.isEmpty ? [] : ["-o", list.text]
      let lines = try MountCommand.mount(arguments.operands[0], on: arguments.operands[1], options)
      MountCommand.tell(lines, as: command, isQuiet: !arguments.has("verbose"))
      return 0
    } catch {
      printError("\(command): \(error)")
      return mountFailure
    }
  }
}
