import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

@Suite("What a read answers") struct ReadReplyTests {
  private let bytes: [UInt8] = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

  @Test("ranges stay where they are, and neighbours become one")
  func ranges() throws {
    let buffers = ReplyBuffers()
    var reply = ReadReply(wanted: 5000, in: buffers)
    try bytes.withUnsafeBytes { memory in
      try reply.append(UnsafeRawBufferPointer(rebasing: memory[0..<1000]), keeping: nil)
      try reply.append(UnsafeRawBufferPointer(rebasing: memory[1000..<2000]), keeping: nil)
      try reply.append(UnsafeRawBufferPointer(rebasing: memory[10..<10]), keeping: nil)
      try reply.append(UnsafeRawBufferPointer(rebasing: memory[5000..<9000]), keeping: nil)
      #expect(reply.rangeCount == 2)
      #expect(buffers.replies.range(0).baseAddress == memory.baseAddress)
      #expect(buffers.replies.range(0).count == 2000)
      #expect(reply.missing == 0)
      #expect(try reply.contents() == Array(bytes[0..<2000] + bytes[5000..<8000]))
    }
  }

  @Test("copies and zeros may stand between ranges")
  func mixed() throws {
    let buffers = ReplyBuffers()
    var reply = ReadReply(wanted: 1 << 20, in: buffers)
    try bytes.withUnsafeBytes { memory in
      let three: [UInt8] = [1, 2, 3]
      try reply.append(copying: three.span.bytes)
      try reply.append(UnsafeRawBufferPointer(rebasing: memory[500..<700]), keeping: nil)
      try reply.append(zeros: 10)
      try reply.append(upTo: 100) { (buffer) throws(Errno) in
        buffer[0] = 9
        return 1
      }
      try reply.append(UnsafeRawBufferPointer(rebasing: memory[0..<5]), keeping: nil)
      let expected = [1, 2, 3] + bytes[500..<700] + [UInt8](repeating: 0, count: 10) + [9] + bytes[0..<5]
      #expect(reply.count == expected.count)
      #expect(try reply.contents() == Array(expected))
    }
  }

  @Test("more ranges than a reply can have are copied together")
  func many() throws {
    let buffers = ReplyBuffers()
    var reply = ReadReply(wanted: 1 << 20, in: buffers)
    var expected: [UInt8] = []
    try bytes.withUnsafeBytes { memory in
      for index in 0..<3500 {
        let start = index * 13 % 90_000
        try reply.append(UnsafeRawBufferPointer(rebasing: memory[start..<(start + 11)]), keeping: nil)
        expected += memory[start..<(start + 11)]
        #expect(reply.rangeCount <= ReadReply.maxRanges)
      }
      #expect(try reply.contents() == expected)
    }
  }

  @Test("memory that is gone is EIO")
  func gone() throws {
    let memory = try VanishedMemory()
    let buffers = ReplyBuffers()
    var reply = ReadReply(wanted: 4096, in: buffers)
    try reply.append(memory.bytes, keeping: nil)
    #expect(reply.count == 4096)
    let error = #expect(throws: Errno.self) { try Self.contents(&reply) }
    #expect(error == .inputOutput)
  }

  private static func contents(_ reply: inout ReadReply) throws -> [UInt8] { try reply.contents() }
}

@Suite("What a directory listing answers") struct DirectoryReplyTests {
  private func entry(_ node: UInt64, _ mode: UInt32) -> Entry {
    Entry(NodeID(rawValue: node), Attributes(inode: node, mode: mode), nameLifetime: 0, attributeLifetime: 0)
  }

