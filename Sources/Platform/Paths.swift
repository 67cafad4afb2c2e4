import Glibc

/// The path of an existing file without symbolic links, `.` and `..`. The corresponding C function is `realpath`.
public func realPath(_ path: String) throws(Errno) -> String {
  guard let found = realpath(path.cFileName, nil) else { throw .current }
  defer { free(found) }
  return String(cFileName: found)
}

/// The best name for a file that a process with another working directory is to find: its real path, or, where the
/// kernel cannot say (nothing is there, or a dead mount), the path made absolute.
public func canonicalPath(_ path: String) -> String {
  (try? realPath(path)) ?? absolutePath(path)
}

/// Where a symbolic link leads, as it stands there. The corresponding C function is `readlink`.
/// - Throws: EINVAL when it is something else.
public func linkTarget(_ path: String) throws(Errno) -> String {
  var target = [CChar](repeating: 0, count: Int(PATH_MAX))
  let count = try retrying { readlink(path.cFileName, &target, target.count) }
  return String(fileName: target[..<count].map { UInt8(bitPattern: $0) })
}

/// A path made absolute by its name alone.
public func absolutePath(_ path: String) -> String {
  guard !path.isEmpty, path.utf8.first != UInt8(ascii: "/"), let here = try? realPath(".") else { return path }
  return here + "/" + path
}

/// A path's components. Split by bytes: a slash is a slash whatever follows it.
public func pathComponents(_ path: some StringProtocol) -> [String] {
  path.utf8.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
}
