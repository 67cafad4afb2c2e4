import CommandKit
import Famfs
import FamfsControl
import Memory
import Platform

/// famfs logplay
enum LogplayCommand: Command {
  static let name = "logplay"
  static let synopsis = "[options] PATH|DEVICE\n       famfs logplay --shadow DIR --daxdev DEVICE [options]"
  static let about = """
    Make a mount look at the log now, and tell what came of it.

    Mounts follow the log by themselves, so nobody has to run this. Given a device that is not mounted, its log is
    played into memory and counted; or, with --shadow, into a plain folder, as one small YAML file for each file. A path
    in a mounted famfs may stand in place of --daxdev.

    With --json: path, entries, new_files, new_directories, bad_entries.
    """
  static let options = [
    Option("n", "dryrun", nil, "count only"),
    Option("v", "verbose", nil, "name every bad entry"),
    Option(
      "S", "shadow", "DIR", "play into DIR, a folder that has a folder 'root' in it, or is called so",
      leadsCluster: true),
    Option("d", "daxdev", "DEVICE", "with --shadow: the device, which is not mounted"),
    Option("s", "shadowtest", nil, "with --shadow: read every file again and compare"),
    Option(nil, "json", nil, "print the counts for programs"),
    Option("c", "client", nil, nil), Option("m", "mmap", nil, nil), Option("r", "read", nil, nil),
  ]
  static let examples = ["famfs logplay /mnt/fam", "famfs logplay --shadow /tmp/shadow --daxdev /dev/dax0.0"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    if arguments.has("mmap") && arguments.has("read") { throw UsageError("--mmap and --read exclude each other") }
    if arguments.count("shadow") > 1 { throw UsageError("--shadow can be given once") }
    if let shadow = arguments["shadow"] { return try play(into: shadow, arguments) }
    if arguments.has("daxdev") || arguments.has("shadowtest") {
      throw UsageError("--daxdev and --shadowtest need --shadow")
    }
    guard arguments.operands.count == 1 else { throw UsageError("name one path in a mounted famfs, or one device") }
    let operand = arguments.operands[0]
    if let mount = MountedVolume.around(operand) {
      let counts = try look(at: mount, isDryRun: arguments.has("dryrun"))
      tell(operand, counts, arguments)
      if counts.bad == 0 { return 0 }
      printError("\(command): \(operand) has \(counts.bad) bad log entries; famfs fsck --verbose names them")
      return 1
    }
    guard let status = try? FileStatus(path: operand), status.kind != .directory else {
      _ = try VolumePath(operand)
      return 1
    }
    let volume = try Volume(
      on: try MountLock.shared(operand, writable: false), host: try HostIdentity.knownSystemUUID())
    let report = volume.report()
    tell(operand, Counts(report.usage), arguments)
    return conclude(report, of: operand, arguments)
  }

  /// What came of it.
  fileprivate struct Counts {
    let entries: UInt64
    let files: UInt64
    let directories: UInt64
    let bad: UInt64
  }

  /// Has a mount's daemon look at the log.
  private static func look(at mount: Mount, isDryRun: Bool) throws -> Counts {
    let client = try ControlClient(to: mount)
    if isDryRun {
      let status = try client.status()
      return Counts(entries: status.entries, files: 0, directories: 0, bad: status.badEntries)
    }
    guard case .replayed(let entries, let files, let directories) = try client.ask(.replay) else {
      throw ControlClient.nonsense
    }
    return Counts(entries: entries, files: files, directories: directories, bad: try client.status().badEntries)
  }

  private static func play(into shadow: String, _ arguments: Arguments) throws -> Int32 {
    let sources = arguments.all("daxdev").suffix(1) + arguments.operands
    guard sources.count == 1 else {
      throw UsageError("--shadow goes with --daxdev DEVICE, or with one path in a mounted famfs")
    }
    var folder = try ShadowFolder(shadow, tested: arguments.has("shadowtest"))
    let volume = try Volume(on: device(sources[0]), host: try HostIdentity.knownSystemUUID())
    let report = volume.report()
    if arguments.has("dryrun") {
      tell(sources[0], Counts(report.usage), arguments)
      return conclude(report, of: sources[0], arguments)
    }
    do { try volume.forEachEntry { _, entry in try folder.add(entry) } } catch {
      try? folder.finish()
      throw error
    }
    let counts = Counts(
      entries: report.usage.entries, files: folder.files, directories: folder.directories,
      bad: report.usage.problemCount)
    try folder.finish()
    tell(sources[0], counts, arguments)
    return conclude(report, of: sources[0], arguments)
  }

  /// The device of a mount, as its daemon has it open; else the one of this name, which must not be mounted.
  private static func device(_ name: String) throws -> MappedDevice {
    switch try VolumeOperand(name, remedy: "name that path, or unmount it first") {
    case .mount(let mount): return try ControlClient(to: mount).devices(writable: false)[0]
    case .device(let path): return try MountLock.shared(path, writable: false)
    }
  }

  private static func tell(_ name: String, _ counts: Counts, _ arguments: Arguments) {
    if arguments.has("json") {
      JSON.object([
        ("path", .text(name)), ("entries", .number(counts.entries)), ("new_files", .number(counts.files)),
        ("new_directories", .number(counts.directories)), ("bad_entries", .number(counts.bad)),
      ]).print()
      return
    }
    printLine(
      "\(command): \(name): \(counts.entries) log entries; \(counts.files) new files; "
        + "\(counts.directories) new directories")
  }

  private static func conclude(_ report: VolumeReport, of name: String, _ arguments: Arguments) -> Int32 {
    if arguments.has("verbose") { for problem in report.problems { printError("\(command): \(problem)") } }
    if report.isClean { return 0 }
    printError("\(command): \(name) has bad log entries; famfs fsck --verbose names them")
    return 1
  }
}

extension LogplayCommand.Counts {
  fileprivate init(_ usage: VolumeUsage) {
    self.init(
      entries: usage.entries, files: usage.files, directories: usage.directories, bad: usage.problemCount)
  }
}
