import Blocks
import Ext4
import Ext4TestSupport
import Platform
import Testing

/// What is refused, and in which words.
@Suite(.enabled(if: Machine.hasE2fsprogs)) struct OpeningTests {
  private func image(_ options: [String] = ["-t", "ext4"], in folder: TestFolder, size: String = "8M") throws -> String
  {
    let path = folder.at("image")
    try must(["mke2fs", "-q", "-F"] + options + [path, size])
    return path
  }

  private func error(_ body: () throws -> Void) -> String? {
    do { try body() } catch { return "\(error)" }
    return nil
  }

  /// Changes the superblock as a later program would, its checksum made right.
  private func change(_ path: String, _ body: (inout Superblock) -> Void) throws {
    let file = try FileDescriptor(opening: path, .readWrite)
    var superblock = try #require(try file.contents(at: 1024, count: 1024).withRawSpan { Superblock(parsing: $0) })
    body(&superblock)
    superblock.checksum = superblock.encoded().withRawSpan { Superblock.checksum(of: $0) }
    let bytes = superblock.encoded()
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(at: 1024, all: bytes) }
  }

  @Test("what holds no ext4 is refused by name")
  func noFileSystem() throws {
    let folder = try TestFolder()
    let path = folder.at("zeros")
    try FileDescriptor(opening: path, [.writeOnly, .create]).truncate(to: 1 << 20)
    #expect(error { _ = try openVolume(path) } == "\(path) holds no ext2, ext3 or ext4 file system")
    try FileDescriptor(opening: path, .writeOnly).truncate(to: 1000)
    #expect(error { _ = try openVolume(path) } == "\(path) has 1000 bytes, too few for a file system")
  }

  @Test("features that are not known are all named; those that forbid writing only do not keep anybody from reading")
  func features() throws {
    let folder = try TestFolder()
    let path = try image(in: folder)
    try change(path) { superblock in
      superblock.featureIncompat.formUnion([.dirdata, IncompatibleFeatures(rawValue: 1 << 21)])
      superblock.featureRoCompat.insert(ReadOnlyCompatibleFeatures(rawValue: 1 << 30))
    }
    let said = error { _ = try openVolume(path) }
    #expect(said == "\(path) has features that kfs does not know: dirdata FEATURE_I21; mount it with the kernel's ext4")
    try change(path) { $0.featureIncompat.subtract([.dirdata, IncompatibleFeatures(rawValue: 1 << 21)]) }
    #expect(try openVolume(path).readOnlyFeatures == ["FEATURE_R30"])
  }

  @Test("an image that was cut short is refused")
  func cutShort() throws {
    let folder = try TestFolder()
    let path = try image(in: folder)
    try FileDescriptor(opening: path, .writeOnly).truncate(to: 8 << 20 - 1024)
    #expect(error { _ = try openVolume(path) }?.contains("it was cut short, or is not the whole image") == true)
  }

  @Test("a wrong checksum of the superblock is told")
  func superblockChecksum() throws {
    let folder = try TestFolder()
    let path = try image(in: folder)
    try must(["dd", "if=/dev/urandom", "of=\(path)", "bs=1", "seek=1144", "count=16", "conv=notrunc"])
    #expect(throws: Ext4Error.badChecksum(.superblock)) { _ = try openVolume(path) }
  }

  @Test("superblocks whose numbers cannot be are refused by the number's name")
  func impossibleNumbers() throws {
    let folder = try TestFolder()
    let path = try image(in: folder)
    let cases: [(String, (inout Superblock) -> Void)] = [
      ("log_block_size", { $0.logBlockSize = 7 }), ("log_cluster_size", { $0.logClusterSize += 1 }),
      ("clusters_per_group", { $0.clustersPerGroup = 0 }), ("clusters_per_group", { $0.clustersPerGroup = 8193 }),
      ("blocks_per_group", { $0.blocksPerGroup = 16 }), ("inode_size", { $0.inodeSize = 0 }),
      ("inode_size", { $0.inodeSize = 192 }), ("inode_size", { $0.inodeSize = 2048 }),
      ("inodes_per_group", { $0.inodesPerGroup = 0 }), ("inodes_per_group", { $0.inodesPerGroup = 0xffff_fff8 }),
      ("desc_size", { $0.descSize = 32 }), ("desc_size", { $0.descSize = 96 }),
      ("first_data_block", { $0.firstDataBlock = 0 }), ("blocks_count", { $0.blocksCount = 0 }),
      ("blocks_count", { $0.blocksCount = .max }), ("inodes_count", { $0.inodesCount += 8 }),
      ("reserved_gdt_blocks", { $0.reservedGdtBlocks = 1000 }),
    ]
    let file = try FileDescriptor(opening: path, .readWrite)
    let before = try file.contents(at: 1024, count: 1024)
    for (name, body) in cases {
      try change(path, body)
      let said = error { _ = try openVolume(path) }
      #expect(said?.contains("whose \(name), ") == true, "\(name): \(said ?? "opened")")
      try before.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(at: 1024, all: bytes) }
    }
    #expect(error { _ = try openVolume(path) } == nil)
  }

  @Test("a partition in an image is found by its offset")
  func partitions() throws {
    let folder = try TestFolder()
    let (path, whole) = (try image(["-t", "ext4", "-L", "inside"], in: folder), folder.at("disk"))
    try must(["dd", "if=\(path)", "of=\(whole)", "bs=1M", "seek=1"])
    let volume = try Volume(on: FileDevice(opening: whole, isWritable: false, offset: 1 << 20))
    #expect(String(decoding: volume.superblock.volumeName.text, as: UTF8.self) == "inside")
    #expect(try volume.names(in: volume.node(Volume.root)).map(\.0) == ["lost+found"])
  }

  @Test(
    "a tree that mke2fs copied in is read as it was, on all kinds of file systems", arguments: ImageFormatTests.kinds)
  func copiedIn(_ options: [String]) throws {
    let folder = try TestFolder()
    let source = folder.directory("source")
    for name in 0..<300 {
      let file = try FileDescriptor(opening: source + "/file \(name)", [.writeOnly, .create], mode: 0o640)
      try file.write(String(repeating: "line \(name)\n", count: name * 3))
    }
    try must(["ln", "-s", String(repeating: "t", count: 100), source + "/symlink"])
    try must(["cp", "-r", "/usr/share/doc/e2fsprogs", source + "/directory"])
    let path = try image(options + ["-d", source], in: folder, size: "40M")
    let volume = try openVolume(path)
    var (ours, theirs) = (try volume.tree(), try mountedTree(source))
    ours["/lost+found"] = nil
    // mke2fs gives numbers, sizes of directories and blocks of its own, no nanoseconds, and holes where zeros are.
    func portable(_ item: Item) -> Item {
      var item = item
      (item.inode, item.blocks, item.times, item.data) = (0, 0, [], [])
      if item.mode & 0o170000 == 0o040000 { (item.size, item.links) = (0, 0) }
      return item
    }
    (ours["/"], theirs["/"]) = (nil, nil)
    expectEqual(ours.mapValues(portable), theirs.mapValues(portable))
  }
}
