import Platform

@testable import Famfs

/// Bytes put together from the facts page alone, so that no test trusts the encoder that it tests.
struct HandMade: Sendable {
  var bytes: [UInt8]

  init(count: Int) { bytes = Array(repeating: 0, count: count) }

  mutating func put(_ offset: Int, _ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
  }

  mutating func put(_ offset: Int, text: String) { put(offset, bytes: Array(text.utf8)) }

  mutating func put(_ offset: Int, bytes new: [UInt8]) { bytes.replaceSubrange(offset..<offset + new.count, with: new) }

  /// Stores the CRC of the first `count` bytes at `offset`.
  mutating func seal(_ count: Int, at offset: Int) { put(offset, UInt64(crc(bytes[..<count]))) }
}

/// CRC-32 as zlib has it: reflected polynomial 0x04c11db7.
private func crc(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  ~bytes.reduce(~0) { crcTable[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
}

private let crcTable: [UInt32] = (0..<256).map { byte in
  (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1 }
}

// MARK: - The three structures

extension HandMade {
  static let logStart: UInt64 = 2 << 20
  static let lastIndex: UInt64 = 15_419

  static func superblock(
    unit: UInt64 = 4096, logLength: UInt64 = 8 << 20, master: [UInt8] = hostBytes, deviceSize: UInt64 = 16 << 20
  ) -> HandMade {
    var made = HandMade(count: 200)
    made.put(0, UInt64(0x87b2_82ff))
    made.put(8, UInt64(48))
    made.put(16, UInt64(0x20_0000))
    made.put(24, logLength)
    made.put(32, unit)
    made.put(40, UInt32(2))
    made.put(44, UInt32(2))
    made.put(48, bytes: Array(0xa0...0xaf))
    made.put(64, bytes: Array(0xb0...0xbf))
    made.put(80, bytes: master)
    made.put(112, deviceSize)
    made.put(120, bytes: Array(0xb0...0xbf))
    made.put(136, text: "/dev/test")
    made.seal(96, at: 96)
    return made
  }

  /// What `superblock` has at 48 and 64.
  static let volumeUUID = UUID("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf") ?? .zero
  static let deviceUUID = UUID("b0b1b2b3-b4b5-b6b7-b8b9-babbbcbdbebf") ?? .zero

  /// `Host.master`, in text order.
  static let hostBytes: [UInt8] = [
    0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x55, 0x55, 0x66, 0x66, 0x77, 0x77,
  ]

  static func logHeader(
    logLength: UInt64 = 8 << 20, lastIndex: UInt64 = lastIndex, nextSequence: UInt64 = 0, nextIndex: UInt64 = 0
  ) -> HandMade {
    var made = HandMade(count: 48)
    made.put(0, UInt64(0xbad_cafe_f00d))
    made.put(8, logLength)
    made.put(16, lastIndex)
    made.put(32, nextSequence)
    made.put(40, nextIndex)
    made.seal(24, at: 24)
    return made
  }

  static func entry(type: UInt32, sequence: UInt64 = 0) -> HandMade {
    var made = HandMade(count: 544)
    made.put(0, sequence)
    made.put(8, type)
    return made
  }

  static func directory(_ path: String, mode: UInt32 = 0o755, uid: UInt32 = 1, gid: UInt32 = 2) -> HandMade {
    var made = entry(type: 1)
    made.put(16, uid)
    made.put(20, gid)
    made.put(24, mode)
    made.put(28, text: path)
    return made
  }

  /// A removal of what entry `target` made.
  static func removal(_ path: String, of target: UInt64) -> HandMade {
    var made = entry(type: 2)
    made.put(16, target)
    made.put(24, UInt32(0x7466_6577))
    made.put(28, text: path)
    return made
  }

  /// A moment, as entries have it.
  typealias Moment = (seconds: Int64, nanoseconds: UInt32)

  mutating func put(_ offset: Int, time: Moment) {
    put(offset, time.seconds)
    put(offset + 8, time.nanoseconds)
  }

  /// The same with a time stamp.
  func stamped(_ time: Moment) -> HandMade {
    var made = self
    made.put(520, time: time)
    made.put(532, UInt32(0x7466_6577))
    return made
  }

  /// Other attributes of what entry `target` made; of the root, with `UInt64.max` and no path.
  static func attributes(
    _ path: String, of target: UInt64, mode: UInt32, uid: UInt32 = 3, gid: UInt32 = 4, modified: Moment = (5, 6),
    changed: Moment = (7, 8), accessed: Moment = (9, 10)
  ) -> HandMade {
    var made = entry(type: 0x7274_7461)
    made.put(16, target)
    made.put(24, UInt32(0x7466_6577))
    made.put(28, text: path)
    made.put(108, UInt32(1))
    made.put(112, mode)
    made.put(116, uid)
    made.put(120, gid)
    made.put(128, time: modified)
    made.put(144, time: changed)
    made.put(160, time: accessed)
    return made
  }

  /// A file of simple layout, or of interleaved layout when there is a chunk size.
  static func file(
    _ path: String, size: UInt64, _ extents: [Extent], chunkSize: UInt64 = 0, mode: UInt32 = 0o644, uid: UInt32 = 1,
    gid: UInt32 = 2
  ) -> HandMade {
    var made = entry(type: 0)
    made.put(16, size)
    made.put(24, UInt32(2))
    made.put(28, uid)
    made.put(32, gid)
    made.put(36, mode)
    made.put(40, text: path)
    if chunkSize == 0 {
      made.put(128, UInt32(extents.count))
    } else {
      made.put(120, UInt32(1))
      made.put(128, UInt32(1))
      made.put(136, UInt64(extents.count))
      made.put(144, chunkSize)
    }
    for (number, extent) in extents.enumerated() {
      let place = (chunkSize == 0 ? 136 : 152) + 24 * number
      guard place + 24 <= 536 else { break }
      made.put(place, extent.device)
      made.put(place + 8, extent.offset)
      made.put(place + 16, extent.length)
    }
    return made
  }

  static func addDevice(size: UInt64, uuid: [UInt8], index: UInt32) -> HandMade {
    var made = entry(type: 3)
    made.put(16, size)
    made.put(24, bytes: uuid)
    made.put(40, index)
    return made
  }

  /// The entry for slot `index`, checksum included.
  func sealed(_ index: UInt64) -> [UInt8] {
    var made = self
    made.put(0, index)
    made.seal(536, at: 536)
    return made.bytes
  }
}

/// A volume on a device, written by hand.
struct HandMadeVolume {
  let device: RamDevice
  let unit: UInt64
  private(set) var count: UInt64 = 0

  /// Where data begins, in bytes.
  static let dataStart: UInt64 = 10 << 20

  init(size: UInt64 = 16 << 20, unit: UInt64 = 4096) {
    self.init(on: RamDevice(size: size), unit: unit)
  }

  init(on device: RamDevice, unit: UInt64 = 4096) {
    self.device = device
    self.unit = unit
    device.poke(0, HandMade.superblock(unit: unit, deviceSize: device.size).bytes)
    setHeader(count: 0)
  }

  init(unit: UInt64 = 4096, _ entries: [HandMade]) {
    self.init(unit: unit)
    for entry in entries { append(entry) }
  }

  static func place(of index: UInt64) -> UInt64 { HandMade.logStart + 48 + 544 * index }

  func setHeader(count: UInt64) {
    device.poke(HandMade.logStart, HandMade.logHeader(nextSequence: count, nextIndex: count).bytes)
  }

  mutating func append(_ entry: HandMade) { append(bytes: entry.sealed(count)) }

  /// Appends these bytes as they are.
  mutating func append(bytes: [UInt8]) {
    device.poke(HandMadeVolume.place(of: count), bytes)
    count += 1
    setHeader(count: count)
  }

  /// The extent of `count` units from unit number `start` of the data area on.
  func units(_ start: UInt64, _ count: UInt64 = 1) -> Extent {
    Extent(offset: HandMadeVolume.dataStart + start * unit, length: count * unit)
  }

  func open(as host: UUID = Host.master) throws -> Volume { try Volume(on: device, host: host) }
}
