import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct LogEntryTests {
  private func parse(_ made: HandMade, at index: UInt64 = 3) throws -> LogEntry {
    try LogEntry(parsing: made.sealed(index).span.bytes, index: index)
  }

  private func file(_ made: HandMade) throws -> FileRecord {
    guard case .file(let record) = try parse(made).payload else { throw EntryProblem.unknownType(99) }
    return record
  }

  /// Parses an entry and writes it again.
  private func again(_ made: HandMade) throws -> [UInt8] {
    let entry = try parse(made)
    return encoded(544) { entry.encode(into: &$0) }
  }

  private static func extents(_ count: Int) -> [Extent] {
    (0..<UInt64(count)).map { Extent(device: $0 * 3, offset: 0x10_0000 << $0, length: 0x1000 * ($0 + 1)) }
  }

  // MARK: Layouts

  @Test("a file of simple layout has every field at its offset", arguments: [0, 1, 2, 15, 16])
  func simple(count: Int) throws {
    let extents = LogEntryTests.extents(count)
    var made = HandMade.file(
      "dir/name", size: 0x0123_4567_89ab, extents, mode: 0o4751, uid: 0xffff_fffe, gid: 0x8000_0001)
    made.put(24, UInt32(3))
    let record = try file(made)
    #expect(record.size == 0x0123_4567_89ab)
    #expect(record.flags == 3)
    #expect(record.userID == 0xffff_fffe)
    #expect(record.groupID == 0x8000_0001)
    #expect(record.permissions == 0o4751)
    #expect("\(record.path)" == "dir/name")
    #expect(record.layout.chunkSize == 0)
    #expect(record.layout.extents.array == extents)
    #expect(try again(made) == made.sealed(3))
  }

  @Test("a file of interleaved layout has every field at its offset", arguments: [2, 3, 16])
  func interleaved(count: Int) throws {
    let extents = LogEntryTests.extents(count)
    let made = HandMade.file("striped", size: 99, extents, chunkSize: 1 << 40)
    let record = try file(made)
    #expect(record.layout.chunkSize == 1 << 40)
    #expect(record.layout.extents.array == extents)
    #expect(record.flags == 2)
    #expect(try again(made) == made.sealed(3))
  }

  @Test("a directory has every field at its offset")
  func directory() throws {
    let made = HandMade.directory("some/place", mode: 0o1777, uid: 4_000_000_000, gid: 5)
    guard case .directory(let record) = try parse(made).payload else {
      Issue.record("not a directory")
      return
    }
    #expect(record.userID == 4_000_000_000)
    #expect(record.groupID == 5)
    #expect(record.permissions == 0o1777)
    #expect("\(record.path)" == "some/place")
    #expect(try again(made) == made.sealed(3))
  }

  @Test("an added device has every field at its offset")
  func addDevice() throws {
    let made = HandMade.addDevice(size: 1 << 40, uuid: HandMade.hostBytes, index: 7)
    guard case .addDevice(let record) = try parse(made).payload else {
      Issue.record("not a device")
      return
    }
    #expect(record.size == 1 << 40)
    #expect(record.uuid == Host.master)
    #expect(record.index == 7)
    #expect(try again(made) == made.sealed(3))
  }

  @Test("the type bits of a mode may be there or not, and are dropped")
  func modeBits() throws {
    #expect(try file(.file("f", size: 0, [], mode: 0o100644)).permissions == 0o644)
    guard case .directory(let record) = try parse(.directory("d", mode: 0o041777)).payload else { return }
    #expect(record.permissions == 0o1777)
  }

  // MARK: Bad bytes

  @Test("any byte that is not what the CRC was made of is found")
  func checksums() {
    let good = HandMade.file("f", size: 1, LogEntryTests.extents(1)).sealed(3)
    for offset in 0..<544 {
      var bytes = good
      bytes[offset] ^= 0x80
      #expect(throws: EntryProblem.badChecksum, "byte \(offset)") {
        try LogEntry(parsing: bytes.span.bytes, index: 3)
      }
    }
  }

  @Test("a slot of zeros is no entry")
  func zeros() {
    let zeros = [UInt8](repeating: 0, count: 544)
    #expect(throws: EntryProblem.badChecksum) { try LogEntry(parsing: zeros.span.bytes, index: 0) }
  }

  @Test("an entry of another slot is refused")
  func sequence() {
    #expect(throws: EntryProblem.badSequence(2)) {
      try LogEntry(parsing: HandMade.directory("d").sealed(2).span.bytes, index: 3)
    }
  }

  @Test("unknown types and layouts are refused", arguments: [2, 4, 255, UInt32.max] as [UInt32])
  func unknown(number: UInt32) {
    if number > 3 { #expect(throws: EntryProblem.unknownType(number)) { try parse(.entry(type: number)) } }
    var made = HandMade.file("f", size: 1, LogEntryTests.extents(1))
    made.put(120, number)
    #expect(throws: EntryProblem.unknownLayout(number)) { try parse(made) }
  }

  @Test("more than 16 extents are refused, however many", arguments: [17, 18, 255, 1 << 31, UInt32.max] as [UInt32])
  func tooManyExtents(count: UInt32) {
    var made = HandMade.file("f", size: 1, LogEntryTests.extents(1))
    made.put(128, count)
    #expect(throws: EntryProblem.badExtentCount(UInt64(count))) { try parse(made) }
  }

  @Test("a striped file has one set of strips", arguments: [0, 2, 16, UInt32.max] as [UInt32])
  func stripSets(count: UInt32) {
    var made = HandMade.file("f", size: 1, LogEntryTests.extents(2), chunkSize: 4096)
    made.put(128, count)
    #expect(throws: EntryProblem.badExtentCount(UInt64(count))) { try parse(made) }
  }

  @Test("fewer than 2 and more than 16 strips are refused", arguments: [0, 1, 17, 1 << 32 | 2, UInt64.max] as [UInt64])
  func stripCount(count: UInt64) {
    var made = HandMade.file("f", size: 1, LogEntryTests.extents(2), chunkSize: 4096)
    made.put(136, count)
    #expect(throws: EntryProblem.badExtentCount(count)) { try parse(made) }
  }

  @Test(
    "a chunk size that is no power of two is refused", arguments: [0, 1, 2048, 4097, 12288, UInt64.max] as [UInt64])
  func chunkSize(size: UInt64) {
    var made = HandMade.file("f", size: 1, LogEntryTests.extents(2), chunkSize: 4096)
    made.put(144, size)
    #expect(throws: EntryProblem.badChunkSize(size)) { try parse(made) }
  }
}

