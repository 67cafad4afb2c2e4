import Blocks
import Ext4
import Ext4TestSupport
import Glibc
import Platform
import Testing

/// Images that the kernel wrote, through a loop device, and what it reads of them.
@Suite(.enabled(if: Machine.canLoop)) struct KernelImageTests {
  /// A kind of file system.
  struct Kind: Sendable, CustomTestStringConvertible {
    let options: [String]
    var hasExtents = true
    var hasNanoseconds = true
    var largeXattr = false
    var manyNames = 2000

    /// What there must be in an image.
    var structures: [String] {
      let isLegacy = options.contains("^metadata_csum,^dir_index,^filetype") || options.contains("ext2")
      return ["directory block"] + (isLegacy ? [] : ["htree root"])
        + (hasExtents ? ["extent root", "extent block"] : [])
        + (hasNanoseconds && !options.contains("512") ? ["inode xattr", "xattr block"] : ["xattr block"])
        + (manyNames >= 50_000 && options.contains("1024") ? ["htree node"] : [])
    }

    var testDescription: String { options.joined(separator: " ") }
  }

  static let kinds = [
    Kind(options: ["-t", "ext4"], manyNames: 50_000),
    Kind(options: ["-t", "ext4", "-b", "1024"], manyNames: 50_000),
    Kind(options: ["-t", "ext4", "-b", "2048", "-O", "^64bit"]),
    Kind(options: ["-t", "ext4", "-I", "128"], hasNanoseconds: false),
    Kind(options: ["-t", "ext4", "-O", "metadata_csum_seed,orphan_file,ea_inode,inline_data"], largeXattr: true),
    Kind(options: ["-t", "ext4", "-b", "1024", "-O", "inline_data,ea_inode", "-I", "512"], largeXattr: true),
    Kind(options: ["-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024"]),
    Kind(options: ["-t", "ext4", "-O", "bigalloc", "-C", "16384"]),
    Kind(options: ["-t", "ext4", "-O", "bigalloc", "-b", "1024", "-C", "4096"]),
    Kind(options: ["-t", "ext4", "-O", "^metadata_csum,uninit_bg"]),
    Kind(options: ["-t", "ext4", "-O", "^metadata_csum,^dir_index,^filetype"]),
    Kind(options: ["-t", "ext3", "-b", "1024", "-I", "128"], hasExtents: false, hasNanoseconds: false),
    Kind(options: ["-t", "ext3"], hasExtents: false),
    Kind(options: ["-t", "ext2", "-b", "1024"], hasExtents: false),
  ]

  @Test("what the kernel wrote is read as the kernel reads it, and its names are found and listed", arguments: kinds)
  func reading(_ kind: Kind) throws {
    let folder = try TestFolder()
    let (image, place) = (folder.at("image"), folder.directory("mount"))
    try must(["mke2fs", "-q", "-F", "-N", "20000"] + kind.options + [image, "600M"])
    try must(["mount", "-o", "loop", image, place])
    var population = Population(root: place)
    (population.hasExtents, population.hasNanoseconds) = (kind.hasExtents, kind.hasNanoseconds)
    (population.largeXattr, population.manyNames) = (kind.largeXattr, kind.manyNames)
    try population.make()
    try must(["umount", place])
    try must(["mount", "-o", "loop,ro", image, place])
    let volume = try openVolume(image)
    expectEqual(try volume.tree(), try mountedTree(place))
    try checkStatus(volume, place)
    try checkDirectory("/many", volume, place)
    try checkDirectory("/links", volume, place)
    try must(["umount", place])
    var trip = RoundTrip(volume)
    try trip.run()
    #expect(trip.counts["inode"] ?? 0 > 60)
    for what in kind.structures { #expect(trip.counts[what] ?? 0 > 0, "\(what)") }
  }

  private func checkStatus(_ volume: Volume, _ place: String) throws {
    var about = statvfs()
    try retrying { statvfs(place, &about) }
    let unit = UInt64(about.f_frsize) / UInt64(volume.geometry.blockSize)
    let status = volume.status
    #expect(status.blocks == UInt64(about.f_blocks) * unit)
    #expect(status.freeBlocks == UInt64(about.f_bfree) * unit)
    #expect(status.availableBlocks == UInt64(about.f_bavail) * unit)
    #expect(status.inodes == UInt64(about.f_files))
    #expect(status.freeInodes == UInt64(about.f_ffree))
  }

  /// Each name is found, and comes once however the listing is cut.
  private func checkDirectory(_ path: String, _ volume: Volume, _ place: String) throws {
    let directory = try volume.node(at: path)
    let all = try volume.names(in: directory)
    for (name, inode) in all {
      #expect(try Array(name.utf8).withRawSpan { try volume.lookup($0, in: directory) } == inode)
      #expect(try Array((name + "!").utf8).withRawSpan { try volume.lookup($0, in: directory) } == nil)
    }
    for batch in [1, 7, 1000] where all.count / batch < 5000 {
      #expect(try volume.names(in: directory, batch: batch).map(\.0) == all.map(\.0))
    }
    if !volume.superblock.featureCompat.contains(.dirIndex) { return }
    // The kernel lists in the order of hashes, too; names of one hash may come in another order.
    let hasher = NameHasher(
      .halfMD4, isSigned: volume.superblock.flags & 2 == 0, seed: volume.superblock.hashSeed)
    let hash = { (name: String) in Array(name.utf8).withRawSpan { hasher($0).major } }
    #expect(all.map { hash($0.0) } == (try names(in: place + path)).map(hash))
  }

  @Test("names with the same hash that fill several leaves are all found, and listed once", arguments: [1, 3, 1000])
  func collisions(batch: Int) throws {
    let folder = try TestFolder()
    let (image, place) = (folder.at("image"), folder.directory("mount"))
    try must(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", image, "16M"])
    try must(["tune2fs", "-E", "hash_alg=legacy", image])
    try must(["mount", "-o", "loop", image, place])
    let colliding = Set(Population.colliding)
    mkdir(place + "/d", 0o755)
    for index in 0..<200 { try FileDescriptor(opening: place + "/d/\(index)", [.writeOnly, .create]).truncate(to: 0) }
    for name in colliding { try FileDescriptor(opening: place + "/d/\(name)", [.writeOnly, .create]).truncate(to: 0) }
    try must(["umount", place])
    let volume = try openVolume(image)
    let directory = try volume.node(at: "/d")
    // Three names fill a leaf: the nine lie in at least three, and say so by a set bit 0.
    #expect(try must(["debugfs", "-R", "htree_dump /d", image]).contains("0x44b4095f (**)"))
    let listed = try volume.names(in: directory, batch: batch)
    #expect(listed.count == 209)
    #expect(Set(listed.map(\.0)).isSuperset(of: colliding))
    for (name, inode) in listed {
      #expect(try Array(name.utf8).withRawSpan { try volume.lookup($0, in: directory) } == inode)
    }
  }
}
