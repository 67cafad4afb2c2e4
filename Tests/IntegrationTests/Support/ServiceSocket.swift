import Foundation
import Platform

/// What a service manager hears: a datagram socket at a path.
final class ServiceSocket {
  private let file: Int32

  init(at path: String) throws {
    file = try retrying { socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < 108 else { throw Failure("\(path) is too long for a socket") }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let number = file
    try withUnsafePointer(to: &address) { pointer in
      try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        _ = try retrying { bind(number, pointer, socklen_t(MemoryLayout<sockaddr_un>.size)) }
      }
    }
  }

  deinit { close(file) }

  /// The next message; nil when none comes in so many seconds.
  func next(seconds: Int32 = 180) -> String? {
    var waiting = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, seconds * 1000) > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = recv(file, &bytes, bytes.count, 0)
    return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
  }
}
