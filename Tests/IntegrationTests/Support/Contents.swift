import Foundation
import Platform
import Testing

/// Bytes that look random and are the same for the same seed.
func contents(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  let wordCount = (count + 7) / 8
  return [UInt8](unsafeUninitializedCapacity: wordCount * 8) { buffer, filled in
    var state = seed
    buffer.withMemoryRebound(to: UInt64.self) { words in
      for place in 0..<wordCount {
        state &+= 0x9e37_79b9_7f4a_7c15
        let mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
        words[place] = mixed ^ mixed >> 29
      }
    }
    filled = count
  }
}

/// Whether two byte strings are the same. Compare like this, for `#expect(a == b)` prints both.
func areSame(_ a: [UInt8], _ b: [UInt8]) -> Bool { a.count == b.count && memcmp(a, b, a.count) == 0 }

/// The ways in which programs read a file.
enum Reading: String, CaseIterable {
  case read, oddPieces, sharedMapping, privateMapping, sendfile

  /// Reads a whole file.
  func contents(of path: String) throws -> [UInt8] {
    let file = try FileDescriptor(opening: path, .readOnly)
    let count = Int(try file.status().size)
    switch self {
    case .read: return try file.bytes(at: 0, count: count + 1)
    case .oddPieces: return try oddPieces(of: file, count: count)
    case .sharedMapping: return try mapped(file, count: count, MAP_SHARED)
    case .privateMapping: return try mapped(file, count: count, MAP_PRIVATE)
    case .sendfile: return try sent(file, count: count)
    }
  }

  /// Positions and sizes that are no multiple of anything, from the end to the start.
  private func oddPieces(of file: borrowing FileDescriptor, count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var end = count
    var size = 1
    while end > 0 {
      let start = max(0, end - size)
      let piece = try file.bytes(at: start, count: end - start)
      guard piece.count == end - start else { throw Failure("\(piece.count) of \(end - start) bytes came") }
      bytes.withUnsafeMutableBytes { bytes in
        bytes.baseAddress.map { _ = memcpy($0 + start, piece, piece.count) }
      }
      end = start
      size = size * 3 % 300_007 + 1
    }
    return bytes
  }

  private func mapped(_ file: borrowing FileDescriptor, count: Int, _ flags: Int32) throws -> [UInt8] {
    let start = mmap(nil, count, PROT_READ, flags, file.rawValue, 0)
    guard let start, start != MAP_FAILED else { throw Errno.current }
    defer { munmap(start, count) }
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      buffer.baseAddress.map { _ = memcpy($0, start, count) }
      filled = count
    }
  }

  private func sent(_ file: borrowing FileDescriptor, count: Int) throws -> [UInt8] {
    let target = try retrying { open("/dev/shm", O_RDWR | unnamedFile | O_CLOEXEC, 0o600) }
    let copy = FileDescriptor(owning: target)
    var position = off_t(0)
    while Int(position) < count {
      if try retrying({ Glibc.sendfile(target, file.rawValue, &position, count - Int(position)) }) == 0 { break }
    }
    return try copy.bytes(at: 0, count: count)
  }
}

extension FileDescriptor {
  /// Reads so many bytes at a position, fewer where the file ends.
  func bytes(at offset: Int, count: Int) throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    let got = try span.withUnsafeMutableBytes { (buffer) throws(Errno) in
      try read(at: UInt64(offset), into: buffer)
    }
    bytes.removeLast(count - got)
    return bytes
  }

  /// Writes at a position, once.
  /// - Returns: how many bytes were written.
  @discardableResult
  func put(_ bytes: [UInt8], at offset: Int) throws(Errno) -> Int {
    try retrying { pwrite(rawValue, bytes, bytes.count, off_t(offset)) }
  }
}

/// A file's bytes.
func read(_ path: String) throws -> [UInt8] { try Reading.read.contents(of: path) }

/// Expects a file to hold these bytes.
func expect(_ path: String, holds bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
  #expect(throws: Never.self, "\(path)", sourceLocation: sourceLocation) {
    let isSame = areSame(try read(path), bytes)
    #expect(isSame, "\(path) has other contents", sourceLocation: sourceLocation)
  }
}
