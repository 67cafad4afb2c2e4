import Famfs
import FamfsControl
import Memory
import Platform
import Queue

/// The two files of a queue, by name, and the way to their memory.
struct QueueFiles {
  static let suffix = ".consumer"

  enum Part { case producer, consumer }

  private let path: String

  init(_ path: String) { self.path = path }

  func path(of part: Part) -> String { part == .producer ? path : path + QueueFiles.suffix }

  /// Opens both and checks them.
  /// - Parameters:
  ///   - writing: the files that this process writes; the others are mapped for reading only.
  ///   - note: takes what a verbose command says.
  func open(writing: Set<Part>, note: (String) -> Void) throws -> SharedQueue {
    let files = try [Part.producer, .consumer].map { part in
      QueueFile(
        path: path(of: part),
        memory: try QueueFiles.memory(of: path(of: part), writable: writing.contains(part), note: note))
    }
    return try SharedQueue(producer: files[0], consumer: files[1])
  }

  /// The memory of a file. In a famfs mount it is that of the device: a mapping of the file would be the mount's page
  /// cache, and another mount has another.
  private static func memory(of path: String, writable: Bool, note: (String) -> Void) throws -> any QueueMemory {
    let kind: FileStatus.Kind
    do throws(Errno) {
      kind = try FileStatus(path: path).kind
      // The file's mode decides, also where the device could be written.
      if kind == .regular { _ = try FileDescriptor(opening: path, writable ? .readWrite : .readOnly) }
    } catch {
      throw explain(error, path, writable: writable)
    }
    guard kind == .regular else {
      throw SentenceError("\(path) is no plain file, and so no queue; name one made with pcq --create")
    }
    guard (try? realPath(path)).flatMap({ MountedVolume.containing($0) }) != nil else {
      return try MappedDevice(path: path, writable: writable)
    }
    do {
      return try FamfsFile(VolumePath(path), writable: writable)
    } catch {
      note("\(path) is read and written through its mount, which is slow, for its device cannot be mapped: \(error)")
    }
    do throws(Errno) { return try UncachedFile(path: path, writable: writable) } catch {
      throw explain(error, path, writable: writable)
    }
  }

  private static func explain(_ error: Errno, _ path: String, writable: Bool) -> SentenceError {
    switch error {
    case .noEntry where path.hasSuffix(suffix):
      SentenceError("\(path), the second of a queue's files, is missing; make a new queue with pcq --create")
    case .noEntry: SentenceError("\(path): there is no such queue; make it with pcq --create")
    case .accessDenied, .notPermitted, .readOnlyFileSystem:
      SentenceError(
        "\(path): \(error); this user may not \(writable ? "write" : "read") it, see pcq --setperm and its owner")
    default: SentenceError("\(path): \(error)")
    }
  }
}
