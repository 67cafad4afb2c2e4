import CLinux
import Glibc

/// An open file; closed when its owner lets go of it.
public struct FileDescriptor: ~Copyable, Sendable {
  /// The number that the kernel knows it by. It is valid as long as this value lives.
  public let rawValue: Int32

  /// Takes over an open descriptor.
  public init(owning rawValue: Int32) { self.rawValue = rawValue }

  deinit { close(rawValue) }

  /// Gives the descriptor away without closing it.
  public consuming func release() -> Int32 {
    let number = rawValue
    discard self
    return number
  }
}

/// How open(2) opens: the O_ flags, close-on-exec always among them.
public struct OpenOptions: OptionSet, Sendable {
  /// The bits.
  public let rawValue: Int32
  /// Options of these bits.
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// The C constant is `O_RDONLY`.
  public static let readOnly = OpenOptions([])
  /// The C constant is `O_WRONLY`.
  public static let writeOnly = OpenOptions(rawValue: O_WRONLY)
  /// The C constant is `O_RDWR`.
  public static let readWrite = OpenOptions(rawValue: O_RDWR)
  /// The C constant is `O_CREAT`.
  public static let create = OpenOptions(rawValue: O_CREAT)
  /// The C constant is `O_EXCL`; on a block device without O_CREAT it asks that nothing has it mounted.
  public static let exclusive = OpenOptions(rawValue: O_EXCL)
  /// The C constant is `O_TRUNC`.
  public static let truncate = OpenOptions(rawValue: O_TRUNC)
  /// The C constant is `O_DIRECTORY`.
  public static let directory = OpenOptions(rawValue: O_DIRECTORY)
  /// The C constant is `O_NOFOLLOW`.
  public static let noFollow = OpenOptions(rawValue: O_NOFOLLOW)
  /// The C constant is `O_DIRECT`: past the page cache.
  public static var direct: OpenOptions { OpenOptions(rawValue: weft_direct()) }
  /// The C constant is `O_NONBLOCK`.
  public static let nonBlocking = OpenOptions(rawValue: O_NONBLOCK)
  /// The C constant is `O_NOCTTY`: a terminal does not become this process's.
  public static let noTerminal = OpenOptions(rawValue: O_NOCTTY)
  /// The C constant is `O_PATH`: finds a file and does not open it, which can already do something to a device.
  public static let pathOnly = OpenOptions(rawValue: 0o10000000)
}

/// What a file is, by stat(2).
public struct FileStatus: Sendable {
  /// The type bits of a mode.
  public enum Kind: Sendable {
    case regular, directory, characterDevice, blockDevice, fifo, socket, symbolicLink, other
  }

  /// What kind of file it is.
  public let kind: Kind
  /// Permission bits, setuid, setgid and sticky: the low 12 bits of st_mode.
  public let permissions: UInt32
  /// Bytes; 0 for devices.
  public let size: UInt64
  /// Bytes that the file takes on its medium: st_blocks. Fewer than `size` when it has holes, or is compressed.
  public let allocated: UInt64
  /// Owner.
  public let userID: UInt32
  /// Group.
  public let groupID: UInt32
  /// Names that it has.
  public let linkCount: UInt64
  /// Number of the file system that holds it.
  public let device: UInt64
  /// Number within its file system.
  public let inode: UInt64
  /// For a device file: which device it is.
  public let specialDevice: UInt64

