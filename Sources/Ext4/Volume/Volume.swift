import Blocks
import Platform

/// An ext4 file system on a block device, open for reading. Any method may be called by several threads at a time.
public final class Volume: Sendable {
  /// How to open one.
  public struct Options: Sendable {
    /// Bytes of metadata to keep in memory.
    public var cacheSize = 64 << 20
    /// Whether a journal that must be replayed is left alone: what is read may then be old or inconsistent.
    public var skipsRecovery = false
    /// Whether only the journal's inode is wanted: the rest may be in its log, and old here.
    var isForRecovery = false

    /// The usual options.
    public init() {}
  }

  /// Where it is.
  public let device: any BlockDevice
  /// The superblock as it was when the volume was opened.
  public let superblock: Superblock
  /// What follows from it.
  public let geometry: Geometry
  /// Why it can only be read, by the names of its features; empty when it could be written.
  public let readOnlyFeatures: [String]
  /// Free blocks and inodes: see `status`.
  let space: SpaceCounts
  let cache: BufferCache
  let seed: ChecksumSeed
  let hasChecksums: Bool
  let hasFileTypes: Bool

  /// Opens the file system on a device.
  /// - Throws: a sentence that names the device, when there is none, or one that this program cannot read.
  public init(on device: any BlockDevice, _ options: Options = Options()) throws(Ext4Error) {
    self.device = device
    superblock = try Volume.readSuperblock(of: device)
    let (compatible, incompatible) = (superblock.featureCompat, superblock.featureIncompat)
    let judgement = FeatureJudgement(compatible, incompatible, superblock.featureRoCompat)
    guard judgement.refused.isEmpty else {
      throw .refused(
        "\(device.name) has features that kfs does not know: \(judgement.refused.joined(separator: " ")); mount it with "
          + "the kernel's ext4")
    }
    readOnlyFeatures = judgement.readOnly
    do throws(SentenceError) { geometry = try Geometry(superblock) } catch {
      throw .refused("\(device.name) \(error)")
    }
    let (bytes, overflow) = geometry.blocksCount.multipliedReportingOverflow(by: UInt64(geometry.blockSize))
    guard !overflow, bytes <= device.size else {
      throw .refused(
        "\(device.name) has \(device.size) bytes, and the file system on it needs \(geometry.blocksCount) blocks of "
          + "\(geometry.blockSize); it was cut short, or is not the whole image")
    }
    guard options.skipsRecovery || options.isForRecovery || !incompatible.contains(.recover) else {
      throw .refused(
        "\(device.name) was not unmounted, and its journal must be replayed first; make it writable, or use "
          + "-o norecovery to read what is there")
    }
    seed = incompatible.contains(.csumSeed) ? ChecksumSeed(superblock.checksumSeed) : ChecksumSeed(superblock.uuid)
    hasChecksums = superblock.featureRoCompat.contains(.metadataCsum)
    hasFileTypes = incompatible.contains(.filetype)
    cache = BufferCache(of: device, blockSize: geometry.blockSize, size: options.cacheSize)
    if options.isForRecovery {
      space = SpaceCounts()
      return
    }
    space = try SpaceCounts(summing: superblock, geometry, cache, seed)
    // A file system without a root is none.
    guard try node(Volume.root).inode.kind == .directory else {
      throw .corrupted(.inode(Volume.root), "the root is not a directory")
    }
  }

  /// The inode of the root directory.
  public static let root: UInt32 = 2

  private static func readSuperblock(of device: any BlockDevice) throws(Ext4Error) -> Superblock {
    guard device.size >= Superblock.offset + UInt64(Superblock.size) else {
      throw .refused("\(device.name) has \(device.size) bytes, too few for a file system")
    }
    var bytes = InlineArray<1024, UInt8>(repeating: 0)
    var span = bytes.mutableSpan
    do throws(BlockDeviceError) {
      try span.withUnsafeMutableBytes { (buffer) throws(BlockDeviceError) in
        try device.read(at: Superblock.offset, into: buffer)
      }
    } catch { throw .device(error) }
    guard let superblock = Superblock(parsing: bytes.span.bytes) else {
      throw .refused("\(device.name) holds no ext2, ext3 or ext4 file system")
    }
    // Which features there are, and so whether there is a checksum, stands under the checksum itself.
    if superblock.featureRoCompat.contains(.metadataCsum) {
      guard superblock.checksumType == 1 else {
        throw .refused("\(device.name) has checksums of type \(superblock.checksumType), and kfs knows CRC-32C only")
      }
      guard Superblock.checksum(of: bytes.span.bytes) == superblock.checksum else {
        throw .badChecksum(.superblock)
      }
    }
    return superblock
  }
}

/// Structures that have a block of their own, for the cache.
enum BlockKind: UInt32 {
  case descriptors, inodeTable, extents, indirect, directory, hashTree, xattrs, contents
}

extension Volume {
  /// A block of metadata, checked.
  /// - Parameters:
  ///   - owner: what the check depends on.
  ///   - level: of a tree's node; the check depends on it, too.
  ///   - structure: what it is, for errors.
  ///   - check: throws when the bytes are not those of the structure.
  func block(
    _ number: UInt64, _ kind: BlockKind, owner: UInt64 = 0, level: Int = 0,
    of structure: @autoclosure () -> Structure, check: (RawSpan) throws(Ext4Error) -> Void
  ) throws(Ext4Error) -> PinnedBuffer {
    guard number >= geometry.firstDataBlock, number < geometry.blocksCount else {
      throw .corrupted(structure(), "block \(number) is outside of the file system")
    }
    let use = BlockUse(kind: kind.rawValue | UInt32(level) << 8, owner: owner)
    return try cache.block(number, for: use, failed: { .device($0) }, check: check)
  }
}
