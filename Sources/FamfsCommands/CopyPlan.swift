import CLinux
import CommandKit
import Famfs
import FamfsControl
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
    enum Source: Sendable {
      /// A file, or what a path as it was given leads to.
      case plain(SourcePlace)
      /// Whatever can be read at this path from its start, or the standard input; it has to have the file's size.
      case stream(String)
    }

    let source: Source
    let target: VolumePath
    /// Bytes, as they were when it was planned; those of a stream are fixed.
    let size: UInt64
  }

  /// How sources are taken.
  struct Options {
    /// Whether directories are copied, with all that is in them.
    var isRecursive = false
    /// Whether the destination is what the copy is to be called, also when it is a directory.
    var isExact = false
    /// Whether symbolic links are left out; else they are followed, because the format has none.
    var leavesLinksOut = false
    /// The bytes of the one source, which is whatever can be read.
    var streamSize: UInt64?
  }

  private(set) var directories: [Directory] = []
  private(set) var files: [File] = []
  /// 0, or the exit status for what had to be left out; each was told about.
  private(set) var status: Int32 = 0
  private let options: Options
  /// The paths of `files`, byte for byte: Swift takes some different names for equal.
  private var targets: Set<[UInt8]> = []
  /// The file system that is copied to, as stat(2) numbers it.
  private let device: UInt64?
  private let complain: (String) -> Void

  /// Plans to copy `sources` to `destination`.
  /// - Parameter complain: gets a sentence for each thing that is left out.
  /// - Throws: a sentence, when there is nothing sensible to do.
  init(
    _ sources: [String], to destination: String, _ options: Options, complain: @escaping (String) -> Void
  ) throws {
    self.options = options
    self.complain = complain
    let target = try VolumePath(destination)
    device = (try? FileStatus(path: target.mount.mountPoint))?.device
    let isDirectory = !options.isExact && (try? FileStatus(path: target.absolute))?.kind == .directory
    if options.isExact && sources.count > 1 { throw UsageError("--no-target-directory takes one source") }
    if !isDirectory && sources.count > 1 {
      throw FamfsError.other("\(destination) is no directory, and several sources need one; make it with famfs mkdir")
    }
    if !isDirectory && destination.utf8.last == UInt8(ascii: "/") && !(options.isRecursive && sources.count == 1) {
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
    if let streamSize = options.streamSize {
      if isDirectory && source == "-" {
        return leaveOut("\(destination.absolute) is a directory, and the standard input has no name; name the file")
      }
      return files.append(File(source: .stream(source), target: target, size: streamSize))
    }
    let found: FileStatus
    do {
      if options.leavesLinksOut, try FileStatus(ofLink: source).kind == .symbolicLink {
        return leaveOut("\(source) was left out: it is a symbolic link", status: 22)
      }
      found = try FileStatus(path: source)
    } catch {
      if source == "-" {
        return leaveOut("the standard input was left out: give its --size, which is fixed from the start", status: 22)
      }
      return leaveOut("\(source): \(error); name a file that can be read")
    }
    switch found.kind {
    case .directory where !options.isRecursive: leaveOut("\(source) is a directory and was left out; copy it with -r")
    case .directory:
      if let real = try? realPath(source), target.absolute.isInside(real) {
        return leaveOut("\(source) cannot be copied into itself")
      }
      addDirectory(SourcePlace(source, found, isLink: !options.leavesLinksOut), AT_FDCWD, [], to: target)
    default: addFile(SourcePlace(source, found, isLink: !options.leavesLinksOut), found, to: target)
    }
  }

  private mutating func addFile(_ source: SourcePlace, _ found: FileStatus, to target: VolumePath) {
    guard found.kind == .regular else {
      return leaveOut("\(source.path) is no regular file and was left out; copy it alone, with its --size", status: 22)
    }
    guard targets.insert(target.path.fileNameBytes).inserted else {
      return leaveOut("\(source.path) was left out: another source is copied to \(target.absolute) already")
    }
    if found.device == device, let there = try? FileStatus(path: target.absolute), there.inode == found.inode {
      return leaveOut("\(source.path) and \(target.absolute) are the same file, and it was left out; name another")
    }
    files.append(File(source: .plain(source), target: target, size: found.size))
  }

  // MARK: Trees

  /// Plans a directory and all that is in it. Names are found from their directory's descriptor, so that no directory on
  /// the way can be exchanged for another.
  /// - Parameters:
  ///   - parent: the descriptor that the directory's name is found from.
  ///   - around: the directories that it lies in.
  private mutating func addDirectory(
    _ place: SourcePlace, _ parent: Int32, _ around: [SourceIdentity], to target: VolumePath
  ) {
    if around.contains(place.identity) {
      return leaveOut("\(place.path) was left out: it leads back to a directory around it")
    }
    // Nothing in it could be made; and so the depth of what is walked has a limit.
    if target.path.fileNameBytes.count > EntryPath.maximum {
      return leaveOut("\(place.path) was left out: the path is longer than \(EntryPath.maximum) bytes")
    }
    do {
      let flags: OpenOptions = [.readOnly, .directory, .nonBlocking, .noTerminal]
      let file = try FileDescriptor(opening: place.name, in: parent, place.isLink ? flags : [flags, .noFollow])
      let status = try file.status()
      guard SourceIdentity(status) == place.identity else { throw Errno.stale }
      if !target.path.isEmpty {
        directories.append(Directory(target: target, permissions: status.permissions & 0o777))
      }
      for name in try file.names().sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
        addEntry(name, of: place, file.rawValue, around + [place.identity], to: target.appending(name))
      }
    } catch {
      leaveOut("\(place.path) was left out: \(error)")
    }
  }

  private mutating func addEntry(
    _ name: String, of directory: SourcePlace, _ descriptor: Int32, _ around: [SourceIdentity], to target: VolumePath
  ) {
    let path = directory.path + "/" + name
    do throws(Errno) {
      var found = try FileStatus(of: name, in: descriptor, followingLinks: false)
      let isLink = found.kind == .symbolicLink
      if isLink && options.leavesLinksOut { return leaveOut("\(path) was left out: it is a symbolic link", status: 22) }
      if isLink { found = try FileStatus(of: name, in: descriptor, followingLinks: true) }
      let place = SourcePlace(name, in: directory, found, isLink: isLink)
      if found.kind == .directory {
        addDirectory(place, descriptor, around, to: target)
      } else {
        addFile(place, found, to: target)
      }
    } catch {
      leaveOut(error == .noEntry ? "\(path) was left out: it is a symbolic link to nothing" : "\(path): \(error)")
    }
  }
}
