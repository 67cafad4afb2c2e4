/// One of the superblock's three words of features.
public protocol FeatureWord: OptionSet, Hashable, Sendable where RawValue == UInt32, Element == Self {
  /// What e2fsprogs calls the features that this program knows.
  static var names: [(Self, String)] { get }
  /// What e2fsprogs tells the words by, where a bit has no name.
  static var letter: Character { get }
}

extension FeatureWord {
  /// The names of all that are set, in the order of their bits; bit 20 without a name is FEATURE_I20 in the incompatible
  /// word.
  public var names: [String] {
    (0..<32).compactMap { bit in
      let feature = Self(rawValue: 1 << UInt32(bit))
      guard isSuperset(of: feature) else { return nil }
      return Self.names.first { $0.0 == feature }?.1 ?? "FEATURE_\(Self.letter)\(bit)"
    }
  }

  /// All that this program has a name for.
  public static var known: Self { Self(names.map(\.0)) }
}

/// s_feature_compat: whoever does not know a bit may mount and write, but not check or resize.
public struct CompatibleFeatures: FeatureWord {
  /// The bits.
  public let rawValue: UInt32
  /// Features of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// EXT4_FEATURE_COMPAT_DIR_PREALLOC.
  public static let dirPrealloc = Self(rawValue: 0x1)
  /// EXT4_FEATURE_COMPAT_IMAGIC_INODES.
  public static let imagicInodes = Self(rawValue: 0x2)
  /// There is a journal: in inode 8, or on another device.
  public static let hasJournal = Self(rawValue: 0x4)
  /// There may be xattrs.
  public static let extAttr = Self(rawValue: 0x8)
  /// Inode 7 keeps blocks for more group descriptors.
  public static let resizeInode = Self(rawValue: 0x10)
  /// Directories may have an htree.
  public static let dirIndex = Self(rawValue: 0x20)
  /// Never in use.
  public static let lazyBg = Self(rawValue: 0x40)
  /// Of snapshots that were never merged.
  public static let excludeInode = Self(rawValue: 0x80)
  /// Of snapshots that were never merged.
  public static let excludeBitmap = Self(rawValue: 0x100)
  /// Superblock and descriptors have at most two copies: `Superblock.backupBgs`.
  public static let sparseSuper2 = Self(rawValue: 0x200)
  /// The journal may have fast commits.
  public static let fastCommit = Self(rawValue: 0x400)
  /// Inodes keep their numbers, and the file system its UUID.
  public static let stableInodes = Self(rawValue: 0x800)
  /// Orphans stand in a file: `Superblock.orphanFileInum`.
  public static let orphanFile = Self(rawValue: 0x1000)

  /// "C".
  public static let letter: Character = "C"

  /// What e2fsprogs calls them.
  public static let names: [(Self, String)] = [
    (.dirPrealloc, "dir_prealloc"), (.imagicInodes, "imagic_inodes"), (.hasJournal, "has_journal"),
    (.extAttr, "ext_attr"), (.resizeInode, "resize_inode"), (.dirIndex, "dir_index"), (.lazyBg, "lazy_bg"),
    (.excludeInode, "snapshot_inode"), (.excludeBitmap, "snapshot_bitmap"), (.sparseSuper2, "sparse_super2"),
    (.fastCommit, "fast_commit"), (.stableInodes, "stable_inodes"), (.orphanFile, "orphan_file"),
  ]
}

/// s_feature_incompat: whoever does not know a bit must not mount.
public struct IncompatibleFeatures: FeatureWord {
  /// The bits.
  public let rawValue: UInt32
  /// Features of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Never in use.
  public static let compression = Self(rawValue: 0x1)
  /// Directory entries tell the type.
  public static let filetype = Self(rawValue: 0x2)
  /// The journal must be replayed first.
  public static let recover = Self(rawValue: 0x4)
  /// This is a journal for another file system.
  public static let journalDev = Self(rawValue: 0x8)
  /// Group descriptors are scattered: see `GroupLayout`.
  public static let metaBg = Self(rawValue: 0x10)
  /// Files may be mapped by extents.
  public static let extents = Self(rawValue: 0x40)
  /// Block numbers have more than 32 bits.
  public static let has64bit = Self(rawValue: 0x80)
  /// Hosts tell by a block of the image that they have it mounted.
  public static let mmp = Self(rawValue: 0x100)
  /// Bitmaps and inode tables may lie in another group.
  public static let flexBg = Self(rawValue: 0x200)
  /// Large xattr values have inodes of their own.
  public static let eaInode = Self(rawValue: 0x400)
  /// Never in use.
  public static let dirdata = Self(rawValue: 0x1000)
  /// `Superblock.checksumSeed` is valid.
  public static let csumSeed = Self(rawValue: 0x2000)
  /// Directories may have three levels of htree, or more than 2 GiB.
  public static let largedir = Self(rawValue: 0x4000)
  /// Small files and directories may lie in their inode.
  public static let inlineData = Self(rawValue: 0x8000)
  /// There may be encrypted files.
  public static let encrypt = Self(rawValue: 0x10000)
  /// Directories may compare names without regard to case.
  public static let casefold = Self(rawValue: 0x20000)

