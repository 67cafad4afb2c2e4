import Glibc
import Memory
import Platform
import Testing

@Suite struct OpeningTests {
  /// The sentence and the error number that a path is refused with.
  private func refusal(_ path: String) -> (sentence: String, errno: Errno)? {
    do { _ = try MappedDevice(path: path, writable: true) } catch { return ("\(error)", error.errno) }
    return nil
  }

  @Test("a missing path is told with what to do")
  func missing() {
    let refused = refusal("/nonexistent/device")
    #expect(refused?.errno == .noEntry)
    #expect(
      refused?.sentence
        == "/nonexistent/device: no such device; check the name, or make a file with mkfs.famfs --size")
    #expect(refusal("")?.errno == .noEntry)
  }

  @Test("a directory is no device")
  func directory() throws {
    let scratch = try Scratch()
    #expect(refusal(scratch.path)?.errno == .isDirectory)
    #expect(refusal(scratch.path)?.sentence == "\(scratch.path) is a directory; name a dax or pmem device, or a file")
    #expect(throws: DeviceError.self) { try MappedDevice(path: scratch.path, writable: false) }
  }

  @Test("a fifo is no device, and opening it does not wait for its other end", arguments: [true, false])
  func fifo(isWritable: Bool) throws {
    let scratch = try Scratch()
    let path = scratch.path + "/fifo"
    #expect(mkfifo(path, 0o600) == 0)
    let error = #expect(throws: DeviceError.self) { try MappedDevice(path: path, writable: isWritable) }
    #expect(error?.description == "\(path) is no memory device; name a dax or pmem device, or a file")
  }

  @Test("a socket is no device")
  func socket() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/socket"
    let file = FileDescriptor(owning: Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(file.rawValue, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    #expect(bound == 0)
    #expect(refusal(path) != nil)
  }

  @Test("a character device that is not dax is refused", arguments: ["/dev/null", "/dev/zero", "/dev/tty"])
  func characterDevice(path: String) {
    guard access(path, R_OK | W_OK) == 0 else { return }
    let refused = refusal(path)
    #expect(refused != nil)
    if path != "/dev/tty" {
      #expect(
        refused?.sentence == "\(path) is a character device but not a dax device; name one such as /dev/dax0.0")
    }
  }

  @Test("an empty file is told with what to do")
  func empty() throws {
    let scratch = try Scratch()
    let path = try scratch.file("empty", [])
    #expect(refusal(path)?.sentence == "\(path) has size 0; make it larger, for example with mkfs.famfs --size 1G")
  }

  @Test("a path behind a file, or too long, is an error with the kernel's words")
  func strange() throws {
    let scratch = try Scratch()
    let file = try scratch.file("file", [1])
    #expect(refusal(file + "/device")?.errno == .notDirectory)
    #expect(refusal("/" + String(repeating: "x", count: 5000))?.errno == .nameTooLong)
    #expect(symlink("loop", scratch.path + "/loop") == 0)
    #expect(refusal(scratch.path + "/loop")?.errno == Errno(rawValue: ELOOP))
  }

  @Test("a symbolic link to a file is that file")
  func link() throws {
    let scratch = try Scratch()
    let file = try scratch.file("file", pattern(5000))
    let link = scratch.path + "/link"
    #expect(symlink(file, link) == 0)
    let device = try MappedDevice(path: link, writable: true)
    #expect(device.path == link)
    #expect(try device.contents(at: 0, count: 5000) == pattern(5000))
  }

  @Test("a device stays usable when its file is removed")
  func removed() throws {
    let device = try Scratch().device(size: 1 << 20)
    // The scratch directory is gone by now.
    try device.write(pattern(100_000), at: 0)
    #expect(try device.contents(at: 0, count: 100_000) == pattern(100_000))
    try device.zero(at: 0, count: 1 << 20)
    #expect(try device.load64(at: 0) == 0)
  }

  @Test("asking that nothing has a plain file mounted is no hindrance")
  func unmounted() throws {
    let scratch = try Scratch()
    let path = try scratch.file("device", size: 8192)
    #expect(try MappedDevice(path: path, writable: true, unmounted: true).size == 8192)
  }
}
