import Foundation
import Memory
import Testing

@testable import Famfs
@testable import FamfsTestSupport

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
  @Test("a volume of the public famfs shows every path, mode, owner, extent and byte", arguments: Fixture.names)
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

  @Test("node numbers follow the log", arguments: Fixture.names)
  func numbers(name: String) throws {
    let fixture = try Fixture.shared(name)
    let volume = try Volume(on: fixture.device, host: Host.client)
    for entry in fixture.manifest.entries {
      #expect(try volume.number(of: entry.path) == .entry(entry.index))
    }
  }

  @Test("counts and the allocation bitmap are those of the public fsck", arguments: Fixture.names)
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
    let taken = volume.replayed.withLock { tree in
      (0..<bitmap.nbits).map { tree.space.isTaken(Extent(offset: $0 * unit, length: unit)) }
    }
    #expect(taken == fixture.takenUnits)
  }

  @Test("superblock and log header say what the manifest says", arguments: Fixture.names)
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

  @Test("what was read is written again byte for byte", arguments: Fixture.names)
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
