import CommandKit
import Famfs
import FamfsControl
import Platform

/// famfs map
enum MapCommand: Command {
  static let name = "map"
  static let synopsis = "[options] DEVICE|PATH"
  static let about = """
    Draw what lies where on a volume's devices: superblock, log, files and free space.

    Of a device that is not mounted, or of any path in a mounted famfs; there also what programs have made and the log
    does not have yet, and space that a copy under way has taken. The largest files are named and have letters. Files
    that famfs getmap names one by one are here all together.

    With --json: volume_uuid, allocation_unit, entries, entry_capacity, files, devices (of index, uuid, bytes,
    free_bytes, path or null, trouble or null, and areas of kind, offset, length, where kind is superblock, log,
    log_free, files, staged or free) and largest_files (of path, size, layout, chunk_size, extents).
    """
  static let options = [
    Option("n", "files", "N", "name so many of the largest files, 0 to 10000; 10 without it"),
    Option("w", "width", "COLUMNS", "draw in so many columns, 30 to 1000; else those of the terminal"),
    Option(
      nil, "svg", "FILE", "draw into an SVG file, which shows files' names under the pointer; - for standard output"),
    Option(nil, "json", nil, "print it for programs"), .device,
  ]
  static let examples = ["famfs map /mnt/fam", "famfs map --svg fam.svg /dev/dax0.0"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1 else { throw UsageError("name one device, or one path in a mounted famfs") }
    if arguments.has("json") && arguments.has("svg") { throw UsageError("--json and --svg exclude each other") }
    let count = Int(try arguments.number("files", in: 0...10_000) ?? 10)
    let columns = try arguments.number("width", in: 30...1000).map { Int($0) } ?? Terminal.size.columns
    let (volume, held) = try open(arguments.operands[0], arguments)
    let devices = volume.deviceCount
    let cells =
      arguments.has("svg") ? PictureSVG.cells(devices: devices) : PictureText.cells(columns: columns, devices: devices)
    let picture = Picture(of: volume, cells: cells, files: count, free: held)
    if let file = arguments["svg"] {
      try PictureFile.write(PictureSVG(picture).text, to: file, notOver: picture.devices.compactMap(\.usage.path))
    } else if arguments.has("json") {
      json(picture).print()
    } else {
      let text = PictureText(columns: columns, isUnicode: Terminal.isUnicode, hasColours: Terminal.hasColours)
      printStyled(text.text(picture))
    }
    warn(volume, arguments.operands[0])
    return 0
  }

  /// The volume, and what of each device is free for the daemon of its mount; nothing when it is not mounted.
  private static func open(_ operand: String, _ arguments: Arguments) throws -> (Volume, [[Range<UInt64>]?]) {
    if let mount = MountedVolume.around(operand) { return try open(mount) }
    for mount in MountedVolume.of(device: operand) {
      // Whoever may read the device may see it, if not what its daemon knows besides.
      if let found = try? open(mount) { return found }
    }
    let status: FileStatus
    do throws(Errno) { status = try FileStatus(path: operand) } catch {
      throw FamfsError.other("\(operand): \(error)")
    }
    if status.kind == .directory { _ = try VolumePath(operand) }
    let device = try MountLock.shared(operand, writable: false)
    let search = DeviceSearch(named: arguments.all("device"))
    return (try Volume(on: device, host: nil, finding: search.find), [])
  }

  private static func open(_ mount: Mount) throws -> (Volume, [[Range<UInt64>]?]) {
    let client = try ControlClient(to: mount)
    let devices = try client.devices(writable: false)
    guard case .devices(let list) = try client.ask(.devices) else { throw ControlClient.nonsense }
    // Before the log is played: what is committed meanwhile is a file's then, and not staged.
    let free = try list.map { try freeRuns(of: $0.index, client) }
    return (try Volume(on: devices[0], host: nil, finding: devices.find), free)
  }

  private static func freeRuns(of device: UInt64, _ client: borrowing ControlClient) throws -> [Range<UInt64>] {
    var runs: [Range<UInt64>] = []
    while true {
      let start = runs.last?.upperBound ?? 0
      guard case .freeRuns(let more) = try client.ask(.freeRuns(device: device, from: start)),
        more.first?.lowerBound ?? start >= start
      else { throw ControlClient.nonsense }
      runs += more
      if more.count < ControlReply.mostRuns { return runs }
    }
  }

  private static func warn(_ volume: Volume, _ name: String) {
    let report = volume.report()
    if report.usage.problemCount > 0 {
      printError(
        "\(command): warning: \(name) has \(report.usage.problemCount) bad log entries, whose space looks free; "
          + "famfs fsck --verbose names them")
    }
    if let problem = report.headerProblem { printError("\(command): warning: \(problem)") }
    for device in report.devices { if let trouble = device.trouble { printError("\(command): warning: \(trouble)") } }
  }

  private static func json(_ picture: Picture) -> JSON {
    let usage = picture.volume.usage()
    return [
      "volume_uuid": JSON(picture.volume.superblock.uuid),
      "allocation_unit": .number(picture.volume.superblock.allocationUnit), "entries": .number(usage.entries),
      "entry_capacity": .number(usage.entryCapacity), "files": .number(usage.files),
      "devices": .list(
        picture.devices.map { device in
          let areas = device.areas.map { area -> JSON in
            [
              "kind": .text(area.kind.word), "offset": .number(area.range.lowerBound),
              "length": .number(area.range.upperBound - area.range.lowerBound),
            ]
          }
          return .object(device.usage.members + [("areas", .list(areas))])
        }),
      "largest_files": .list(
        picture.largest.map { file in
          .object([("path", .text(file.path)), ("size", .number(file.size))] + JSON.members(of: file.layout))
        }),
    ]
  }
}
