import CommandKit
import Famfs
import Glibc
import Memory
import Platform
import Synchronization
import Testing

@testable import FamfsCommands

/// A made-up sysfs, and files in place of devices.
private final class MadeUpTree {
  let folder: String
  var tree: DaxTree { DaxTree(sysfs: folder + "/sys", dev: folder + "/dev") }
  static let drivers = ["device_dax", "kmem", "fsdev_dax", "other"]

  init() throws {
    var template = Array("/tmp/weft-dax-XXXXXX".utf8CString)
    let made = try #require(mkdtemp(&template))
    // A driver is told by the real path of a link.
    folder = try realPath(String(cString: made))
    for name in ["sys", "sys/bus", "sys/bus/dax", "sys/bus/dax/devices", "sys/bus/dax/drivers", "dev"] {
      mkdir("\(folder)/\(name)", 0o755)
    }
    for driver in MadeUpTree.drivers { mkdir("\(folder)/sys/bus/dax/drivers/\(driver)", 0o755) }
  }

  deinit { if let child = try? Spawn.start("rm", ["rm", "-rf", folder]) { _ = try? Spawn.wait(for: child) } }

  func write(_ text: String, to path: String) throws {
    try FileDescriptor(opening: path, [.writeOnly, .create]).write(text)
  }

  func add(_ name: String, size: String, align: String? = "2097152", node: String? = "-1", driver: String?) throws {
    let place = tree.folder(of: name)
    mkdir(place, 0o755)
    try write(size + "\n", to: place + "/size")
    if let align { try write(align + "\n", to: place + "/align") }
    if let node { try write(node + "\n", to: place + "/numa_node") }
    if let driver { bind(name, to: driver) }
  }

  func bind(_ name: String, to driver: String?) {
    let link = tree.folder(of: name) + "/driver"
    unlink(link)
    if let driver { symlink("../../drivers/\(driver)", link) }
  }

  /// A famfs where a device's character device would be.
  func makeVolume(_ name: String, secondary: Bool = false) throws -> Superblock {
    for path in [tree.path(of: name), tree.path(of: name) + ".other"] {
      try FileDescriptor(opening: path, [.readWrite, .create]).truncate(to: 64 << 20)
    }
    let device = try MappedDevice(path: tree.path(of: name), writable: true)
    let other = try MappedDevice(path: tree.path(of: name) + ".other", writable: true)
    return secondary
      ? try Volume.make(on: other, [device], host: .random()) : try Volume.make(on: device, host: .random())
  }
}

/// A kernel that does as it is told, or fails where it is told to, and writes down what was asked of it.
private final class MadeUpControl: DaxControl {
  let tree: MadeUpTree
  let name = "dax0.0"
  let calls = Mutex<[String]>([])
  let online: Atomic<Int>
  var modes: [DaxMode] = DaxMode.allCases
  var failing: [String: Errno] = [:]
  var isStuck = false
  var isEager = false

  init(_ tree: MadeUpTree, online: Int = 0) {
    self.tree = tree
    self.online = Atomic(online)
  }

  private func note(_ call: String) throws(Errno) {
    calls.withLock { $0.append(call) }
    if let error = failing[call] { throw error }
  }

  func has(_ mode: DaxMode) -> Bool { modes.contains(mode) }
  func onlinesItself() -> Bool { isEager }
  func onlineBlocks() throws(Errno) -> Int { online.load(ordering: .relaxed) }

  func setOnline(_ isOnline: Bool) throws(Errno) {
    try note(isOnline ? "online" : "offline")
    if !isStuck { online.store(isOnline ? 4 : 0, ordering: .relaxed) }
  }

  func disable() throws(Errno) {
    try note("disable")
    tree.bind(name, to: nil)
  }

  func enable(_ mode: DaxMode) throws(Errno) {
    try note("enable \(mode.rawValue)")
    tree.bind(name, to: mode.driver)
  }
}

