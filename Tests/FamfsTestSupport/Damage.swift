import Platform

@testable import Famfs

/// Ways to damage a small volume.
enum Damage {
  static func small() -> HandMadeVolume {
    var hand = HandMadeVolume()
    hand.append(.directory("dir"))
    hand.append(.file("one", size: 5000, [hand.units(0, 2)]))
    hand.append(.file("dir/two", size: 12_000, [hand.units(2), hand.units(4), hand.units(6)]))
    hand.append(.file("dir/striped", size: 20_000, [hand.units(8, 4), hand.units(12, 4)], chunkSize: 8192))
    hand.append(.file("clone", size: 4097, [hand.units(0, 2)]))
    hand.append(.directory("dir/sub"))
    hand.append(.file("dir/sub/sixteen", size: 60_000, (0..<16).map { hand.units(20 + $0 * 2) }))
    hand.append(.addDevice(size: 1 << 30, uuid: HandMade.hostBytes, index: 1))
    hand.append(.attributes("dir/two", of: 2, mode: 0o600, modified: (1_000_000_000, 999_999_999)))
    hand.append(.attributes("", of: .max, mode: 0o1777))
    hand.append(HandMade.file("dir/stamped", size: 1, [hand.units(60)]).stamped((1_100_000_000, 1)))
    hand.append(.attributes("dir", of: 0, mode: 0o2755, modified: (-5, 0)))
    return hand
  }

  /// A structure on the device: where it is, what its CRC covers, where its CRC stands.
  struct Structure {
    let place: UInt64
    let count, checked, crc: Int

    func bytes(on device: RamDevice) -> HandMade {
      var made = HandMade(count: 0)
      made.bytes = device.peek(place, count)
      return made
    }
  }

  static let superblock = Structure(place: 0, count: 200, checked: 96, crc: 96)
  static let header = Structure(place: HandMade.logStart, count: 48, checked: 24, crc: 24)
  static func entry(_ index: UInt64) -> Structure {
    Structure(place: HandMadeVolume.place(of: index), count: 544, checked: 536, crc: 536)
  }

  /// Numbers that code is likely to trip over.
  static let nasty: [UInt64] = [
    0, 1, 2, 15, 16, 17, 255, 4095, 4096, 4097, 1 << 21, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 62, 1 << 63, .max,
    .max - 1, .max - 4095, .max - (2 << 20) + 1, 10 << 20, (10 << 20) + 4096, 16 << 20, (16 << 20) - 4096,
  ]

  static func change(_ made: inout HandMade, _ random: inout SeededRandom) {
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let place = Int.random(in: 0..<made.bytes.count, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: made.bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: made.bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 2: made.put(place & ~3, UInt32(truncatingIfNeeded: nasty.randomElement(using: &random) ?? 0))
      default: made.put(min(place & ~7, made.bytes.count - 8), nasty.randomElement(using: &random) ?? 0)
      }
    }
  }

  /// The superblock or the log's header, before and after it was damaged. Half of them have a CRC that fits.
  /// - Parameter long: one of how many may have an index of thousands of empty slots, which is slow.
  static func damagedHead(
    _ hand: HandMadeVolume, _ random: inout SeededRandom, long: Int
  ) -> (place: UInt64, good: [UInt8], bad: [UInt8]) {
    let isHeader = random.oneIn(2)
    let structure = isHeader ? header : superblock
    let good = structure.bytes(on: hand.device)
    var made = good
    change(&made, &random)
    if isHeader, made.bytes.span.bytes.u64(40) > 64, !random.oneIn(long) { made.put(40, hand.count) }
    if random.oneIn(2) { made.seal(structure.checked, at: structure.crc) }
    return (structure.place, good.bytes, made.bytes)
  }
}
