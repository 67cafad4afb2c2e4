import Glibc
import Memory
import Platform
import Testing

@testable import Famfs
@testable import Platform

/// Random numbers that a seed repeats (splitmix64).
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// True in one of `outcomes` cases.
  mutating func oneIn(_ outcomes: Int) -> Bool { Int.random(in: 0..<outcomes, using: &self) == 0 }

  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}

/// The hosts of these tests.
enum Host {
  static let master = UUID(high: 0x1111_1111_2222_3333, low: 0x4444_5555_6666_7777)
  static let client = UUID(high: 0x9999_9999_9999_4999, low: 0x8999_9999_9999_9999)
}

/// Memory of this process that counts as a device. Subclasses make it fail, forget or lose its power.
class RamDevice: MemoryDevice, @unchecked Sendable {
  let path = "/dev/test"
  let size: UInt64
  let memory: UnsafeMutableRawBufferPointer

  enum Access { case read, write, writeBack, invalidate, sync }

  init(size: UInt64 = 16 << 20) {
    self.size = size
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    let start = mmap(nil, Int(size), PROT_READ | PROT_WRITE, flags, -1, 0)
    precondition(start != MAP_FAILED)
    memory = UnsafeMutableRawBufferPointer(start: start, count: Int(size))
  }

  init(copying other: RamDevice) {
    size = other.size
    memory = .allocate(byteCount: Int(size), alignment: 4096)
    memory.copyMemory(from: UnsafeRawBufferPointer(other.memory))
    isMapped = false
  }

  private var isMapped = true

  deinit {
    if isMapped { munmap(memory.baseAddress, memory.count) } else { memory.deallocate() }
  }

  /// Called before each access; what it throws, the access throws.
  func will(_ access: Access, _ offset: UInt64, _ count: UInt64) throws(Errno) {}
  /// Called after each change of the memory.
  func didStore(_ offset: UInt64, _ count: UInt64, streaming: Bool) throws(Errno) {}

  private func range(_ access: Access, _ offset: UInt64, _ count: UInt64) throws(Errno) -> UnsafeMutableRawBufferPointer
  {
    try check(offset, count)
    try will(access, offset, count)
    return UnsafeMutableRawBufferPointer(rebasing: memory[Int(offset)..<Int(offset + count)])
  }

  func bytes(at offset: UInt64, count: Int) throws(Errno) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(try range(.read, offset, UInt64(count)))
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    buffer.copyMemory(from: UnsafeRawBufferPointer(try range(.read, offset, UInt64(buffer.count))))
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try range(.write, offset, UInt64(buffer.count)).copyMemory(from: buffer)
    try didStore(offset, UInt64(buffer.count), streaming: true)
  }

  func zero(at offset: UInt64, count: UInt64) throws(Errno) {
    let room = try range(.write, offset, count)
    if let start = room.baseAddress { memset(start, 0, room.count) }
    try didStore(offset, count, streaming: true)
  }

  func load64(at offset: UInt64) throws(Errno) -> UInt64 {
    UnsafeRawBufferPointer(try range(.read, offset, 8)).bytes.u64(0)
  }

  func store64(at offset: UInt64, _ value: UInt64) throws(Errno) {
    try range(.write, offset, 8).storeBytes(of: value.littleEndian, as: UInt64.self)
    try didStore(offset, 8, streaming: false)
  }

  func replace64(at offset: UInt64, _ old: UInt64, with new: UInt64) throws(Errno) -> Bool {
    if try load64(at: offset) != old { return false }
    try store64(at: offset, new)
    return true
  }

  func writeBack(at offset: UInt64, count: UInt64) throws(Errno) { _ = try range(.writeBack, offset, count) }
  func invalidate(at offset: UInt64, count: UInt64) throws(Errno) { _ = try range(.invalidate, offset, count) }
  func fence() {}
  func sync(at offset: UInt64, count: UInt64) throws(Errno) {
    _ = try range(.sync, offset, count)
    fence()
  }
}

extension RamDevice {
  /// What is there, past all that a subclass does.
  func peek(_ offset: UInt64, _ count: Int) -> [UInt8] { Array(memory[Int(offset)..<Int(offset) + count]) }

  /// The CRC of what is there: for comparing much at once.
  func sum(_ offset: UInt64, _ count: Int) -> UInt64 {
    checksum(UnsafeRawBufferPointer(rebasing: memory[Int(offset)..<Int(offset) + count]).bytes)
  }

  /// Whether a range holds zeros only.
  func isZero(_ offset: UInt64, _ count: Int) -> Bool {
    guard let start = memory.baseAddress.map({ $0 + Int(offset) }), count > 0 else { return true }
    return memory[Int(offset)] == 0 && memcmp(start, start + 1, count - 1) == 0
  }

  /// Changes what is there, past all that a subclass does.
  func poke(_ offset: UInt64, _ bytes: [UInt8]) {
    UnsafeMutableRawBufferPointer(rebasing: memory[Int(offset)...]).copyBytes(from: bytes)
  }
}