@Suite struct EntryPathTests {
  static let badPaths: [(String, EntryPathError)] = [
    ("", .empty), ("/", .absolute), ("/etc", .absolute), ("//", .absolute),
    (".", .dots), ("..", .dots), ("./a", .dots), ("../a", .dots), ("a/.", .dots), ("a/..", .dots),
    ("a/./b", .dots), ("a/../b", .dots), ("a//b", .emptyComponent), ("a/", .emptyComponent),
    ("a/b//", .emptyComponent), (String(repeating: "x", count: 80), .tooLong),
    (String(repeating: "é", count: 40), .tooLong),
  ]

  @Test("a path that could lead anywhere else is refused, from a person and on media", arguments: badPaths)
  func refused(path: String, error: EntryPathError) {
    #expect(throws: error) { try EntryPath(path) }
    for (type, offset) in [(UInt32(0), 40), (1, 28)] {
      var made = HandMade.entry(type: type)
      made.put(offset, text: path)
      #expect(throws: EntryProblem.badPath(error)) { try LogEntry(parsing: made.sealed(0).span.bytes, index: 0) }
    }
  }

  @Test("80 bytes without a NUL do not run into the next field")
  func withoutEnd() {
    var made = HandMade.file("", size: 0, [])
    made.put(40, bytes: [UInt8](repeating: 0x61, count: 80))
    #expect(throws: EntryProblem.badPath(.tooLong)) {
      try LogEntry(parsing: made.sealed(0).span.bytes, index: 0)
    }
    #expect("\(EntryProblem.badPath(.tooLong))" == "its path has no end")
  }

  static let goodPaths = [
    "a", "...", ".a", "..a", "a.", "a..", "a/...", ".hidden/..data", " ", "\n", "é/ü", "a/b/c/d/e/f/g",
    String(repeating: "x", count: 79),
  ]

  @Test("other paths are kept as they are", arguments: goodPaths)
  func accepted(path: String) throws {
    let entryPath = try EntryPath(path)
    #expect("\(entryPath)" == path)
    #expect(entryPath.count == path.utf8.count)
    #expect(entryPath.withName { Array($0) } == Array((path.split(separator: "/").last ?? "").utf8))
    let made = HandMade.directory(path)
    guard case .directory(let record) = try LogEntry(parsing: made.sealed(0).span.bytes, index: 0).payload else {
      Issue.record("not a directory")
      return
    }
    #expect(record.path == entryPath)
  }

  @Test("a name of bytes that are no UTF-8 is a name")
  func bytes() throws {
    var made = HandMade.directory("")
    made.put(28, bytes: [0xff, 0xfe, 0x2f, 0x80])
    guard case .directory(let record) = try LogEntry(parsing: made.sealed(0).span.bytes, index: 0).payload else {
      Issue.record("not a directory")
      return
    }
    #expect(record.path.withBytes { Array($0) } == [0xff, 0xfe, 0x2f, 0x80])
    #expect(record.path.nameStart == 3)
  }

  @Test("a NUL in a person's path is refused")
  func nul() { #expect(throws: EntryPathError.nul) { try EntryPath("a\0b") } }

  @Test("what follows the NUL on media is not part of the path")
  func afterNul() throws {
    var made = HandMade.directory("a")
    made.put(30, text: "../..")
    guard case .directory(let record) = try LogEntry(parsing: made.sealed(0).span.bytes, index: 0).payload else {
      Issue.record("not a directory")
      return
    }
    #expect("\(record.path)" == "a")
  }
}
