import CLinux
import CommandKit
import Famfs
import Glibc
import Memory
import Platform

/// Where the bytes of one copied file come from: a plain file, whose holes are not read, or a stream of which just as
/// many bytes must come as were promised.
final class CopySource {
  private let file: FileDescriptor
  private let name: String
  /// Bytes: those of the file when it was opened, or that have to come.
  let size: UInt64
  /// Permission bits of the file when it was opened.
  let permissions: UInt32
  private let isStream: Bool
  /// Whether there can be holes to look for.
  private let isSparse: Bool
  /// The run of data, or the hole, that was found last: to look again costs a walk through a file's pages on tmpfs.
  private var lastRun = (isHole: false, range: UInt64(0)..<0)

  /// What is read lies here. One for the whole file: new memory for each range would be new pages.
  private let buffer: UnsafeMutableRawBufferPointer

  deinit { buffer.deallocate() }

  private static func buffer(for size: UInt64) -> UnsafeMutableRawBufferPointer {
    .allocate(byteCount: Int(min(size, most)), alignment: 4096)
  }

  /// The names of this process's standard input.
  static func isStandardInput(_ name: String) -> Bool { name == "-" || name == "/dev/stdin" }

  /// Opens a plain file that was planned.
  /// - Throws: a sentence, also when another file has its name by now.
  init(plain place: SourcePlace, by opener: SourceOpener) throws(FamfsError) {
    file = try opener.open(place)
    let status: FileStatus
    do { status = try file.status() } catch { throw .other("\(place.path) cannot be read: \(error)") }
    (name, size, isStream) = (place.path, status.size, false)
    permissions = status.permissions & 0o777
    isSparse = size >= CopySource.sparse && status.allocated < size
    buffer = CopySource.buffer(for: size)
  }

  /// Opens anything that can be read from its start, or the standard input, for exactly `size` bytes.
  init(stream path: String, size: UInt64) throws(FamfsError) {
    do throws(Errno) {
      file =
        CopySource.isStandardInput(path)
        ? FileDescriptor(owning: try retrying { weft_duplicate(STDIN_FILENO) })
        : try FileDescriptor(opening: path, [.readOnly, .noTerminal])
      if try file.status().kind == .directory { throw Errno.isDirectory }
    } catch {
      throw .other("\(path == "-" ? "the standard input" : path) cannot be read: \(error)")
    }
    name = path == "-" ? "the standard input" : path
    (self.size, isStream, isSparse, buffer) = (size, true, false, CopySource.buffer(for: size))
    permissions = CopySource.streamPermissions
  }

  /// What the copy of a stream gets.
  static var streamPermissions: UInt32 { 0o666 & ~currentUmask() }

  /// A run of a file's bytes, and what is to become of it.
  enum Piece {
    /// Bytes in memory.
    case bytes(UnsafeRawBufferPointer)
    /// So many zeros.
    case hole(count: UInt64)

    var count: UInt64 {
      switch self {
      case .bytes(let bytes): UInt64(bytes.count)
      case .hole(let count): count
      }
    }
  }

  /// Below this size holes are not looked for: they would save less than the looking costs.
  private static let sparse: UInt64 = 64 << 10
  /// Bytes that are read at once: they stay in a CPU's cache until they are written.
  private static let most: UInt64 = 1 << 20
  /// Bytes that are zeroed between two steps of the progress.
  private static let stride: UInt64 = 32 << 20

  /// Copies one range of the file to the device.
  /// - Parameter check: called before each store; a source can keep a reader waiting.
  func copy(
    _ fileOffset: UInt64, to device: MappedDevice, _ range: Extent, check: () throws -> Void, progress: (UInt64) -> Void
  ) throws {
    let prepare = { device.prepare(at: range.offset + $0, count: $1) }
    try forEachPiece(fileOffset, range.length, willRead: prepare) { piece, place in
      try check()
      switch piece {
      case .bytes(let bytes): try device.write(at: range.offset + place, from: bytes)
      case .hole(let count): try device.zero(at: range.offset + place, count: count)
      }
      progress(piece.count)
    }
  }

