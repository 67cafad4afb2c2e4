import Glibc
import Testing

@testable import Platform

@Suite struct BytesTests {
  @Test("numbers are little-endian at any offset")
  func numbers() {
    let bytes: [UInt8] = [0xff, 1, 2, 3, 4, 5, 6, 7, 8, 0xfe]
    #expect(bytes.span.bytes.u8(9) == 0xfe)
    #expect(bytes.span.bytes.u16(1) == 0x0201)
    #expect(bytes.span.bytes.u32(1) == 0x0403_0201)
    #expect(bytes.span.bytes.u64(1) == 0x0807_0605_0403_0201)
    var copy = [UInt8](repeating: 0xee, count: 10)
    var span = copy.mutableSpan
    var raw = span.mutableBytes
    raw.set(1, 0x0807_0605_0403_0201 as UInt64)
    #expect(copy == [0xee, 1, 2, 3, 4, 5, 6, 7, 8, 0xee])
  }

  @Test("bytes are stored at an offset, up to the very end")
  func bytes() {
    var copy = [UInt8](repeating: 0, count: 4)
    var span = copy.mutableSpan
    var raw = span.mutableBytes
    let piece: [UInt8] = [7, 8]
    raw.set(2, bytes: piece.span.bytes)
    raw.set(4, bytes: piece.span.bytes.extracting(0..<0))
    #expect(copy == [0, 0, 7, 8])
  }
}

@Suite struct FileTests {
  @Test("the runs of a sparse file are its data and its holes, and none goes beyond the end asked for")
  func sparse() throws {
    let scratch = try ScratchFile()
    let file = try FileDescriptor(opening: scratch.path, .readWrite)
    let unit: UInt64 = 1 << 20
    try file.truncate(to: 4 * unit)
    try [UInt8](repeating: 1, count: Int(unit)).withUnsafeBytes { try file.write(at: unit, all: $0) }
    var position: UInt64 = 0
    var holes: UInt64 = 0
    while position < 4 * unit {
      let run = try file.run(at: position, before: 4 * unit)
      #expect(run.end > position && run.end <= 4 * unit)
      // Data may be called so where there is none, but not the other way round.
      if run.isHole {
        #expect(run.end <= unit || position >= 2 * unit)
        holes += run.end - position
      }
      position = max(run.end, position + 1)
    }
    #expect(holes == 3 * unit || holes == 0)
    #expect(try file.run(at: unit + 5, before: unit + 6) == (false, unit + 6))
    #expect(try file.run(at: 4 * unit, before: 5 * unit) == (true, 5 * unit))
    #expect(throws: Errno.invalidArgument) { try file.run(at: .max, before: .max) }
  }

  @Test("space that is reserved is the file's")
  func reserve() throws {
    let scratch = try ScratchFile("text")
    let file = try FileDescriptor(opening: scratch.path, .readWrite)
    try file.reserve(1 << 20)
    #expect(try file.status().size == 1 << 20)
    var status = stat()
    #expect(stat(scratch.path, &status) == 0 && status.st_blocks * 512 >= 1 << 20)
    try file.reserve(5)
    #expect(try file.status().size == 1 << 20)
    #expect(throws: Errno.fileTooLarge) { try file.reserve(.max) }
  }

  @Test("reading at a position goes on to the buffer's end or the file's")
  func positions() throws {
    let scratch = try ScratchFile("0123456789")
    let file = try FileDescriptor(opening: scratch.path, .readOnly)
    func read(_ offset: UInt64, _ count: Int) throws -> String {
      try withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { buffer in
        let done = try file.read(at: offset, into: buffer)
        return String(decoding: buffer[..<done], as: UTF8.self)
      }
    }
    #expect(try read(0, 4) == "0123")
    #expect(try read(7, 10) == "789")
    #expect(try read(10, 10).isEmpty)
    #expect(try read(1 << 40, 10).isEmpty)
    #expect(throws: Errno.invalidArgument) { try read(.max, 1) }
    #expect(throws: Errno.invalidArgument) { try read(1 << 63, 1) }
  }

