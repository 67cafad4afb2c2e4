import CLinux
import Famfs
import Glibc
import Platform

/// What a copy is going to do: the directories to make, then the files to fill. Made in full before anything is
/// changed, so that a tree can be copied next to itself and progress knows the whole.
struct CopyPlan {
  struct Directory {
    let target: VolumePath
    let permissions: UInt32
  }
  struct File: Sendable {
    let source: String
    let target: VolumePath
    let size: UInt64
    let permissions: UInt32
    /// Whether the source is read from its start, and has to have `size` bytes.
    var isStream = false
  }

  private(set) var directories: [Directory] = []
  private(set) var files: [File] = []
  /// 0, or the exit status for what had to be left out; each was told about.
  private(set) var status: Int32 = 0
  private let isRecursive: Bool
  /// What a stream has to have, in bytes.
  private let streamSize: UInt64?
  private var targets: Set<String> = []
  /// The file system that is copied to, as stat(2) numbers it.
  private let device: UInt64?
  private let complain: (String) -> Void

  /// Plans to copy `sources` to `destination`.
  /// - Parameters:
  ///   - exactly: `destination` is what the copy is to be called, also when it is a directory.
  ///   - streamSize: the bytes of the one source, which is whatever can be read.
  ///   - complain: gets a sentence for each thing that is left out.
  /// - Throws: a sentence, when there is nothing sensible to do.
  init(
    _ sources: [String], to destination: String, recursive: Bool, exactly: Bool = false, streamSize: UInt64? = nil,
    complain: @escaping (String) -> Void
  ) throws {
    isRecursive = recursive
    self.streamSize = streamSize
    self.complain = complain
    let target = try VolumePath(destination)
    device = (try? FileStatus(path: target.mount.mountPoint))?.device
    let isDirectory = !exactly && (try? FileStatus(path: target.absolute))?.kind == .directory
    if exactly && sources.count > 1 { throw UsageError("--no-target-directory takes one source") }
    if !isDirectory && sources.count > 1 {
      throw FamfsError.other("\(destination) is no directory, and several sources need one; make it with famfs mkdir")
    }
    if !isDirectory && destination.hasSuffix("/") && !(recursive && sources.count == 1) {
      throw FamfsError.other("\(destination) is no directory; make it with famfs mkdir, or leave the slash out")
    }
    if !isDirectory && !target.path.isEmpty { try target.checkParent() }
    for source in sources { add(source, to: target, isDirectory: isDirectory) }
  }

  private mutating func leaveOut(_ sentence: String, status: Int32 = 1) {
    complain(sentence)
    self.status = status
  }

  private mutating func add(_ source: String, to destination: VolumePath, isDirectory: Bool) {
    let name = pathComponents(source).last ?? "/"
    let target = isDirectory && name != "." && name != "/" && name != ".." ? destination.appending(name) : destination
    if source.isEmpty { return leaveOut("an empty path names nothing; name a file to copy") }
    if let streamSize {
      if isDirectory && source == "-" {
        return leaveOut("\(destination.absolute) is a directory, and the standard input has no name; name the file")
      }
      return files.append(
        File(source: source, target: target, size: streamSize, permissions: 0o666 & ~currentUmask(), isStream: true))
    }
    let found: FileStatus
    do { found = try FileStatus(path: source) } catch {
      if source == "-" {
        return leaveOut("the standard input was left out: give its --size, which is fixed from the start", status: 22)
      }
      return leaveOut("\(source): \(error); name a file that can be read")
    }
    switch found.kind {
    case .directory where !isRecursive: leaveOut("\(source) is a directory and was left out; copy it with -r")
    case .directory: addTree(source, to: target)
    default: addFile(source, found, to: target)
    }
  }

  private mutating func addFile(_ source: String, _ found: FileStatus, to target: VolumePath) {
    guard found.kind == .regular else {
      return leaveOut("\(source) is no regular file and was left out; copy it alone, with its --size", status: 22)
    }
    guard targets.insert(target.path).inserted else {
      return leaveOut("\(source) was left out: another source is copied to \(target.absolute) already")
    }
    if found.device == device, let there = try? FileStatus(path: target.absolute), there.inode == found.inode {
      return leaveOut("\(source) and \(target.absolute) are the same file, and it was left out; name another")
    }
    files.append(File(source: source, target: target, size: found.size, permissions: found.permissions & 0o777))
  }

  /// Walks a tree. Symbolic links are followed, for the format has none.
  private mutating func addTree(_ source: String, to target: VolumePath) {
    if let real = try? realPath(source), target.absolute.isInside(real) {
      return leaveOut("\(source) cannot be copied into itself")
    }
    guard let first = strdup(source) else { return leaveOut("\(source): \(Errno.noMemory)") }
    defer { free(first) }
    var roots: [UnsafeMutablePointer<CChar>?] = [first, nil]
    guard
      let walk = fts_open(
        &roots, FTS_LOGICAL | FTS_NOCHDIR,
        { a, b in
          guard let a = a?.pointee, let b = b?.pointee else { return 0 }
          return strcmp(CopyPlan.path(of: a), CopyPlan.path(of: b))
        })
    else { return leaveOut("\(source): \(Errno.current)") }
    defer { fts_close(walk) }
    while let entry = fts_read(walk)?.pointee {
      let path = String(cString: entry.fts_path)
      let inside = path.utf8.dropFirst(source.utf8.count).drop { $0 == UInt8(ascii: "/") }
      let place = inside.isEmpty ? target : target.appending(String(decoding: inside, as: UTF8.self))
      addEntry(entry, path, to: place)
    }
  }

  private static func path(of entry: UnsafePointer<FTSENT>) -> UnsafeMutablePointer<CChar> { entry.pointee.fts_accpath }

  private mutating func addEntry(_ entry: FTSENT, _ path: String, to place: VolumePath) {
    if isDamaged(path) {
      if Int32(entry.fts_info) != FTS_DP { leaveOut("\(path) was left out: its name is not UTF-8") }
      return
    }
    switch Int32(entry.fts_info) {
    case FTS_D:
      let permissions = UInt32(entry.fts_statp.pointee.st_mode) & 0o777
      if !place.path.isEmpty { directories.append(Directory(target: place, permissions: permissions)) }
    case FTS_DP: break
    case FTS_F, FTS_DEFAULT, FTS_SL:
      do { addFile(path, try FileStatus(path: path), to: place) } catch { leaveOut("\(path): \(error)") }
    case FTS_DC: leaveOut("\(path) was left out: it leads back to a directory around it")
    case FTS_SLNONE: leaveOut("\(path) was left out: it is a symbolic link to nothing")
    default: leaveOut("\(path): \(Errno(rawValue: entry.fts_errno))")
    }
  }
}
