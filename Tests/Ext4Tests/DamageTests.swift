import Blocks
import Ext4TestSupport
import Foundation
import Glibc
import Platform
import Synchronization
import Testing

@testable import Ext4

/// Images that are damaged on purpose: an error each, and never a trap, a loop without end or another file's bytes.
@Suite(.enabled(if: Machine.hasE2fsprogs)) struct DamageTests {
  static let kinds: [[String]] = [
    ["-t", "ext4", "-b", "1024"], ["-t", "ext4", "-b", "1024", "-O", "inline_data,ea_inode"],
    ["-t", "ext3", "-b", "1024"], ["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,uninit_bg,^64bit"],
    ["-t", "ext4", "-b", "4096", "-O", "meta_bg,^resize_inode,bigalloc"],
  ]

  /// An image with all kinds of structures: written by the kernel where that is possible, else filled by mke2fs.
  static func image(_ options: [String], in folder: TestFolder) throws -> ImageInMemory {
    let (image, place) = (folder.at("image"), folder.directory("mount"))
    try must(["mke2fs", "-q", "-F", "-N", "4096", "-d", "/usr/share/doc/e2fsprogs"] + options + [image, "24M"])
    guard Machine.canLoop else { return try ImageInMemory(of: image) }
    try must(["mount", "-o", "loop", image, place])
    var population = Population(root: place)
    (population.hasExtents, population.manyNames) = (options[1] == "ext4", 400)
    population.isSmall = true
    try population.make()
    try must(["umount", place])
    return try ImageInMemory(of: image)
  }

  /// Looks at all that can be reached, and goes on behind errors.
  /// - Returns: errors, by their sentence.
  static func walk(_ volume: Volume) -> Set<String> {
    var errors: Set<String> = []
    func attempt(_ body: () throws(Ext4Error) -> Void) {
      do throws(Ext4Error) { try body() } catch { errors.insert("\(error)") }
    }
    var (seen, waiting): (Set<UInt32>, [UInt32]) = ([], [Volume.root])
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 20_000, alignment: 16)
    defer { buffer.deallocate() }
    while let number = waiting.popLast() {
      guard seen.insert(number).inserted, let node = try? volume.node(inUse: number) else {
        attempt { () throws(Ext4Error) in _ = try volume.node(inUse: number) }
        continue
      }
      attempt { () throws(Ext4Error) in
        for name in try volume.xattrNames(of: node) { _ = try volume.xattr(name.span.bytes, of: node) }
      }
      switch node.inode.kind {
      case .directory:
        attempt { () throws(Ext4Error) in _ = try volume.parent(of: node) }
        var names: [[UInt8]] = []
        attempt { () throws(Ext4Error) in
          try volume.list(node, from: 0) { (name, entry) throws(Ext4Error) in
            names.append(name.withUnsafeBytes { Array($0) })
            waiting.append(entry.inode)
            return names.count < 5000
          }
        }
        for name in names.prefix(300) {
          attempt { () throws(Ext4Error) in _ = try volume.lookup(name.span.bytes, in: node) }
        }
        attempt { () throws(Ext4Error) in
          try volume.list(node, from: 1 << 60) { (_, _) throws(Ext4Error) in false }
        }
      case .symbolicLink: attempt { () throws(Ext4Error) in _ = try volume.target(of: node) }
      case .regular:
        attempt { () throws(Ext4Error) in _ = try volume.read(node, at: 0, into: buffer) }
        attempt { () throws(Ext4Error) in _ = try volume.read(node, at: node.inode.size / 2, into: buffer) }
        attempt { () throws(Ext4Error) in
          _ = try volume.seek(node, from: 0, toHole: true)
          _ = try volume.seek(node, from: node.inode.size / 3, toHole: false)
          try volume.forEachRun(of: node) { (_) throws(Ext4Error) in }
        }
      default: break
      }
    }
    return errors
  }

  /// Mutations of each kind of image; WEFT_EXT4_MUTATIONS says how many.
  static let mutations = ProcessInfo.processInfo.environment["WEFT_EXT4_MUTATIONS"].flatMap(Int.init) ?? 600

  @Test("whatever a structure with a right checksum says, reading ends with an answer", arguments: kinds)
  func mutations(_ options: [String]) throws {
    let folder = try TestFolder()
    let device = try DamageTests.image(options, in: folder)
    let pristine = try Volume(on: device)
    #expect(DamageTests.walk(pristine) == [])
    let targets = try Target.all(in: pristine)
    // Each kind of structure comes as often as any other.
    let byKind = Dictionary(grouping: targets) { String("\($0.structure)".filter { !$0.isNumber }) }.sorted {
      $0.key < $1.key
    }
    let seed = ProcessInfo.processInfo.environment["WEFT_EXT4_SEED"].flatMap(UInt64.init) ?? .random(in: 1 ... .max)
    var random = SeededRandom(seed)
    var found = 0
    for round in 0..<DamageTests.mutations {
      let target = byKind[round % byKind.count].value.shuffled(using: &random)[0]
      let before = device.bytes(at: target.offset, count: target.count)
      var bytes = before
      for _ in 0..<Int.random(in: 1...3, using: &random) { mutate(&bytes, used: target.used, &random) }
      bytes.withMutableRawSpan { target.seal(&$0) }
      device.set(at: target.offset, bytes)
      defer { device.set(at: target.offset, before) }
      let (start, reads) = (Clock.monotonic(), device.reads)
      do throws(Ext4Error) {
        var options = Volume.Options()
        (options.cacheSize, options.skipsRecovery) = (1 << 20, true)
        let volume = try Volume(on: device, options)
        if !DamageTests.walk(volume).isEmpty { found += 1 }
        #expect(volume.cache.counts().pinned == 0)
      } catch { found += 1 }
      #expect(device.reads - reads < 2_000_000, "\(target.structure), seed \(seed), round \(round)")
      #expect(Clock.monotonic() - start < 60_000_000_000, "\(target.structure), seed \(seed), round \(round)")
    }
    #expect(found > DamageTests.mutations / 20, "\(found) of \(DamageTests.mutations) were noticed")
  }

  private func mutate(_ bytes: inout [UInt8], used: Int, _ random: inout SeededRandom) {
    let place = Int.random(in: 0..<min(used, bytes.count), using: &random)
    switch Int.random(in: 0..<4, using: &random) {
    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
    default:
      let values: [UInt32] = [0, 1, 0xffff, 0xffff_ffff, 0x7fff_ffff, 0x8000_0000, 0xfffe, 12, 4, 2, 0x8001, 1 << 20]
      let value = values[Int.random(in: 0..<values.count, using: &random)]
      let count = 1 << Int.random(in: 0...2, using: &random)
      let start = place / count * count
      for byte in 0..<count where start + byte < bytes.count {
        bytes[start + byte] = UInt8(truncatingIfNeeded: value >> UInt32(8 * byte))
      }
    }
  }

  @Test("a flipped bit in any structure is found by its checksum, and the error names the structure")
  func flippedBits() throws {
    let folder = try TestFolder()
    let device = try DamageTests.image(DamageTests.kinds[1], in: folder)
    // Four of each kind, without the superblock. Indirect blocks have no checksum.
    let all = try Target.all(in: Volume(on: device)).dropFirst()
    let byKind = Dictionary(grouping: all) { String("\($0.structure)".filter { !$0.isNumber }) }
    var random = SeededRandom(3)
    let targets = byKind.sorted { $0.key < $1.key }.flatMap { $0.value.shuffled(using: &random).prefix(4) }
    var kinds: Set<String> = []
    for target in targets {
      let before = device.bytes(at: target.offset, count: target.count)
      var bytes = before
      bytes[Int.random(in: 0..<min(target.used, 40), using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      device.set(at: target.offset, bytes)
      defer { device.set(at: target.offset, before) }
      var errors: Set<String> = []
      do throws(Ext4Error) { errors = DamageTests.walk(try Volume(on: device)) } catch { errors = ["\(error)"] }
      if case .indirectBlock = target.structure { continue }
      // Those of unused inodes and of the journal are not come across.
      if case .inode(let number) = target.structure, number < 11 && number != 2 { continue }
      // The checksum stands where the block's own numbers say, so these are looked at first.
      if case .hashTreeBlock = target.structure, errors.contains(where: { $0.contains("room for") }) { continue }
      if case .extentBlock = target.structure,
        errors.contains(where: { $0.contains("magic") || $0.contains("room for") })
      {
        continue
      }
      if case .xattrBlock = target.structure, errors.contains(where: { $0.contains("magic") }) { continue }
      #expect(
        errors.contains { $0.hasPrefix("\(target.structure)") && $0.contains("checksum") },
        "\(target.structure): \(errors)")
      kinds.insert(String("\(target.structure)".filter { !$0.isNumber }))
    }
    #expect(kinds.count >= 5, "\(kinds)")
  }
}

/// A generator that gives the same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