  @Test("names come at their offsets, padded with zeros")
  func plain() {
    let buffers = ReplyBuffers()
    buffers.replies.body.initializeMemory(as: UInt8.self, repeating: 0xee)
    var reply = DirectoryReply(wanted: 4096, isPlus: false, in: buffers)
    #expect(reply.add("hello".utf8Span.span.bytes, entry(5, 0o100644), next: 1) == .listed)
    #expect(reply.add("directory".utf8Span.span.bytes, entry(6, 0o40755), next: 2) == .listed)
    let expected = Message().u64(5).u64(1).u32(5).u32(8).data(Array("hello\0\0\0".utf8))
      .u64(6).u64(2).u32(9).u32(4).data(Array("directory\0\0\0\0\0\0\0".utf8))
    #expect(Array(buffers.replies.body[..<reply.count]) == expected.bytes)
    #expect(reply.contents().map(\.name) == ["hello", "directory"])
  }

  @Test("with attributes an entry counts as a lookup, dots do not")
  func plus() {
    let buffers = ReplyBuffers()
    buffers.replies.body.initializeMemory(as: UInt8.self, repeating: 0xee)
    var reply = DirectoryReply(wanted: 4096, isPlus: true, in: buffers)
    #expect(reply.add(".".utf8Span.span.bytes, entry(1, 0o40755), next: 1) == .listed)
    #expect(reply.add("..".utf8Span.span.bytes, entry(1, 0o40755), next: 2) == .listed)
    #expect(reply.add("...".utf8Span.span.bytes, entry(7, 0o100644), next: 3) == .lookedUp)
    #expect(reply.add("hello".utf8Span.span.bytes, entry(5, 0o100644), next: 4) == .lookedUp)
    #expect(reply.count == 4 * 160)
    let bytes = Array(buffers.replies.body[..<reply.count])
    #expect(bytes.span.bytes.u64(0) == 0)
    #expect(bytes.span.bytes.u64(128) == 1)
    #expect(bytes.span.bytes.u64(480) == 5)
    #expect(bytes.span.bytes.u64(480 + 128) == 5)
    #expect(Array(bytes[(480 + 152)...]) == Array("hello\0\0\0".utf8))
    var nodes: [UInt64] = []
    DirectoryReply.forEachLookup(in: bytes.span.bytes) { nodes.append($0.rawValue) }
    #expect(nodes == [7, 5])
    #expect(reply.contents().map(\.next) == [1, 2, 3, 4])
  }

  @Test("an entry that does not fit is not taken", arguments: [false, true])
  func full(isPlus: Bool) {
    let buffers = ReplyBuffers()
    let size = isPlus ? 160 : 32
    var reply = DirectoryReply(wanted: 2 * size + size - 1, isPlus: isPlus, in: buffers)
    #expect(reply.add("12345678".utf8Span.span.bytes, entry(5, 0o100644), next: 1) != .full)
    #expect(reply.add("12345678".utf8Span.span.bytes, entry(5, 0o100644), next: 2) != .full)
    #expect(reply.add("1".utf8Span.span.bytes, entry(5, 0o100644), next: 3) == .full)
    #expect(reply.count == 2 * size)
    var none = DirectoryReply(wanted: 0, isPlus: isPlus, in: buffers)
    #expect(none.add("1".utf8Span.span.bytes, entry(5, 0o100644), next: 3) == .full)
  }

  @Test("what is no name is refused")
  func badNames() {
    let buffers = ReplyBuffers()
    var reply = DirectoryReply(wanted: 4096, isPlus: false, in: buffers)
    for name in ["", "a/b", "a\0b", String(repeating: "x", count: 256)] {
      #expect(reply.add(name.utf8Span.span.bytes, entry(5, 0o100644), next: 1) == .refused)
    }
    #expect(reply.count == 0)
  }
}

/// A page of a file that was cut short under its mapping.
struct VanishedMemory: ~Copyable {
  private let mapping: Mapping
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(mapping.bytes) }

  init() throws {
    let path = "/tmp/weft-fuse-test-\(getpid())-\(UInt64.random(in: .min ... .max))"
    let file = try FileDescriptor(opening: path, [.readWrite, .create, .exclusive])
    unlink(path)
    try file.truncate(to: 4096)
    let mapping = try Mapping(of: file, count: 4096, writable: true)
    try file.truncate(to: 0)
    self.mapping = mapping
  }
}
