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

  /// Those there are.
  static let names = ["a_empty", "b_files"]

  let manifest: Manifest
  let device: RamDevice

  /// A fixture that no test changes, unpacked once.
  static func shared(_ name: String) throws -> Fixture { try #require(unpacked[name]).get() }

  private static let unpacked = Dictionary(
    uniqueKeysWithValues: names.map { name in (name, Result { try Fixture(name) }) })

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
func run(_ program: String, _ arguments: [String]) throws -> Data {
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
