import Glibc
import Memory
import Platform
import Testing

/// Memory in 2 MiB pages, in files of a tmpfs.
@Suite struct HugePageTests {
  private static let huge = 2 << 20

  /// A device of 8 MiB in shared memory.
  private func withDevice(_ body: (MappedDevice) throws -> Void) throws {
    let path = "/dev/shm/weft-huge-\(UUID.random())"
    defer { unlink(path) }
    try FileDescriptor(opening: path, [.readWrite, .create]).truncate(to: 8 << 20)
    try body(try MappedDevice(path: path, writable: true))
  }

  /// Kilobytes of huge pages in the mapping of a device, after all of it was read.
  private func hugeKilobytes(_ device: MappedDevice) throws -> Int {
    _ = try device.contents(at: 0, count: Int(device.size))
    let start = String(UInt(bitPattern: try device.bytes(at: 0, count: 1).baseAddress), radix: 16)
    var isInside = false
    for line in String(decoding: try readSmallFile("/proc/self/smaps", limit: 64 << 20), as: UTF8.self).split(
      separator: "\n")
    {
      let words = line.split(separator: " ")
      if line.hasPrefix(start + "-") { isInside = true }
      if isInside && words.first == "ShmemPmdMapped:" { return Int(words[1]) ?? 0 }
    }
    throw Errno.noEntry
  }

  @Test("every device is mapped at a multiple of 2 MiB")
  func alignment() throws {
    try withDevice { device in
      let again = try MappedDevice(path: device.path, writable: false)
      for device in [device, again] {
        #expect(UInt(bitPattern: try device.bytes(at: 0, count: 1).baseAddress) % UInt(HugePageTests.huge) == 0)
      }
    }
  }

  @Test("what is prepared keeps its bytes, and only its whole pieces become huge pages")
  func prepare() throws {
    try withDevice { device in
      let pages = try #require(device.pages)
      if pages.areSmall { try Test.cancel("/dev/shm: \(pages.origin)") }
      let bytes = pattern(3 << 20)
      try device.write(bytes, at: 3 << 20)
      device.prepare(at: 1 << 20, count: 5 << 20)
      #expect(try device.contents(at: 3 << 20, count: bytes.count) == bytes)
      if pages.origin.contains("where files are written") { #expect(try hugeKilobytes(device) == 4096) }
      device.prepare(at: 0, count: 8 << 20)
      #expect(try hugeKilobytes(device) == 8192)
      #expect(try device.contents(at: 3 << 20, count: bytes.count) == bytes)
      // What lies outside, or cannot be written, is no error.
      device.prepare(at: 7 << 20, count: 2 << 20)
      device.prepare(at: .max - 5, count: 10)
      try MappedDevice(path: device.path, writable: false).prepare(at: 0, count: 8 << 20)
    }
  }

  @Test("zeros in parts of pages are zeros")
  func zeros() throws {
    try withDevice { device in
      device.prepare(at: 0, count: 8 << 20)
      for range in [0..<4096, 5000..<(3 << 20), (2 << 20) - 1..<(6 << 20) + 1, 4096..<8192, 1..<2] as [Range<UInt64>] {
        let bytes = [UInt8](repeating: 7, count: 8 << 20)
        try device.write(bytes, at: 0)
        try device.zero(at: range.lowerBound, count: UInt64(range.count))
        var wanted = bytes
        for place in range { wanted[Int(place)] = 0 }
        let isSame = try device.contents(at: 0, count: 8 << 20) == wanted
        #expect(isSame, "\(range)")
      }
    }
  }
}
