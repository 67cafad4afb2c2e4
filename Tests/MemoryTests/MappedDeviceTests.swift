import Glibc
import Memory
import Platform
import Testing

@Suite struct MappedDeviceTests {
  @Test(
    "a plain file is a device of its size",
    arguments: [1, 4095, 4096, 5000, 1 << 20, 2 << 20, (5 << 20) + 3] as [UInt64])
  func sizes(size: UInt64) throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: size)
    #expect(device.size == size)
    #expect(device.kind == .file)
    #expect(device.path == scratch.path + "/device")
    try device.write([0xab], at: size - 1)
    #expect(try fileContents(device.path) == Array(repeating: 0, count: Int(size) - 1) + [0xab])
  }

  @Test(
    "small and bulk writes come back, and are in the file at once",
    arguments: [1, 63, 65, 4096, 65_535, 65_536, 300_001])
  func writes(count: Int) throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 1 << 20)
    let bytes = pattern(count)
    for offset: UInt64 in [0, 1, 4093, (1 << 20) - UInt64(count)] {
      try device.zero(at: 0, count: device.size)
      try device.write(bytes, at: offset)
      device.fence()
      let range = Int(offset)..<Int(offset) + count
      #expect(try device.contents(at: offset, count: count) == bytes)
      let file = try fileContents(device.path)
      #expect(Array(file[range]) == bytes)
      let rest = isZero(file[..<range.lowerBound]) && isZero(file[range.upperBound...])
      #expect(rest, "nothing around it changed")
    }
  }

  @Test("what another program writes to the file is seen")
  func sharing() throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 8192)
    let other = try MappedDevice(path: device.path, writable: true)
    try other.write([1, 2, 3], at: 5000)
    #expect(try device.contents(at: 5000, count: 3) == [1, 2, 3])
    try device.store64(at: 16, 0x0102_0304_0506_0708)
    #expect(try other.load64(at: 16) == 0x0102_0304_0506_0708)
  }

  @Test("words are little-endian")
  func words() throws {
    let device = try Scratch().device(size: 4096)
    try device.store64(at: 8, 0x0102_0304_0506_0708)
    try device.writeBack(at: 8, count: 8)
    device.fence()
    #expect(try device.contents(at: 7, count: 10) == [0, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    try device.write([0xff, 0, 0, 0, 0, 0, 0, 0x80], at: 4088)
    try device.invalidate(at: 4088, count: 8)
    #expect(try device.load64(at: 4088) == 0x8000_0000_0000_00ff)
  }

  @Test(
    "zeroed ranges read as zeros, and nothing around them does",
    arguments: [0, 1, 100, 4096, 10_000, 500_000] as [UInt64])
  func zero(count: UInt64) throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 1 << 20)
    let all = pattern(1 << 20, salt: 3)
    try device.write(all, at: 0)
    try device.zero(at: 4000, count: count)
    var expected = all
    expected.replaceSubrange(4000..<4000 + Int(count), with: repeatElement(0, count: Int(count)))
    #expect(try device.contents(at: 0, count: 1 << 20) == expected)
    #expect(try FileStatus(path: device.path).size == 1 << 20)
  }

  @Test("a whole device can be zeroed, and a large hole takes no memory")
  func holes() throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 4 << 20)
    try device.write(pattern(4 << 20), at: 0)
    try device.zero(at: 0, count: 4 << 20)
    #expect(try isZero(device.contents(at: 0, count: 4 << 20)))
    var status = stat()
    #expect(stat(device.path, &status) == 0)
    #expect(status.st_blocks < 64)
  }

  @Test("a range outside the device is refused by every call, at the end of all numbers too")
  func bounds() throws {
    let scratch = try Scratch()
    let device = try scratch.device(size: 8192)
    let outside: [(UInt64, Int)] = [
      (8192, 1), (8191, 2), (0, 8193), (8193, 0), (.max, 1), (.max, 0), (.max - 7, 8), (1 << 63, 8),
    ]
    for (offset, count) in outside {
      let (comment, length): (Comment, _) = ("\(offset), \(count)", UInt64(count))
      #expect(throws: Errno.noSuchAddress, comment) { try device.contents(at: offset, count: count) }
      #expect(throws: Errno.noSuchAddress, comment) { try device.write(pattern(count), at: offset) }
      #expect(throws: Errno.noSuchAddress, comment) { try device.bytes(at: offset, count: count) }
      #expect(throws: Errno.noSuchAddress, comment) { try device.zero(at: offset, count: length) }
      #expect(throws: Errno.noSuchAddress, comment) { try device.writeBack(at: offset, count: length) }
      #expect(throws: Errno.noSuchAddress, comment) { try device.invalidate(at: offset, count: length) }
    }
    for offset: UInt64 in [8185, 8192, .max, .max - 7] {
      #expect(throws: Errno.noSuchAddress) { try device.load64(at: offset) }
      #expect(throws: Errno.noSuchAddress) { try device.store64(at: offset, 1) }
    }
    for length: UInt64 in [.max, .max - 8191, 1 << 63] {
      #expect(throws: Errno.noSuchAddress) { try device.zero(at: 8191, count: length) }
      #expect(throws: Errno.noSuchAddress) { try device.writeBack(at: 8191, count: length) }
    }
    #expect(throws: Errno.invalidArgument) { try device.bytes(at: 0, count: -1) }
    #expect(try device.contents(at: 8192, count: 0).isEmpty)
    #expect(try device.bytes(at: 8192, count: 0).isEmpty)
    #expect(try fileContents(device.path) == Array(repeating: 0, count: 8192))
  }

  @Test("the device's own memory can be handed to the kernel")
  func ownBytes() throws {
    let device = try Scratch().device(size: 8192)
    try device.write(pattern(8192), at: 0)
    let bytes = try device.bytes(at: 100, count: 5000)
    #expect(Array(bytes) == Array(pattern(8192)[100..<5100]))
  }

  @Test("a device opened for reading cannot be written, and the attempt does not end the process")
  func readOnly() throws {
    let scratch = try Scratch()
    let path = try scratch.file("device", pattern(1 << 20))
    #expect(chmod(path, 0o444) == 0)
    let device = try MappedDevice(path: path, writable: false)
    #expect(try device.contents(at: 70_000, count: 9) == Array(pattern(1 << 20)[70_000..<70_009]))
    #expect(try device.load64(at: 0) != 0)
    try device.invalidate(at: 0, count: 64)
    for count in [1, 100_000] {
      #expect(throws: Errno.readOnlyFileSystem) { try device.write(pattern(count), at: 0) }
      #expect(throws: Errno.readOnlyFileSystem) { try device.zero(at: 0, count: UInt64(count)) }
    }
    #expect(throws: Errno.readOnlyFileSystem) { try device.store64(at: 0, 1) }
    #expect(try fileContents(path) == pattern(1 << 20))
  }

  @Test("many threads write and read their own places at once")
  func threads() throws {
    let device = try Scratch().device(size: 8 << 20)
    let threads = try (0..<4).map { number in
      try Thread(named: "writer \(number)") {
        for round in 0..<8 {
          let offset = UInt64(number * 2 + round % 2) << 20
          let bytes = pattern(200_000, salt: number * 8 + round)
          do {
            try device.write(bytes, at: offset)
            #expect(try device.contents(at: offset, count: bytes.count) == bytes)
          } catch { Issue.record("\(error)") }
        }
      }
    }
    for thread in threads { thread.join() }
  }
}

