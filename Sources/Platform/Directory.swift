import CLinux
import Glibc

/// The names in a directory, without `.` and `..`, in no order; none when it cannot be read.
public func directoryNames(_ path: String) -> [String] {
  guard let directory = opendir(path.cFileName) else { return [] }
  defer { closedir(directory) }
  return (try? names(in: directory)) ?? []
}

private func names(in directory: OpaquePointer) throws(Errno) -> [String] {
  var names: [String] = []
  while true {
    errno = 0
    guard let entry = readdir(directory) else {
      if errno != 0 { throw .current }
      return names
    }
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(fileName: $0.prefix { $0 != 0 }) }
    if name != "." && name != ".." { names.append(name) }
  }
}

extension FileDescriptor {
  /// The names in this directory, without `.` and `..`, in no order. It was opened for this and is read once.
  public func names() throws(Errno) -> [String] {
    let copy = try retrying { weft_duplicate(rawValue) }
    guard let directory = fdopendir(copy) else {
      let error = Errno.current
      close(copy)
      throw error
    }
    defer { closedir(directory) }
    return try Platform.names(in: directory)
  }
}
