import Foundation
import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// libfamfs on devices that are not mounted: it reads the log by itself, and must judge each entry as this program does.
@Suite(.timeLimit(.minutes(15))) struct LibraryTests {
  @Test(
    "libfamfs shows of any volume, sound or damaged, what this program shows",
    .enabled(if: Lister.canBuild([]), "needs clang or cc, and zlib"))
  func plain() throws { try compare(try Lister([]), seeds: 1...12) }

  @Test(
    "it does so without a wrong access or an overflow",
    .enabled(if: Lister.canBuild(Lister.sanitizers), "needs a compiler with its sanitizers"))
  func sanitized() throws { try compare(try Lister(Lister.sanitizers), seeds: 13...18) }

  @Test(
    "it shows volumes that the public famfs wrote", .enabled(if: Lister.canBuild([]), "needs clang or cc, and zlib"),
    arguments: Fixture.names)
  func fixtures(name: String) throws {
    let fixture = try Fixture.shared(name)
    try Lister([]).check("\(name)") { session in
      session.begin(on: fixture.device)
      session.openAndList()
    }
  }

  private func compare(_ lister: Lister, seeds: ClosedRange<UInt64>) throws {
    try lister.check("hollow") { hollow($0) }
    for unit in [4096, 2 << 20] as [UInt64] { try lister.check("edges \(unit)") { edges(unit, $0) } }
    for seed in seeds {
      try lister.check("entries \(seed)") { damagedEntries(seed, $0) }
      try lister.check("heads \(seed)") { damagedHeads(seed, $0) }
      try lister.check("followed \(seed)") { followed(seed, $0) }
      try lister.check("random \(seed)") { random(seed, $0) }
    }
  }

  private func volume(_ removes: Bool) -> HandMadeVolume {
    var hand = Damage.small()
    if removes {
      hand.append(.removal("dir/two", of: 2))
      hand.append(.file("dir/two", size: 4096, [hand.units(4)]))
      hand.append(.removal("clone", of: 4))
      hand.append(.directory("gone"))
      hand.append(.removal("gone", of: hand.count - 1))
      hand.append(.attributes("gone", of: hand.count - 2, mode: 0o4))
      hand.append(.attributes("dir/two", of: 2, mode: 0o5))
    }
    for page in 2560..<hand.device.size / 4096 {
      hand.device.poke(page * 4096 + page % 4000, [1, UInt8(page % 251), 3])
    }
    return hand
  }

  /// What is just right, and just wrong.
  private func edges(_ unit: UInt64, _ session: Session) {
    var hand = HandMadeVolume(size: HandMadeVolume.dataStart + 16 * unit, unit: unit)
    let strips = [hand.units(0, 3), hand.units(3, 3), hand.units(6, 3)]
    for rest in [-1, 0, 1] {
      for units in 0...9 {
        let size = UInt64(max(0, units * Int(unit) + rest))
        hand.append(.file("a\(size)", size: size, strips, chunkSize: 2 * unit))
      }
    }
    let strip = hand.units(9, 2)
    hand.append(.file("chunk", size: 1, strips, chunkSize: unit))
    hand.append(.file("simple", size: 1, strips))
    hand.append(.file("uneven", size: 1, [strip, hand.units(11, 1)], chunkSize: unit))
    hand.append(.file("fine", size: 1, [strip, hand.units(11, 2)], chunkSize: 4096))
    hand.append(.file("one", size: 1, [hand.units(13)], chunkSize: unit))
    hand.append(.file("last", size: unit, [hand.units(15)]))
    hand.append(.file("over", size: 1, [hand.units(14, 2)]))
    hand.append(.file("beyond", size: 1, [hand.units(16)]))
    hand.append(.file("none", size: 0, []))
    hand.append(.file("nothing", size: 1, []))
    hand.append(.directory("dir"))
    hand.append(.directory("dir/sub"))
    for (path, target) in [
      ("last", 35), ("last", 36), ("none", 38), ("", .max), ("", 0), ("x", .max), ("dir", .max), (".meta/.log", 0),
    ] as [(String, UInt64)] {
      hand.append(.attributes(path, of: target, mode: UInt32(hand.count)))
    }
    let (directory, own) = (hand.count - 10, hand.count)
    for mode in [0o7777, 0o10000, 0o40755, .max] as [UInt32] {
      hand.append(.attributes("dir", of: directory, mode: mode))
    }
    for time in [(0, 999_999_999), (0, 1_000_000_000), (.max, 0), (.min, 1)] as [HandMade.Moment] {
      hand.append(.attributes("one", of: own, mode: 0))
      hand.append(.attributes("none", of: 38, mode: 0o11, modified: time))
      hand.append(.attributes("none", of: 38, mode: 0o12, modified: (1, 2), changed: time))
      hand.append(.attributes("none", of: 38, mode: 0o13, modified: (3, 4), accessed: time))
      hand.append(HandMade.file("stamp\(hand.count)", size: 0, []).stamped(time))
    }
    hand.append(.removal("dir", of: directory))
    hand.append(.removal("dir/sub", of: directory + 1))
    hand.append(.attributes("dir/sub", of: directory + 1, mode: 0o7))
    hand.append(.directory("dir/sub/below"))
    hand.append(.directory("last/below"))
    for path in ["dir/", "/dir", "dir//x", "dir/.", "dir/..", "..", ".", ".meta", ".meta/x", ".metal", "..."] {
      hand.append(.directory(path))
    }
    hand.append(.directory(String(repeating: "x", count: 79)))
    hand.append(.directory(String(repeating: "y", count: 80)))
    session.begin(on: hand.device)
    session.openAndList()
  }

  /// An index beyond the entries that there are, and entries behind as many empty slots as are borne with, and one more.
  private func hollow(_ session: Session) {
    var hand = HandMadeVolume()
    hand.append(.directory("good"))
    hand.setHeader(count: 15_420)
    session.begin(on: hand.device)
    session.openAndList()
    for (place, name) in [(LogFollower.mostEmpty + 1, "hidden"), (LogFollower.mostEmpty, "shown")] {
      session.put(HandMadeVolume.place(of: place), HandMade.directory(name).sealed(place))
      session.openAndList()
    }
  }

  private func damagedEntries(_ seed: UInt64, _ session: Session) {
    var random = SeededRandom(seed: seed)
    let hand = volume(seed % 2 == 0)
    session.begin(on: hand.device)
    for _ in 0..<200 {
      let structure = Damage.entry(UInt64.random(in: 0..<hand.count, using: &random))
      let good = structure.bytes(on: hand.device)
      var made = good
      Damage.change(&made, &random)
      if !random.oneIn(5) { made.put(0, (structure.place - HandMade.logStart - 48) / 544) }
      if !random.oneIn(4) { made.seal(structure.checked, at: structure.crc) }
      session.put(structure.place, made.bytes)
      session.openAndList()
      session.put(structure.place, good.bytes)
    }
  }

  private func damagedHeads(_ seed: UInt64, _ session: Session) {
    var random = SeededRandom(seed: seed)
    let hand = volume(false)
    session.begin(on: hand.device)
    for _ in 0..<100 {
      let head = Damage.damagedHead(hand, &random, long: 20)
      session.put(head.place, head.bad)
      session.openAndList()
      session.put(head.place, head.good)
    }
  }

  private func followed(_ seed: UInt64, _ session: Session) {
    var random = SeededRandom(seed: seed)
    let hand = volume(seed % 2 == 0)
    let goods = (0..<hand.count).map { Damage.entry($0).bytes(on: hand.device) }
    session.begin(on: hand.device)
    for _ in 0..<20 {
      session.putHeader(count: 0)
      session.open()
      for index in 0..<hand.count {
        let structure = Damage.entry(index)
        var made = goods[Int(index)]
        if random.oneIn(3) { Damage.change(&made, &random) }
        if random.oneIn(2) { made.seal(structure.checked, at: structure.crc) }
        session.put(structure.place, made.bytes)
        session.putHeader(count: index + 1)
        if random.oneIn(3) { session.list() }
      }
      switch Int.random(in: 0..<6, using: &random) {
      case 0: session.putHeader(count: hand.count - 1)
      case 1: session.putHeader(count: Damage.nasty.randomElement(using: &random) ?? 0)
      case 2: session.put(48, random.bytes(1))
      default: break
      }
      session.list()
      session.putHeader(count: hand.count)
      session.list()
      session.close()
      session.put(48, [0xa0])
    }
  }

  private func random(_ seed: UInt64, _ session: Session) {
    var made = RandomVolume(seed: seed)
    made.grow(150, badOneIn: 6)
    session.begin(on: made.hand.device)
    session.openAndList()
  }
}