  init(_ status: stat) {
    kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFDIR: .directory
      case S_IFCHR: .characterDevice
      case S_IFBLK: .blockDevice
      case S_IFIFO: .fifo
      case S_IFSOCK: .socket
      case S_IFLNK: .symbolicLink
      default: .other
      }
    permissions = status.st_mode & 0o7777
    size = UInt64(clamping: status.st_size)
    allocated = UInt64(clamping: status.st_blocks).multipliedReportingOverflow(by: 512).partialValue
    userID = status.st_uid
    groupID = status.st_gid
    linkCount = UInt64(status.st_nlink)
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    specialDevice = UInt64(status.st_rdev)
  }

  /// The status of the file at `path`, through symbolic links. The corresponding C function is `stat`.
  public init(path: String) throws(Errno) {
    var status = stat()
    try retrying { stat(path.cFileName, &status) }
    self.init(status)
  }

  /// The status of what is at `path`, which may be a symbolic link. The corresponding C function is `lstat`.
  public init(ofLink path: String) throws(Errno) {
    var status = stat()
    try retrying { lstat(path.cFileName, &status) }
    self.init(status)
  }

  /// The status of a name in an open directory; AT_FDCWD stands for the working directory. The corresponding C function
  /// is `fstatat`.
  public init(of name: String, in directory: Int32, followingLinks: Bool) throws(Errno) {
    var status = stat()
    try retrying { fstatat(directory, name.cFileName, &status, followingLinks ? 0 : AT_SYMLINK_NOFOLLOW) }
    self.init(status)
  }

  /// The status of the file at a path that need not be UTF-8; it holds no NUL.
  public init(path: [UInt8]) throws(Errno) {
    var status = stat()
    let path = path.map { CChar(bitPattern: $0) } + [0]
    try retrying { stat(path, &status) }
    self.init(status)
  }
}

extension FileDescriptor {
  /// Opens a file. The corresponding C function is `open`.
  public init(opening path: String, _ options: OpenOptions, mode: UInt32 = 0o600) throws(Errno) {
    rawValue = try retrying { open(path.cFileName, options.rawValue | O_CLOEXEC, mode) }
  }

  /// Opens a name in an open directory; AT_FDCWD stands for the working directory. The corresponding C function is
  /// `openat`.
  public init(opening name: String, in directory: Int32, _ options: OpenOptions) throws(Errno) {
    rawValue = try retrying { openat(directory, name.cFileName, options.rawValue | O_CLOEXEC) }
  }

  /// The corresponding C function is `fstat`.
  public func status() throws(Errno) -> FileStatus {
    var status = stat()
    try retrying { fstat(rawValue, &status) }
    return FileStatus(status)
  }

  /// Reads once; fewer bytes than asked for may come, 0 at the end. The corresponding C function is `read`.
  public func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try retrying { Glibc.read(rawValue, buffer.baseAddress, buffer.count) }
  }

  /// Reads at a position until the buffer is full or the file ends. The corresponding C function is `pread`.
  /// - Returns: the number of bytes read.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    guard var position = off_t(exactly: offset) else { throw .invalidArgument }
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = try retrying { pread(rawValue, rest.baseAddress, rest.count, position) }
      if count == 0 { break }
      done += count
      position += count
    }
    return done
  }

  /// Writes all of the buffer at the file's position. The corresponding C function is `write`.
  public func write(all buffer: UnsafeRawBufferPointer) throws(Errno) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
      done += try retrying { Glibc.write(rawValue, rest.baseAddress, rest.count) }
    }
  }

  /// Writes all of the buffer at a position. The corresponding C function is `pwrite`.
  public func write(at offset: UInt64, all buffer: UnsafeRawBufferPointer) throws(Errno) {
    guard var position = off_t(exactly: offset) else { throw .invalidArgument }
    var done = 0
    while done < buffer.count {
      let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
      let count = try retrying { pwrite(rawValue, rest.baseAddress, rest.count, position) }
      done += count
      position += count
    }
  }

  /// Writes a text at the file's position.
  public func write(_ text: String) throws(Errno) {
    let bytes = Array(text.utf8)
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try write(all: bytes) }
  }

  /// Sets the file's size. The corresponding C function is `ftruncate`.
  public func truncate(to size: UInt64) throws(Errno) {
    guard let size = off_t(exactly: size) else { throw .fileTooLarge }
    try retrying { ftruncate(rawValue, size) }
  }

  /// Makes the file at least this long, with all its space taken; it is zeros where nothing was. The corresponding C
  /// function is `posix_fallocate`.
  /// - Throws: ENOSPC when there is too little; then what it took stays until the file is removed.
  public func reserve(_ size: UInt64) throws(Errno) {
    guard let size = off_t(exactly: size) else { throw .fileTooLarge }
    var failure = posix_fallocate(rawValue, 0, size)
    while failure == EINTR { failure = posix_fallocate(rawValue, 0, size) }
    if failure != 0 { throw Errno(rawValue: failure) }
  }

  /// Where the run of data, or the hole, ends that a byte of the file lies in; holes are not on the medium and read as
  /// zeros. File systems that know of none have data only. The corresponding C function is `lseek`.
  /// - Parameters:
  ///   - offset: the byte; behind the file's end everything is a hole.
  ///   - end: where to look no further; more than `offset`.
  public func run(at offset: UInt64, before end: UInt64) throws(Errno) -> (isHole: Bool, end: UInt64) {
    guard let place = off_t(exactly: offset) else { throw .invalidArgument }
    let (seekData, seekHole): (Int32, Int32) = (3, 4)  // SEEK_DATA, SEEK_HOLE
    let data = lseek(rawValue, place, seekData)
    if data < 0 {
      let error = Errno.current
      return (error == .noSuchAddress, end)  // ENXIO: no more data
    }
    if data > place { return (true, min(end, UInt64(data))) }
    let hole = lseek(rawValue, place, seekHole)
    return (false, hole > place ? min(end, UInt64(hole)) : end)
  }

  /// Locks one byte of the file for this open file description, without waiting. Locks of one kind of lock keep out
  /// other descriptions only, and end with the last copy of the descriptor.
  /// - Parameter exclusive: whether anybody else may hold the byte at the same time (no).
  /// - Throws: EAGAIN or EACCES when somebody else holds it.
  public func lock(byte: Int64, exclusive: Bool) throws(Errno) {
    try retrying { weft_lock_byte(rawValue, byte, Int16(exclusive ? F_WRLCK : F_RDLCK)) }
  }

  /// Whether another open file description holds a lock on one byte. Takes no lock itself.
  public func isLocked(byte: Int64) throws(Errno) -> Bool { try retrying { weft_byte_is_locked(rawValue, byte) } == 1 }

  /// Gives a lock back that `lock` took.
  public func unlock(byte: Int64) { _ = weft_lock_byte(rawValue, byte, Int16(F_UNLCK)) }
}

