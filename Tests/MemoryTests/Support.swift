import Glibc
import Memory
import Platform
import Testing

/// A directory for one test, gone with everything in it when the test ends.
final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/weft-memory-XXXXXX".utf8CString)
    path = try template.withUnsafeMutableBufferPointer { buffer in
      let made = buffer.baseAddress.flatMap { mkdtemp($0) }
      return String(cString: try #require(made))
    }
  }

  deinit {
    guard let entries = opendir(path) else { return }
    while let entry = readdir(entries) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." && unlink(path + "/" + name) != 0 { rmdir(path + "/" + name) }
    }
    closedir(entries)
    rmdir(path)
  }

  /// A file with these bytes.
  @discardableResult
  func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    let place = path + "/" + name
    let file = try FileDescriptor(opening: place, [.readWrite, .create])
    try bytes.withUnsafeBytes { try file.write(all: $0) }
    return place
  }

  /// A file of this many zeros.
  func file(_ name: String, size: UInt64) throws -> String {
    let place = path + "/" + name
    try FileDescriptor(opening: place, [.readWrite, .create]).truncate(to: size)
    return place
  }

  func device(size: UInt64, writable: Bool = true) throws -> MappedDevice {
    try MappedDevice(path: file("device", size: size), writable: writable)
  }
}

extension MemoryDevice {
  func contents(at offset: UInt64, count: Int) throws -> [UInt8] {
    var contents = [UInt8](repeating: 0, count: count)
    try contents.withUnsafeMutableBytes { try read(at: offset, into: $0) }
    return contents
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws {
    try bytes.withUnsafeBytes { try write(at: offset, from: $0) }
  }
}

/// Bytes that differ from place to place, none of them zero.
func pattern(_ count: Int, salt: Int = 0) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: count + 8) { room, made in
    for place in stride(from: 0, to: count, by: 8) {
      let word = UInt64(place + salt + 1) &* 0x9e37_79b9_7f4a_7c15 | 0x0101_0101_0101_0101
      UnsafeMutableRawBufferPointer(room).storeBytes(of: word, toByteOffset: place, as: UInt64.self)
    }
    made = count
  }
}

/// Whether all bytes are zeros; quick in debug builds too.
func isZero(_ bytes: some RandomAccessCollection<UInt8>) -> Bool {
  bytes.withContiguousStorageIfAvailable { bytes in
    guard let start = bytes.baseAddress, let first = bytes.first else { return true }
    return first == 0 && memcmp(start, start + 1, bytes.count - 1) == 0
  } ?? false
}

/// The whole of a file, as another process would read it.
func fileContents(_ path: String) throws -> [UInt8] { try readSmallFile(path, limit: 64 << 20) }