@Suite("famfs device", .timeLimit(.minutes(15))) struct DeviceTests {
  private let made: MadeUpTree
  private var tree: DaxTree { made.tree }

  init() throws { made = try MadeUpTree() }

  // MARK: list

  @Test("each device is listed with what sysfs says of it; seeds and strangers are not")
  func list() throws {
    try made.add("dax10.0", size: "1073741824", node: "1", driver: "kmem")
    try made.add("dax0.0", size: "67108864", driver: "device_dax")
    try made.add("dax0.1", size: "0", driver: nil)
    try made.add("dax1.0", size: "4194304", align: "4096", node: "0", driver: "fsdev_dax")
    try made.add("dax2.0", size: "4194304", align: nil, node: nil, driver: nil)
    try made.add("dax3.0", size: "4194304", driver: "other")
    try made.add("dax4.0", size: "many", driver: nil)
    try made.add("dax5.0", size: "-5", align: "x", driver: nil)
    try made.add("stranger", size: "4194304", driver: nil)
    let devices = tree.devices()
    #expect(devices.map(\.name) == ["dax0.0", "dax1.0", "dax2.0", "dax3.0", "dax10.0"])
    #expect(devices.map(\.mode) == [.devdax, .famfs, nil, nil, .systemRAM])
    #expect(devices.map(\.driver) == ["device_dax", "fsdev_dax", nil, "other", "kmem"])
    #expect(devices.map(\.size) == [67_108_864, 4_194_304, 4_194_304, 4_194_304, 1_073_741_824])
    #expect(devices.map(\.alignment) == [2_097_152, 4096, nil, 2_097_152, 2_097_152])
    #expect(devices.map(\.node) == [nil, 0, nil, nil, 1])
    #expect(
      devices.map(DeviceCommand.words) == ["devdax", "famfs", "disabled", "unknown (driver other)", "system-ram"])
    #expect(tree.find("dax0.0") == devices[0])
    #expect(tree.find(tree.dev + "/dax0.0") == devices[0])
    for name in ["", "dax", "dax9.9", "../devices/dax0.0", "dax0.0/", "/dev/../dax0.0"] {
      #expect(tree.find(name) == nil)
    }
    #expect(DaxTree(sysfs: made.folder + "/nothing").devices().isEmpty)
  }

  @Test("a famfs on a device is named, and so is a further device of one; what cannot be seen is told")
  func contents() throws {
    for name in ["dax0.0", "dax1.0", "dax2.0", "dax3.0"] { try made.add(name, size: "67108864", driver: "device_dax") }
    let first = try made.makeVolume("dax0.0")
    let second = try made.makeVolume("dax1.0", secondary: true)
    try FileDescriptor(opening: tree.path(of: "dax2.0"), [.readWrite, .create]).truncate(to: 4 << 20)
    let shown = tree.devices().map { ($0, DeviceUse(of: $0, in: tree)) }
    #expect(shown.map(\.1.volume) == [first.uuid, second.uuid, nil, nil])
    let texts = shown.map { DeviceCommand.text($0, $1, tree) }
    #expect(
      texts[0] == """
        \(tree.dev)/dax0.0
          mode:        devdax
          size:        67108864 bytes, in pages of 2097152
          NUMA node:   none
          famfs:       \(first.uuid)

        """)
    #expect(texts[1].contains("famfs:       \(second.uuid), a further device\n"))
    #expect(texts[2].contains("famfs:       none\n"))
    #expect(texts[3].contains("cannot be seen: \(tree.dev)/dax3.0: no such device"))
    let json = shown.map { DeviceCommand.json($0, $1, tree).line }
    #expect(json[0].contains("\"volume_uuid\":\"\(first.uuid)\""))
    #expect(json[3].contains("no such device"))
  }

  @Test("who has a device mapped is found")
  func mapped() throws {
    let path = tree.path(of: "dax0.0")
    try FileDescriptor(opening: path, [.readWrite, .create]).truncate(to: 4 << 20)
    #expect(DeviceUse.process(mapping: path) == nil)
    let device = try MappedDevice(path: path, writable: false)
    withExtendedLifetime(device) { #expect(DeviceUse.process(mapping: path) == Int(getpid())) }
  }

  @Test("a device that a file system of the kernel has mounted is in use")
  func mountedByTheKernel() throws {
    try made.add("dax0.0", size: "67108864", driver: "fsdev_dax")
    let device = try #require(tree.find("dax0.0"))
    #expect(DeviceUse(of: device, in: tree).user == nil)
    let place = made.folder + "/mnt"
    mkdir(place, 0o755)
    // The kernel's famfs names the device as its source, as this tmpfs does.
    guard mount(tree.path(of: "dax0.0"), place, "tmpfs", 0, nil) == 0 else { try Test.cancel("nothing can be mounted") }
    defer { umount2(place, 2) }
    #expect(DeviceUse(of: device, in: tree).user == "it is mounted at \(place)")
  }

  // MARK: mode

  private func switching(
    from driver: String?, to target: DaxMode, _ control: MadeUpControl,
    _ use: DeviceUse = DeviceUse(contents: .success(nil)),
    force: Bool = false, leavesOffline: Bool = false
  ) throws -> (mode: DaxMode?, calls: [String], refusal: String?) {
    if tree.find("dax0.0") == nil { try made.add("dax0.0", size: "67108864", driver: nil) }
    made.bind("dax0.0", to: driver)
    let device = try #require(tree.find("dax0.0"))
    var refusal: String?
    do {
      try ModeSwitch(device: device, target: target, force: force, leavesOffline: leavesOffline).run(control, use)
    } catch {
      refusal = "\(error)"
    }
    return (tree.find("dax0.0")?.mode, control.calls.withLock { $0 }, refusal)
  }

  @Test("every mode becomes every other, by way of none", arguments: DaxMode.allCases, DaxMode.allCases)
  func each(from: DaxMode, to: DaxMode) throws {
    let result = try switching(from: from.driver, to: to, MadeUpControl(made))
    #expect(result.refusal == nil)
    #expect(result.mode == to)
    let online = to == .systemRAM ? ["online"] : []
    #expect(result.calls == (from == to ? [] : ["disable", "enable \(to.rawValue)"] + online))
    #expect(try switching(from: nil, to: to, MadeUpControl(made)).mode == to)
  }

  @Test("--no-online leaves memory offline")
  func offline() throws {
    let result = try switching(from: "device_dax", to: .systemRAM, MadeUpControl(made), leavesOffline: true)
    #expect(result.calls == ["disable", "enable system-ram"] && result.mode == .systemRAM)
  }

  @Test("memory that is online stays, unless forced; what cannot go offline keeps its mode")
  func online() throws {
    let refused = try switching(from: "kmem", to: .devdax, MadeUpControl(made, online: 4))
    #expect(refused.refusal?.contains("4 memory blocks of dax0.0 are online") == true)
    #expect(refused.calls.isEmpty && refused.mode == .systemRAM)
    let forced = try switching(from: "kmem", to: .devdax, MadeUpControl(made, online: 4), force: true)
    #expect(forced.calls == ["offline", "disable", "enable devdax"] && forced.refusal == nil)
    let stuck = MadeUpControl(made, online: 4)
    stuck.isStuck = true
    let kept = try switching(from: "kmem", to: .famfs, stuck, force: true)
    #expect(kept.calls == ["offline"] && kept.mode == .systemRAM && kept.refusal?.contains("in use") == true)
    let failing = MadeUpControl(made, online: 4)
    failing.failing = ["offline": .busy]
    #expect(try switching(from: "kmem", to: .famfs, failing, force: true).mode == .systemRAM)
  }

  @Test("what is in use is not switched, not even by force", arguments: [DaxMode.famfs, .systemRAM])
  func inUse(target: DaxMode) throws {
    let use = DeviceUse(contents: .success(nil), mounts: ["/mnt"], user: "it is mounted at /mnt")
    let result = try switching(from: "device_dax", to: target, MadeUpControl(made), use, force: true)
    #expect(result.calls.isEmpty && result.refusal?.contains("/mnt") == true && result.mode == .devdax)
  }

  @Test("a famfs is not made memory, nor what may be one, nor where memory could not be taken back; by force all is")
  func overwriting() throws {
    try made.add("dax0.0", size: "67108864", driver: nil)
    let superblock = try made.makeVolume("dax0.0")
    let eager = MadeUpControl(made)
    eager.isEager = true
    for (use, control, word) in [
      (DeviceUse(contents: .success(superblock)), MadeUpControl(made), "\(superblock.uuid)"),
      (DeviceUse(contents: .failure(.init(description: "poison"))), MadeUpControl(made), "poison"),
      (DeviceUse(contents: .success(nil)), eager, "auto_online_blocks"),
    ] {
      let refused = try switching(from: "device_dax", to: .systemRAM, control, use)
      #expect(refused.calls.isEmpty && refused.mode == .devdax)
      #expect(refused.refusal?.contains(word) == true && refused.refusal?.contains("--force") == true)
      #expect(try switching(from: "device_dax", to: .systemRAM, control, use, force: true).mode == .systemRAM)
      // Modes that leave the contents alone ask for nothing.
      #expect(try switching(from: "device_dax", to: .famfs, control, use).mode == .famfs)
    }
  }

  @Test("a mode that the kernel has no driver for is refused before the device loses its own")
  func noDriver() throws {
    let control = MadeUpControl(made)
    control.modes = [.devdax, .systemRAM]
    let result = try switching(from: "device_dax", to: .famfs, control)
    #expect(result.calls.isEmpty && result.mode == .devdax && result.refusal?.contains("fsdev_dax") == true)
    #expect(try switching(from: "other", to: .devdax, control).refusal?.contains("driver other") == true)
  }

  @Test("where the new mode cannot be had the old one comes back, or it is told that none is left")
  func rollback() throws {
    let control = MadeUpControl(made)
    control.failing = ["enable famfs": .invalidArgument]
    let back = try switching(from: "device_dax", to: .famfs, control)
    #expect(back.mode == .devdax && back.refusal?.contains("in mode devdax again") == true)
    let lost = MadeUpControl(made)
    lost.failing = ["enable famfs": .invalidArgument, "enable devdax": .busy]
    let left = try switching(from: "device_dax", to: .famfs, lost)
    #expect(left.mode == nil && left.refusal?.contains("now it is disabled") == true)
    let stubborn = MadeUpControl(made)
    stubborn.failing = ["disable": .busy]
    let kept = try switching(from: "device_dax", to: .famfs, stubborn)
    #expect(kept.mode == .devdax && kept.refusal?.contains("cannot be taken from its driver") == true)
    let idle = MadeUpControl(made)
    idle.failing = ["online": .noMemory]
    #expect(try switching(from: "device_dax", to: .systemRAM, idle).refusal?.contains("brought online") == true)
  }
}
