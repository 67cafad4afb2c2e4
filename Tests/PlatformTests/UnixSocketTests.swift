import Glibc
import Platform
import Testing

/// Sockets that keep messages apart.
struct UnixSocketTests {
  /// Two ends of one connection, and the path that they met at.
  private final class Pair {
    let near: MessageSocket
    let far: MessageSocket
    private let path = "/tmp/weft-socket-\(getpid())-\(UInt64.random(in: 0 ... .max))"

    init() throws {
      let listener = try MessageSocket.listening(at: path)
      near = try .connected(to: path)
      far = try listener.accept()
    }

    deinit { unlink(path) }
  }

  /// Sends a message with descriptors attached, as the kernel lays them out.
  private func send(_ descriptors: [Int32], over socket: borrowing MessageSocket) throws {
    var control: [UInt64] = [UInt64(16 + 4 * descriptors.count)]  // cmsg_len
    control.append(UInt64(UInt32(SOL_SOCKET)) | UInt64(1) << 32)  // SCM_RIGHTS
    control += [UInt64](repeating: 0, count: (descriptors.count + 1) / 2)
    let number = socket.file.rawValue
    try control.withUnsafeMutableBytes { bytes in
      for (place, descriptor) in descriptors.enumerated() {
        bytes.storeBytes(of: descriptor, toByteOffset: 16 + 4 * place, as: Int32.self)
      }
      var text = Array("hello".utf8)
      try text.withUnsafeMutableBytes { text in
        var piece = iovec(iov_base: text.baseAddress, iov_len: text.count)
        var message = msghdr()
        message.msg_iovlen = 1
        message.msg_control = bytes.baseAddress
        message.msg_controllen = bytes.count
        try withUnsafeMutablePointer(to: &piece) { piece in
          message.msg_iov = piece
          try retrying { sendmsg(number, &message, 0) }
        }
      }
    }
  }

  private func receive(from socket: borrowing MessageSocket) throws(Errno) -> (text: String, hasFile: Bool) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 8)
    defer { buffer.deallocate() }
    let message = try socket.receive(into: buffer)
    return (String(decoding: message.bytes, as: UTF8.self), message.file != nil)
  }

  @Test(
    "a file that comes with a message is closed unless it is taken; of several none is kept", arguments: [1, 2, 3, 253])
  func descriptors(count: Int) throws {
    let pair = try Pair()
    let pipe = try Spawn.pipe()
    let reading = FileDescriptor(owning: pipe.reading)
    try send(Array(repeating: pipe.writing, count: count), over: pair.near)
    close(pipe.writing)
    if count == 1 {
      let got = try receive(from: pair.far)
      #expect(got.text == "hello" && got.hasFile)
    } else {
      #expect(throws: Errno(rawValue: EPROTO)) { try receive(from: pair.far) }
    }
    // The pipe ends when no copy of its writing end is left.
    let hasEnded = reading.waitForHangup(milliseconds: 180_000)
    #expect(hasEnded)
    try pair.near.send(Array("again".utf8))
    let next = try receive(from: pair.far)
    #expect(next.text == "again" && !next.hasFile)
  }

  @Test("receiving ends when it has waited long enough, and so does connecting where nobody accepts")
  func patience() throws {
    let path = "/tmp/weft-socket-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let listener = try MessageSocket.listening(at: path)
    defer { unlink(path) }
    let socket = try MessageSocket.connected(to: path, patience: 10_000_000)
    #expect(throws: Errno(rawValue: EAGAIN)) { try receive(from: socket) }
    // As many as wait to be accepted.
    var waiting: [Int32] = []
    defer { for number in waiting { close(number) } }
    #expect(throws: Errno(rawValue: EAGAIN)) {
      while true {
        let another = try MessageSocket.connected(to: path, patience: 10_000_000)
        waiting.append(dup(another.file.rawValue))
      }
    }
    withExtendedLifetime(listener) {}
  }
}
