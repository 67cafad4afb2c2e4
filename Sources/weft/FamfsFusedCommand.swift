import CommandKit
import Famfs
import FamfsCommands
import FamfsControl
import FamfsService
import Glibc
import Platform

/// famfs_fused
enum FamfsFusedCommand: Command {
  static let name = "famfs_fused"
  static let synopsis = "[options] --daxdev DEVICE MOUNTPOINT"
  static let about = """
    The daemon that serves a mounted famfs. famfs mount starts it; run by hand it stays in the foreground.

    The device is that of --daxdev; or that of -o daxdev=DEVICE beside -o source=..., as the public famfs_fused has it;
    or that of -o source=DEVICE alone. Further mount options are those of mount.famfs.
    """
  static let options = [
    Option(nil, "daxdev", "DEVICE", "the memory device"),
    Option(nil, "commit", "SECONDS", "from a new file's last close until other hosts see it (1)"),
    .device,
    Option("o", "options", "LIST", "mount options, with commas between"),
    Option("c", "cache", CachePolicy.choices, "what the page cache keeps of contents (auto: until the next open)"),
    Option("t", "timeout", "SECONDS", "how long the kernel keeps names and attributes (for good)"),
    Option("u", "nouseraccess", nil, "do not let other users in"),
    Option("p", "nodefaultperm", nil, "let the kernel check no modes; then other users are not let in"),
    Option("D", "dummy", nil, "do not play the log"),
    Option(nil, "strict", nil, "do no more than the public famfs does"),
    Option("d", "debug", nil, "tell what happens on standard error"),
    Option(nil, "ready", "FD", "write there, once, whether the mount is up"),
    Option("V", "version", nil, "print the version"),
  ]
  static let examples: [String] = []

  static func run(_ arguments: Arguments) throws -> Int32 {
    if arguments.has("version") {
      printOut("\(name) \(Program.version) (Weft)\n")
      return 0
    }
    let ready = try arguments.number("ready", in: 3...1023).map { FileDescriptor(owning: Int32($0)) }
    guard let ready else {
      var options = try daemonOptions(arguments)
      options.isForeground = true
      try Daemon.run(options) { printError("\(name): \($0)") }
      return 0
    }
    let answer = DaemonAnswer(ready)
    do { try Daemon.run(try daemonOptions(arguments)) { try answer.give("mounted\n" + $0) } } catch {
      try? answer.give("\(error)")
      return 1
    }
    return 0
  }

  /// From options of its own and from what stands behind -o, which wins.
  private static func daemonOptions(_ arguments: Arguments) throws -> DaemonOptions {
    let list = try MountOptionList(arguments.all("options"), and: ["source", "daxdev", "shadow"])
    guard let device = arguments["daxdev"] ?? list["source"].map({ list["daxdev"] ?? $0 }) else {
      throw UsageError("name the device with --daxdev DEVICE, or a source with -o source=...")
    }
    guard arguments.operands.count == 1 else { throw UsageError("name one mount point") }
    var options = DaemonOptions(
      device: canonicalPath(device), mountPoint: canonicalPath(arguments.operands[0]))
    options.furtherDevices = (arguments.all("device") + list.devices).map(canonicalPath)
    if let text = list["cache"] ?? arguments["cache"] { options.cache = try CachePolicy(reading: text) }
    options.coherence = list.has("coherent") ? .coherent : list.has("noncoherent") ? .noncoherent : nil
    if let text = list["timeout"] ?? arguments["timeout"] { options.lifetime = try nanoseconds(text, of: "timeout") }
    if let text = list["commit"] ?? arguments["commit"] { options.commitDelay = try nanoseconds(text, of: "commit") }
    if let text = list["user_names"] { options.userLimits.names = try limit(text, of: "user_names") }
    if let text = list["user_dirs"] { options.userLimits.directories = try limit(text, of: "user_dirs") }
    if let text = list["user_bytes"] { options.userLimits.bytes = try limit(text, of: "user_bytes") }
    options.allowsOthers = !(arguments.has("nouseraccess") || list.has("nouseraccess"))
    options.checksPermissions = !arguments.has("nodefaultperm")
    options.playsLog = !(arguments.has("dummy") || list.has("dummy"))
    options.isStrict = try arguments.has("strict") || list.has("strict") || Strict.isAsked()
    options.isReadOnly = list.has("ro")
    options.publishes = list.has("publish")
    options.kernelMapModes = list.has("nofmap") ? [] : list.has("fmap") ? [.famfs, .devdax] : [.famfs]
    options.allowsPrograms = !list.has("noexec")
    options.isForeground = arguments.has("debug")
    return options
  }
}

/// Reads how much a user may hold.
private func limit(_ text: String, of option: String) throws(UsageError) -> UInt64 {
  if text == "none" { return .max }
  guard let limit = parseSize(text) else {
    throw UsageError("\(option) '\(text)' is no number; give digits, with k, m, g or t behind them, or none")
  }
  return limit
}