/// What is done with a device, and what must be seen of it: a script for the lister, and the lines that it shall print.
private final class Session {
  private(set) var image: Data?
  private(set) var script = ""
  private(set) var expected: [String] = []
  private var device = RamDevice(size: 4096)
  private var volume: Volume?
  private let begin = Platform.Clock.fileTime()

  func begin(on device: RamDevice) {
    self.device = device
    image = Data(device.peek(0, Int(device.size)))
  }

  func put(_ offset: UInt64, _ bytes: [UInt8]) {
    device.poke(offset, bytes)
    script += "put \(offset) \(hexadecimal(bytes))\n"
  }

  func putHeader(count: UInt64) {
    put(HandMade.logStart, HandMade.logHeader(nextSequence: count, nextIndex: count).bytes)
  }

  func open() {
    volume = try? Volume(on: device, host: Host.client)
    script += "open\n"
    expected.append(volume == nil ? "refused" : "open 0")
  }

  func list() {
    script += "list\n"
    if let volume {
      _ = volume.follow()
      expected += volume.isLost ? ["list -116"] : (try? lines(of: volume)) ?? ["the volume cannot be listed"]
    }
    expected.append("end")
  }

  func close() {
    volume = nil
    script += "close\n"
  }

  func openAndList() {
    open()
    list()
    close()
  }

