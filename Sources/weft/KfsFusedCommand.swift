import CommandKit
import KfsCommands
import KfsService
import Platform

/// kfs_fused: the daemon that kfs starts. People call it as `kfs -f`, so it is in no table and has no page.
enum KfsFusedCommand: Command {
  static let name = KfsCommandTable.daemon
  static let synopsis = "[options] IMAGE DIRECTORY"
  static let about = "The daemon that serves what kfs has mounted."
  static let options = [
    Option("o", "options", "LIST", "mount options, with commas between"),
    Option(nil, "ready", "FD", "write there, once, whether the mount is up"),
  ]
  static let examples: [String] = []

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 2 else { throw UsageError("name an image or a device, and a directory") }
    let list = try KfsMountOptions(arguments.all("options"))
    var options = KfsOptions(device: arguments.operands[0], mountPoint: arguments.operands[1])
    options.offset = list.offset
    options.cacheSize = list.cacheSize
    options.skipsRecovery = list.skipsRecovery
    options.allowsPrograms = list.allowsPrograms
    options.allowsOthers = list.allowsOthers
    guard let ready = try arguments.number("ready", in: 3...1023) else {
      options.isForeground = true
      try KfsDaemon.run(options) { printError("kfs: \($0)") }
      return 0
    }
    let answer = DaemonAnswer(FileDescriptor(owning: Int32(ready)))
    do { try KfsDaemon.run(options) { try answer.give("mounted\n" + $0) } } catch {
      try? answer.give("\(error)")
      return 1
    }
    return 0
  }
}