@Suite struct LockTests {
  @Test("an exclusive lock keeps out other openings of the device, until its holder is gone")
  func exclusive() throws {
    let scratch = try Scratch()
    let first = try scratch.device(size: 4096)
    let second = try MappedDevice(path: first.path, writable: true)
    do {
      let holder = try MappedDevice(path: first.path, writable: true)
      try holder.lock(byte: 1, exclusive: true)
      try holder.lock(byte: 1, exclusive: true)
      #expect(throws: Errno.tryAgain) { try first.lock(byte: 1, exclusive: true) }
      #expect(throws: Errno.tryAgain) { try second.lock(byte: 1, exclusive: false) }
      try first.lock(byte: 2, exclusive: true)
      _ = holder.path
    }
    try second.lock(byte: 1, exclusive: true)
    #expect(throws: Errno.tryAgain) { try first.lock(byte: 1, exclusive: false) }
  }

  @Test("shared locks go together, and keep out exclusive ones")
  func shared() throws {
    let scratch = try Scratch()
    let first = try scratch.device(size: 4096)
    let second = try MappedDevice(path: first.path, writable: true)
    try first.lock(byte: 0, exclusive: false)
    try second.lock(byte: 0, exclusive: false)
    #expect(throws: Errno.tryAgain) { try second.lock(byte: 0, exclusive: true) }
  }

  @Test("a lock does not end when another opening of the same device in this process is closed")
  func otherOpening() throws {
    let scratch = try Scratch()
    let first = try scratch.device(size: 4096)
    try first.lock(byte: 0, exclusive: true)
    do { _ = try MappedDevice(path: first.path, writable: true) }
    let third = try MappedDevice(path: first.path, writable: true)
    #expect(throws: Errno.tryAgain) { try third.lock(byte: 0, exclusive: true) }
  }
}
