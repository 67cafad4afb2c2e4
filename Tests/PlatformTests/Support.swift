import Glibc
import Platform
import Testing

/// A file for one test, gone when the test ends.
final class ScratchFile: Sendable {
  let path: String

  init(_ text: String = "") throws {
    var template = Array("/tmp/weft-platform-XXXXXX".utf8CString)
    let number = template.withUnsafeMutableBufferPointer { buffer in buffer.baseAddress.map { mkstemp($0) } ?? -1 }
    try #require(number >= 0)
    let file = FileDescriptor(owning: number)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try Array(text.utf8).withUnsafeBytes { try file.write(all: $0) }
  }

  deinit { unlink(path) }
}