extension MemoryDevice {
  func contents(at offset: UInt64, count: Int) throws -> [UInt8] {
    var contents = [UInt8](repeating: 0, count: count)
    try contents.withUnsafeMutableBytes { try read(at: offset, into: $0) }
    return contents
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws {
    try bytes.withUnsafeBytes { try write(at: offset, from: $0) }
  }
}

// MARK: - Asking a volume

/// One file or directory, as a volume shows it.
struct Item: Equatable {
  var isDirectory = false
  var permissions: UInt32
  var userID: UInt32
  var groupID: UInt32
  var size: UInt64 = 0
  var extents: [Extent] = []
}

extension Volume {
  /// Everything but `.meta`.
  func walk() throws -> [(number: NodeNumber, path: String, item: Item)] {
    var found: [(number: NodeNumber, path: String, item: Item)] = []
    var waiting = [NodeNumber.root]
    while let directory = waiting.popLast() {
      for (number, node) in try children(of: directory) where number != .meta {
        let isDirectory = node.kind == .directory
        if isDirectory { waiting.append(number) }
        let item = Item(
          isDirectory: isDirectory, permissions: UInt32(node.permissions), userID: node.userID,
          groupID: node.groupID, size: node.size, extents: extents(of: number))
        found.append((number, path(of: number), item))
      }
    }
    return found
  }

  /// Everything but `.meta`, by path.
  func items() throws -> [String: Item] {
    try Dictionary(walk().map { ($0.path, $0.item) }) { one, _ in
      Issue.record("two files of one name")
      return one
    }
  }

  func children(of directory: NodeNumber) throws -> [(NodeNumber, Node)] {
    var found: [(NodeNumber, Node)] = []
    try children(of: directory, after: nil) { number, node, _ in
      found.append((number, node))
      return true
    }
    return found
  }

  func names(in directory: NodeNumber) throws -> [String] {
    var names: [String] = []
    try children(of: directory, after: nil) { _, _, name in
      names.append(String(decoding: name, as: UTF8.self))
      return true
    }
    return names
  }

  func number(of path: String) throws -> NodeNumber { try #require(find(try EntryPath(path))) }

  /// A range of a file, piece by piece through `resolve`.
  func contents(of number: NodeNumber, offset: UInt64 = 0, count: UInt64 = .max, pieces: Int = 16) throws -> [UInt8] {
    var contents: [UInt8] = []
    try withUnsafeTemporaryAllocation(of: Extent.self, capacity: pieces) { room in
      var position = offset
      let end = count > .max - offset ? UInt64.max : offset + count
      while position < end {
        let found = try resolve(number, offset: position, count: end - position, into: room)
        if found.bytes == 0 { break }
        for piece in room[..<found.pieces] {
          contents += try memory(piece.device).contents(at: piece.offset, count: Int(piece.length))
        }
        position += found.bytes
      }
    }
    return contents
  }

  func reserve(_ path: String, size: UInt64) throws -> Reservation {
    try reserve(path: try EntryPath(path), size: size, permissions: 0o640, userID: 7, groupID: 8)
  }

  /// Makes a whole file, in the order that the design asks for.
  @discardableResult
  func create(_ path: String, _ contents: [UInt8]) throws -> NodeNumber {
    let reservation = try reserve(path, size: UInt64(contents.count))
    var rest = contents[...]
    for extent in reservation.extents {
      let piece = rest.prefix(Int(extent.length))
      try memory(extent.device).write(Array(piece), at: extent.offset)
      rest = rest.dropFirst(piece.count)
    }
    device.fence()
    return try commit(reservation.id)
  }

  @discardableResult
  func makeDirectory(_ path: String) throws -> NodeNumber {
    try makeDirectory(path: try EntryPath(path), permissions: 0o750, userID: 7, groupID: 8)
  }
}

/// What an encoder writes over bytes of one value.
func encoded(_ count: Int, over filler: UInt8 = 0, _ encode: (inout MutableRawSpan) -> Void) -> [UInt8] {
  var bytes = [UInt8](repeating: filler, count: count)
  var span = bytes.mutableSpan
  var raw = span.mutableBytes
  encode(&raw)
  return bytes
}

/// The name of the `FamfsError` case that `body` fails with; nil when it does not fail.
func refusal(_ body: () throws -> Void) -> String? {
  do { try body() } catch let error as FamfsError {
    return Mirror(reflecting: error).children.first?.label ?? "noReservation"
  } catch { return "\(error)" }
  return nil
}

/// A device with a new volume of this program's own making.
func newVolume(size: UInt64 = 16 << 20, unit: UInt64 = 4096) throws -> RamDevice {
  let device = RamDevice(size: size)
  try make(on: device, unit: unit)
  return device
}

func make(on device: any MemoryDevice, unit: UInt64 = 4096, force: Bool = false) throws {
  var options = MakeOptions()
  options.allocationUnit = unit
  options.force = force
  try Volume.make(on: device, host: Host.master, options)
}

/// Whether no two extents share a byte.
func areDisjoint(_ extents: [Extent]) -> Bool {
  let sorted = extents.sorted { $0.offset < $1.offset }
  return zip(sorted, sorted.dropFirst()).allSatisfy { $0.offset + $0.length <= $1.offset }
}
