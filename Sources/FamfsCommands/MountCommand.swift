import CommandKit
import Famfs
import FamfsControl
import Glibc
import Platform

/// famfs mount
enum MountCommand: Command {
  static let name = "mount"
  static let synopsis = "[options] DEVICE MOUNTPOINT"
  static let about = """
    Mount a famfs, and go on following its log: files that the master adds appear by themselves.

    On the host that made the file system the mount is its master, and famfs cp, mkdir and creat work on it. On every
    other host it is a client. A daemon serves the mount until it is unmounted.

    With --remount, --cache and --timeout change for a mount that is there. With --strict, or FAMFS_STRICT=1 in the
    environment, it does no more than the public famfs does: what the master adds appears after famfs logplay, and files
    are striped over buckets of at least 1 GiB.

    -o coherent says that the hardware keeps the hosts' caches coherent, which is the default on plain files; with -o
    noncoherent, the default elsewhere, each write is in the memory before it returns, and each read comes from there.
    With -o publish the master publishes the volume for EROFS after each commit, see famfs publish.

    Users other than root may have 100000 files and directories staged, 65536 directories open, and fifteen sixteenths
    of the volume's bytes in staged files; -o user_names=N, user_dirs=N and user_bytes=SIZE set other limits.

    A kernel with the out-of-tree famfs patches of January 2026 reads, writes and maps the memory by itself where all of
    the volume's devices are in mode famfs (see famfs device). Then only famfs cp, mkdir and creat make files. -o nofmap
    disables this. No distribution's kernel has these patches.
    """
  static let options = [
    Option("c", "cache", CachePolicy.choices, "what the page cache keeps of contents (auto: until the next open)"),
    Option("t", "timeout", "SECONDS", "how long the kernel keeps names and attributes (for good)"),
    Option("u", "nouseraccess", nil, "do not let other users in"),
    Option("p", "nodefaultperm", nil, "let the kernel check no modes; then other users are not let in"),
    Option("D", "dummy", nil, "do not play the log"),
    Option(nil, "commit", "SECONDS", "from a new file's last close until other hosts see it (1); 0: at once"),
    .device,
    Option("o", "options", "LIST", "mount options, with commas between, as mount.famfs takes them"),
    Option("R", "remount", nil, "change --cache and --timeout of a mount that is there"),
    Option(nil, "strict", nil, "do no more than the public famfs does"),
    Option("d", "debug", nil, "stay in the foreground and tell what happens"),
    Option("v", "verbose", nil, "tell more"),
    Option("f", "fuse", nil, nil), Option("F", "nofuse", nil, nil), Option("S", "shadow", "PATH", nil),
    Option("r", "read", nil, nil), Option("m", "mmap", nil, nil), Option("M", "set-daxmode", nil, nil),
    Option("L", "load-module", nil, nil),
  ]
  static let examples = [
    "famfs mount /dev/dax0.0 /mnt/fam", "famfs mount -o coherent /dev/dax0.0 /mnt/fam",
    "FAMFS_SYSTEM_UUID=$(uuidgen) famfs mount /dev/shm/fam /mnt/b",
  ]

  /// The program that serves a mount: this one, by another name.
  private static let daemon = "famfs_fused"

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 2 else { throw UsageError("name a device and a mount point") }
    if arguments.has("mmap") && arguments.has("read") { throw UsageError("--mmap and --read exclude each other") }
    if arguments.has("nofuse") {
      throw UsageError("--nofuse asks for a kernel module, and there is none: this is FUSE")
    }
    var options: [String] = []
    for option in ["cache", "timeout", "commit"] {
      if let value = arguments[option] { options += ["--\(option)", value] }
    }
    let fixed = ["nouseraccess", "nodefaultperm", "dummy", "strict"]
    for option in fixed where arguments.has(option) { options.append("--\(option)") }
    let list = try MountOptionList(arguments.all("options"))
    if !list.text.isEmpty { options += ["-o", list.text] }
    for path in arguments.all("device") { options += ["--device", canonicalPath(path)] }
    let (device, mountPoint) = (arguments.operands[0], arguments.operands[1])
    if arguments.has("remount") {
      if let option = (fixed + ["debug", "options"]).first(where: arguments.has) {
        throw UsageError("--remount cannot change --\(option); unmount it, and mount it anew")
      }
      try remount(device, on: mountPoint, arguments)
      return 0
    }
    if arguments.has("debug") {
      throw Spawn.replace(by: "/proc/self/exe", [daemon, "--debug"] + words(device, mountPoint, options))
    }
    tell(try mount(device, on: mountPoint, options), as: command)
    return 0
  }

  /// Changes what can be changed of a live mount.
  private static func remount(_ device: String, on mountPoint: String, _ arguments: Arguments) throws {
    let cache = try arguments["cache"].map { try CachePolicy(reading: $0) }
    let lifetime = try arguments["timeout"].map { try nanoseconds($0, of: "timeout") }
    let path = canonicalPath(mountPoint)
    guard let mount = MountedVolume.of(device: device).last(where: { $0.mountPoint.isSamePath(as: path) }) else {
      throw FamfsError.other("\(device) is not mounted at \(mountPoint); leave --remount out to mount it")
    }
    try ControlClient(to: mount).ask(.change(cache: cache, lifetime: lifetime))
    printCourtesy("\(command): \(mountPoint) changed")
  }

  /// Starts a daemon, and waits until it has mounted.
  /// - Parameter options: of famfs_fused.
  /// - Returns: the lines that it says about the mount.
  static func mount(_ device: String, on mountPoint: String, _ options: [String]) throws -> [String] {
    let answer = try startDaemon([daemon] + words(device, mountPoint, options))
    guard let first = answer.first else {
      throw FamfsError.other("the daemon ended without a word; try famfs mount --debug")
    }
    guard first == "mounted" else { throw FamfsError.other(answer.joined(separator: " ")) }
    return Array(answer.dropFirst())
  }

  /// Prints what a daemon said; when quiet its warnings only.
  static func tell(_ lines: [String], as command: String, isQuiet: Bool = false) {
    for line in lines {
      if line.hasPrefix("warning: ") {
        printError("\(command): \(line)")
      } else if !isQuiet {
        printCourtesy("\(command): \(line)")
      }
    }
  }

  /// What famfs_fused is called with.
  private static func words(_ device: String, _ mountPoint: String, _ options: [String]) -> [String] {
    ["--daxdev", canonicalPath(device)] + options + ["--", canonicalPath(mountPoint)]
  }
}
