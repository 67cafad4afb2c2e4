import Glibc
import Platform
import Testing

@testable import Serving

/// An HTTP server that does not start.
struct HttpServerTests {
  @Test("the socket of a server that does not start is closed once, and its path goes", arguments: [true, false])
  func failure(closes: Bool) throws {
    var template = Array("/tmp/weft-http-XXXXXX".utf8CString)
    let folder = try template.withUnsafeMutableBufferPointer {
      String(cString: try #require($0.baseAddress.flatMap { mkdtemp($0) }))
    }
    defer { rmdir(folder) }
    let (path, other) = (folder + "/" + HttpServer.socketName, folder + "/other")
    defer { unlink(other) }
    let pipe = try Spawn.pipe()
    let reading = FileDescriptor(owning: pipe.reading)
    #expect(throws: SentenceError.self) {
      try HttpServer.start(HttpRoutes([:]), in: folder) { listener, _ in
        link(path, other)
        // As the library may: the number is another file's at once.
        if closes { dup2(pipe.writing, listener) }
        return false
      }
    }
    close(pipe.writing)
    #expect(access(path, F_OK) == -1 && access(other, F_OK) == 0)
    #expect(throws: Errno(rawValue: ECONNREFUSED)) { try connectStream(to: other) }
    // What stands under the number now is left open.
    let hasEnded = reading.waitForHangup(milliseconds: 0)
    #expect(hasEnded == !closes)
  }

  private func connectStream(to path: String) throws(Errno) {
    let file = FileDescriptor(owning: try retrying { socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0) })
    let number = file.rawValue
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    try withUnsafePointer(to: &address) { (pointer) throws(Errno) in
      try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { (pointer) throws(Errno) in
        _ = try retrying { connect(number, pointer, socklen_t(MemoryLayout<sockaddr_un>.size)) }
      }
    }
  }
}
