import Platform
import Testing

@testable import Famfs

/// Writes random volumes by hand, and knows what must be seen of them: the simplest thing that could be right.
struct RandomVolume {
  var random: SeededRandom
  var hand: HandMadeVolume
  private(set) var items: [String: Item] = [:]
  /// The entries that made them.
  private var indexes: [String: UInt64] = [:]
  private(set) var problems: [UInt64] = []
  private(set) var clones: [String] = []
  private(set) var free: [Bool]
  private var directories = [""]
  private var nameCount = 0
  private let unitCount: UInt64

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    let unit: UInt64 = random.oneIn(3) ? 2 << 20 : 4096
    unitCount = unit == 4096 ? 1000 : 60
    // Mappings are lazy: only what is touched takes memory.
    hand = HandMadeVolume(size: HandMadeVolume.dataStart + unitCount * unit + 1000, unit: unit)
    free = Array(repeating: true, count: Int(unitCount))
  }

  mutating func grow(_ entries: Int, badOneIn: Int) {
    for _ in 0..<entries {
      switch Int.random(in: 0..<10, using: &random) {
      case _ where random.oneIn(badOneIn): appendBad()
      case 0...1: appendDirectory()
      case 2: appendClone()
      case 3 where random.oneIn(2): appendAttributes()
      case 3...5: appendFile(isStriped: true)
      default: appendFile(isStriped: false)
      }
    }
  }

  private mutating func newPath() -> String? {
    nameCount += 1
    let directory = directories.randomElement(using: &random) ?? ""
    let name = "\(nameCount)" + String(repeating: "ö", count: Int.random(in: 0...8, using: &random))
    let path = directory.isEmpty ? name : directory + "/" + name
    return path.utf8.count < 80 ? path : nil
  }

  private mutating func attributes() -> (mode: UInt32, uid: UInt32, gid: UInt32) {
    (UInt32.random(in: 0...0o7777, using: &random), random.next(upperBound: .max), random.next(upperBound: .max))
  }

  private mutating func appendDirectory() {
    guard let path = newPath() else { return }
    let (mode, uid, gid) = attributes()
    hand.append(.directory(path, mode: mode | 0o040000, uid: uid, gid: gid))
    items[path] = Item(isDirectory: true, permissions: mode, userID: uid, groupID: gid)
    indexes[path] = hand.count - 1
    directories.append(path)
  }

  private mutating func takeRun(_ wanted: Int) -> Extent? {
    let start = Int.random(in: 0..<free.count, using: &random)
    let count = min(wanted, free[start...].prefix { $0 }.count)
    if count == 0 { return nil }
    for place in start..<start + count { free[place] = false }
    return hand.units(UInt64(start), UInt64(count))
  }

  private mutating func giveBack(_ extents: [Extent]) {
    for extent in extents {
      let start = Int((extent.offset - HandMadeVolume.dataStart) / hand.unit)
      for place in start..<start + Int(extent.length / hand.unit) { free[place] = true }
    }
  }

  private mutating func appendFile(isStriped: Bool) {
    guard let path = newPath() else { return }
    let length = isStriped ? Int.random(in: 1...4, using: &random) : Int.random(in: 1...40, using: &random)
    var extents: [Extent] = []
    for _ in 0..<Int.random(in: 1...16, using: &random) {
      if let run = takeRun(length) { extents.append(run) }
    }
    var chunkSize: UInt64 = 0
    if isStriped {
      giveBack(extents.filter { $0.length != extents[0].length })
      extents = extents.filter { $0.length == extents[0].length }
      if extents.count < 2 { return giveBack(extents) }
      // A chunk that divides the strip, so that all of the strips can be used.
      chunkSize = [1, 2, 4].filter { extents[0].length % ($0 * hand.unit) == 0 }.randomElement(using: &random) ?? 1
      chunkSize *= hand.unit
    }
    let size = UInt64.random(in: 0...extents.reduce(0) { $0 + $1.length }, using: &random)
    let (mode, uid, gid) = attributes()
    hand.append(.file(path, size: size, extents, chunkSize: chunkSize, mode: mode, uid: uid, gid: gid))
    items[path] = Item(permissions: mode, userID: uid, groupID: gid, size: size, extents: extents)
    indexes[path] = hand.count - 1
  }

  private mutating func appendAttributes() {
    let (mode, uid, gid) = attributes()
    guard let path = items.keys.sorted().randomElement(using: &random), let index = indexes[path] else { return }
    hand.append(.attributes(path, of: index, mode: mode, uid: uid, gid: gid))
    items[path]?.permissions = mode
    items[path]?.userID = uid
    items[path]?.groupID = gid
  }

  private mutating func appendClone() {
    let simple = items.filter { !$0.value.isDirectory && $0.value.extents.count == 1 }.sorted { $0.key < $1.key }
    guard let path = newPath(), let (_, original) = simple.randomElement(using: &random) else { return }
    let (mode, uid, gid) = attributes()
    hand.append(.file(path, size: original.extents[0].length, original.extents, mode: mode, uid: uid, gid: gid))
    items[path] = Item(
      permissions: mode, userID: uid, groupID: gid, size: original.extents[0].length, extents: original.extents)
    indexes[path] = hand.count - 1
    clones.append(path)
  }

  /// One of each way to be wrong. None may leave a trace, so its free units are taken by later files.
  private mutating func appendBad() {
    let index = hand.count
    let room = hand.units(UInt64(free.firstIndex(of: true) ?? 0))
    var made = HandMade.file("bad\(index)", size: 1, [room])
    let outside = Extent(offset: HandMadeVolume.dataStart + unitCount * hand.unit, length: hand.unit)
    let taken = items.values.filter { $0.extents.count > 1 }.map { $0.extents[1] }.min { $0.offset < $1.offset }
    switch Int.random(in: 0..<20, using: &random) {
    case 16: made = .attributes("none", of: 0, mode: 0)
    case 17: made = .attributes(items.keys.min() ?? "none", of: index, mode: 0)
    case 18: made = .attributes("", of: .max, mode: 0o10000)
    case 19: made = .attributes("", of: .max, mode: 0, changed: (0, 1_000_000_000))
    case 0: made = .directory("none/bad")
    case 1: made = .directory("../bad")
    case 2: made = .directory(items.keys.min() ?? ".meta")
    case 3: made = .entry(type: 2)
    case 4: made = .addDevice(size: 1 << 30, uuid: HandMade.hostBytes, index: 7)
    case 5: made = .entry(type: random.next(upperBound: 1000) + 4)
    case 6: made.put(128, UInt32.random(in: 17 ... .max, using: &random))
    case 7: made.put(120, UInt32.random(in: 2 ... .max, using: &random))
    case 8: made.put(144, room.offset + 512)
    case 9: made.put(152, UInt64.random(in: 0...4095, using: &random))
    case 10: made = .file("bad\(index)", size: 1, [room, outside])
    case 11: made = .file("bad\(index)", size: hand.unit + 1, [room])
    case 12: made = .file("bad\(index)", size: 1, [room, room])
    case 13: made = .file("bad\(index)", size: 1, [room, taken ?? room])
    case 14:
      problems.append(index)
      return hand.append(bytes: random.bytes(544))
    default: made = .file("bad\(index)", size: 1, [Extent(device: 9, offset: room.offset, length: hand.unit)])
    }
    problems.append(index)
    hand.append(made)
  }
}

extension SeededRandom {
  fileprivate mutating func next(upperBound: UInt32) -> UInt32 { UInt32.random(in: 0..<upperBound, using: &self) }
}
