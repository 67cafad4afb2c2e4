import Famfs
import Platform

/// Where a drawing goes.
enum PictureFile {
  /// Writes a drawing into a plain file, or on standard output.
  /// - Parameter devices: paths of what it must never replace.
  static func write(_ text: String, to path: String, notOver devices: [String]) throws {
    if path == "-" { return printStyled(text) }
    if let status = try? FileStatus(path: path) {
      guard status.kind == .regular else {
        throw FamfsError.other("\(path) is there and no plain file; name a new one, or - for standard output")
      }
      for device in devices {
        guard let other = try? FileStatus(path: device) else { continue }
        if (other.device, other.inode) == (status.device, status.inode) {
          throw FamfsError.other("\(path) is the device itself, which the drawing would replace; name another file")
        }
      }
    }
    do throws(Errno) {
      let file = try FileDescriptor(opening: path, [.writeOnly, .create, .truncate], mode: 0o644)
      let bytes = Array(text.utf8)
      try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(all: bytes) }
    } catch {
      throw FamfsError.other("\(path) cannot be written: \(error)")
    }
  }
}
