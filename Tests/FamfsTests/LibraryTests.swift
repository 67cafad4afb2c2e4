import Foundation
import Testing

@testable import Famfs

/// libfamfs on devices that are not mounted: it reads the log by itself, and must judge each entry as this program does.
@Suite(.timeLimit(.minutes(15))) struct LibraryTests {
  @Test(
    "libfamfs shows of any volume, sound or damaged, what this program shows",
    .enabled(if: Lister.canBuild([]), "needs clang or cc, and zlib"))
  func plain() throws { try compare(try Lister([]), seeds: 1...6) }

  @Test(
    "it does so without a wrong access or an overflow",
    .enabled(if: Lister.canBuild(Lister.sanitizers), "needs a compiler with its sanitizers"))
  func sanitized() throws { try compare(try Lister(Lister.sanitizers), seeds: 7...9) }

  private func compare(_ lister: Lister, seeds: ClosedRange<UInt64>) throws {
    for seed in seeds {
      try lister.check("entries \(seed)") { damagedEntries(seed, $0) }
      try lister.check("heads \(seed)") { damagedHeads(seed, $0) }
      try lister.check("followed \(seed)") { followed(seed, $0) }
      try lister.check("random \(seed)") { random(seed, $0) }
    }
  }

  private func volume(_ removes: Bool) -> HandMadeVolume {
    var hand = FuzzTests.small()
    if removes {
      hand.append(.removal("dir/two", of: 2))
      hand.append(.file("dir/two", size: 4096, [hand.units(4)]))
      hand.append(.removal("clone", of: 4))
      hand.append(.directory("gone"))
      hand.append(.removal("gone", of: hand.count - 1))
    }
    for page in 2560..<hand.device.size / 4096 { hand.device.poke(page * 4096 + page % 4000, [1, UInt8(page % 251), 3]) }
    return hand
  }

  private func damagedEntries(_ seed: UInt64, _ session: inout Session) {
    var random = SeededRandom(seed: seed)
    let hand = volume(seed % 2 == 0)
    session.begin(on: hand.device)
    for _ in 0..<200 {
      let structure = FuzzTests.entry(UInt64.random(in: 0..<hand.count, using: &random))
      let good = structure.bytes(on: hand.device)
      var made = good
      FuzzTests.damage(&made, &random)
      if !random.oneIn(5) { made.put(0, (structure.place - HandMade.logStart - 48) / 544) }
      if !random.oneIn(4) { made.seal(structure.checked, at: structure.crc) }
      session.put(structure.place, made.bytes)
      session.openAndList()
      session.put(structure.place, good.bytes)
    }
  }

  private func damagedHeads(_ seed: UInt64, _ session: inout Session) {
    var random = SeededRandom(seed: seed)
    let hand = volume(false)
    session.begin(on: hand.device)
    for _ in 0..<100 {
      let isHeader = random.oneIn(2)
      let structure = isHeader ? FuzzTests.header : FuzzTests.superblock
      let good = structure.bytes(on: hand.device)
      var made = good
      FuzzTests.damage(&made, &random)
      if isHeader, made.bytes.span.bytes.u64(40) > 64, !random.oneIn(20) { made.put(40, hand.count) }
      if random.oneIn(2) { made.seal(structure.checked, at: structure.crc) }
      session.put(structure.place, made.bytes)
      session.openAndList()
      session.put(structure.place, good.bytes)
    }
  }

  private func followed(_ seed: UInt64, _ session: inout Session) {
    var random = SeededRandom(seed: seed)
    let hand = volume(seed % 2 == 0)
    let goods = (0..<hand.count).map { FuzzTests.entry($0).bytes(on: hand.device) }
    session.begin(on: hand.device)
    for _ in 0..<20 {
      session.putHeader(count: 0)
      session.open()
      for index in 0..<hand.count {
        let structure = FuzzTests.entry(index)
        var made = goods[Int(index)]
        if random.oneIn(3) { FuzzTests.damage(&made, &random) }
        if random.oneIn(2) { made.seal(structure.checked, at: structure.crc) }
        session.put(structure.place, made.bytes)
        session.putHeader(count: index + 1)
        if random.oneIn(3) { session.list() }
      }
      switch Int.random(in: 0..<6, using: &random) {
      case 0: session.putHeader(count: hand.count - 1)
      case 1: session.putHeader(count: FuzzTests.nasty.randomElement(using: &random) ?? 0)
      case 2: session.put(48, random.bytes(1))
      default: break
      }
      session.list()
      session.close()
      session.put(48, [0xa0])
    }
  }

  private func random(_ seed: UInt64, _ session: inout Session) {
    var made = RandomVolume(seed: seed)
    made.grow(150, badOneIn: 6)
    session.begin(on: made.hand.device)
    session.openAndList()
  }
}

