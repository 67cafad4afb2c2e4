import FuseTestSupport
import Platform
import Testing

@testable import Fuse

@Suite("Notifications") struct NotifierTests {
  @Test("a node's pages and attributes are dropped")
  func node() throws {
    let transport = MemoryTransport([])
    try Notifier(transport).invalidate(NodeID(rawValue: 9), from: 4096, count: -1)
    let expected = Message().u32(40).u32(2).u64(0).u64(9).u64(4096).u64(.max)
    #expect(transport.replies.map(\.bytes) == [expected.bytes])
  }

  @Test("a name is dropped or expires", arguments: [false, true])
  func name(expireOnly: Bool) throws {
    let transport = MemoryTransport([])
    try Notifier(transport).invalidate("hello".utf8Span.span.bytes, in: .root, expireOnly: expireOnly)
    let expected = Message().u32(38).u32(3).u64(0).u64(1).u32(5).u32(expireOnly ? 1 : 0).name("hello")
    #expect(transport.replies.map(\.bytes) == [expected.bytes])
  }

  @Test("all names expire")
  func allNames() throws {
    let transport = MemoryTransport([])
    try Notifier(transport).expireNames()
    #expect(transport.replies.map(\.bytes) == [Message().u32(16).u32(8).u64(0).bytes])
  }

  @Test("what the kernel does not know needs no forgetting, other failures are told")
  func failures() throws {
    let transport = MemoryTransport([], failures: [.noEntry, .noDevice])
    try Notifier(transport).invalidate(.root)
    #expect(throws: Errno.noDevice) { try Notifier(transport).invalidate(.root) }
    #expect(throws: Errno.invalidArgument) { try Notifier(transport).invalidate("".utf8Span.span.bytes, in: .root) }
  }
}
