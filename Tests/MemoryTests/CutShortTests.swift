import Glibc
import Memory
import Platform
import Testing

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
    defer { withExtendedLifetime(scratch) {} }
    let far: UInt64 = 1 << 20
    for count in [1, 8, 4096, 100_000] {
      let length = UInt64(count)
      #expect(throws: Errno.inputOutput) { try device.contents(at: far, count: count) }
      #expect(throws: Errno.inputOutput) { try device.write(pattern(count), at: far) }
      #expect(throws: Errno.inputOutput) { try device.zero(at: far, count: length) }
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
