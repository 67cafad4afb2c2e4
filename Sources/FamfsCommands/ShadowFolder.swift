import Famfs
import Glibc
import Platform

/// A plain folder that a log is played into: directories, and for each file one that describes it in YAML. Names come
/// from the log, which another host writes: no symbolic link in the folder is followed.
struct ShadowFolder: ~Copyable {
  private let root: FileDescriptor
  private let name: String
  /// Directories get their owners and modes at the end, because some modes let nothing be made in them.
  private var made: [(path: [UInt8], record: DirectoryRecord)] = []
  /// Files made.
  private(set) var files: UInt64 = 0
  /// Directories made.
  private(set) var directories: UInt64 = 0
  /// Whether every file is read again and compared.
  private let isTested: Bool

  /// Opens the folder: the one called `root` in it, unless it is called so itself.
  /// - Throws: a sentence, when there is none or it cannot be written.
  init(_ path: String, tested: Bool) throws(FamfsError) {
    name = path
    isTested = tested
    root = try ShadowFolder.open(path)
  }

  private static func open(_ path: String) throws(FamfsError) -> FileDescriptor {
    do throws(Errno) {
      var folder = try FileDescriptor(opening: path, [.readOnly, .directory])
      if pathComponents(path).last != "root" { folder = try directory(Array("root".utf8), in: folder) }
      try retrying { faccessat(folder.rawValue, ".", W_OK | X_OK, AT_EACCESS) }
      return folder
    } catch {
      throw .other("\(path): \(error); --shadow takes a folder that can be written and has a folder 'root' in it")
    }
  }

  /// Makes what an entry says.
  mutating func add(_ entry: LogEntry) throws {
    do {
      switch entry.payload {
      case .file(let record): try add(record)
      case .directory(let record): try add(record)
      case .removal, .addDevice, .attributes: break
      }
    } catch let error as Errno {
      throw FamfsError.other("\(name): log entry \(entry.sequence) cannot be played there: \(error)")
    }
  }

  private mutating func add(_ record: DirectoryRecord) throws(Errno) {
    let parent = try parent(of: record.path)
    let last = ShadowFolder.name(record.path)
    do throws(Errno) {
      try retrying { mkdirat(parent.rawValue, last, 0o700) }
      directories += 1
    } catch {
      guard error == .exists else { throw error }
    }
    made.append((record.path.withBytes { Array($0) }, record))
  }

  private mutating func add(_ record: FileRecord) throws {
    let parent = try parent(of: record.path)
    let last = ShadowFolder.name(record.path)
    let text = ShadowYAML.text(of: record)
    do throws(Errno) {
      try ShadowFolder.make(last, in: parent, text)
      files += 1
      if !isTested { return }
    } catch {
      // It may have been played before; then it says the same, but for attributes that were changed since.
      guard error == .exists else { throw error }
    }
    let found = try ShadowFolder.contents(last, in: parent, limit: text.count + 64)
    if found == text { return }
    guard ShadowFolder.withoutAttributes(found) == ShadowFolder.withoutAttributes(text) else {
      throw FamfsError.other("\(name): the file '\(record.path)' is there already and says something else; remove it")
    }
    try ShadowFolder.make(last, in: parent, text, replacing: true)
  }

  /// What is left of a file's description without mode and owner.
  private static func withoutAttributes(_ text: [UInt8]) -> [ArraySlice<UInt8>] {
    text.split(separator: UInt8(ascii: "\n")).filter { line in
      !["  mode: ", "  uid: ", "  gid: "].contains { line.starts(with: $0.utf8) }
    }
  }

  /// Makes a file that is there whole or not at all, also when this program is interrupted.
  private static func make(
    _ name: [CChar], in parent: borrowing FileDescriptor, _ text: [UInt8], replacing: Bool = false
  ) throws(Errno) {
    let directory = parent.rawValue
    let draft = Array(".weft-\(UInt64.random(in: .min ... .max))".utf8CString)
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    let file = FileDescriptor(owning: try retrying { openat(directory, draft, flags, 0o644) })
    defer { unlinkat(directory, draft, 0) }
    try text.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(all: bytes) }
    if replacing {
      try retrying { renameat(directory, draft, directory, name) }
      return
    }
    try retrying { linkat(directory, draft, directory, name, 0) }  // fails where there is one, as rename would not
  }

  /// Gives the directories their owners and modes, also those of a log that could not be played to its end. Only root
  /// can give a directory away; for other users it stays theirs.
  func finish() throws {
    let isRoot = ownUserID() == 0
    for (path, record) in made.reversed() {
      do throws(Errno) {
        let directory = try ShadowFolder.walk(path[...], from: root)
        // The owner first: to change it takes setuid and setgid bits away.
        if isRoot { try retrying { fchown(directory.rawValue, record.userID, record.groupID) } }
        try retrying { fchmod(directory.rawValue, record.permissions) }
      } catch {
        throw FamfsError.other("\(name): a directory cannot be given its owner and mode: \(error)")
      }
    }
  }

  // MARK: Names

  /// The directory that a path lies in.
  private func parent(of path: EntryPath) throws(Errno) -> FileDescriptor {
    let bytes = path.withBytes { Array($0) }
    return try ShadowFolder.walk(bytes[..<max(0, path.nameStart - 1)], from: root)
  }

  /// A path's last component, as C has it.
  private static func name(_ path: EntryPath) -> [CChar] {
    path.withBytes { $0[path.nameStart...].map { CChar(bitPattern: $0) } + [0] }
  }

  /// Goes down one directory at a time, so that none of them can be a link.
  private static func walk(_ path: ArraySlice<UInt8>, from root: borrowing FileDescriptor) throws(Errno)
    -> FileDescriptor
  {
    var place = try directory([UInt8(ascii: ".")], in: root)
    for component in path.split(separator: UInt8(ascii: "/")) { place = try directory(Array(component), in: place) }
    return place
  }

  private static func directory(_ name: [UInt8], in parent: borrowing FileDescriptor) throws(Errno) -> FileDescriptor {
    let number = parent.rawValue
    let name = name.map { CChar(bitPattern: $0) } + [0]
    let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    return FileDescriptor(owning: try retrying { openat(number, name, flags) })
  }

  private static func contents(
    _ name: [CChar], in parent: borrowing FileDescriptor, limit: Int
  ) throws(Errno) -> [UInt8] {
    let number = parent.rawValue
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    let file = FileDescriptor(owning: try retrying { openat(number, name, flags) })
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 1)
    defer { buffer.deallocate() }
    return Array(buffer[..<(try file.read(at: 0, into: buffer))])
  }
}
