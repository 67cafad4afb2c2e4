import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct BadEntryTests {
  struct Bad: Sendable, CustomTestStringConvertible {
    let problem: EntryProblem
    var path: String? = "bad"
    let bytes: [UInt8]
    var testDescription: String { "\(problem)" }

    /// An entry for slot 2, between good ones.
    init(_ problem: EntryProblem, path: String? = "bad", _ made: HandMade) {
      self.init(problem, path: path, bytes: made.sealed(2))
    }

    init(_ problem: EntryProblem, path: String? = "bad", bytes: [UInt8]) {
      self.problem = problem
      self.path = path
      self.bytes = bytes
    }
  }

  private static let unit: UInt64 = 4096
  private static let dataStart = HandMadeVolume.dataStart

  /// A run of units of the data area; `good` has the first two.
  private static func units(_ start: UInt64, _ count: UInt64 = 1) -> Extent {
    Extent(offset: dataStart + start * unit, length: count * unit)
  }

  private static func file(_ extents: Extent..., size: UInt64 = 1, chunkSize: UInt64 = 0) -> HandMade {
    .file("bad", size: size, extents, chunkSize: chunkSize)
  }

  static let inBytes: [Bad] = {
    var torn = HandMade.directory("bad").sealed(2)
    torn[540] = 1
    var layout = file(units(5))
    layout.put(120, UInt32(2))
    var count = file(units(5))
    count.put(128, UInt32(17))
    return [
      Bad(.badChecksum, bytes: torn),
      Bad(.badChecksum, path: nil, bytes: [UInt8](repeating: 0, count: 544)),
      Bad(.badSequence(3), bytes: HandMade.directory("bad").sealed(3)),
      Bad(.unknownType(9), path: nil, .entry(type: 9)),
      Bad(.unknownLayout(2), layout),
      Bad(.badExtentCount(17), count),
      Bad(.badExtentCount(1), file(units(5), chunkSize: 4096)),
      Bad(.badChunkSize(6144), file(units(5), units(6), chunkSize: 6144)),
      Bad(.badPath(.absolute), path: "/bad", .directory("/bad")),
      Bad(.badPath(.dots), path: "dir/../bad", .directory("dir/../bad")),
      Bad(.badPath(.emptyComponent), path: "dir//bad", .directory("dir//bad")),
      Bad(.badPath(.empty), path: nil, .directory("")),
      Bad(.badPath(.tooLong), path: String(repeating: "x", count: 80), .directory(String(repeating: "x", count: 80))),
    ]
  }()

  static let inNames: [Bad] = [
    Bad(.missingParent, path: "none/bad", .directory("none/bad")),
    Bad(.missingParent, path: "good/bad/bad", .directory("good/bad/bad")),
    Bad(.parentIsFile, path: "good/bad", .directory("good/bad")),
    Bad(.pathExists, path: "dir", .directory("dir")),
    Bad(.pathExists, path: "good", .file("good", size: 1, [units(5)])),
    Bad(.pathExists, path: ".meta", .directory(".meta")),
    Bad(.reservedPath, path: ".meta/bad", .directory(".meta/bad")),
    Bad(.unknownRemoval, path: nil, .entry(type: 2)),
    Bad(.badDeviceIndex(2), path: nil, .addDevice(size: 1 << 30, uuid: HandMade.hostBytes, index: 2)),
    Bad(.badDeviceIndex(0), path: nil, .addDevice(size: 1 << 30, uuid: HandMade.hostBytes, index: 0)),
    Bad(.badDeviceSize(2 << 20), path: nil, .addDevice(size: 2 << 20, uuid: HandMade.hostBytes, index: 1)),
    Bad(.badDeviceSize(.max), path: nil, .addDevice(size: .max, uuid: HandMade.hostBytes, index: 1)),
    Bad(
      .deviceExists(HandMade.deviceUUID), path: nil,
      .addDevice(size: 1 << 30, uuid: Array(0xb0...0xbf), index: 1)),
  ]

  static let inSpace: [Bad] = {
    let end: UInt64 = 16 << 20
    let onLog = Extent(offset: 2 << 20, length: unit)
    let onSuperblock = Extent(offset: 0, length: unit)
    let acrossEnd = Extent(offset: end - unit, length: 2 * unit)
    let atEnd = Extent(offset: end, length: unit)
    let far = Extent(offset: UInt64.max - 4095, length: unit)
    let huge = Extent(offset: dataStart, length: UInt64.max - 4095)
    let odd = Extent(offset: dataStart + 20_000, length: unit)
    let oddLength = Extent(offset: dataStart + 5 * unit, length: 5000)
    let empty = Extent(offset: dataStart + 5 * unit, length: 0)
    let elsewhere = Extent(device: 3, offset: dataStart + 5 * unit, length: unit)
    return [
      Bad(.outside(onLog), file(onLog)),
      Bad(.outside(onSuperblock), file(onSuperblock)),
      Bad(.outside(acrossEnd), file(acrossEnd)),
      Bad(.outside(atEnd), file(atEnd)),
      Bad(.outside(far), file(far)),
      Bad(.outside(huge), file(huge)),
      Bad(.misaligned(odd), file(odd)),
      Bad(.misaligned(oddLength), file(oddLength)),
      Bad(.misaligned(empty), file(empty)),
      Bad(.unknownDevice(3), file(elsewhere)),
      Bad(.outside(atEnd), file(units(5), atEnd)),
      Bad(.tooShort, file(units(5), size: 4097)),
      Bad(.tooShort, file(size: 1)),
      Bad(.tooShort, file(units(5), size: .max)),
      // `good` has units 0 and 1.
      Bad(.shared(units(1)), file(units(1))),
      Bad(.shared(units(0, 3)), file(units(0, 3))),
      Bad(.shared(units(1, 2)), file(units(5), units(1, 2))),
      Bad(.shared(units(0, 2)), file(units(5), units(0, 2))),
      Bad(.shared(units(0, 2)), file(units(0, 2), units(5))),
      Bad(.shared(units(6, 2)), file(units(5, 2), units(6, 2))),
      Bad(.shared(units(5)), file(units(5), units(6), units(5))),
    ]
  }()

  static let inStrips: [Bad] = {
    let chunk: UInt64 = 8192
    return [
      Bad(.unevenStrips, file(units(4, 2), units(8, 4), chunkSize: chunk)),
      // Strips of a chunk and a half: the second row is for half a chunk, in the first strip and so in no other.
      Bad(.tooShort, file(units(4, 3), units(8, 3), size: 3 * chunk, chunkSize: chunk)),
      Bad(.tooShort, file(units(4, 3), units(8, 3), size: 2 * chunk + 4097, chunkSize: chunk)),
      Bad(.tooShort, file(units(20, 3), units(24, 3), units(28, 3), size: 4 * chunk + 1, chunkSize: chunk)),
      Bad(.tooShort, file(units(4, 2), units(8, 2), size: 2 * chunk + 1, chunkSize: chunk)),
      Bad(.tooShort, file(units(4, 2), units(8, 2), size: chunk + 1, chunkSize: 1 << 63)),
      Bad(.shared(units(5, 2)), file(units(4, 2), units(5, 2), chunkSize: chunk)),
    ]
  }()

  @Test("a bad entry is named, good ones are shown, and nothing can be added", arguments: inBytes + inNames)
  func badEntry(_ bad: Bad) throws { try expectNamed(bad) }

  @Test("an entry of bad extents is named and takes no space", arguments: inSpace + inStrips)
  func badExtents(_ bad: Bad) throws { try expectNamed(bad) }

  private func expectNamed(_ bad: Bad) throws {
    var hand = HandMadeVolume(unit: BadEntryTests.unit)
    hand.append(.directory("dir"))
    hand.append(.file("good", size: 5000, [hand.units(0, 2)]))
    hand.append(bytes: bad.bytes)
    hand.append(.file("dir/later", size: 4096, [hand.units(5, 6)]))
    hand.append(.directory("bad"))
    let before = hand.device.sum(0, 3 << 20)
    let volume = try hand.open()
    let wanted = LogProblem(index: 2, path: bad.path, problem: bad.problem)
    #expect(volume.report().problems == [wanted])
    #expect(volume.usage().problemCount == 1)
    #expect(!volume.report().isClean)
    #expect(try volume.items().keys.sorted() == ["bad", "dir", "dir/later", "good"])
    #expect(volume.extents(of: try volume.number(of: "good")) == [hand.units(0, 2)])
    #expect(volume.usage().free == (6 << 20) - 8 * 4096, "only the good files' units are taken")
    #expect(try volume.number(of: "dir/later") == .entry(3), "a bad entry uses up its number")
    #expect(throws: Errno.noEntry) { try volume.node(.entry(2)) }
    let error = #expect(throws: FamfsError.self) { try volume.makeDirectory("new") }
    #expect(error.map { "\($0)" }?.contains("\(wanted)") == true)
    #expect(error?.errno == .inputOutput)
    #expect(refusal { _ = try volume.reserve("new", size: 1) } == "badEntries")
    #expect(hand.device.sum(0, 3 << 20) == before)
  }

  @Test("with large units, extents of 4096 bytes are misaligned, and so are chunks")
  func largeUnits() throws {
    var hand = HandMadeVolume(unit: 2 << 20)
    let small = Extent(offset: HandMadeVolume.dataStart, length: 4096)
    hand.append(.file("small", size: 1, [small]))
    hand.append(.file("striped", size: 1, [hand.units(0), hand.units(1)], chunkSize: 1 << 20))
    hand.append(.file("good", size: 1, [hand.units(0), hand.units(1)], chunkSize: 2 << 20))
    let volume = try hand.open()
    #expect(volume.report().problems.map(\.problem) == [.misaligned(small), .badChunkSize(1 << 20)])
    #expect(try Array(volume.items().keys) == ["good"])
  }

  @Test("a problem is told with the entry's number and path")
  func sentence() {
    #expect(
      "\(LogProblem(index: 4, path: "a/b", problem: .unknownDevice(1)))"
        == "log entry 4 (a/b): it needs device 1, which no entry before it adds")
  }

  @Test("names that would write on a terminal are kept as they are, and shown with question marks")
  func terminal() throws {
    var hand = HandMadeVolume()
    hand.append(.directory("none/\u{1b}[2J\u{7}"))
    hand.append(.file("\u{1b}[2J", size: 1, [hand.units(0)]))
    hand.append(.file("clone\u{9b}", size: 1, [hand.units(0)]))
    let report = try hand.open().report()
    #expect(report.problems.map(\.path) == ["none/\u{1b}[2J\u{7}"])
    #expect(
      report.problems.map { printable("\($0)") } == ["log entry 0 (none/?[2J?): its parent directory does not exist"])
    #expect(report.warnings.map(printable) == ["clone? is a clone: it has the same extents as ?[2J"])
  }

  // MARK: Clones

  @Test("a file with exactly the extents of another is a clone: a warning only")
  func clones() throws {
    var hand = HandMadeVolume()
    let extents = [hand.units(2, 2), hand.units(8, 2)]
    hand.append(.file("first", size: 10_000, extents))
    hand.append(.file("clone", size: 9000, extents))
    hand.append(.file("other", size: 1, [hand.units(4)]))
    hand.append(.file("clone of clone", size: 1, extents))
    hand.append(.file("other clone", size: 1, [hand.units(4)]))
    let volume = try hand.open()
    #expect(volume.report().isClean)
    #expect(
      volume.report().warnings == [
        "clone is a clone: it has the same extents as first",
        "clone of clone is a clone: it has the same extents as first",
        "other clone is a clone: it has the same extents as other",
      ])
    #expect(volume.usage().free == (6 << 20) - 5 * 4096)
    let new = try volume.reserve("new", size: 4096)
    #expect(new.extents == [hand.units(0)])
    try volume.commit(new.id)
    #expect(try hand.open().report().isClean)
  }

  @Test("a file that this host added can be cloned like any other")
  func cloneOfOwn() throws {
    let extents = [HandMadeVolume().units(0)]
    let hand = HandMadeVolume([.file("first", size: 1, extents), .file("clone", size: 1, extents)])
    let volume = try hand.open()
    let own = try volume.create("own", [1, 2, 3])
    let clone = HandMade.file("clone of own", size: 3, volume.extents(of: own))
    hand.device.poke(HandMadeVolume.place(of: 3), clone.sealed(3))
    hand.setHeader(count: 4)
    #expect(volume.follow().problems == 0)
    #expect(volume.report().warnings.last == "clone of own is a clone: it has the same extents as own")
  }

  @Test("files that share less than all their extents, in the same order and layout, are no clones")
  func crossLinked() throws {
    let (a, b) = (BadEntryTests.units(2, 2), BadEntryTests.units(8, 2))
    let others: [[Extent]] = [[a], [b], [b, a], [a, b, BadEntryTests.units(20)], [BadEntryTests.units(2)]]
    for extents in others {
      let hand = HandMadeVolume([.file("first", size: 1, [a, b]), .file("second", size: 1, extents)])
      let volume = try hand.open()
      #expect(volume.report().problems.map(\.problem) == [.shared(extents[0])], "\(extents)")
      #expect(volume.report().warnings.isEmpty)
    }
    let striped = HandMadeVolume([.file("first", size: 1, [a, b]), .file("second", size: 1, [a, b], chunkSize: 4096)])
    #expect(try striped.open().report().problems.map(\.problem) == [.shared(a)])
  }
}
