import Platform

/// What a new file system is to be like. The defaults are those of mke2fs for ext4.
public struct MakeOptions: Sendable {
  /// Bytes of a block: 1,024, 2,048 or 4,096; nil for 1,024 below 512 MiB, else 4,096.
  public var blockSize: Int?
  /// Bytes of the file system for each inode; nil for a choice by size.
  public var inodeRatio: UInt64?
  /// Inodes, at least; nil for as many as `inodeRatio` says.
  public var inodeCount: UInt64?
  /// Bytes of an inode.
  public var inodeSize = 256
  /// MiB of the journal; nil for a choice by size.
  public var journalMebibytes: UInt64?
  /// Percent of the blocks that only root may use: 0 to 50.
  public var reservedPercent = 5.0
  /// The label: at most 16 bytes.
  public var label = ""
  /// The file system's identifier.
  public var uuid = UUID.random()
  /// The seed of directory hashes.
  public var hashSeed = UUID.random()
  /// The owner of the root directory: user and group.
  public var rootOwner: (user: UInt32, group: UInt32) = (0, 0)
  /// Features.
  public var features = MakeFeatures()
  /// Seconds since 1970: when it is made.
  public var time: UInt64 = 0
  /// Whether inode tables are left as they are, for the kernel to clear after the first mount. Only with metadata_csum.
  public var leavesTables = true
  /// Whether the journal's blocks are left as they are.
  public var leavesJournal = false
  /// Whether the device is known to hold nothing but zeros.
  public var isZeroed = false
  /// Whether the whole device is cleared first, where that can be done without writing.
  public var discards = true

  /// The defaults.
  public init() {}
}

/// The features of a new file system.
public struct MakeFeatures: Equatable, Sendable {
  /// Compatible ones.
  public var compatible: CompatibleFeatures = [.hasJournal, .extAttr, .resizeInode, .dirIndex]
  /// Incompatible ones.
  public var incompatible: IncompatibleFeatures = [.filetype, .extents, .has64bit, .flexBg]
  /// Read-only compatible ones.
  public var readOnlyCompatible: ReadOnlyCompatibleFeatures = [
    .sparseSuper, .largeFile, .hugeFile, .dirNlink, .extraIsize, .metadataCsum,
  ]

  /// The defaults.
  public init() {}

  /// Features that a file system can be made without. Without the others it would not be an ext4.
  private static let optional: [String] = [
    "has_journal", "ext_attr", "resize_inode", "dir_index", "64bit", "flex_bg", "huge_file", "dir_nlink",
    "metadata_csum",
  ]

  /// Switches features on or off.
  /// - Parameter list: names with commas between; `^` before a name switches the feature off.
  /// - Throws: a sentence about the first name that cannot be followed.
  public mutating func apply(_ list: String) throws(SentenceError) {
    for word in list.split(separator: ",") {
      let isOff = word.hasPrefix("^")
      let name = String(isOff ? word.dropFirst() : word)
      let all = MakeFeatures()
      let found = all.names.contains(name == "extents" ? "extent" : name)
      guard found else {
        if isOff && isKnown(name) { continue }
        let problem = isKnown(name) ? "cannot be made" : "is not known"
        throw SentenceError("the feature \(name) \(problem); possible are \(all.names.joined(separator: ", "))")
      }
      guard !isOff || MakeFeatures.optional.contains(name) else {
        throw SentenceError(
          "the feature \(name) cannot be switched off; possible are \(MakeFeatures.optional.joined(separator: ", "))")
      }
      set(name, isOff)
    }
  }

  private var names: [String] { compatible.names + incompatible.names + readOnlyCompatible.names }

  private func isKnown(_ name: String) -> Bool {
    (CompatibleFeatures.known.names + IncompatibleFeatures.known.names + ReadOnlyCompatibleFeatures.known.names)
      .contains(name)
  }

  private mutating func set(_ name: String, _ isOff: Bool) {
    func change<Word: FeatureWord>(_ word: inout Word) {
      guard let feature = Word.names.first(where: { $0.1 == name })?.0 else { return }
      if isOff { word.subtract(feature) } else { word.formUnion(feature) }
    }
    change(&compatible)
    change(&incompatible)
    change(&readOnlyCompatible)
  }
}
