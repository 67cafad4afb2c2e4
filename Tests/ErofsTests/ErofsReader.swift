import Platform

@testable import Famfs
@testable import FamfsTestSupport

/// Reads an EROFS image as a kernel would, from the facts page alone, so that no test trusts the writer that it tests.
struct ErofsReader {
  /// A file or directory.
  struct Found: Equatable {
    var mode: UInt16
    var userID: UInt32
    var groupID: UInt32
    var seconds: UInt64
    var linkCount: UInt32
    var contents: [UInt8]
  }

  struct Damage: Error { let what: String }

  private let devices: [RamDevice]
  private let metadata: UInt64
  let inodeCount: UInt64

  /// - Returns: nil when there is no superblock.
  init?(_ devices: RamDevice...) throws {
    let superblock = HandMade(bytes: devices[0].peek(1024, 128))
    guard superblock.u32(0) == 0xE0F5_E1E2 else { return nil }
    guard superblock.u32(8) == 0, superblock.bytes[12] == 12, superblock.u16(14) == 2 else {
      throw Damage(what: "head")
    }
    let isMany = superblock.u32(80) == 12
    guard isMany || superblock.u32(80) == 4 else { throw Damage(what: "features") }
    guard superblock.u16(86) == (isMany ? UInt16(devices.count - 1) : 0) else { throw Damage(what: "devices") }
    self.devices = devices
    metadata = UInt64(superblock.u32(40)) * 4096
    inodeCount = superblock.u64(16)
  }

  /// Everything, by path; the root has the empty one.
  func all() throws -> [String: Found] {
    var found: [String: Found] = [:]
    var waiting: [(path: String, nid: UInt64, parent: UInt64)] = [("", 2, 2)]
    while let (path, nid, parent) = waiting.popLast() {
      let item = try inode(nid)
      guard found.updateValue(item, forKey: path) == nil else { throw Damage(what: "two of the name \(path)") }
      guard item.mode & 0o170000 == 0o040000 else { continue }
      var names: [[UInt8]] = []
      for entry in try entries(item.contents) {
        names.append(entry.name)
        let text = String(decoding: entry.name, as: UTF8.self)
        if text == "." || text == ".." {
          guard entry.nid == (text == "." ? nid : parent), entry.type == 2 else {
            throw Damage(what: "\(path)/\(text)")
          }
        } else {
          let isDirectory = try inode(entry.nid).mode & 0o170000 == 0o040000
          guard entry.type == (isDirectory ? 2 : 1) else { throw Damage(what: "type of \(text)") }
          waiting.append((path.isEmpty ? text : path + "/" + text, entry.nid, nid))
        }
      }
      guard zip(names, names.dropFirst()).allSatisfy({ $0.lexicographicallyPrecedes($1) }) else {
        throw Damage(what: "the order in \(path)")
      }
    }
    return found
  }

  private func inode(_ nid: UInt64) throws -> Found {
    let place = metadata + nid * 32
    let inode = HandMade(bytes: devices[0].peek(place, 64))
    guard place / 4096 == (place + 63) / 4096, inode.u16(0) & 1 == 1 else { throw Damage(what: "inode \(nid)") }
    let (size, word) = (Int(inode.u64(8)), inode.u32(16))
    var contents: [UInt8] = []
    switch inode.u16(0) >> 1 {
    case 0: contents = size == 0 ? [] : devices[0].peek(UInt64(word) * 4096, size)
    case 2:
      guard place % 4096 + 64 + UInt64(size) <= 4096 else { throw Damage(what: "inline data of \(nid)") }
      contents = devices[0].peek(place + 64, size)
    case 4:
      let chunk = 4096 << Int(word & 31)
      let width = word & 32 == 0 ? 4 : 8
      var table = place + 64
      while contents.count < size {
        let entry = HandMade(bytes: devices[0].peek(table, width))
        let device = width == 8 ? Int(entry.u16(2)) : 0
        let block = UInt64(entry.u32(width - 4))
        contents += devices[device].peek(block * 4096, min(chunk, size - contents.count))
        table += UInt64(width)
      }
    default: throw Damage(what: "layout of \(nid)")
    }
    return Found(
      mode: inode.u16(4), userID: inode.u32(24), groupID: inode.u32(28), seconds: inode.u64(32),
      linkCount: inode.u32(44), contents: contents)
  }

  private func entries(_ bytes: [UInt8]) throws -> [(name: [UInt8], nid: UInt64, type: UInt8)] {
    var found: [([UInt8], UInt64, UInt8)] = []
    for start in stride(from: 0, to: bytes.count, by: 4096) {
      let block = HandMade(bytes: Array(bytes[start..<min(start + 4096, bytes.count)]))
      let count = Int(block.u16(8)) / 12
      guard count > 0, block.u16(8) % 12 == 0 else { throw Damage(what: "a directory block") }
      for number in 0..<count {
        let name = Int(block.u16(number * 12 + 8))
        let end = number + 1 < count ? Int(block.u16(number * 12 + 20)) : block.bytes.count
        guard name < end, end <= block.bytes.count else { throw Damage(what: "a name") }
        let bytes = Array(block.bytes[name..<end].prefix { $0 != 0 })
        found.append((bytes, block.u64(number * 12), block.bytes[number * 12 + 10]))
      }
    }
    return found
  }
}

extension HandMade {
  init(bytes: [UInt8]) {
    self.init(count: 0)
    self.bytes = bytes
  }

  func u16(_ offset: Int) -> UInt16 { bytes.span.bytes.u16(offset) }
  func u32(_ offset: Int) -> UInt32 { bytes.span.bytes.u32(offset) }
  func u64(_ offset: Int) -> UInt64 { bytes.span.bytes.u64(offset) }
}
