import Blocks
import Ext4TestSupport
import Glibc
import Platform
import Testing

@Suite struct FileDeviceTests {
  private func image(in folder: TestFolder, count: Int = 64 << 10) throws -> String {
    let path = folder.at("image")
    let file = try FileDescriptor(opening: path, [.writeOnly, .create])
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 >> 8) }
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(all: bytes) }
    return path
  }

  private func read(_ device: some BlockDevice, at offset: UInt64, _ count: Int) throws(BlockDeviceError) -> [UInt8] {
    var failure: BlockDeviceError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      do throws(BlockDeviceError) {
        try device.read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        done = count
      } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  @Test("what is written is read, in the image and in a part of it")
  func readAndWrite() throws {
    let folder = try TestFolder()
    let path = try image(in: folder)
    do {
      let device = try FileDevice(opening: path, isWritable: true, offset: 4096)
      #expect(device.size == 60 << 10)
      try [7, 8, 9].span.bytes.withUnsafeBytes { (bytes) throws(BlockDeviceError) in
        try device.write(at: 100, from: UnsafeRawBufferPointer(rebasing: bytes[..<3]))
      }
      try device.flush()
      try device.discard(at: 8192, count: 4096)
    }
    let whole = try FileDevice(opening: path, isWritable: false)
    #expect(whole.size == 64 << 10)
    #expect(try read(whole, at: 4095, 102)[0] == 15)
    #expect(try read(whole, at: 4096 + 8192, 4096).allSatisfy { $0 == 0 })
    #expect(whole.file?.start == 0)
  }

  @Test("nothing outside of the device can be read or written")
  func bounds() throws {
    let folder = try TestFolder()
    let device = try FileDevice(opening: try image(in: folder), isWritable: false, offset: 1024, length: 2048)
    #expect(device.size == 2048)
    #expect(try read(device, at: 0, 2048).count == 2048)
    for (offset, count) in [(UInt64(1), 2048), (2048, 1), (.max, 1), (.max - 100, 200)] {
      #expect(throws: BlockDeviceError.self) { _ = try read(device, at: offset, count) }
    }
    #expect(throws: BlockDeviceError.readOnly(device.name)) {
      try device.write(at: 0, from: UnsafeRawBufferPointer(start: nil, count: 0))
    }
    #expect(throws: BlockDeviceError.noPartition(device.name, 64 << 10)) {
      _ = try FileDevice(opening: device.name, isWritable: false, offset: 64 << 10)
    }
  }

  @Test("an image that was cut short is an error, not zeros")
  func cutShort() throws {
    let folder = try TestFolder()
    let path = try image(in: folder)
    let device = try FileDevice(opening: path, isWritable: false)
    truncate(path, 1000)
    #expect(throws: BlockDeviceError.failed(path, .read, at: 1000, .inputOutput)) {
      _ = try read(device, at: 512, 1024)
    }
  }

  @Test("a writer has an image alone, and readers share it")
  func exclusive() throws {
    let folder = try TestFolder()
    let path = try image(in: folder)
    do {
      let writer = try FileDevice(opening: path, isWritable: true)
      #expect(throws: BlockDeviceError.inUse(path)) { _ = try FileDevice(opening: path, isWritable: false) }
      #expect(throws: BlockDeviceError.inUse(path)) { _ = try FileDevice(opening: path, isWritable: true) }
      #expect(!writer.isReadOnly)
    }
    let reader = try FileDevice(opening: path, isWritable: false)
    let second = try FileDevice(opening: path, isWritable: false)
    #expect(throws: BlockDeviceError.inUse(path)) { _ = try FileDevice(opening: path, isWritable: true) }
    #expect(reader.isReadOnly && second.isReadOnly)
  }

  @Test("what is neither a file nor a device is refused in words")
  func wrongKind() throws {
    #expect(throws: BlockDeviceError.wrongKind("/dev/null")) {
      _ = try FileDevice(opening: "/dev/null", isWritable: false)
    }
    #expect(throws: BlockDeviceError.open("/nonexistent", .noEntry)) {
      _ = try FileDevice(opening: "/nonexistent", isWritable: false)
    }
  }

  @Test("an image behind a loop device is refused, and the loop device has it to itself", .enabled(if: Machine.canLoop))
  func loopDevices() throws {
    let folder = try TestFolder()
    let path = folder.at("image")
    try must(["mke2fs", "-q", "-F", "-t", "ext4", path, "4M"])
    let place = folder.directory("mount")
    try must(["mount", "-o", "loop", path, place])
    let loop = try must(["findmnt", "-n", "-o", "SOURCE", place]).split(separator: "\n")[0]
    #expect(throws: BlockDeviceError.behindLoop(path, String(loop.dropFirst(5)))) {
      _ = try FileDevice(opening: path, isWritable: false)
    }
    #expect(throws: BlockDeviceError.inUse(String(loop))) {
      _ = try FileDevice(opening: String(loop), isWritable: false)
    }
    try must(["umount", place])
    try must(["mount", "-o", "loop,ro", path, place])
    #expect(try FileDevice(opening: path, isWritable: false).size == 4 << 20)
    #expect(throws: BlockDeviceError.self) { _ = try FileDevice(opening: path, isWritable: true) }
  }
}
