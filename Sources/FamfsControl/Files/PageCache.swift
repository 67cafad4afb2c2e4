import Glibc
import Platform

/// Brings what the kernel has cached of a file into the memory, and forgets it, but for pages that are mapped.
package func emptyPageCache(of path: String) throws(Errno) {
  let file = try FileDescriptor(opening: path, .readOnly)
  try retrying { fsync(file.rawValue) }
  posix_fadvise(file.rawValue, 0, 0, POSIX_FADV_DONTNEED)
}