  /// Compares one range with what the device holds, page by page, and copies the pages that differ.
  /// - Returns: how many pages there were, and how many differed.
  func copyDifferences(
    _ fileOffset: UInt64, to device: MappedDevice, _ range: Extent, check: () throws -> Void, progress: (UInt64) -> Void
  ) throws -> (pages: UInt64, different: UInt64) {
    var result: (pages: UInt64, different: UInt64) = (0, 0)
    let there = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Int(min(range.length, CopySource.most)), alignment: 4096)
    let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: there.count, alignment: 4096)
    defer {
      there.deallocate()
      zeros.deallocate()
    }
    zeros.initializeMemory(as: UInt8.self, repeating: 0)
    try forEachPiece(fileOffset, range.length, inPages: true) { piece, place in
      var wanted = UnsafeRawBufferPointer(rebasing: zeros[..<Int(min(piece.count, UInt64(zeros.count)))])
      if case .bytes(let bytes) = piece { wanted = bytes }
      let start = range.offset + place
      // Another host may have written what this one has cached.
      try device.invalidate(at: start, count: piece.count)
      try device.read(at: start, into: UnsafeMutableRawBufferPointer(rebasing: there[..<wanted.count]))
      for page in Swift.stride(from: 0, to: wanted.count, by: 4096) {
        let new = UnsafeRawBufferPointer(rebasing: wanted[page..<min(page + 4096, wanted.count)])
        result.pages += 1
        let old = UnsafeRawBufferPointer(rebasing: there[page..<page + new.count])
        guard let old = old.baseAddress, let bytes = new.baseAddress, memcmp(old, bytes, new.count) != 0 else {
          continue
        }
        result.different += 1
        try check()
        try device.write(at: start + UInt64(page), from: new)
      }
      progress(piece.count)
    }
    return result
  }

  /// Checks that it was as long as it should be, once everything is copied. A plain file may have grown meanwhile, but
  /// one that was empty must be: files of /proc have contents and no size.
  func finish() throws {
    if !isStream && size > 0 {
      if try file.status().size < size { throw becameShorter }
      return
    }
    var byte: UInt8 = 0
    let more = withUnsafeMutableBytes(of: &byte) { byte in
      Result { () throws(Errno) in try file.read(into: byte) }
    }
    guard try more.get() > 0 else { return }
    throw FamfsError.other(
      isStream
        ? "\(name) has more than the \(size) bytes that --size says"
        : "\(name) has no size and is not empty, as files of /proc are; copy it with its --size")
  }

  private var becameShorter: FamfsError {
    .other("\(name) became shorter while it was copied; try again")
  }

  /// Hands on the pieces of a range and where in it they begin: bytes, at most `most` of them, or holes. When `inPages`,
  /// all have at most `most` bytes and begin at a multiple of 4096 of the range.
  /// - Parameter willRead: is told of each run of data, by its place in the range and its bytes, before it is read.
  private func forEachPiece(
    _ fileOffset: UInt64, _ length: UInt64, inPages: Bool = false, willRead: (UInt64, UInt64) -> Void = { _, _ in },
    _ body: (Piece, UInt64) throws -> Void
  ) throws {
    var done: UInt64 = 0
    while done < length {
      let run = try run(at: fileOffset + done, before: fileOffset + length)
      var isHole = run.isHole
      var end = run.end - fileOffset
      if inPages && end < length {
        // Whole pages for who compares, also where a run ends within one: such a page is read.
        end &= ~4095
        if !isHole || end <= done {
          (isHole, end) = (false, min(length, (run.end - fileOffset + 4095) & ~4095))
        }
      }
      if !isHole { willRead(done, end - done) }
      while done < end {
        let count = min(end - done, isHole && !inPages ? CopySource.stride : CopySource.most)
        let piece: Piece = isHole ? .hole(count: count) : .bytes(try read(fileOffset + done, count))
        try body(piece, done)
        done += count
      }
    }
  }

  /// The rest of the run of data, or of the hole, that a byte lies in.
  private func run(at offset: UInt64, before end: UInt64) throws -> (isHole: Bool, end: UInt64) {
    if !isSparse { return (false, end) }
    if !lastRun.range.contains(offset) {
      let found = try file.run(at: offset, before: max(size, end))
      lastRun = (found.isHole, offset..<max(offset, found.end))
    }
    return (lastRun.isHole, min(end, lastRun.range.upperBound))
  }

  /// - Returns: what the next read replaces.
  private func read(_ offset: UInt64, _ count: UInt64) throws -> UnsafeRawBufferPointer {
    let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(count)])
    var done = 0
    do throws(Errno) {
      if isStream {
        while done < part.count {
          let got = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: part[done...]))
          if got == 0 { break }
          done += got
        }
      } else {
        done = try file.read(at: offset, into: part)
      }
    } catch {
      throw FamfsError.other("\(name) cannot be read: \(error)")
    }
    guard done == part.count else {
      if !isStream { throw becameShorter }
      throw FamfsError.other("\(name) ended after \(offset + UInt64(done)) bytes, and --size says \(size)")
    }
    return UnsafeRawBufferPointer(part)
  }
}