  @Test("a size that no file can have is refused")
  func truncate() throws {
    let scratch = try ScratchFile()
    let file = try FileDescriptor(opening: scratch.path, .readWrite)
    try file.truncate(to: 5)
    #expect(try file.status().size == 5)
    #expect(throws: Errno.fileTooLarge) { try file.truncate(to: .max) }
    #expect(throws: Errno.self) { try file.truncate(to: UInt64(Int64.max)) }
  }

  @Test("a descriptor is closed with its owner, or given away open")
  func ownership() throws {
    let scratch = try ScratchFile("x")
    var number: Int32 = -1
    do {
      let file = try FileDescriptor(opening: scratch.path, .readOnly)
      number = file.release()
    }
    #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
    _ = FileDescriptor(owning: number)
  }

  @Test("small files are read whole, endless ones to a limit")
  func smallFiles() throws {
    let text = String(repeating: "line\n", count: 10_000)
    let scratch = try ScratchFile(text)
    #expect(try readSmallFile(scratch.path) == Array(text.utf8))
    let zeros = try readSmallFile("/dev/zero", limit: 100_000)
    #expect(zeros.count >= 100_000 && zeros.count < 200_000)
    #expect(throws: Errno.isDirectory) { try readSmallFile("/") }
  }

  @Test("the first line is without its end and the blanks around it")
  func lines() throws {
    for (text, line) in [
      ("a b\nc\n", "a b"), ("  a \t\r\nc", "a"), ("", ""), ("\n\n", ""), ("no end", "no end"), (" \t ", ""),
    ] {
      let scratch = try ScratchFile(text)
      #expect(firstLine(of: scratch.path) == line)
    }
    #expect(firstLine(of: "/nonexistent") == nil)
    #expect(firstLine(of: "/") == nil)
  }

  @Test("a status tells kind, size and mode")
  func status() throws {
    let scratch = try ScratchFile("12345")
    let status = try FileStatus(path: scratch.path)
    #expect(status.kind == .regular)
    #expect(status.size == 5)
    #expect(status.permissions == 0o600)
    #expect(status.userID == geteuid())
    #expect(try FileStatus(path: "/").kind == .directory)
    #expect(try FileStatus(path: "/dev/null").kind == .characterDevice)
    #expect(try FileStatus(path: "/dev/null").specialDevice == 0x103)
  }
}

@Suite struct MappingTests {
  @Test(
    "a mapping is aligned as asked, whatever its length", arguments: [1, 4095, 4096, 4097, (2 << 20) + 1] as [UInt64])
  func alignment(count: UInt64) throws {
    let scratch = try ScratchFile()
    let file = try FileDescriptor(opening: scratch.path, .readWrite)
    try file.truncate(to: count)
    for alignment in [4096, 2 << 20, 64 << 20] {
      let mapping = try Mapping(of: file, count: count, writable: true, alignment: alignment)
      #expect(Int(bitPattern: mapping.bytes.baseAddress) % alignment == 0)
      #expect(mapping.bytes.count == Int(count))
      mapping.bytes[Int(count) - 1] = 0x5a
    }
    #expect(try readSmallFile(scratch.path, limit: 4 << 20).last == 0x5a)
  }

  @Test("nothing, too much, and what cannot be mapped are errors")
  func errors() throws {
    let scratch = try ScratchFile("x")
    let file = try FileDescriptor(opening: scratch.path, .readOnly)
    #expect(throws: Errno.invalidArgument) { _ = try Mapping(of: file, count: 0, writable: false) }
    #expect(throws: Errno.invalidArgument) { _ = try Mapping(of: file, count: .max, writable: false) }
    #expect(throws: Errno.invalidArgument) { _ = try Mapping(of: file, at: .max, count: 1, writable: false) }
    #expect(throws: Errno.noMemory) { _ = try Mapping(of: file, count: UInt64(Int64.max), writable: false) }
    #expect(throws: Errno.noMemory) { _ = try Mapping(of: file, count: 1 << 60, writable: false) }
    #expect(throws: Errno.accessDenied) { _ = try Mapping(of: file, count: 1, writable: true) }
    let directory = try FileDescriptor(opening: "/", .directory)
    #expect(throws: Errno.noDevice) { _ = try Mapping(of: directory, count: 1, writable: false) }
  }
}
