import Foundation
import Memory
import Testing

@testable import Famfs

/// A volume that the public famfs wrote, and what its own tools said of it.
struct Fixture: Sendable {
  struct Manifest: Decodable, Sendable {
    struct Superblock: Decodable, Sendable {
      let tsLogOffset, tsLogLen, tsAllocUnit, ddSize: UInt64
      let tsUuid, tsDevUuid, tsSystemUuid, ddDaxdev: String
      let tsSbFlags: UInt32
    }
    struct Log: Decodable, Sendable { let len, lastIndex, nextSeqnum, nextIndex: UInt64 }
    struct Run: Decodable, Sendable { let devindex, offset, len: UInt64 }
    struct Entry: Decodable, Sendable {
      let index: UInt64
      let crc, type, path, mode: String
      let uid, gid: UInt32
      let size: UInt64?
      let flags: UInt32?
      let extents: [Run]?
      let sha256: String?
    }
    struct Reference: Decodable, Sendable { let bitmap: Bitmap }
    struct Bitmap: Decodable, Sendable { let nbits, fsizeSum, allocSum, files, dirs: UInt64, hex: String }

    let imageSize: UInt64
    let imageSha256: String
    let superblock: Superblock
    let log: Log
    let entries: [Entry]
    let reference: Reference
  }

  let manifest: Manifest
  let device: RamDevice

  /// A fixture that no test changes, unpacked once.
  static func shared(_ name: String) throws -> Fixture { try #require(unpacked[name]).get() }

  private static let unpacked = Dictionary(
    uniqueKeysWithValues: FixtureTests.names.map { name in (name, Result { try Fixture(name) }) })

  init(_ name: String) throws {
    let place = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    manifest = try decoder.decode(
      Manifest.self, from: Data(contentsOf: place.appendingPathComponent(name + ".manifest.json")))
    device = RamDevice(size: manifest.imageSize)
    let image = try run("gzip", ["-dc", place.appendingPathComponent(name + ".img.gz").path])
    try #require(image.count == Int(device.size))
    image.withUnsafeBytes { device.memory.copyMemory(from: $0) }
  }

  /// What the manifest says is there.
  var items: [String: Item] {
    var items: [String: Item] = [:]
    for entry in manifest.entries {
      items[entry.path] = Item(
        isDirectory: entry.type == "dir", permissions: UInt32(entry.mode, radix: 8) ?? 0, userID: entry.uid,
        groupID: entry.gid, size: entry.size ?? 0,
        extents: (entry.extents ?? []).map { Extent(device: $0.devindex, offset: $0.offset, length: $0.len) })
    }
    return items
  }

  /// The allocation bitmap: bit i of the whole is bit i mod 8 of byte i / 8.
  var takenUnits: [Bool] {
    let digits = Array(manifest.reference.bitmap.hex)
    let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0 }
    return (0..<Int(manifest.reference.bitmap.nbits)).map { bytes[$0 / 8] >> ($0 % 8) & 1 == 1 }
  }
}

/// Runs a program and returns what it writes.
private func run(_ program: String, _ arguments: [String]) throws -> Data {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [program] + arguments
  let output = Pipe()
  process.standardOutput = output
  try process.run()
  let data = output.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  try #require(process.terminationStatus == 0)
  return data
}

/// SHA-256 sums of byte strings, by the system's own tool.
private func sums(_ contents: [[UInt8]]) throws -> [String] {
  let room = FileManager.default.temporaryDirectory.appendingPathComponent("weft-\(Foundation.UUID())")
  try FileManager.default.createDirectory(at: room, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: room) }
  let paths = try contents.enumerated().map { number, bytes in
    let file = room.appendingPathComponent("\(number)")
    try Data(bytes).write(to: file)
    return file.path
  }
  if paths.isEmpty { return [] }
  let output = String(decoding: try run("sha256sum", paths), as: UTF8.self)
  return output.split(separator: "\n").map { String($0.prefix(64)) }
}

@Suite struct FixtureTests {
  static let names = ["a_empty", "b_files"]

  @Test("a volume of the public famfs shows every path, mode, owner, extent and byte", arguments: names)
  func play(name: String) throws {
    let fixture = try Fixture.shared(name)
    let volume = try Volume(on: fixture.device, host: Host.client)
    #expect(volume.role == .client)
    #expect(try volume.items() == fixture.items)
    let files = fixture.manifest.entries.filter { $0.type == "file" }
    let contents = try files.map { try volume.contents(of: volume.number(of: $0.path)) }
    #expect(contents.map { UInt64($0.count) } == files.map { $0.size })
    #expect(try sums(contents) == files.map { $0.sha256 })
    #expect(try sums([fixture.device.peek(0, Int(fixture.device.size))]) == [fixture.manifest.imageSha256])
  }

