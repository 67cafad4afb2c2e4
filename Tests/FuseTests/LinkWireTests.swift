import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

@Suite("Messages of links and extended attributes") struct LinkWireTests {
  private func long(_ count: Int) -> String { String(repeating: "x", count: count) }

  @Test("SYMLINK has a name and a target")
  func symlink() throws {
    let symlink = try SymlinkRequest(parsing: Message().name("ab").name("../c d/").bytes.span.bytes)
    #expect(symlink.name == 0..<2)
    #expect(symlink.target == 3..<10)
    let most = try SymlinkRequest(parsing: Message().name(long(255)).name(long(4095)).bytes.span.bytes)
    #expect(most.name.count == 255 && most.target.count == 4095)
    let wrong: [(Message, Errno)] = [
      (Message().name(long(256)).name("t"), .nameTooLong), (Message().name(long(1024)).name("t"), .nameTooLong),
      (Message().name("a").name(long(4096)), .nameTooLong), (Message().name("a").name(""), .noEntry),
      (Message().name("a/b").name("t"), .invalidArgument), (Message().name("..").name("t"), .invalidArgument),
      (Message().name("").name("t"), .invalidArgument), (Message().name("a"), .protocolError),
      (Message().name("a").data([116]), .protocolError), (Message().name("a").name("t").name("u"), .protocolError),
      (Message(), .protocolError),
    ]
    for (message, error) in wrong {
      #expect(throws: error) { try SymlinkRequest(parsing: message.bytes.span.bytes) }
    }
  }

  @Test("a target that READLINK cannot tell is an error of the file system", arguments: [-1, 0, 4096, Int.max])
  func readlink(length: Int) throws {
    #expect(throws: Errno.inputOutput) { try LinkTarget.check(length) }
    try LinkTarget.check(1)
    try LinkTarget.check(4095)
  }

  @Test("LINK has a node and a new name")
  func link() throws {
    let link = try LinkRequest(parsing: Message().u64(9).name("new").bytes.span.bytes)
    #expect(link.node.rawValue == 9)
    #expect(link.name == 8..<11)
    #expect(throws: Errno.protocolError) { try LinkRequest(parsing: Message().u64(9).bytes.span.bytes) }
    #expect(throws: Errno.protocolError) { try LinkRequest(parsing: Message().u32(9).bytes.span.bytes) }
    #expect(throws: Errno.invalidArgument) { try LinkRequest(parsing: Message().u64(9).name(".").bytes.span.bytes) }
    #expect(throws: Errno.nameTooLong) { try LinkRequest(parsing: Message().u64(9).name(long(256)).bytes.span.bytes) }
  }

  @Test("TMPFILE has a name that means nothing")
  func tmpfile() throws {
    let message = Message().u32(0o20200002).u32(0o100600).u32(0o027).u32(1).name("/")
    let tmpfile = try TmpfileRequest(parsing: message.bytes.span.bytes)
    #expect(tmpfile.intent == OpenIntent(flags: 0o20200002, killsSetID: true))
    #expect(tmpfile.node.mode == 0o100600)
    #expect(tmpfile.node.umask == 0o027)
    #expect(throws: Errno.protocolError) { try TmpfileRequest(parsing: Message().zeros(16).bytes.span.bytes) }
    #expect(throws: Errno.protocolError) { try TmpfileRequest(parsing: Message().zeros(15).bytes.span.bytes) }
  }

  private func setxattr(_ name: String, _ value: [UInt8], size: UInt32? = nil, flags: UInt32 = 0) -> Message {
    Message().u32(size ?? UInt32(value.count)).u32(flags).name(name).data(value)
  }

  @Test("SETXATTR has a name and a value, in both forms")
  func setxattr() throws {
    let short = try SetxattrRequest(parsing: setxattr("user.a", [1, 0, 2]).bytes.span.bytes, isExtended: false)
    #expect(short.name == 8..<14)
    #expect(short.value == 15..<18)
    #expect(short.mode == .set && !short.killsSetGID)
    let message = Message().u32(2).u32(1).u32(1).u32(0).name("user.a").data([1, 2])
    let extended = try SetxattrRequest(parsing: message.bytes.span.bytes, isExtended: true)
    #expect(extended.name == 16..<22)
    #expect(extended.value == 23..<25)
    #expect(extended.mode == .create && extended.killsSetGID)
    let replacing = try SetxattrRequest(parsing: setxattr("user.a", [], flags: 2).bytes.span.bytes, isExtended: false)
    #expect(replacing.value.isEmpty && replacing.mode == .replace)
    // What follows the short form is the name, even where it looks like a flag.
    let name = try SetxattrRequest(parsing: setxattr("\u{1}", [7]).bytes.span.bytes, isExtended: false)
    #expect(!name.killsSetGID && name.name == 8..<9)
  }

  @Test("SETXATTR that setxattr(2) could not have asked for is refused as there")
  func wrongXattrs() throws {
    let most = [UInt8](repeating: 1, count: 65536)
    #expect(
      try SetxattrRequest(parsing: setxattr(long(255), most).bytes.span.bytes, isExtended: false).value.count == 65536)
    let wrong: [(Message, Errno)] = [
      (setxattr("", [1]), .outOfRange), (setxattr(long(256), [1]), .outOfRange),
      (setxattr("user.a", most + [1]), Errno(rawValue: E2BIG)), (setxattr("user.a", [1], flags: 4), .invalidArgument),
      (setxattr("user.a", [1], size: 2), .protocolError), (setxattr("user.a", [1, 2], size: 1), .protocolError),
      (setxattr("user.a", [1], size: .max), .protocolError), (Message().zeros(8), .protocolError),
      (Message().zeros(7), .protocolError), (Message().u32(0).u32(0).data([97]), .protocolError),
    ]
    for (message, error) in wrong {
      #expect(throws: error) { try SetxattrRequest(parsing: message.bytes.span.bytes, isExtended: false) }
    }
  }

  @Test("REMOVEXATTR has a name")
  func removexattr() throws {
    #expect(try RemovexattrRequest(parsing: Message().name("user.a").bytes.span.bytes).name == 0..<6)
    for length in [0, 256] {
      #expect(throws: Errno.outOfRange) {
        try RemovexattrRequest(parsing: Message().name(long(length)).bytes.span.bytes)
      }
    }
    #expect(throws: Errno.protocolError) { try RemovexattrRequest(parsing: Message().data([97]).bytes.span.bytes) }
  }
}
