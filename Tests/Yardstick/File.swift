import CYardstick
import Glibc
import Synchronization

/// An open file of a case; closed when it goes, if the case does not close it.
final class File: Sendable {
  let trial: Trial
  let number: Int32
  private let isClosed = Atomic(false)

  init(_ number: Int32, _ trial: Trial) {
    self.number = number
    self.trial = trial
  }

  deinit { if !isClosed.load(ordering: .acquiring) { Glibc.close(number) } }

  func call(_ label: StaticString, _ call: Int32, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0) -> Answer {
    trial.call(label, call, Int(number), a, b, c)
  }

  /// Closes it; the answer is close(2)'s.
  @discardableResult
  func close() -> Answer {
    isClosed.store(true, ordering: .releasing)
    return call("close", SYS_close)
  }

  func write(_ bytes: [UInt8]) -> Answer {
    bytes.withUnsafeBytes { call("write", SYS_write, $0.address, $0.count) }
  }

  func pwrite(_ bytes: [UInt8], at offset: Int) -> Answer {
    bytes.withUnsafeBytes { call("pwrite", SYS_pwrite64, $0.address, $0.count, offset) }
  }

  /// One read(2), for its answer.
  func reading(_ count: Int) -> Answer { Self.buffer(count) { call("read", SYS_read, $0.address, count) }.0 }

  func preading(_ count: Int, at offset: Int) -> Answer {
    Self.buffer(count) { call("pread", SYS_pread64, $0.address, count, offset) }.0
  }

  /// One read(2) that must succeed: the bytes that came.
  func read(_ count: Int, file: StaticString = #fileID, line: Int = #line) throws -> [UInt8] {
    let (answer, bytes) = Self.buffer(count) { call("read", SYS_read, $0.address, count) }
    return Array(bytes.prefix(try answer.ok(file: file, line: line)))
  }

  func pread(_ count: Int, at offset: Int, file: StaticString = #fileID, line: Int = #line) throws -> [UInt8] {
    let (answer, bytes) = Self.buffer(count) { call("pread", SYS_pread64, $0.address, count, offset) }
    return Array(bytes.prefix(try answer.ok(file: file, line: line)))
  }

  private static func buffer(_ count: Int, _ call: (UnsafeMutableRawBufferPointer) -> Answer) -> (Answer, [UInt8]) {
    var bytes = [UInt8](repeating: 0xee, count: max(count, 1))
    let answer = bytes.withUnsafeMutableBytes { call($0) }
    return (answer, bytes)
  }

  func truncate(_ size: Int) -> Answer { call("ftruncate", SYS_ftruncate, size) }

  func seek(_ offset: Int, _ from: Int32 = SEEK_SET) -> Answer { call("lseek", SYS_lseek, offset, Int(from)) }

  func allocate(_ mode: Int, _ offset: Int, _ count: Int) -> Answer {
    call("fallocate", SYS_fallocate, mode, offset, count)
  }

  func chmod(_ mode: Int) -> Answer { call("fchmod", SYS_fchmod, mode) }

  func chown(_ user: Int, _ group: Int) -> Answer { call("fchown", SYS_fchown, user, group) }

  func sync() -> Answer { call("fsync", SYS_fsync) }

  func stat(file: StaticString = #fileID, line: Int = #line) throws -> Stat {
    var about = yard_stat()
    let value = yard_stat(number, "", Int32(YARD_AT_EMPTY_PATH), &about)
    try Answer(trial: trial, call: "fstat", names: [], value: value).ok(file: file, line: line)
    return Stat(about)
  }

  /// A name by which other calls reach this open file.
  var path: Name { "/proc/self/fd/\(number)" }
}

extension Answer {
  /// The file that an open(2) gave; it must have succeeded.
  func file(file: StaticString = #fileID, line: Int = #line) throws -> File {
    File(Int32(try ok(file: file, line: line)), trial)
  }
}

extension Trial {
  /// Makes a new file with these contents.
  func make(
    _ name: Name, _ contents: [UInt8] = [], _ mode: Int = 0o644, file: StaticString = #fileID, line: Int = #line
  ) throws {
    let made = try open(name, O_CREAT | O_EXCL | O_WRONLY, mode).file(file: file, line: line)
    if !contents.isEmpty { made.write(contents).gives(contents.count, file: file, line: line) }
    made.close().gives(0, file: file, line: line)
  }

  /// All bytes of a file.
  func contents(_ name: Name, file: StaticString = #fileID, line: Int = #line) throws -> [UInt8] {
    let opened = try open(name, O_RDONLY).file(file: file, line: line)
    var all: [UInt8] = []
    while true {
      let piece = try opened.read(1 << 16, file: file, line: line)
      if piece.isEmpty { break }
      all += piece
    }
    opened.close().gives(0)
    return all
  }

  /// A file must hold exactly these bytes.
  func holds(_ name: Name, _ expected: [UInt8], file: StaticString = #fileID, line: Int = #line) throws {
    try same(contents(name, file: file, line: line), expected, "contents of \(name)", file: file, line: line)
  }

  /// Two runs of bytes must be the same; only the first difference is told.
  func same(
    _ bytes: [UInt8], _ expected: [UInt8], _ what: String, file: StaticString = #fileID, line: Int = #line
  ) {
    if bytes == expected { return }
    let place = zip(bytes, expected).enumerated().first { $0.element.0 != $0.element.1 }
    let text = place.map { "byte \($0.offset) is \($0.element.0), expected \($0.element.1)" } ?? "one is longer"
    fail("\(what): \(bytes.count) bytes, expected \(expected.count); \(text)", at: (file, line))
  }
}
