import ControlChannel
import Famfs
import FamfsControl
import FuseTestSupport
import Glibc
import Memory
import Platform
import Serving
import Synchronization
import Testing

@testable import FamfsService
@testable import Fuse

/// A kernel that has famfs: what it asks, and what it refuses.
private struct FamfsKernel {
  /// A map as the kernel keeps it.
  struct Map {
    var purpose: UInt8
    var size: UInt64
    /// Of an interleaved file, the only stripe's; else 0.
    var chunkSize: UInt64
    var extents: [Extent]
  }

  struct Refusal: Error, Equatable {
    let reason: String
    init(_ reason: String) { self.reason = reason }
  }

  /// Takes a reply apart as the kernel would.
  static func accept(_ bytes: [UInt8]) throws(Refusal) -> Map {
    guard bytes.count <= 32768, bytes.count >= 32 else { throw Refusal("length") }
    let raw = bytes.span.bytes
    guard raw.u16(2) == 1 else { throw Refusal("version") }
    let (type, count) = (raw.u32(4), Int(raw.u32(8)))
    guard (1...32).contains(count) else { throw Refusal("extents") }
    var map = Map(purpose: raw.u8(0), size: raw.u64(16), chunkSize: 0, extents: [])
    var place = 32
    func take(_ count: Int) throws(Refusal) {
      for _ in 0..<count {
        guard place + 24 <= bytes.count else { throw Refusal("cut short") }
        let extent = Extent(device: UInt64(raw.u32(place)), offset: raw.u64(place + 8), length: raw.u64(place + 16))
        guard extent.offset % (2 << 20) == 0, extent.length % (2 << 20) == 0, extent.length > 0 else {
          throw Refusal("alignment")
        }
        map.extents.append(extent)
        place += 24
      }
    }
    switch type {
    case 0: try take(count)
    case 1:
      guard count == 1 else { throw Refusal("this test knows one stripe") }
      guard place + 24 <= bytes.count else { throw Refusal("cut short") }
      let strips = Int(raw.u32(place))
      map.chunkSize = UInt64(raw.u32(place + 4))
      guard (1...32).contains(strips) else { throw Refusal("strips") }
      guard map.chunkSize > 0, map.chunkSize % (2 << 20) == 0 else { throw Refusal("chunk") }
      guard raw.u64(place + 8) >= map.size else { throw Refusal("stripe shorter than the file") }
      place += 24
      try take(strips)
    default: throw Refusal("type")
    }
    guard place == bytes.count else { throw Refusal("bytes behind the last extent") }
    guard map.extents.reduce(0, { $0 + $1.length }) >= map.size else { throw Refusal("shorter than the file") }
    return map
  }
}

private func request(_ opcode: Opcode, node: UInt64, _ words: [UInt32] = []) -> [UInt8] {
  let all: [UInt32] = [
    UInt32(40 + 4 * words.count), opcode.rawValue, 2, 0, UInt32(truncatingIfNeeded: node), UInt32(node >> 32), 0, 0, 0,
    0,
  ]
  return (all + words).flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
}

/// A volume of 2 MiB units in a sparse file, whose devices count as dax devices in famfs mode.
private final class MappedRig {
  let path: String
  let volume: Volume
  var paths: [String] { [path, path + ".more"] }

  init(size: UInt64 = 1 << 30, unit: UInt64 = 2 << 20) throws {
    var template = Array("/dev/shm/weft-kernelmaps-XXXXXX".utf8CString)
    let file = FileDescriptor(owning: mkstemp(&template))
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try file.truncate(to: size)
    var options = MakeOptions()
    options.allocationUnit = unit
    let device = try MappedDevice(path: path, writable: true)
    let host = UUID.random()
    try Volume.make(on: device, host: host, options)
    volume = try Volume(on: device, host: host)
  }

  deinit { for path in paths { unlink(path) } }

  func maps(
    _ mode: DaxMode? = .famfs, mayDoRawIO: Bool = true, kernel: FamfsProtocol = .pulled
  ) -> KernelMaps? {
    KernelMaps(of: volume, mayDoRawIO: mayDoRawIO, kernel: { kernel }, mode: { _ in mode })
  }

  @discardableResult
  func create(_ name: String, size: UInt64, _ striping: Striping? = nil) throws -> NodeNumber {
    let reserved = try volume.reserve(
      path: EntryPath(name), size: size, permissions: 0o644, userID: 0, groupID: 0, striping: striping)
    return try volume.commit(reserved.id)
  }

  @discardableResult
  func createEmpty(_ name: String) throws -> NodeNumber {
    let record = FileRecord(
      path: try EntryPath(name), size: 0, permissions: 0o644, userID: 0, groupID: 0, layout: FileLayout(ExtentList()))
    return try volume.commit(record, of: volume.takeSlot())
  }