/// The whole contents of a small file, such as those of /proc and /sys; at most `limit` bytes.
public func readSmallFile(_ path: String, limit: Int = 1 << 20) throws(Errno) -> [UInt8] {
  let file = try FileDescriptor(opening: path, .readOnly)
  var contents: [UInt8] = []
  let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 16384, alignment: 16)
  defer { piece.deallocate() }
  while contents.count < limit {
    let count = try file.read(into: piece)
    if count == 0 { break }
    contents.append(contentsOf: piece[..<count])
  }
  return contents
}

/// The first line of a small text file, without its newline and the blanks around it; nil when it cannot be read.
public func firstLine(of path: String) -> String? {
  guard let bytes = try? readSmallFile(path, limit: 16384) else { return nil }
  let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
  return String(decoding: line, as: UTF8.self).trimmingBlanks()
}

extension String {
  /// The text without spaces, tabs, returns and newlines at its ends.
  public func trimmingBlanks() -> String {
    let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" || $0 == "\r\n" }
    guard let first = firstIndex(where: { !isBlank($0) }), let last = lastIndex(where: { !isBlank($0) }) else {
      return ""
    }
    return String(self[first...last])
  }
}

extension FileDescriptor {
  /// Waits until the other end of a pipe or socket is closed, or so many milliseconds have gone by.
  /// - Returns: whether it was closed.
  public func waitForHangup(milliseconds: Int32) -> Bool {
    var file = pollfd(fd: rawValue, events: 0, revents: 0)
    return poll(&file, 1, milliseconds) > 0
  }
}

/// Lets this process have as many files open as its hard limit says, but no more than `most`; best effort. Shells begin
/// programs with a soft limit of 1024.
public func raiseFileLimit(to most: UInt64) {
  var limit = rlimit()
  guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < most else { return }
  limit.rlim_cur = min(limit.rlim_max, rlim_t(most))
  _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

/// The user that this process acts as.
public func ownUserID() -> UInt32 { geteuid() }