  private func lines(of volume: Volume) throws -> [String] {
    let hasRemoved = volume.replayed.withLock { !$0.removals.files.isEmpty }
    let removes = volume.isReclaiming || hasRemoved
    return try volume.walk().map { number, _, item in
      let path = hexadecimal(volume.replayed.withLock { $0.namespace.pathBytes(of: number) })
      let head = "\(path) \(item.isDirectory ? "dir" : "file") \(String(item.permissions, radix: 8))"
      let owners = "\(head) \(item.userID) \(item.groupID)"
      if item.isDirectory { return owners }
      let modified = try self.modified(volume.node(number))
      return "\(owners) \(item.size) \(modified) \(try mapping(of: number, item, volume, removes))"
    }.sorted()
  }

  /// What the log says of a file's time, as nodes have it; 0 where it does not, for there the library has no time.
  private func modified(_ node: Node) -> Int64 {
    let time = node.modified
    return time >= begin && time <= Platform.Clock.fileTime() ? 0 : time
  }

  private func mapping(of number: NodeNumber, _ item: Item, _ volume: Volume, _ removes: Bool) throws -> String {
    if item.size == 0 { return "-22" }
    if removes { return "-95" }
    if item.extents.contains(where: { $0.device > 0 }) { return "-19" }
    let contents = try volume.contents(of: number, pieces: 4096)
    let digits = String(checksum(contents.span.bytes), radix: 16)
    return "1 " + String(repeating: "0", count: 8 - digits.count) + digits
  }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// `Tests/LibfamfsTests/lister.c`, built with the library's own files.
private final class Lister {
  static let sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
  private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  private let room = URL(fileURLWithPath: "/dev/shm/weft-lister-\(Foundation.UUID())")
  private var program: URL { room.appendingPathComponent("lister") }

  init(_ options: [String]) throws {
    try FileManager.default.createDirectory(at: room, withIntermediateDirectories: true)
    let files =
      ["Tests/LibfamfsTests/lister.c"]
      + ["volume", "log", "tree", "memory", "layout", "mounts"].map { "libfamfs/\($0).c" }
      + ["Sources/CLinux/cache.c"]
    let includes = ["libfamfs", "Sources/CLinux/include"].map { "-I" + Lister.sources.appendingPathComponent($0).path }
    try #require(
      Lister.build(
        ["-std=gnu17", "-O1", "-g"] + options + includes + files.map { Lister.sources.appendingPathComponent($0).path },
        program))
  }

  deinit { try? FileManager.default.removeItem(at: room) }

  /// Whether programs can be built so, and run.
  static func canBuild(_ options: [String]) -> Bool {
    let room = FileManager.default.temporaryDirectory.appendingPathComponent("weft-build-\(Foundation.UUID())")
    let (source, program) = (room.appendingPathComponent("t.c"), room.appendingPathComponent("t"))
    defer { try? FileManager.default.removeItem(at: room) }
    try? FileManager.default.createDirectory(at: room, withIntermediateDirectories: true)
    try? Data("#include <zlib.h>\nint main(void) { return (int)crc32(0, 0, 0); }\n".utf8).write(to: source)
    return build(options + [source.path], program) && (try? run(program.path, [])) != nil
  }

  private static func build(_ words: [String], _ program: URL) -> Bool {
    ["clang", "cc"].contains { (try? run($0, words + ["-lz", "-o", program.path])) != nil }
  }

  private static func run(_ program: String, _ arguments: [String], input: URL? = nil) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let (output, complaints) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = input == nil ? FileHandle.nullDevice : complaints
    if let input { process.standardInput = try FileHandle(forReadingFrom: input) }
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    let words = input == nil ? Data() : complaints.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failed(complaint: String(decoding: words, as: UTF8.self)) }
    return String(decoding: data, as: UTF8.self)
  }

  private struct Failed: Error { let complaint: String }

  /// Expects the library to see what this program sees.
  func check(_ comment: Comment, _ body: (Session) -> Void) throws {
    let session = Session()
    body(session)
    let (image, script) = (room.appendingPathComponent("image"), room.appendingPathComponent("script"))
    try #require(session.image).write(to: image)
    try Data(session.script.utf8).write(to: script)
    let printed = try Lister.run(program.path, [image.path], input: script)
    let lines = Lister.sorted(printed.split(separator: "\n").map(String.init))
    #expect(lines.count == session.expected.count, comment)
    for (place, (found, expected)) in zip(lines, session.expected).enumerated() where found != expected {
      Issue.record("line \(place): \(found), expected \(expected); \(comment)")
      break
    }
  }

  /// Each listing in order, as a refused volume all errors of open.
  private static func sorted(_ lines: [String]) -> [String] {
    var (all, listing): ([String], [String]) = ([], [])
    for line in lines {
      if line == "end" || line.hasPrefix("open ") {
        all += listing.sorted() + [line.hasPrefix("open -") ? "refused" : line]
        listing = []
      } else {
        listing.append(line)
      }
    }
    return all + listing
  }
}
