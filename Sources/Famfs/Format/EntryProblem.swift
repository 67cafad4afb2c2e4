import Platform

/// Why a log entry is bad.
public enum EntryProblem: Error, Equatable, Sendable, CustomStringConvertible {
  // Seen in the bytes alone.
  /// Nothing that the entry says can be believed.
  case badChecksum, unreadable
  /// A field holds what it cannot; with it.
  case badSequence(UInt64), unknownType(UInt32), unknownLayout(UInt32), badPath(EntryPathError)
  /// A field of the layout holds what it cannot; with it.
  case badExtentCount(UInt64), badChunkSize(UInt64)
  // Seen against the volume.
  /// The name cannot be.
  case missingParent, parentIsFile, pathExists, reservedPath
  /// It removes something in a way that nobody knows, or what it cannot.
  case unknownRemoval, nothingToRemove, directoryInUse, sharedRemoval
  /// It changes attributes in a way that nobody knows, of what is not there, or to what they cannot be.
  case unknownAttributes, nothingToChange, badAttributes
  /// The extents cannot be.
  case misaligned(Extent), outside(Extent), shared(Extent), tooShort, unevenStrips
  /// The file lies on a device that no entry before it added.
  case unknownDevice(UInt64)
  /// The device that it adds cannot be; with what is wrong.
  case badDeviceIndex(UInt32), badDeviceSize(UInt64), deviceExists(UUID)

  /// The sentence.
  public var description: String {
    switch self {
    case .badChecksum: "its checksum is wrong"
    case .unreadable: "the memory that holds it cannot be read"
    case .badSequence(let found): "its sequence number is \(found)"
    case .unknownType(let type): "its type \(type) is unknown"
    case .unknownLayout(let type): "its extent type \(type) is unknown"
    case .badPath(let error): error == .tooLong ? "its path has no end" : "\(error)"
    case .badExtentCount(let count): "it claims \(count) extents or strips, and at most 16 are possible"
    case .badChunkSize(let size): "its chunk size \(size) is not a power of two of at least 4096"
    case .missingParent: "its parent directory does not exist"
    case .parentIsFile: "its parent is not a directory"
    case .pathExists: "its path exists already"
    case .reservedPath: "its path is reserved for the volume's own files"
    case .unknownRemoval: "it is a removal of a kind that this program does not know"
    case .nothingToRemove: "it removes something that is not there"
    case .directoryInUse: "it removes a directory that is not empty"
    case .sharedRemoval: "it removes a file whose extents another one has too"
    case .unknownAttributes: "it changes attributes in a way that this program does not know"
    case .nothingToChange: "it changes the attributes of something that is not there"
    case .badAttributes: "it holds a mode or a time that cannot be"
    case .misaligned(let extent): "its \(EntryProblem.name(extent)) is not aligned to the allocation unit"
    case .outside(let extent): "its \(EntryProblem.name(extent)) is not in the device's data area"
    case .shared(let extent): "its \(EntryProblem.name(extent)) belongs to another file"
    case .tooShort: "its extents are shorter than the file"
    case .unevenStrips: "its strips have different lengths"
    case .unknownDevice(let index): "it needs device \(index), which no entry before it adds"
    case .badDeviceIndex(let index):
      "it adds a device as number \(index), which is not the next one or above \(Volume.deviceLimit - 1)"
    case .badDeviceSize(let size): "it adds a device of \(size) bytes, which is too small or too large"
    case .deviceExists(let uuid): "it adds device \(uuid), which the volume has already"
    }
  }

  /// Whether what the slot holds is not the entry of this place at all: then no host has written one there, or it is
  /// lost.
  var leavesNoEntry: Bool {
    switch self {
    case .badChecksum, .unreadable, .badSequence: true
    default: false
    }
  }

  private static func name(_ extent: Extent) -> String { "extent at byte \(extent.offset), length \(extent.length)," }
}

/// A bad entry, and where it is.
public struct LogProblem: Error, Equatable, Sendable, CustomStringConvertible {
  /// The slot's index.
  public let index: UInt64
  /// The path that it names, where that can be read.
  public let path: String?
  /// What is wrong.
  public let problem: EntryProblem

  /// Such as: log entry 17 (dir/name): its checksum is wrong.
  public var description: String { "log entry \(index)\(path.map { " (\($0))" } ?? ""): \(problem)" }
}
