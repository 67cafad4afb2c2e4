import CommandKit
import Famfs
import FamfsControl
import Memory
import Platform

/// famfs fsck
enum FsckCommand: Command {
  static let name = "fsck"
  static let synopsis = "[options] DEVICE|PATH"
  static let about = """
    Check a file system: superblock, log, every entry, and how its space is used.

    By its device when it is not mounted, or by any path in it when it is. Exit status 0 when it is clean; 1 when
    something is wrong: bad log entries, a damaged superblock or log header; 2 when it could not be checked, for there
    is no such device, or no famfs on it, or one of its devices is not found on this host; 16 when the device is mounted
    and was named itself.

    Nothing is changed, unless --repair is given, on the master, for a device that is not mounted. Then what is damaged
    is put right where that is safe: where checksums prove the result, and no file is lost. Each thing that is done is
    said, and the exit status is that of a check afterwards.

    With --json: device, role (master or client), filesystem_uuid, device_uuid, system_uuid, allocation_unit,
    log_offset, log_length, entries, entry_capacity, bad_entries, files, directories, device_bytes, bitmap_bytes,
    file_bytes, allocated_bytes, free_bytes, clean, header_problem (or null), problems (of entry, path or null, problem;
    the first 1000), warnings, devices (of index, uuid, bytes, free_bytes, path or null, trouble or null, and buckets of
    offset, bytes, used, null without --nbuckets), buckets (those of the first device), and repairs (sentences; null
    without --repair).
    """
  static let options = [
    Option("v", "verbose", nil, "name every bad entry, and all that is odd but harmless"),
    Option("h", "human", nil, "sizes for people, such as 4.99G"),
    Option("f", "force", nil, "check a mounted device by its name"),
    Option("B", "nbuckets", "N", "show how so many equal parts of each device are used, 1 to 1024"),
    .device,
    Option(nil, "repair", nil, "put right what can be, without losing a file"),
    Option("n", "dry-run", nil, "with --repair: say what would be done, and change nothing"),
    Option(nil, "save", "FILE", "with --repair: cut off unreadable entries at the log's end, and keep them in FILE"),
    Option(nil, "json", nil, "print it for programs"), Option("m", "mmap", nil, nil), Option("r", "read", nil, nil),
    Option("M", "set-daxmode", nil, nil),
    Option("L", "load-module", nil, nil), Option("F", "nofuse", nil, nil), Option(nil, "fuse", nil, nil),
    Option("D", "nodax", nil, nil),
  ]
  static let examples = ["famfs fsck /dev/dax0.0", "famfs fsck -vh /mnt/fam"]

  /// Something is wrong with the volume; it could not be checked; the device is mounted.
  private static let (errors, notChecked, mounted): (Int32, Int32, Int32) = (1, 2, 16)

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1 else { throw UsageError("name one device, or one path in a mounted famfs") }
    if arguments.has("mmap") && arguments.has("read") { throw UsageError("--mmap and --read exclude each other") }
    for option in ["dry-run", "save"] where arguments.has(option) && !arguments.has("repair") {
      throw UsageError("--\(option) needs --repair")
    }
    let buckets = try arguments.number("nbuckets", in: 1...1024)
    do {
      let repairs = arguments.has("repair") ? try FsckRepairs(arguments) : nil
      guard let (device, role, find) = try find(arguments.operands[0], arguments, repairs) else { return mounted }
      let done = try repairs?.make(on: device)
      return try check(device, role, find, buckets, done, arguments)
    } catch {
      printError("\(command): \(error)")
      return (error as? FamfsError)?.isDamage == true ? errors : notChecked
    }
  }

  private static func check(
    _ device: MappedDevice, _ role: Role?, _ find: @escaping DeviceFinder, _ buckets: UInt32?, _ repairs: [String]?,
    _ arguments: Arguments
  ) throws -> Int32 {
    let verbosity = arguments.count("verbose")
    let volume = try Volume(on: device, host: try HostIdentity.knownSystemUUID(), finding: find)
    let report = volume.report()
    let usage = buckets.map { buckets in
      report.devices.map { volume.usage(ofBuckets: UInt64(buckets), device: $0.index) }
    }
    if arguments.has("json") {
      FsckReport.json(volume, report, role: role ?? volume.role, buckets: usage, repairs: repairs).print()
    } else {
      printOut(Summary.superblock(volume.superblock, role: role ?? volume.role, isVerbose: verbosity > 0))
      let isHuman = arguments.has("human")
      printOut(Summary.usage(report.usage, isHuman: isHuman))
      if report.devices.count > 1 { printOut(FsckReport.devices(report.devices, isHuman: isHuman)) }
      for (index, usage) in (usage ?? []).enumerated() {
        printOut(FsckReport.histogram(usage, device: index, isHuman: isHuman))
      }
    }
    tell(report, verbosity: verbosity)
    if !report.isClean { return errors }
    let isTold = StandardStreams.failure == nil
    return isTold && report.devices.allSatisfy { $0.path != nil } ? 0 : notChecked
  }

  /// The first device to check: of a mount the one that its daemon has open, and the role that the mount has, and where
  /// the others are. None when the device is mounted and was named itself, or is to be repaired.
  private static func find(
    _ operand: String, _ arguments: Arguments, _ repairs: FsckRepairs?
  ) throws -> (MappedDevice, Role?, DeviceFinder)? {
    let around = MountedVolume.around(operand)
    let isForced = arguments.has("force") && repairs == nil
    if repairs == nil, let mount = around {
      let client = try ControlClient(to: mount)
      let devices = try client.devices(writable: false)
      return (try devices[0], try client.status().isMaster ? .master : .client, devices.find)
    }
    if !isForced, let mount = around ?? MountedVolume.of(device: operand).first {
      let remedy = repairs == nil ? "name that path, or use --force" : "unmount it before it is repaired"
      printError("\(command): \(operand) is mounted at \(mount.mountPoint); \(remedy)")
      return nil
    }
    let search = DeviceSearch(named: arguments.all("device"))
    return (try repairs?.open(operand) ?? MountLock.shared(operand, writable: false), nil, search.find)
  }

  private static func tell(_ report: VolumeReport, verbosity: Int) {
    if verbosity > 0 {
      for problem in report.problems { printError("\(command): \(problem)") }
      let rest = report.usage.problemCount - UInt64(report.problems.count)
      if rest > 0 { printError("\(command): and \(rest) more bad entries") }
    } else if let first = report.problems.first {
      printError("\(command): \(first)\(report.usage.problemCount > 1 ? "; --verbose names all" : "")")
    }
    if let problem = report.headerProblem { printError("\(command): \(problem)") }
    let shown = verbosity > 0 ? report.warnings.count : min(1, report.warnings.count)
    for warning in report.warnings[..<shown] { printError("\(command): warning: \(warning)") }
    if shown < report.warnings.count {
      printError("\(command): and \(report.warnings.count - shown) more warnings; --verbose shows all")
    }
  }
}

extension FamfsError {
  /// Whether it says that there is a famfs, and something wrong with it.
  fileprivate var isDamage: Bool {
    switch self {
    case .superblock(_, .badChecksum), .superblock(_, .badLog), .logHeader, .tooSmall: true
    default: false
    }
  }
}
