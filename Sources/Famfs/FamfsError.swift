import Memory
import Platform

/// Why something could not be done with a volume: a sentence for people, with the remedy in it.
public enum FamfsError: Error, Sendable, CustomStringConvertible {
  /// The device could not be opened or mapped.
  case device(DeviceError)
  /// The device at this path holds no usable superblock.
  case superblock(String, SuperblockError)
  /// The volume on the device at this path has no usable log header.
  case logHeader(String, LogHeaderError)
  /// The device at this path has this many bytes, and so many are needed.
  case tooSmall(String, UInt64, needed: UInt64)
  /// A path was refused before anything was looked up.
  case badPath(String, EntryPathError)
  /// There is something at this path.
  case exists(String)
  /// The parent directory of this path is missing, or is a file.
  case noParent(String), parentIsFile(String)
  /// There is nothing at this path.
  case notFound(String)
  /// The path belongs to the volume's own files.
  case reserved(String)
  /// A file of size 0.
  case emptyFile(String)
  /// No room for this path's bytes.
  case noSpace(String, needed: UInt64, free: UInt64)
  /// The same, while so many bytes of removed files are not free yet.
  case noSpaceYet(String, needed: UInt64, free: UInt64, held: UInt64)
  /// No room in so few pieces.
  case fragmented(String, needed: UInt64, free: UInt64)
  /// Too few buckets have a run long enough for a strip of this path's bytes.
  case noStrips(String, needed: UInt64, Striping)
  /// The log has no free slot: of so many.
  case logFull(UInt64)
  /// What is free of the log is kept for new files.
  case noAttributeSlots
  /// There are bad entries, so nothing may be allocated; the first of them.
  case badEntries(UInt64, LogProblem)
  /// This host is a client; the master is the host of this UUID.
  case notMaster(UUID)
  /// The superblock names this host as the master, and this mount is not: the lock of an old master on this machine
  /// keeps it from that.
  case notMasterYet
  /// The volume can no longer be written, for this reason.
  case disabled(String)
  /// No such reservation: its connection was closed.
  case noReservation
  /// Memory could not be read or written at the device of this path.
  case memory(String, Errno)
  /// Anything else, as a sentence.
  case other(String)

  /// The sentence.
  public var description: String {
    switch self {
    case .device(let error): "\(error)"
    case .superblock(let path, let error): "\(path) \(error)"
    case .logHeader(let path, let error): "\(path) \(error)"
    case .tooSmall(let path, let size, let needed):
      "\(path) has \(size) bytes and famfs needs at least \(needed); use a larger device or a shorter log"
    case .badPath(let path, let error): "\(path): \(error); choose another name"
    case .exists(let path): "\(path) exists already; famfs never replaces a file, choose another name"
    case .noParent(let path): "\(path): its directory does not exist; make it with famfs mkdir -p"
    case .parentIsFile(let path): "\(path): what should be its directory is a file; choose another name"
    case .notFound(let path): "\(path): no such file or directory in the volume"
    case .reserved(let path): "\(path): .meta holds the volume's own files; choose another directory"
    case .emptyFile(let path):
      "\(path) would be empty, which the public famfs refuses and this mount is strict; give it a size, or mount it "
        + "without strict"
    case .noSpace(let path, let needed, let free):
      "\(path): no space: \(needed) bytes are needed and \(free) are free; use a larger device"
    case .noSpaceYet(let path, let needed, let free, let held):
      "\(path): no space: \(needed) bytes are needed and \(free) are free; \(held) more were removed and come back when no "
        + "host reads them any more, a second or two after the last close: try again"
    case .fragmented(let path, let needed, let free):
      "\(path): \(free) bytes are free, but \(needed) cannot be had in 16 pieces; make smaller files"
    case .noStrips(let path, let needed, let striping):
      "\(path): \(needed) bytes cannot be had as \(striping.strips) strips, each in one of \(striping.buckets) buckets; "
        + "use fewer strips or buckets, or make smaller files"
    case .logFull(let capacity):
      "the log is full: all \(capacity) entries are used; make the volume anew with a larger mkfs.famfs --loglen"
    case .noAttributeSlots:
      "what is free of the log is kept for new files, so attributes of committed ones hold until the unmount only; make "
        + "the volume anew with a larger mkfs.famfs --loglen"
    case .badEntries(let count, let first):
      "the log has \(count) bad entr\(count == 1 ? "y" : "ies"), so nothing can be added: what they used is unknown "
        + "(\(first)); copy the good files to a new volume"
    case .notMaster(let master):
      "this host is a client of the volume: only its master, the host with system UUID \(master), may change it"
    case .notMasterYet:
      "this host is the volume's master, but this mount waits for the lock of an old master on this machine: a daemon that "
        + "is stopped, or a command that it left behind; end it, then use famfs takeover"
    case .disabled(let reason): "the volume can no longer be changed: \(reason)"
    case .noReservation: "the space was given back because the connection that had reserved it ended; try again"
    case .memory(let path, .noSpace):
      "\(path): the file system below a device that is a plain file has no room for it; make room there"
    case .memory(let path, let error):
      "\(path): the device's memory cannot be used: \(error); famfs status shows what is bad of a mounted "
        + "device, famfs fsck what is good; mkfs.famfs --force makes it usable again, and empty"
    case .other(let sentence): sentence
    }
  }

  /// What a program is told that asked through the kernel.
  public var errno: Errno {
    switch self {
    case .device(let error): error.errno
    case .exists: .exists
    case .noParent, .notFound: .noEntry
    case .parentIsFile: .notDirectory
    case .reserved: .notPermitted
    case .badPath(_, .tooLong): .nameTooLong
    case .noSpace, .noSpaceYet, .fragmented, .noStrips, .logFull, .noAttributeSlots, .memory(_, .noSpace): .noSpace
    case .notMaster, .notMasterYet: .readOnlyFileSystem
    case .superblock, .logHeader, .tooSmall, .badPath, .emptyFile, .other: .invalidArgument
    case .badEntries, .disabled, .noReservation, .memory: .inputOutput
    }
  }
}