  @Test("node numbers follow the log", arguments: names)
  func numbers(name: String) throws {
    let fixture = try Fixture.shared(name)
    let volume = try Volume(on: fixture.device, host: Host.client)
    for entry in fixture.manifest.entries {
      #expect(try volume.number(of: entry.path) == .entry(entry.index))
    }
  }

  @Test("counts and the allocation bitmap are those of the public fsck", arguments: names)
  func counts(name: String) throws {
    let fixture = try Fixture.shared(name)
    let volume = try Volume(on: fixture.device, host: Host.master)
    let (usage, bitmap) = (volume.usage(), fixture.manifest.reference.bitmap)
    #expect(usage.files == bitmap.files)
    #expect(usage.directories == bitmap.dirs)
    #expect(usage.entries == fixture.manifest.log.nextIndex)
    #expect(usage.entryCapacity == fixture.manifest.log.lastIndex + 1)
    #expect(usage.fileBytes == bitmap.fsizeSum)
    #expect(usage.allocated == bitmap.allocSum)
    #expect(volume.report().isClean)
    #expect(volume.report().problems.isEmpty)
    #expect(volume.report().warnings.isEmpty)
    let unit = usage.allocationUnit
    let taken = volume.tree.withLock { tree in
      (0..<bitmap.nbits).map { tree.space.isTaken(Extent(offset: $0 * unit, length: unit)) }
    }
    #expect(taken == fixture.takenUnits)
  }

  @Test("superblock and log header say what the manifest says", arguments: names)
  func headers(name: String) throws {
    let fixture = try Fixture.shared(name)
    let (superblock, said) = (try Volume.readSuperblock(of: fixture.device), fixture.manifest.superblock)
    #expect(superblock.logOffset == said.tsLogOffset)
    #expect(superblock.logLength == said.tsLogLen)
    #expect(superblock.allocationUnit == said.tsAllocUnit)
    #expect("\(superblock.uuid)" == said.tsUuid)
    #expect("\(superblock.deviceUUID)" == said.tsDevUuid)
    #expect("\(superblock.systemUUID)" == said.tsSystemUuid)
    #expect(superblock.flags == said.tsSbFlags)
    #expect(superblock.deviceSize == said.ddSize)
    #expect(superblock.devicePath == said.ddDaxdev)
    let header = try Volume.readLogHeader(of: fixture.device, superblock)
    #expect(header.logLength == fixture.manifest.log.len)
    #expect(header.lastIndex == fixture.manifest.log.lastIndex)
    #expect(header.nextSequence == fixture.manifest.log.nextSeqnum)
    #expect(header.nextIndex == fixture.manifest.log.nextIndex)
  }

  @Test("what was read is written again byte for byte", arguments: names)
  func again(name: String) throws {
    let fixture = try Fixture.shared(name)
    let superblock = try Volume.readSuperblock(of: fixture.device)
    var expected = fixture.device.peek(0, 200)
    // The facts page lets these 16 bytes be zero, as the public mkfs leaves them, or the device's UUID, as ours does.
    #expect(expected[120..<136].allSatisfy { $0 == 0 })
    expected.replaceSubrange(120..<136, with: expected[64..<80])
    #expect(encoded(200) { superblock.encode(into: &$0) } == expected)

    let header = try Volume.readLogHeader(of: fixture.device, superblock)
    #expect(encoded(48) { header.encode(into: &$0) } == fixture.device.peek(2 << 20, 48))

    for described in fixture.manifest.entries {
      let bytes = fixture.device.peek(HandMadeVolume.place(of: described.index), 544)
      let entry = try LogEntry(parsing: bytes.span.bytes, index: described.index)
      #expect(encoded(544) { entry.encode(into: &$0) } == bytes, "entry \(described.index)")
      #expect("0x" + String(bytes.span.bytes.u64(536), radix: 16) == described.crc)
      if case .file(let record) = entry.payload { #expect(record.flags == described.flags) }
    }
  }

  @Test("the master goes on where the public tool stopped, and nothing of its volume changes")
  func append() throws {
    let fixture = try Fixture("b_files")
    let before = fixture.items
    let bytes = fixture.device.peek(0, 2 << 20) + fixture.device.peek(HandMadeVolume.place(of: 0), 17 * 544)
    let volume = try Volume(on: fixture.device, host: Host.master)
    try volume.makeDirectory("dir1/new")
    let file = try volume.create("dir1/new/file", [1, 2, 3])
    #expect(file == .entry(18))
    // The first unit that the bitmap says is free.
    let free = UInt64(try #require(fixture.takenUnits.firstIndex(of: false))) * (2 << 20)
    #expect(volume.extents(of: file) == [Extent(offset: free, length: 2 << 20)])
    let after = try Volume(on: fixture.device, host: Host.client).items()
    #expect(after.filter { before[$0.key] != nil } == before)
    #expect(after.count == before.count + 2)
    #expect(fixture.device.peek(0, 2 << 20) + fixture.device.peek(HandMadeVolume.place(of: 0), 17 * 544) == bytes)
  }
}
