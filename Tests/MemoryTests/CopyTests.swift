import Glibc
import Memory
import Platform
import Testing

@Suite struct CopyTests {
  /// Copies from a file of these bytes and compares device and file position.
  private func copy(
    _ bytes: [UInt8], at sourceOffset: UInt64 = 0, to offset: UInt64 = 0, count: UInt64, size: UInt64 = 4 << 20
  ) throws -> (done: UInt64, device: [UInt8]) {
    let scratch = try Scratch()
    let device = try scratch.device(size: size)
    let source = try FileDescriptor(opening: scratch.file("source", bytes), .readOnly)
    let done = try device.copy(from: source, at: sourceOffset, to: offset, count: count)
    device.fence()
    #expect(lseek(source.rawValue, 0, SEEK_CUR) == 0, "the source's position is left alone")
    #expect(try FileStatus(path: device.path).size == size)
    return (done, try device.contents(at: 0, count: Int(size)))
  }

  @Test("a file is copied whole", arguments: [1, 4096, 65_535, 65_536, 65_537, 1_000_000, 3 << 20])
  func whole(count: Int) throws {
    let bytes = pattern(count)
    for offset: UInt64 in [0, 4097] {
      let (done, device) = try copy(bytes, to: offset, count: UInt64(count))
      #expect(done == UInt64(count))
      let end = Int(offset) + count
      #expect(Array(device[Int(offset)..<end]) == bytes)
      #expect(isZero(device[..<Int(offset)]) && isZero(device[end...]))
    }
  }

  @Test("a part of a file is copied from its place")
  func part() throws {
    let bytes = pattern(500_000)
    for (start, count) in [(1, 10), (100_001, 200_000), (499_999, 1), (0, 65_536)] {
      let (done, device) = try copy(bytes, at: UInt64(start), to: 12_345, count: UInt64(count))
      #expect(done == UInt64(count))
      #expect(Array(device[12_345..<12_345 + count]) == Array(bytes[start..<start + count]))
    }
  }

  @Test("a file that ends before is copied to its end, and the count says so", arguments: [0, 1, 100_000])
  func short(count: Int) throws {
    let (done, device) = try copy(pattern(count), count: 1 << 20)
    #expect(done == UInt64(count))
    #expect(Array(device[..<count]) == pattern(count))
    #expect(isZero(device[count...]))
    #expect(try copy(pattern(count), at: UInt64(count), count: 1 << 20).done == 0)
    #expect(try copy(pattern(count), at: 1 << 40, count: 1 << 20).done == 0)
  }

  @Test("a place behind the last possible byte of a file is an error, not the end of the process")
  func farAway() {
    for offset: UInt64 in [.max, .max - 100, 1 << 63] {
      #expect(throws: Errno.invalidArgument) { try copy([1, 2, 3], at: offset, count: 100) }
      #expect(throws: Errno.invalidArgument) { try copy([1, 2, 3], at: offset, count: 1 << 20) }
    }
  }

  @Test("a file that sendfile cannot read is copied by reading it")
  func procFile() throws {
    let expected = try readSmallFile("/proc/self/cmdline")
    let scratch = try Scratch()
    let device = try scratch.device(size: 1 << 20)
    let source = try FileDescriptor(opening: "/proc/self/cmdline", .readOnly)
    let done = try device.copy(from: source, at: 0, to: 4096, count: 1 << 19)
    #expect(done == UInt64(expected.count))
    #expect(try device.contents(at: 4096, count: expected.count) == expected)
  }

  @Test("a pipe has no places to copy from", arguments: [10, 1 << 18] as [UInt64])
  func pipe(count: UInt64) throws {
    var ends: [Int32] = [0, 0]
    #expect(Glibc.pipe(&ends) == 0)
    let reading = FileDescriptor(owning: ends[0])
    let writing = FileDescriptor(owning: ends[1])
    try pattern(100).withUnsafeBytes { try writing.write(all: $0) }
    let device = try Scratch().device(size: 1 << 20)
    #expect(throws: Errno(rawValue: ESPIPE)) { try device.copy(from: reading, at: 0, to: 0, count: count) }
    #expect(try isZero(device.contents(at: 0, count: 100)))
  }

