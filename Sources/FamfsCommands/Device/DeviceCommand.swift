import CommandKit
import Famfs
import Memory
import Platform

/// famfs device
enum DeviceCommand: Command {
  static let name = "device"
  static let synopsis = "[options] list | mode DEVICE [devdax|famfs|system-ram]"
  static let about = """
    Show this host's dax devices and how they are used, or switch one to another mode.

    list shows each device with its mode, its size, and the famfs on it. mode shows one device's mode, or switches it:
    devdax, for famfs mount and programs that map it; famfs, for kernels that have famfs; system-ram, as memory of this
    host like any other, by which whatever the device holds is lost.

    A device that is mounted, mapped or locked is not switched, nor one whose memory is online, or that would be
    overwritten: the latter two --force does. Memory becomes online so that it can be taken offline again; where the
    kernel does that by itself, and not so, a switch to system-ram wants --force.

    With --json: devices, a list of device, path, mode (null: disabled, or of a driver that is not known), driver, bytes,
    alignment, numa_node, volume_uuid (null: no famfs, or see trouble), secondary (whether it is a further device of that
    volume), mount_points, trouble (why the contents cannot be seen, or null).
    """
  static let options = [
    Option("f", "force", nil, "take memory offline, and give up what the device holds"),
    Option("N", "no-online", nil, "leave the memory of a new system-ram device offline"),
    Option(nil, "json", nil, "print it for programs"),
  ]
  static let examples = [
    "famfs device list", "famfs device mode dax0.0 famfs", "famfs device mode --force /dev/dax0.0 devdax",
  ]

  static func run(_ arguments: Arguments) throws -> Int32 {
    let tree = DaxTree()
    var operands = arguments.operands[...]
    let isSwitching = operands.first == "mode" && operands.count == 3
    if !isSwitching, let option = ["force", "no-online"].first(where: arguments.has) {
      throw UsageError("--\(option) is for a switch to another mode; name one")
    }
    switch operands.popFirst() {
    case "list" where operands.isEmpty: list(tree, isJSON: arguments.has("json"))
    case "mode" where (1...2).contains(operands.count):
      let operand = operands.removeFirst()
      guard let device = tree.find(operand) else { throw FamfsError.other(missing(operand, in: tree)) }
      if let word = operands.popFirst() {
        try change(device, to: word, tree, arguments)
      } else if arguments.has("json") {
        JSON.object([("devices", .list([json(device, DeviceUse(of: device, in: tree), tree)]))]).print()
      } else {
        printLine(words(for: device))
      }
    default: throw UsageError("say list, or mode and a device, and behind it the mode that it is to have")
    }
    return 0
  }

  private static func change(_ device: DaxDevice, to word: String, _ tree: DaxTree, _ arguments: Arguments) throws {
    guard let mode = DaxMode(rawValue: word) else {
      throw UsageError("'\(word)' is no mode; choose devdax, famfs or system-ram")
    }
    if arguments.has("no-online") && mode != .systemRAM { throw UsageError("--no-online is for system-ram only") }
    let change = ModeSwitch(
      device: device, target: mode, force: arguments.has("force"), leavesOffline: arguments.has("no-online"))
    try change.run(LibraryDaxControl(device, in: tree), DeviceUse(of: device, in: tree))
    guard let after = tree.find(device.name) else { throw FamfsError.other(missing(device.name, in: tree)) }
    if arguments.has("json") {
      JSON.object([("devices", .list([json(after, DeviceUse(of: after, in: tree), tree)]))]).print()
    } else {
      printCourtesy("\(command): \(device.name) is in mode \(words(for: after))")
    }
  }

  private static func missing(_ operand: String, in tree: DaxTree) -> String {
    let names = tree.devices().map(\.name)
    return "\(operand) is no dax device; "
      + (names.isEmpty
        ? none(in: tree) : "famfs device list shows those that there are: \(names.joined(separator: ", "))")
  }

  /// What to say, and to do, where there are none.
  private static func none(in tree: DaxTree) -> String {
    if !tree.isKnown {
      return "this kernel knows no dax devices; load its module dax, or use a kernel with CONFIG_DEV_DAX; a plain file "
        + "will do to try famfs out (mkfs.famfs --size)"
    }
    return "this host has no dax devices; where there should be some, load their driver (modprobe dax_pmem, dax_cxl or "
      + "dax_hmem), or make one of a pmem namespace (ndctl create-namespace --mode=devdax --map=mem)"
  }

  // MARK: What is printed

  private static func list(_ tree: DaxTree, isJSON: Bool) {
    let devices = tree.devices().map { ($0, DeviceUse(of: $0, in: tree)) }
    if isJSON {
      JSON.object([("devices", .list(devices.map { json($0, $1, tree) }))]).print()
    } else if devices.isEmpty {
      printOut(none(in: tree) + "\n")
    } else {
      printOut(devices.map { text($0, $1, tree) }.joined(separator: "\n"))
    }
  }

  /// A device's mode, in words.
  static func words(for device: DaxDevice) -> String {
    device.mode?.rawValue ?? device.driver.map { "unknown (driver \($0))" } ?? "disabled"
  }

  static func text(_ device: DaxDevice, _ use: DeviceUse, _ tree: DaxTree) -> String {
    let volume: String? =
      switch use.contents {
      case .success(nil): device.mode == nil || device.mode == .systemRAM ? nil : "none"
      case .success(let superblock?): "\(superblock.uuid)" + (superblock.isSecondary ? ", a further device" : "")
      case .failure(let reason): "cannot be seen: \(oneLine("\(reason)"))"
      }
    return """
      \(tree.path(of: device.name))
        mode:        \(words(for: device))
        size:        \(device.size) bytes\(device.alignment.map { ", in pages of \($0)" } ?? "")
        NUMA node:   \(device.node.map { "\($0)" } ?? "none")

      """ + (volume.map { "  famfs:       \($0)\n" } ?? "")
        + use.mounts.map { "  mounted at:  \(oneLine($0))\n" }.joined()
  }

  static func json(_ device: DaxDevice, _ use: DeviceUse, _ tree: DaxTree) -> JSON {
    let superblock = try? use.contents.get()
    let trouble: String? = if case .failure(let reason) = use.contents { "\(reason)" } else { nil }
    return [
      "device": .text(device.name), "path": .text(tree.path(of: device.name)), "mode": JSON(device.mode?.rawValue),
      "driver": JSON(device.driver), "bytes": .number(device.size), "alignment": JSON(device.alignment),
      "numa_node": JSON(device.node), "volume_uuid": superblock.map { JSON($0.uuid) } ?? .null,
      "secondary": .bool(superblock?.isSecondary ?? false), "mount_points": .list(use.mounts.map { .text($0) }),
      "trouble": JSON(trouble),
    ]
  }
}
