// Prints the checksum, size and path of every file below a directory, sorted by path; the volume's own .meta is left
// out. The demo compares what two directories print. usage: bench-sums read|mmap DIRECTORY
import CLinux
import CZlib
import Glibc
import Platform

/// The files below a directory, symbolic links followed, relative to it.
func files(below root: String) throws -> [String] {
  guard let first = strdup(root) else { throw Errno.noMemory }
  defer { free(first) }
  var roots: [UnsafeMutablePointer<CChar>?] = [first, nil]
  guard let walk = fts_open(&roots, FTS_LOGICAL | FTS_NOCHDIR, nil) else { throw Errno.current }
  defer { fts_close(walk) }
  var found: [String] = []
  while let entry = fts_read(walk)?.pointee {
    guard Int32(entry.fts_info) == FTS_F else { continue }
    let path = String(cString: entry.fts_path).dropFirst(root.count + 1)
    if !path.hasPrefix(".meta/") { found.append(String(path)) }
  }
  return found.sorted()
}

func sum(_ bytes: UnsafeRawBufferPointer, after start: UInt) -> UInt {
  crc32_z(start, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
}

func sumByRead(_ path: String, _ buffer: UnsafeMutableRawBufferPointer) throws -> (sum: UInt, size: UInt64) {
  let file = try FileDescriptor(opening: path, .readOnly)
  var result: (sum: UInt, size: UInt64) = (0, 0)
  while true {
    let count = try file.read(into: buffer)
    if count == 0 { return result }
    result = (sum(UnsafeRawBufferPointer(rebasing: buffer[..<count]), after: result.sum), result.size + UInt64(count))
  }
}

func sumByMapping(_ path: String) throws -> (sum: UInt, size: UInt64) {
  let file = try FileDescriptor(opening: path, .readOnly)
  let size = try file.status().size
  if size == 0 { return (0, 0) }
  let mapping = try Mapping(of: file, count: size, writable: false)
  return (sum(UnsafeRawBufferPointer(mapping.bytes), after: 0), size)
}

guard CommandLine.arguments.count == 3, ["read", "mmap"].contains(CommandLine.arguments[1]) else {
  printError("usage: bench-sums read|mmap DIRECTORY")
  exit(1)
}
let root = CommandLine.arguments[2]
let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
do {
  var text = ""
  for path in try files(below: root) {
    let whole = root + "/" + path
    let found = try CommandLine.arguments[1] == "read" ? sumByRead(whole, buffer) : sumByMapping(whole)
    text += "\(String(found.sum, radix: 16)) \(found.size) \(path)\n"
  }
  printOut(text)
} catch {
  printError("bench-sums: \(root): \(error)")
  exit(1)
}
