import Glibc
import Platform
import Testing

@testable import Memory

/// A block device over a file, as a pmem device is one: its mapping is the page cache of this host.
private final class LoopDevice {
  let path: String
  let backing: String

  /// Nil where there is none to be had.
  init?(_ scratch: Scratch, size: UInt64) throws {
    backing = try scratch.file("backing", size: size)
    let name = scratch.path + "/name"
    let words = ["sh", "-c", "losetup --show -f \"$0\" > \"$1\"", backing, name]
    guard geteuid() == 0, try Spawn.wait(for: Spawn.start("sh", words)) == 0, let path = firstLine(of: name) else {
      return nil
    }
    self.path = path
  }

  deinit {
    if let child = try? Spawn.start("losetup", ["losetup", "-d", path]) { _ = try? Spawn.wait(for: child) }
  }

  func device(pageSize: Int) throws -> MappedDevice {
    try MappedDevice(
      adopting: FileDescriptor(opening: path, .readWrite), path: path, writable: true, pageSize: pageSize)
  }
}

@Suite("Pages of other sizes, and what pages are for") struct PageTests {
  @Test(
    "the kernel is asked for whole pages, of whatever size, and for no page more", arguments: [4096, 16384, 65536])
  func wholePages(size: Int) {
    guard let base = UnsafeMutableRawPointer(bitPattern: 2 << 20) else { return }
    for (offset, count) in [(0, 1), (1, 1), (4096, 4096), (4096, 65536), (65535, 2), (65536, 65536), (8, 200_000)] {
      let pages = Persistence.pages(around: base + offset, UInt64(count), size)
      #expect(Int(bitPattern: pages.start) % size == 0 && pages.count % size == 0)
      #expect(pages.start <= base + offset && pages.start + pages.count >= base + offset + count)
      #expect(pages.start + size > base + offset && pages.start + pages.count - size < base + offset + count)
    }
  }

  @Test("a plain file is mapped from whole pages of the host on, of whatever size", arguments: [4096, 16384, 65536])
  func alignment(pageSize: Int) throws {
    let scratch = try Scratch()
    let path = try scratch.file("small", size: 1 << 20)
    let shape = try DeviceShape(of: FileDescriptor(opening: path, .readOnly), path: path, pageSize: pageSize)
    #expect(shape.alignment == pageSize)
  }

  @Test("what is written to a block device is in it at once, also with pages of 64 KiB", arguments: [4096, 65536])
  func blockDevice(pageSize: Int) throws {
    let scratch = try Scratch()
    guard let loop = try LoopDevice(scratch, size: 4 << 20) else { try Test.cancel("there is no loop device") }
    let device = try loop.device(pageSize: pageSize)
    #expect(device.kind == .pmem && device.isPageCache && !device.isCoherent && !device.isOnDisk)
    let bytes = pattern(5000)
    for offset in [0, 4096, 69_632, (4 << 20) - 5000] as [UInt64] {
      try device.write(bytes, at: offset)
      let file = try FileDescriptor(opening: loop.backing, .readOnly)
      var found = [UInt8](repeating: 0, count: bytes.count)
      _ = try found.withUnsafeMutableBytes { (buffer) throws(Errno) in try file.read(at: offset, into: buffer) }
      #expect(found == bytes)
      try device.invalidate(at: offset, count: 5000)
      #expect(try device.contents(at: offset, count: 5000) == bytes)
    }
  }

  @Test("a block device's memory is handed out as it is, and read afresh by invalidate alone")
  func handedOut() throws {
    let scratch = try Scratch()
    guard let loop = try LoopDevice(scratch, size: 4 << 20) else { try Test.cancel("there is no loop device") }
    let device = try loop.device(pageSize: pageSize)
    try device.write([1, 1, 1, 1], at: 8192)
    // As another host would.
    let file = try FileDescriptor(opening: loop.backing, .readWrite)
    try [UInt8](repeating: 2, count: 4).withUnsafeBytes { try file.write(at: 8192, all: $0) }
    let handed = try device.bytes(at: 8192, count: 1)
    #expect(handed[0] == 1)
    try device.invalidate(at: 8192, count: 4)
    #expect(try device.bytes(at: 8192, count: 1)[0] == 2)
  }

  @Test("memory needs no disk: a tmpfs's file is not on one, and sync is a fence there")
  func memory() throws {
    var template = Array("/dev/shm/weft-pages-XXXXXX".utf8CString)
    let file = FileDescriptor(owning: mkstemp(&template))
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(path) }
    try file.truncate(to: 1 << 20)
    let device = try MappedDevice(path: path, writable: true)
    #expect(!device.isOnDisk && device.isCoherent && !device.isPageCache)
    try device.sync(at: 0, count: device.size)
    #expect(throws: Errno.noSuchAddress) { try device.sync(at: 1, count: device.size) }
  }
}