  @Test("a directory or a file opened for writing only is an error")
  func unreadable() throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 1 << 20)
    let directory = try FileDescriptor(opening: scratch.path, .directory)
    let writing = try FileDescriptor(opening: scratch.file("source", pattern(100)), .writeOnly)
    for count: UInt64 in [10, 1 << 18] {
      #expect(throws: Errno.self) { try device.copy(from: directory, at: 0, to: 0, count: count) }
      #expect(throws: Errno(rawValue: EBADF)) { try device.copy(from: writing, at: 0, to: 0, count: count) }
    }
  }

  @Test("a device can be copied from itself")
  func itself() throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 1 << 20)
    try device.write(pattern(200_000), at: 0)
    let source = try FileDescriptor(opening: device.path, .readOnly)
    #expect(try device.copy(from: source, at: 0, to: 400_000, count: 200_000) == 200_000)
    #expect(try device.contents(at: 400_000, count: 200_000) == pattern(200_000))
  }

  @Test("many threads copy into one device at once")
  func threads() throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 4 << 20)
    let paths = try (0..<4).map { try scratch.file("source\($0)", pattern(1 << 20, salt: $0 * 11)) }
    let threads = try paths.enumerated().map { number, path in
      try Thread(named: "copier \(number)") {
        do {
          let source = try FileDescriptor(opening: path, .readOnly)
          let done = try device.copy(from: source, at: 0, to: UInt64(number) << 20, count: 1 << 20)
          #expect(done == 1 << 20)
        } catch { Issue.record("\(error)") }
      }
    }
    for thread in threads { thread.join() }
    for number in 0..<4 {
      #expect(try device.contents(at: UInt64(number) << 20, count: 1 << 20) == pattern(1 << 20, salt: number * 11))
    }
  }
}

@Suite struct CutShortTests {
  /// A device whose file lost all but its first 8 KiB after it was mapped.
  private func cutShort() throws -> (Scratch, MappedDevice) {
    let scratch = try Scratch()
    let device = try scratch.device(size: 4 << 20)
    try device.write(pattern(4 << 20), at: 0)
    try FileDescriptor(opening: device.path, .readWrite).truncate(to: 8192)
    return (scratch, device)
  }

  @Test("what is gone answers EIO, what is left still answers, and the file does not grow again")
  func everyCall() throws {
    let (scratch, device) = try cutShort()
    let source = try FileDescriptor(opening: scratch.file("source", pattern(300_000)), .readOnly)
    let far: UInt64 = 1 << 20
    for count in [1, 8, 4096, 100_000] {
      let length = UInt64(count)
      #expect(throws: Errno.inputOutput) { try device.contents(at: far, count: count) }
      #expect(throws: Errno.inputOutput) { try device.write(pattern(count), at: far) }
      #expect(throws: Errno.inputOutput) { try device.zero(at: far, count: length) }
      #expect(throws: Errno.inputOutput) { try device.copy(from: source, at: 0, to: far, count: length) }
      #expect(try FileStatus(path: device.path).size == 8192)
    }
    #expect(throws: Errno.inputOutput) { try device.load64(at: far) }
    #expect(throws: Errno.inputOutput) { try device.store64(at: far, 1) }
    #expect(throws: Errno.inputOutput) { try device.contents(at: 0, count: 4 << 20) }
    #expect(try device.contents(at: 0, count: 8192) == Array(pattern(4 << 20)[..<8192]))
    try device.store64(at: 0, 7)
    #expect(try device.load64(at: 0) == 7)
    #expect(try FileStatus(path: device.path).size == 8192)
  }

  @Test("the kernel meets the same hole as an error when the memory is handed to it")
  func handedOut() throws {
    let (scratch, device) = try cutShort()
    let bytes = try device.bytes(at: 1 << 20, count: 4096)
    let target = try FileDescriptor(opening: scratch.file("target", []), .readWrite)
    #expect(throws: Errno.badAddress) { try target.write(all: bytes) }
  }

  @Test("it is met on any thread, again and again")
  func threads() throws {
    let (_, device) = try cutShort()
    let threads = try (0..<4).map { number in
      try Thread(named: "reader \(number)") {
        for _ in 0..<50 {
          #expect(throws: Errno.inputOutput) { try device.contents(at: 2 << 20, count: 100) }
          #expect(throws: Never.self) { try device.contents(at: 0, count: 100) }
        }
      }
    }
    for thread in threads { thread.join() }
  }
}