/// What is done with a device, and what must be seen of it: a script for the lister, and the lines that it shall print.
private struct Session {
  private(set) var image: Data?
  private(set) var script = ""
  private(set) var expected: [String] = []
  private var device = RamDevice(size: 4096)
  private var volume: Volume?

  mutating func begin(on device: RamDevice) {
    self.device = device
    image = Data(bytes: UnsafeRawPointer(device.memory.baseAddress ?? .init(bitPattern: 1)!), count: Int(device.size))
  }

  mutating func put(_ offset: UInt64, _ bytes: [UInt8]) {
    device.poke(offset, bytes)
    script += "put \(offset) \(hexadecimal(bytes))\n"
  }

  mutating func putHeader(count: UInt64) {
    put(HandMade.logStart, HandMade.logHeader(nextSequence: count, nextIndex: count).bytes)
  }

  mutating func open() {
    volume = try? Volume(on: device, host: Host.client)
    script += "open\n"
    expected.append(volume == nil ? "refused" : "open 0")
  }

  mutating func list() {
    script += "list\n"
    if let volume {
      _ = volume.follow()
      expected += volume.isLost ? ["list -116"] : (try? lines(of: volume)) ?? ["the volume cannot be listed"]
    }
    expected.append("end")
  }

  mutating func close() {
    volume = nil
    script += "close\n"
  }

  mutating func openAndList() {
    open()
    list()
    close()
  }

  private func lines(of volume: Volume) throws -> [String] {
    let removes = volume.isReclaiming || volume.tree.withLock { !$0.removals.files.isEmpty }
    return try volume.walk().map { number, _, item in
      let path = hexadecimal(volume.tree.withLock { $0.namespace.pathBytes(of: number) })
      let head = "\(path) \(item.isDirectory ? "dir" : "file") \(String(item.permissions, radix: 8))"
      let owners = "\(head) \(item.userID) \(item.groupID)"
      if item.isDirectory { return owners }
      return "\(owners) \(item.size) \(try mapping(of: number, item, volume, removes))"
    }.sorted()
  }

  private func mapping(of number: NodeNumber, _ item: Item, _ volume: Volume, _ removes: Bool) throws -> String {
    if item.size == 0 { return "-22" }
    if removes { return "-95" }
    if item.extents.contains(where: { $0.device > 0 }) { return "-19" }
    let sum = checksum(try volume.contents(of: number, pieces: 4096).span.bytes)
    let digits = String(sum, radix: 16)
    return "1 " + String(repeating: "0", count: 8 - digits.count) + digits
  }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// `Tests/Library/lister.c`, built with the library's own files.
private final class Lister {
  static let sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
  private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  private let room = URL(fileURLWithPath: "/dev/shm/weft-lister-\(Foundation.UUID())")
  private var program: URL { room.appendingPathComponent("lister") }

  init(_ options: [String]) throws {
    try FileManager.default.createDirectory(at: room, withIntermediateDirectories: true)
    let files =
      ["Tests/Library/lister.c"] + ["volume", "log", "tree", "memory", "layout"].map { "Library/\($0).c" }
      + ["Sources/CLinux/cache.c"]
    let includes = ["Library", "Sources/CLinux/include"].map { "-I" + Lister.sources.appendingPathComponent($0).path }
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
    process.standardInput = try input.map { try FileHandle(forReadingFrom: $0) } ?? FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    let words = input == nil ? Data() : complaints.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failed(complaint: String(decoding: words, as: UTF8.self)) }
    return String(decoding: data, as: UTF8.self)
  }

  private struct Failed: Error { let complaint: String }

  /// Expects the library to see what this program sees.
  func check(_ comment: Comment, _ body: (inout Session) -> Void) throws {
    var session = Session()
    body(&session)
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