  /// "I".
  public static let letter: Character = "I"

  /// What e2fsprogs calls them.
  public static let names: [(Self, String)] = [
    (.compression, "compression"), (.filetype, "filetype"), (.recover, "needs_recovery"),
    (.journalDev, "journal_dev"), (.metaBg, "meta_bg"), (.extents, "extent"), (.has64bit, "64bit"), (.mmp, "mmp"),
    (.flexBg, "flex_bg"), (.eaInode, "ea_inode"), (.dirdata, "dirdata"), (.csumSeed, "metadata_csum_seed"),
    (.largedir, "large_dir"), (.inlineData, "inline_data"), (.encrypt, "encrypt"), (.casefold, "casefold"),
  ]
}

/// s_feature_ro_compat: whoever does not know a bit must not write.
public struct ReadOnlyCompatibleFeatures: FeatureWord {
  /// The bits.
  public let rawValue: UInt32
  /// Features of these bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Not every group has a copy of superblock and descriptors.
  public static let sparseSuper = Self(rawValue: 0x1)
  /// There may be files of 2 GiB and more.
  public static let largeFile = Self(rawValue: 0x2)
  /// Never in use.
  public static let btreeDir = Self(rawValue: 0x4)
  /// An inode's count of blocks has 48 bits.
  public static let hugeFile = Self(rawValue: 0x8)
  /// Group descriptors have a CRC-16.
  public static let gdtCsum = Self(rawValue: 0x10)
  /// Directories may have more than 65,000 subdirectories.
  public static let dirNlink = Self(rawValue: 0x20)
  /// Inodes have `Inode.extraIsize`.
  public static let extraIsize = Self(rawValue: 0x40)
  /// Of snapshots that were never merged.
  public static let hasSnapshot = Self(rawValue: 0x80)
  /// Quotas stand in inodes of their own.
  public static let quota = Self(rawValue: 0x100)
  /// Space is allocated by clusters of several blocks.
  public static let bigalloc = Self(rawValue: 0x200)
  /// All metadata has a CRC-32C.
  public static let metadataCsum = Self(rawValue: 0x400)
  /// Never in use.
  public static let replica = Self(rawValue: 0x800)
  /// Always mounted read-only.
  public static let readonly = Self(rawValue: 0x1000)
  /// Inodes have a project.
  public static let project = Self(rawValue: 0x2000)
  /// Files share blocks, and nothing counts how many do.
  public static let sharedBlocks = Self(rawValue: 0x4000)
  /// Files may have a Merkle tree behind their end.
  public static let verity = Self(rawValue: 0x8000)
  /// The orphan file may hold entries.
  public static let orphanPresent = Self(rawValue: 0x10000)

  /// "R".
  public static let letter: Character = "R"

  /// What e2fsprogs calls them.
  public static let names: [(Self, String)] = [
    (.sparseSuper, "sparse_super"), (.largeFile, "large_file"), (.btreeDir, "btree_dir"), (.hugeFile, "huge_file"),
    (.gdtCsum, "uninit_bg"), (.dirNlink, "dir_nlink"), (.extraIsize, "extra_isize"), (.hasSnapshot, "has_snapshot"),
    (.quota, "quota"), (.bigalloc, "bigalloc"), (.metadataCsum, "metadata_csum"), (.replica, "replica"),
    (.readonly, "read-only"), (.project, "project"), (.sharedBlocks, "shared_blocks"), (.verity, "verity"),
    (.orphanPresent, "orphan_present"),
  ]
}

/// What a file system's features mean for this program: with which it cannot use the file system at all, and with which
/// it can only read it. By name, all at once.
public struct FeatureJudgement: Equatable, Sendable {
  /// Features with which it cannot be used.
  public let refused: [String]
  /// Features with which it can only be read.
  public let readOnly: [String]

  /// The judgement of these features. `recover` is not among them: a journal can be replayed.
  public init(
    _ compatible: CompatibleFeatures, _ incompatible: IncompatibleFeatures,
    _ readOnlyCompatible: ReadOnlyCompatibleFeatures
  ) {
    let unreadable: IncompatibleFeatures = [.compression, .journalDev, .dirdata, .casefold]
    refused = incompatible.subtracting(.known).union(incompatible.intersection(unreadable)).names
    let kept: CompatibleFeatures = [.lazyBg, .excludeInode, .excludeBitmap]
    let delicate: IncompatibleFeatures = [.mmp, .eaInode, .inlineData, .encrypt]
    let counted: ReadOnlyCompatibleFeatures = [
      .hasSnapshot, .quota, .bigalloc, .replica, .readonly, .sharedBlocks,
    ]
    readOnly =
      compatible.intersection(kept).names + incompatible.intersection(delicate).names
      + readOnlyCompatible.subtracting(.known).union(readOnlyCompatible.intersection(counted)).names
  }
}