  /// Asks these after an INIT that offers everything, or `flags`.
  func ask(
    _ requests: [[UInt8]], of maps: KernelMaps?, flags: [UInt32] = [0x7fff_ffff, .max]
  ) throws -> (isAgreed: Bool, settings: LiveSettings, [ReplyMessage]) {
    let settings = LiveSettings()
    let base = FamfsFileSystem(volume: volume, folder: "", settings: settings, kernelMaps: maps)
    let staging = Staging(of: volume, delay: 0, log: DaemonLog(of: "famfs", isForeground: true, name: "test"))
    let offer = request(.initialize, node: 0, [7, 46, 131072] + flags)
    let transport = MemoryTransport([offer] + requests)
    _ = try Session(StagingFileSystem(over: base, staging), over: transport).run(threads: 1)
    let all = transport.replies
    let answer = try #require(all.first)
    return (answer.body.span.bytes.u32(32) & 1 << 11 != 0, settings, Array(all.dropFirst()))
  }
}

@Suite("Famfs kernels", .timeLimit(.minutes(15))) struct KernelMapsTests {
  @Test(
    "a writer goes past the page cache where the kernel has agreed to map such files shared", arguments: [false, true])
  func directFiles(_ isAgreed: Bool) throws {
    let rig = try MappedRig()
    try rig.create("f", size: 4096)
    let flags: [UInt32] = [0x7fff_ffff, isAgreed ? .max : ~(1 << 4)]  // FUSE_DIRECT_IO_ALLOW_MMAP
    let (_, settings, replies) = try rig.ask(
      [request(.open, node: 5, [UInt32(O_RDWR), 0]), request(.open, node: 5, [UInt32(O_RDONLY), 0])], of: nil,
      flags: flags)
    #expect(settings.mapsDirectFiles == isAgreed)
    let opened = replies.map { OpenFlags(rawValue: $0.body.span.bytes.u32(8)) }
    #expect(opened == [isAgreed ? [.directIO, .parallelDirectWrites] : [], []])
  }

  @Test("maps are offered where every device is in famfs mode, and all else is as the kernel wants it")
  func offered() throws {
    let rig = try MappedRig()
    #expect(rig.maps() != nil)
    #expect(rig.maps(.devdax) == nil)
    #expect(rig.maps(.systemRAM) == nil)
    #expect(rig.maps(nil) == nil)
    #expect(rig.maps(mayDoRawIO: false) == nil)
    // -o fmap, -o nofmap.
    for mode: DaxMode? in [.devdax, .famfs, .systemRAM, nil] {
      let asked = KernelMaps(
        of: rig.volume, in: [.famfs, .devdax], mayDoRawIO: true, kernel: { .pulled }, mode: { _ in mode })
      #expect((asked != nil) == (mode == .devdax || mode == .famfs))
      let never = KernelMaps(of: rig.volume, in: [], mayDoRawIO: true, kernel: { .pulled }, mode: { _ in mode })
      #expect(never == nil)
    }
    // A plain file is no dax device.
    #expect(KernelMaps(of: rig.volume, mayDoRawIO: true, kernel: { .pulled }) == nil)
    // A kernel without famfs, and one whose famfs speaks another protocol.
    #expect(rig.maps(kernel: .none) == nil)
    #expect(rig.maps(kernel: .pushed) == nil)
    #expect(try MappedRig(size: 64 << 20, unit: 4096).maps() == nil)
  }

  @Test("INIT: the bit is answered if it is offered and counts, and then only; the status says so")
  func negotiation() throws {
    let rig = try MappedRig()
    let device = (major: UInt32(0), minor: UInt32(1))
    for (maps, flags, isAgreed) in [
      (rig.maps(), [0x7fff_ffff, .max], true), (rig.maps(), [0x7fff_ffff, ~(1 << 11)], false),
      (rig.maps(), [0x3fff_ffff, .max], false), (nil, [0x7fff_ffff, .max], false),
    ] as [(KernelMaps?, [UInt32], Bool)] {
      let (said, settings, _) = try rig.ask([], of: maps, flags: flags)
      #expect(said == isAgreed)
      let status = MountStatus(rig.volume, mountedAs: device, settings, isStrict: false)
      #expect((status.dataPath == "famfs kernel, the memory itself") == isAgreed)
    }
  }

  @Test("a stock kernel offers bit 43 and means buffer pools: nothing is agreed or claimed, and files are made")
  func bufferPools() throws {
    let rig = try MappedRig()
    let stock = rig.maps(kernel: .none)
    let name: UInt32 = 0x61
    let create = trimmed(request(.create, node: 1, [0o102, 0o100644, 0, 0, name]))
    // What `KernelMaps` refuses never reaches INIT; were the bit answered, the kernel would expect pools of buffers.
    let (isAgreed, settings, answers) = try rig.ask([create], of: stock)
    #expect(!isAgreed)
    #expect(answers.map(\.error) == [0])
    let status = MountStatus(rig.volume, mountedAs: (0, 1), settings, isStrict: false)
    #expect(status.dataPath.hasPrefix("FUSE"))
    let noncoherent = LiveSettings(coherence: .noncoherent)
    #expect(!noncoherent.kernelMaps && noncoherent.coherenceInEffect == .noncoherent)
  }

  @Test(
    "files of random layouts: the kernel takes each map, and reaches the bytes that the volume has there",
    arguments: 1...8)
  func layouts(seed: UInt64) throws {
    let rig = try MappedRig()
    let second = try #require(rig.paths.last)
    let file = try FileDescriptor(opening: second, [.readWrite, .create])
    try file.truncate(to: 512 << 20)
    _ = try rig.volume.addDevice(try MappedDevice(path: second, writable: true))
    var random = SmallRandom(state: seed)
    var numbers: [NodeNumber] = [.superblock, .log, try rig.createEmpty("empty")]
    for index in 0..<40 {
      let size = UInt64.random(in: 1...(40 << 20), using: &random)
      let strips = UInt64.random(in: 2...6, using: &random)
      let chunk = UInt64(2 << 20) << UInt64.random(in: 0...2, using: &random)
      let striping = Bool.random(using: &random) ? Striping(strips: strips, buckets: 8, chunkSize: chunk) : nil
      if let number = try? rig.create("f\(index)", size: size, striping) { numbers.append(number) }
    }
    #expect(numbers.contains { rig.volume.layout(of: $0).chunkSize > 0 })
    let answers = try rig.ask(numbers.map { request(.getFmap, node: NodeID($0).rawValue) }, of: rig.maps()).2
    for (number, answer) in zip(numbers, answers) {
      #expect(answer.error == 0)
      let map = try FamfsKernel.accept(answer.body)
      #expect(map.size == (try rig.volume.node(number).size))
      #expect(map.purpose == (number == .superblock ? 1 : number == .log ? 2 : 0))
      let own = rig.volume.layout(of: number)
      for _ in 0..<20 where map.size > 0 {
        let offset = UInt64.random(in: 0..<map.size, using: &random)
        let count = UInt64.random(in: 1...min(map.size - offset, 9 << 20), using: &random)
        #expect(
          ranges(map.extents, map.chunkSize, offset, count) == ranges(own.extents.array, own.chunkSize, offset, count))
      }
    }
  }

  @Test("an empty file has a map of the log's last 2 MiB, of which no byte is the file's")
  func empty() throws {
    let rig = try MappedRig()
    let map = try #require(rig.maps()).map(of: rig.createEmpty("empty"))
    let end = rig.volume.superblock.dataOffset
    #expect(map == MemoryMap(size: 0, .simple([.init(device: 0, offset: end - (2 << 20), length: 2 << 20)])))
  }

  @Test("chunks of 4 GiB, for which the message has no room, become extents of their own")
  func largeChunks() throws {
    let rig = try MappedRig(size: 64 << 30)
    let striping = try #require(Striping(strips: 2, buckets: 4, chunkSize: 4 << 30))
    let number = try rig.create("large", size: (9 << 30) + 1, striping)
    let layout = rig.volume.layout(of: number)
    #expect(layout.chunkSize == 4 << 30)
    let answer = try rig.ask([request(.getFmap, node: NodeID(number).rawValue)], of: rig.maps()).2[0]
    let map = try FamfsKernel.accept(answer.body)
    let gib: UInt64 = 1 << 30
    #expect(map.extents.map(\.length) == [4 * gib, 4 * gib, gib + 0x20_0000])
    #expect(ranges(map.extents, 0, 0, map.size) == ranges(layout.extents.array, layout.chunkSize, 0, map.size))
  }

  @Test("what is no file has no map: directories, numbers that are none, .alloc.cfg")
  func refusals() throws {
    let rig = try MappedRig()
    let nodes = [1, NodeID(NodeNumber.meta).rawValue, 0, 1000, 1 << 33, 1 << 40, .max]
    let answers = try rig.ask(nodes.map { request(.getFmap, node: $0) }, of: rig.maps()).2
    #expect(answers.map(\.error).prefix(2) == [-EISDIR, -EISDIR])
    #expect(answers.count == nodes.count && answers.allSatisfy { $0.error < 0 && $0.body.isEmpty })
    #expect(try rig.ask([request(.getFmap, node: 4)], of: nil).2.map(\.error) == [-ENOSYS])
  }

  @Test("a device's path is the real one; what the kernel could not open is refused")
  func devices() throws {
    let rig = try MappedRig()
    let link = rig.path + ".link"
    #expect(symlink(rig.path, link) == 0)
    defer { unlink(link) }
    let volume = try Volume(on: MappedDevice(path: link, writable: true), host: nil)
    let always = KernelMaps(of: volume, mayDoRawIO: true, kernel: { .pulled }, mode: { _ in .famfs })
    let maps = try #require(always)
    #expect(try maps.device(0) == Array(try realPath(rig.path).utf8))
    let answers = try rig.ask([0, 1, .max].map { request(.getDaxdev, node: 0, [$0]) }, of: rig.maps()).2
    #expect(answers.map(\.error) == [0, -ENODEV, -ENODEV])
    let reply = answers[0].body
    let name = Array(reply[24...].prefix { $0 != 0 })
    #expect(reply.count == 280)
    #expect(name == Array(rig.path.utf8))
    // One that was switched, or came later, and is no famfs device any more.
    let flag = ModeFlag()
    let switched = KernelMaps(of: volume, mayDoRawIO: true, kernel: { .pulled }, mode: { _ in flag.mode })
    let live = try #require(switched)
    flag.mode = .devdax
    #expect(throws: Errno.notSupported) { try live.device(0) }
    flag.mode = .famfs
    unlink(link)
    #expect(throws: Errno.noDevice) { try live.device(0) }
  }

  @Test("what is mapped is opened with no word of the page cache, whatever the mount's policy")
  func opening() throws {
    let rig = try MappedRig()
    let nodes = try [rig.create("a", size: 5), .log, .superblock].map { NodeID($0).rawValue }
    let answers = try rig.ask(nodes.map { request(.open, node: $0, [0, 0]) }, of: rig.maps()).2
    #expect(answers.map { $0.body.span.bytes.u32(8) } == [2, 2, 2])
    let usual = try rig.ask(nodes.map { request(.open, node: $0, [0, 0]) }, of: nil).2
    #expect(usual.map { $0.body.span.bytes.u32(8) } == [0, 1, 1])
  }

  @Test("where the kernel maps files, programs make none, and the mount's commands do")
  func staging() throws {
    let rig = try MappedRig()
    // CREATE and MKDIR of "a", with the words of their structs.
    let name: UInt32 = 0x61
    let create = request(.create, node: 1, [0o102, 0o100644, 0, 0, name])
    let mkdir = request(.mkdir, node: 1, [0o755, 0, name])
    let config = request(
      .create, node: NodeID(NodeNumber.meta).rawValue,
      [0o102, 0o100644, 0, 0] + [0x6c6c_612e, 0x632e_636f, 0x0000_6766])
    #expect(try rig.ask([trimmed(create), trimmed(mkdir)], of: rig.maps()).2.map(\.error) == [-EPERM, -EPERM])
    #expect(try rig.ask([trimmed(config)], of: rig.maps()).2.map(\.error) == [-EPERM])
    #expect(try rig.ask([trimmed(config)], of: nil).2.map(\.error) == [0])
    #expect(try rig.ask([trimmed(create), trimmed(mkdir)], of: nil).2.map(\.error) == [0, -EEXIST])
    let number = try rig.create("b", size: 5)
    #expect(try rig.ask([request(.getFmap, node: NodeID(number).rawValue)], of: rig.maps()).2[0].error == 0)
  }

  /// A request whose words ended with a name: without all but one of the NULs behind it.
  private func trimmed(_ request: [UInt8]) -> [UInt8] {
    var bytes = request
    while bytes[bytes.count - 2] == 0 { bytes.removeLast() }
    bytes[0] = UInt8(bytes.count)
    return bytes
  }
}

/// A mode that a test changes.
private final class ModeFlag: Sendable {
  private let state = Mutex(DaxMode.famfs)
  var mode: DaxMode {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }
}

/// The device ranges behind a range of a file, with neighbours made one.
private func ranges(_ extents: [Extent], _ chunkSize: UInt64, _ offset: UInt64, _ count: UInt64) -> [Extent] {
  var found: [Extent] = []
  resolve(extents[...], chunkSize: chunkSize, offset: offset, count: count) { device, offset, count in
    if let last = found.last, last.device == device, last.offset + last.length == offset {
      found[found.count - 1].length += count
    } else {
      found.append(Extent(device: device, offset: offset, length: count))
    }
  }
  return found
}

private struct SmallRandom: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
