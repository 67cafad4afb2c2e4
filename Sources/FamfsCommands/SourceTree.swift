import Famfs
import Glibc
import Platform

// What a copy reads. Another user may change the sources while they are copied, and the copy's mode lets others read what
// this user can. So what is opened has to be what was planned, and mode and size are those of the open file.

/// Which file it is, whatever its name.
struct SourceIdentity: Equatable, Sendable {
  let device: UInt64
  let inode: UInt64
  let kind: FileStatus.Kind

  init(_ status: FileStatus) { (device, inode, kind) = (status.device, status.inode, status.kind) }
}

/// A file or directory that a copy was planned of: a name in a directory that was planned, too, or a path as it was given.
final class SourcePlace: Sendable {
  /// Nil for a path as it was given.
  let parent: SourcePlace?
  let name: String
  let identity: SourceIdentity
  /// Whether the name is a symbolic link's, which is followed. Of a path as it was given all links are.
  let isLink: Bool

  init(_ name: String, in parent: SourcePlace? = nil, _ status: FileStatus, isLink: Bool) {
    self.name = name
    self.parent = parent
    self.isLink = isLink
    identity = SourceIdentity(status)
  }

  /// As people know it.
  var path: String {
    guard let parent else { return name }
    let path = parent.path
    return path.utf8.last == UInt8(ascii: "/") ? path + name : path + "/" + name
  }
}

/// Opens what was planned, for one thread: the directories of files that follow each other are opened once.
final class SourceOpener {
  private var directory: (place: SourcePlace, file: FileDescriptorBox)?

  private final class FileDescriptorBox {
    let file: FileDescriptor
    init(_ file: consuming FileDescriptor) { self.file = file }
  }

  /// Opens a file to read it.
  /// - Throws: a sentence, also when another file has its name by now.
  func open(_ place: SourcePlace) throws(FamfsError) -> FileDescriptor {
    do throws(Errno) {
      let found = try find(place)
      // Opened by what was looked at, not by the name: to open a device, or a fifo, can already do something.
      return try FileDescriptor(opening: "/proc/self/fd/\(found.rawValue)", [.readOnly, .nonBlocking, .noTerminal])
    } catch {
      if error == .stale {
        throw .other(
          "\(place.path) was exchanged for another file while it was being copied; it was left out, try again")
      }
      throw .other("\(place.path) cannot be read: \(error)")
    }
  }

  /// Finds a file without opening it.
  /// - Throws: ESTALE when it is another one by now.
  private func find(_ place: SourcePlace) throws(Errno) -> FileDescriptor {
    let options: OpenOptions = place.isLink ? .pathOnly : [.pathOnly, .noFollow]
    let file: FileDescriptor
    if let parent = place.parent {
      let directory = try directory(parent)
      file = try withExtendedLifetime(directory) { () throws(Errno) in
        try FileDescriptor(opening: place.name, in: directory.file.rawValue, options)
      }
    } else {
      file = try FileDescriptor(opening: place.name, options)
    }
    guard SourceIdentity(try file.status()) == place.identity else { throw .stale }
    return file
  }

  private func directory(_ place: SourcePlace) throws(Errno) -> FileDescriptorBox {
    if let directory, directory.place === place { return directory.file }
    let file = FileDescriptorBox(try find(place))
    directory = (place, file)
    return file
  }
}
