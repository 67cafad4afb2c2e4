import Blocks
import CommandKit
import Ext4
import Glibc
import Memory
import Platform

/// mkfs.kfs
enum MkfsKfsCommand: Command {
  static let name = "mkfs.kfs"
  static let synopsis = "[options] DEVICE"
  static let about = """
    Make an ext4 file system in an image file or on a block device.

    The file system is the one that mke2fs -t ext4 makes with the same options. kfs mounts it, and so does the kernel.
    With --size the image file is made, too; one that exists keeps its size.

    A device that is mounted, or in use otherwise, is refused, and so is one that holds a file system or a partition table,
    unless -F is given.
    """
  static let options = [
    Option("s", "size", "SIZE", "make DEVICE, a new image file of this size"),
    Option("F", "force", nil, "make it over what is there, or, with --size, in a file that exists"),
    Option("n", "dry-run", nil, "say what would be made, and change nothing"),
    Option("q", "quiet", nil, "say nothing"),
    Option("b", "block-size", "1024|2048|4096", "bytes of a block (4096; 1024 below 512 MiB)"),
    Option("i", "bytes-per-inode", "SIZE", "bytes of the file system for each inode (16384; 4096 below 512 MiB)"),
    Option("N", "inodes", "COUNT", "inodes, at least"),
    Option("I", "inode-size", "SIZE", "bytes of an inode (256)"),
    Option("J", "journal", "LIST", "size=MIB: how many MiB the journal has"),
    Option("L", "label", "LABEL", "the label, of at most 16 bytes"),
    Option("U", "uuid", "UUID", "the UUID; or random (the default), or clear"),
    Option("m", "reserved", "PERCENT", "how much only root may use (5)"),
    Option("O", "features", "LIST", "features to switch on, or off with ^ before the name, with commas between"),
    Option(
      "E", "extended", "LIST",
      "lazy_itable_init=0|1, lazy_journal_init=0|1, root_owner=UID:GID, hash_seed=UUID, nodiscard"),
    Option("V", "version", nil, "print the version"),
  ]
  static let examples = [
    "mkfs.kfs --size 1G disk.img", "mkfs.kfs -L data -m 0 /dev/sdb1", "mkfs.kfs -O ^has_journal --size 64m small.img",
  ]

  static func run(_ arguments: Arguments) throws -> Int32 {
    if arguments.has("version") {
      printOut("\(name) \(weftVersion) (Weft)\n")
      return 0
    }
    guard arguments.operands.count == 1 else { throw UsageError("name one image or device") }
    let path = arguments.operands[0]
    var options = try MakeOptions(arguments)
    options.time = UInt64(max(0, time(nil)))
    let size = try arguments.size("size")
    let isQuiet = arguments.has("quiet")
    if arguments.has("dry-run") {
      let planned = try FileSystemMaker.plan(size: size ?? ImageFile.size(of: path), options, name: path)
      if !isQuiet { tell(planned, path) }
      return 0
    }
    let image = try ImageFile(path, size: size, isForced: arguments.has("force"))
    options.isZeroed = image.isNew
    do {
      let made = try FileSystemMaker.make(on: image.open(), options)
      if !isQuiet { tell(made, path) }
    } catch {
      image.remove()
      throw error
    }
    return 0
  }

  private static func tell(_ superblock: Superblock, _ path: String) {
    let blockSize = 1024 << Int(superblock.logBlockSize)
    printOut("\(oneLine(path)): ext4 with \(superblock.blocksCount) blocks of \(blockSize) bytes and ")
    printOut("\(superblock.inodesCount) inodes\nUUID: \(superblock.uuid)\n")
  }
}

/// The file or device that is to hold a file system.
private struct ImageFile {
  let path: String
  /// Whether this made it.
  let isNew: Bool
  private let length: UInt64?

  /// Makes the file, where a size is given; else finds it. What is there already is refused unless it is to be destroyed.
  init(_ path: String, size: UInt64?, isForced: Bool) throws {
    (self.path, length) = (path, size)
    guard let size else {
      isNew = false
      _ = try ImageFile.size(of: path)
      if !isForced { try ImageFile.checkEmpty(path) }
      return
    }
    isNew = try ImageFile.make(path, size)
    if !isNew { try ImageFile.enlarge(path, to: size, isForced) }
  }

  /// Makes a file.
  /// - Returns: false when there is one already.
  private static func make(_ path: String, _ size: UInt64) throws(SentenceError) -> Bool {
    do throws(Errno) {
      let file = try FileDescriptor(opening: path, [.readWrite, .create, .exclusive], mode: 0o600)
      do throws(Errno) { try file.truncate(to: size) } catch {
        unlink(path.cFileName)
        throw error
      }
      return true
    } catch {
      if error == .exists { return false }
      throw SentenceError("\(path) cannot be made with \(size) bytes: \(error)")
    }
  }

  /// A file that is there already can grow. It is not made smaller: what is behind the file system stays.
  private static func enlarge(_ path: String, to size: UInt64, _ isForced: Bool) throws {
    let status = try status(of: path)
    guard status.kind == .regular else {
      throw SentenceError("\(path) is not a plain file, and --size is for such; leave --size out")
    }
    guard isForced else {
      throw SentenceError("\(path) exists already; leave --size out to use it as it is, or take it with -F")
    }
    guard status.size < size else { return }
    // An image that is mounted keeps its size.
    if status.size > 0 { _ = try FileDevice(opening: path, isWritable: true) }
    do throws(Errno) { try FileDescriptor(opening: path, .writeOnly).truncate(to: size) } catch {
      throw SentenceError("\(path) cannot have \(size) bytes: \(error)")
    }
  }

  private static func status(of path: String) throws(SentenceError) -> FileStatus {
    do throws(Errno) { return try FileStatus(path: path) } catch {
      let remedy = error == .noEntry ? "; make an image file there with --size" : ""
      throw SentenceError("\(path): \(error)\(remedy)")
    }
  }

  /// Bytes of what is there.
  static func size(of path: String) throws -> UInt64 {
    let status = try status(of: path)
    if status.kind == .regular && status.size == 0 {
      throw SentenceError("\(path) is empty; give its size with --size and -F")
    }
    return try FileDevice(opening: path, isWritable: false).size
  }

  private static func checkEmpty(_ path: String) throws(SentenceError) {
    guard let type = ForeignContents.type(at: path) else { return }
    throw SentenceError("\(path) holds \(type); to destroy it use -F")
  }

  func open() throws -> FileDevice { try FileDevice(opening: path, isWritable: true, length: length) }

  /// Takes the file away again, if this made it.
  func remove() { if isNew { unlink(path.cFileName) } }
}
