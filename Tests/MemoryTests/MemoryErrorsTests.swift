import Glibc
import Memory
import Platform
import Testing

@Suite struct MemoryErrorsTests {
  @Test("errors that touch become one, which knows how many and since when")
  func merging() {
    let errors = MemoryErrors()
    #expect(errors.generation == 0 && errors.first(below: .max) == nil)
    errors.note(at: 8192, count: 4096, .unreadable)
    errors.note(at: 0, count: 4096, .unreadable)
    let before = errors.all.ranges
    #expect(before.map(\.offset) == [0, 8192])
    #expect(errors.first(below: 8192)?.offset == 0)
    errors.note(at: 4096, count: 4096, .unreadable)
    errors.note(at: 4096, count: 8192, .unreadable)
    errors.note(at: 4096, count: 4096, .unwritable)
    let (ranges, unlisted) = errors.all
    #expect(unlisted == 0 && errors.generation == 5)
    #expect(ranges.count == 2)
    let whole = ranges.first { $0.fault == .unreadable }
    #expect(whole?.offset == 0 && whole?.length == 12288 && whole?.count == 4)
    #expect(whole?.id == 1 && whole?.first == before.map(\.first).min())
  }

  @Test("a range meets errors that have a byte in it, holes that could not be filled left out")
  func meeting() {
    let errors = MemoryErrors()
    #expect(!errors.meets(0..<UInt64.max))
    errors.note(at: 8192, count: 4096, .noRoom)
    #expect(!errors.meets(0..<UInt64.max))
    errors.note(at: 4096, count: 4096, .unwritable)
    #expect(errors.meets(0..<4097) && errors.meets(8191..<9000) && errors.meets(5000..<5001))
    #expect(!errors.meets(0..<4096) && !errors.meets(8192..<9000))
  }

  @Test("only so many ranges are kept; what comes then is counted")
  func limit() {
    let errors = MemoryErrors()
    for place in 0..<UInt64(MemoryErrors.limit) + 10 { errors.note(at: place * 8192, count: 4096, .unreadable) }
    #expect(errors.all.ranges.count == MemoryErrors.limit)
    #expect(errors.all.unlisted == 10)
    errors.note(at: 4096, count: 4096, .unreadable)  // joins the first two
    #expect(errors.all.ranges.count == MemoryErrors.limit - 1)
  }

  @Test("every access that fails is noted by its pages, and why")
  func cutShort() throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 4 << 20)
    try FileDescriptor(opening: device.path, .readWrite).truncate(to: 10_000)
    #expect(throws: Errno.inputOutput) { try device.contents(at: 1 << 20, count: 10) }
    #expect(throws: Errno.inputOutput) { try device.write([1], at: 2 << 20) }
    #expect(throws: Errno.inputOutput) { try device.write([UInt8](repeating: 1, count: 100_000), at: 3 << 20) }
    #expect(throws: Errno.inputOutput) { try device.load64(at: 12_288) }
    let ranges = device.errors?.all.ranges ?? []
    #expect(ranges.map(\.offset) == [12_288, 1 << 20, 2 << 20, 3 << 20])
    #expect(ranges.map(\.length) == [4096, 4096, 4096, 102_400])
    #expect(ranges.allSatisfy { $0.fault == .cutShort })
  }

  @Test("a range that a system call failed at is looked through, by address, as far as it is the device's")
  func examine() throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 1 << 20)
    let bytes = try device.bytes(at: 8192, count: 16384)
    let start = try #require(bytes.baseAddress)
    #expect(device.offset(of: start) == 8192)
    #expect(device.offset(of: start + (1 << 20)) == nil)
    device.examine(at: 8192, count: 16384)
    #expect(device.errors?.generation == 0, "nothing is wrong with it")
    try FileDescriptor(opening: device.path, .readWrite).truncate(to: 12_288)
    for (offset, count): (UInt64, UInt64) in [(8192, 16384), (1 << 20, 0), (.max, 1), (1 << 20, .max)] {
      device.examine(at: offset, count: count)
    }
    #expect(device.errors?.all.ranges.map(\.offset) == [12_288])
    #expect(device.errors?.all.ranges.map(\.length) == [12_288])
  }
}

/// A device on a file system that has no more room.
@Suite(.enabled(if: geteuid() == 0, "needs root, to mount a tmpfs")) struct FullDeviceTests {
  @Test("holes that cannot be filled read as zeros, writing into them is ENOSPC, and what is there can be written")
  func full() throws {
    let scratch = try Scratch()
    let place = scratch.path + "/full"
    mkdir(place, 0o755)
    guard mount("none", place, "tmpfs", 0, "size=256k") == 0 else { return }
    defer { umount2(place, 2) }
    let file = try FileDescriptor(opening: place + "/device", [.readWrite, .create])
    try file.truncate(to: 8 << 20)
    try [UInt8](repeating: 0, count: 4096).withUnsafeBytes { try file.write(at: 0, all: $0) }
    let device = try MappedDevice(path: place + "/device", writable: true)
    let rest = try FileDescriptor(opening: place + "/rest", [.readWrite, .create])
    let piece = [UInt8](repeating: 1, count: 4096)
    while (try? piece.withUnsafeBytes({ try rest.write(all: $0) })) != nil {}
    try device.write(pattern(4096), at: 0)
    #expect(try device.contents(at: 0, count: 4096) == pattern(4096))
    #expect(try isZero(device.contents(at: 1 << 20, count: 100_000)))
    #expect(try device.load64(at: 1 << 20) == 0)
    for count in [1, 4096, 200_000] {
      #expect(throws: Errno.noSpace) { try device.write([UInt8](repeating: 1, count: count), at: 2 << 20) }
    }
    #expect(throws: Errno.noSpace) { try device.store64(at: 3 << 20, 1) }
    #expect(device.errors?.all.ranges.allSatisfy { $0.fault == .noRoom } == true)
    #expect(device.errors?.first(below: .max) == nil, "a hole is no memory that fails")
  }
}
