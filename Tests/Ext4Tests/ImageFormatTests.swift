import Ext4
import Ext4TestSupport
import Foundation
import Platform
import Testing

/// Structures of images that mke2fs made, read without the engine.
@Suite(.enabled(if: Machine.hasE2fsprogs)) struct ImageFormatTests {
  static let kinds: [[String]] = [
    ["-t", "ext4"], ["-t", "ext4", "-b", "1024"], ["-t", "ext4", "-b", "2048", "-O", "^64bit"],
    ["-t", "ext4", "-O", "metadata_csum_seed,orphan_file"], ["-t", "ext4", "-O", "meta_bg,^resize_inode"],
    ["-t", "ext4", "-O", "^metadata_csum,uninit_bg"], ["-t", "ext2"], ["-t", "ext3", "-I", "128"],
    ["-t", "ext4", "-O", "bigalloc", "-C", "16384"],
    ["-t", "ext4", "-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode"],
    ["-t", "ext4", "-O", "quota,project,inline_data,ea_inode"], ["-r", "0", "-t", "ext2"],
  ]

  @Test(
    "superblock, descriptors and inodes are the same when they are written again, and so are checksums",
    arguments: kinds)
  func structures(_ options: [String]) throws {
    let folder = try TestFolder()
    let image = folder.at("image")
    try must(["mke2fs", "-q", "-F", "-d", "/usr/share/doc/e2fsprogs"] + options + [image, "40M"])
    let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: image)))
    let superblock = try #require(bytes.withRawSpan { Superblock(parsing: $0.extracting(1024..<2048)) })
    #expect(superblock.encoded() == Array(bytes[1024..<2048]))
    let features = superblock.featureRoCompat
    let hasChecksums = features.contains(.metadataCsum)
    if hasChecksums {
      #expect(bytes.withRawSpan { Superblock.checksum(of: $0.extracting(1024..<2048)) } == superblock.checksum)
    }
    let geometry = try Geometry(superblock)
    let seed =
      superblock.featureIncompat.contains(.csumSeed)
      ? ChecksumSeed(superblock.checksumSeed) : ChecksumSeed(superblock.uuid)
    var inodes = 0
    for group in 0..<geometry.groupCount {
      let place =
        Int(geometry.descriptorBlock(group / geometry.descriptorsPerBlock)) * geometry.blockSize
        + Int(group % geometry.descriptorsPerBlock) * geometry.descriptorSize
      let raw = Array(bytes[place..<(place + geometry.descriptorSize)])
      let descriptor = raw.withRawSpan { GroupDescriptor(parsing: $0) }
      var again = [UInt8](repeating: 0xa5, count: raw.count)
      again.withMutableRawSpan { descriptor.encode(into: &$0) }
      #expect(again == raw, "descriptor of group \(group)")
      let checksum = raw.withRawSpan {
        GroupDescriptor.checksum(of: $0, group: group, seed: seed, uuid: superblock.uuid, features: features)
      }
      #expect(checksum == nil || checksum == descriptor.checksum, "checksum of group \(group)")
      #expect((checksum == nil) == features.isDisjoint(with: [.metadataCsum, .gdtCsum]))
      if hasChecksums, !descriptor.flags.contains(.blockUninit) {
        let at = Int(descriptor.blockBitmap) * geometry.blockSize
        let computed = bytes.withRawSpan {
          Bitmap.checksum(
            of: $0.extracting(at..<(at + geometry.blockSize)), count: geometry.clustersPerGroup, seed: seed)
        }
        #expect(GroupDescriptor.matches(descriptor.blockBitmapCsum, computed, descriptorSize: geometry.descriptorSize))
      }
      for index in 0..<(geometry.inodesPerGroup - descriptor.itableUnused) {
        let at = Int(descriptor.inodeTable) * geometry.blockSize + Int(index) * geometry.inodeSize
        let raw = Array(bytes[at..<(at + geometry.inodeSize)])
        guard raw.contains(where: { $0 != 0 }) else { continue }
        inodes += 1
        let inode = raw.withRawSpan { Inode(parsing: $0) }
        var again = raw
        let known = raw.count > 128 ? 128 + min(32, Int(inode.extraIsize)) : 128
        for place in 0..<known { again[place] = 0xa5 }
        again.withMutableRawSpan { inode.encode(into: &$0) }
        let number = group * geometry.inodesPerGroup + index + 1
        #expect(again == raw, "inode \(number)")
        if hasChecksums {
          let seed = seed.inode(number, generation: inode.generation)
          #expect(raw.withRawSpan { Inode.checksum(of: $0, seed: seed) } == inode.checksum, "inode \(number)")
        }
      }
    }
    #expect(inodes >= 5)
  }

  @Test("groups have their superblocks and descriptors where dumpe2fs says", arguments: kinds.dropLast())
  func layout(_ options: [String]) throws {
    let folder = try TestFolder()
    let image = folder.at("image")
    try must(["mke2fs", "-q", "-F"] + options + [image, "300M"])
    let bytes = try FileDescriptor(opening: image, .readOnly).contents(at: 1024, count: 1024)
    let superblock = try #require(bytes.withRawSpan { Superblock(parsing: $0) })
    let geometry = try Geometry(superblock)
    var told: [UInt32: (superblock: Bool, descriptors: Int, kept: Int)] = [:]
    var group: UInt32 = 0
    func range(_ line: Substring, after words: String) -> Int? {
      guard let at = line.range(of: words) else { return nil }
      let ends = line[at.upperBound...].prefix { $0.isNumber || $0 == "-" }.split(separator: "-").compactMap { Int($0) }
      return ends.count == 2 ? ends[1] - ends[0] + 1 : ends.count
    }
    for line in try must(["dumpe2fs", image]).split(separator: "\n") {
      if line.hasPrefix("Group ") {
        group = UInt32(line.dropFirst(6).prefix { $0.isNumber }) ?? 0
        told[group] = (false, 0, 0)
      }
      if line.contains("superblock at ") { told[group]?.superblock = true }
      if let count = range(line, after: "Group descriptors at ") ?? range(line, after: "Group descriptor at ") {
        told[group]?.descriptors = count
      }
      if let count = range(line, after: "Reserved GDT blocks at ") { told[group]?.kept = count }
    }
    #expect(told.count == Int(geometry.groupCount))
    for (group, told) in told {
      #expect(geometry.hasSuperblock(group) == told.superblock, "group \(group)")
      #expect(Int(geometry.descriptorBlocks(in: group)) == told.descriptors, "group \(group)")
      let shift = group == 0 && geometry.superblockBlock > geometry.firstDataBlock ? 1 : 0
      #expect(
        Int(geometry.baseBlocks(of: group)) == shift + (told.superblock ? 1 : 0) + told.descriptors + told.kept,
        "group \(group)")
    }
  }
}
