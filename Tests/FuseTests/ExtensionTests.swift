import FuseTestSupport
import Platform
import Testing

@testable import Fuse

@Suite("Extensions of requests") struct ExtensionTests {
  private func padded(_ message: Message) -> Message { message.zeros((8 - message.bytes.count % 8) % 8) }

  /// `struct fuse_secctx`, a name and a value.
  private func context(_ name: String, _ value: [UInt8], size: UInt32? = nil) -> Message {
    padded(Message().u32(size ?? UInt32(value.count)).u32(0).name(name).data(value))
  }

  /// `struct fuse_ext_header`, or `struct fuse_secctx_header`, which differ by the type alone.
  private func part(_ type: UInt32, _ body: Message = Message(), size: UInt32? = nil) -> Message {
    Message().u32(size ?? UInt32(8 + body.bytes.count)).u32(type).data(body.bytes)
  }

  private func groups(_ groups: [UInt32], count: UInt32? = nil) -> Message {
    part(32, padded(groups.reduce(Message().u32(count ?? UInt32(groups.count))) { $0.u32($1) }))
  }

  private func parse(_ message: Message) throws(Errno) -> RequestExtensions {
    try RequestExtensions(parsing: message.bytes.span.bytes)
  }

  @Test("nothing, a label, a group, and both")
  func both() throws {
    let none = try parse(Message())
    #expect(none.contexts.isEmpty && none.groups.isEmpty)
    let label = part(1, context("security.selinux", [1, 2, 3]))
    #expect(try parse(label).contexts == [.init(name: 16..<32, value: 33..<36)])
    #expect(try parse(part(0)).contexts.isEmpty)
    #expect(try parse(groups([100])).groups == [100])
    let both = try parse(label.data(groups([100, 7]).bytes))
    #expect(both.contexts.count == 1 && both.groups == [100, 7])
    let two = try parse(part(2, context("security.a", [1]).data(context("security.b", []).bytes)))
    #expect(two.contexts == [.init(name: 16..<26, value: 27..<28), .init(name: 40..<50, value: 51..<51)])
  }

  @Test("a kind that is not known is passed over")
  func unknown() throws {
    let extensions = try parse(part(33, Message().u64(1)).data(groups([5]).bytes))
    #expect(extensions.contexts.isEmpty && extensions.groups == [5])
  }

  @Test("what does not fit into its place is refused")
  func misfits() {
    let long = String(repeating: "x", count: 256)
    let wrong: [(Message, Errno)] = [
      (Message().zeros(4), .protocolError), (Message().zeros(8), .protocolError),
      (part(1, size: 7), .protocolError), (part(1, size: 16), .protocolError), (part(1, size: .max), .protocolError),
      (part(1, Message().zeros(4)), .protocolError), (part(1), .protocolError),
      (part(31, context("security.a", [1])), .protocolError),
      (part(1, context("security.a", [1], size: 9)), .protocolError),
      (part(1, context("security.a", [1], size: .max)), .protocolError),
      (part(1, Message().u32(0).u32(0).data([97, 97, 97, 97, 97, 97, 97, 97])), .protocolError),
      (part(1, context("", [1])), .outOfRange), (part(1, context(long, [1])), .outOfRange),
      (part(32), .protocolError), (groups([1], count: 2), .protocolError), (groups([1], count: .max), .protocolError),
      (groups([1]).data(groups([2]).bytes), .protocolError), (part(0).data(part(0).bytes), .protocolError),
    ]
    for (message, error) in wrong {
      #expect(throws: error) { try parse(message) }
    }
    // Its name and value would lie in the next extension.
    #expect(throws: Errno.protocolError) {
      try parse(part(1, Message().u32(2).u32(0)).data(Array("a\u{0}bcdefgh".utf8)))
    }
  }

  @Test("any bytes are extensions or an error, and what is found lies within")
  func anything() throws {
    var generator = SystemRandomNumberGenerator()
    let whole = part(2, context("security.a", [1]).data(context("security.b", [2]).bytes)).data(groups([5, 6]).bytes)
    for _ in 0..<20_000 {
      var bytes = whole.bytes
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...40, using: &generator)
      }
      guard let found = try? RequestExtensions(parsing: bytes.span.bytes) else { continue }
      #expect(
        found.contexts.allSatisfy { $0.name.upperBound < $0.value.lowerBound && $0.value.upperBound <= bytes.count })
    }
  }

  @Test("extensions are agreed on with kernels that say how long they are")
  func agreement() {
    let all: InitFlags = [.initExtension, .securityContext, .createGroup, .posixACL]
    #expect(all.rawValue == 1 << 30 | 1 << 32 | 1 << 34 | 1 << 20)
    #expect(Negotiation.possible(all, minor: 38) == all)
    #expect(Negotiation.possible(all, minor: 37) == [.initExtension, .posixACL])
    #expect(Negotiation.possible(all.subtracting(.initExtension), minor: 38) == .posixACL)
  }
}
