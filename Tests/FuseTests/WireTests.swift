import FuseTestSupport
import Platform
import Testing

@testable import Fuse

@Suite("Requests at their offsets") struct RequestTests {
  @Test("the header")
  func header() throws {
    let bytes = Message().u32(40).u32(15).u64(99).u64(7).u32(1000).u32(100).u32(4321).u16(2).u16(0).bytes
    let parsed = RequestHeader(parsing: bytes.span.bytes)
    let header = try #require(parsed)
    #expect(header.length == 40)
    #expect(header.opcode == 15)
    #expect(header.unique == 99)
    #expect(header.node == NodeID(rawValue: 7))
    #expect(header.caller == Caller(userID: 1000, groupID: 100, processID: 4321))
    #expect(header.extensionByteCount == 16)
    let short = Array(bytes[..<39])
    let cut = RequestHeader(parsing: short.span.bytes)
    #expect(cut == nil)
  }

  @Test("READ and WRITE")
  func data() throws {
    let read = try ReadRequest(parsing: Message.read(at: 4096, 8192, handle: 5).bytes.span.bytes)
    #expect(read.handle.rawValue == 5)
    #expect(read.offset == 4096)
    #expect(read.count == 8192)
    let write = try WriteRequest(parsing: Message.write(at: 11, [1, 2, 3], flags: 4).bytes.span.bytes)
    #expect(write.offset == 11)
    #expect(write.count == 3)
    #expect(write.intent.killsSetID && !write.intent.isWriteBack && !write.intent.isSynchronous)
  }

  @Test("sizes and positions that cannot be are refused")
  func impossible() {
    #expect(throws: Errno.invalidArgument) {
      try ReadRequest(parsing: Message.read(at: 0, .max).bytes.span.bytes)
    }
    #expect(throws: Errno.invalidArgument) {
      try WriteRequest(parsing: Message.write(at: .max, [1]).bytes.span.bytes)
    }
    #expect(throws: Errno.invalidArgument) {
      try WriteRequest(parsing: Message.write(at: UInt64(Int64.max), [1]).bytes.span.bytes)
    }
    #expect(throws: Errno.protocolError) {
      try WriteRequest(parsing: Message.write(at: 0, [1], count: 2).bytes.span.bytes)
    }
    #expect(throws: Errno.protocolError) {
      try WriteRequest(parsing: Message.write(at: 0, [1, 2], count: 1).bytes.span.bytes)
    }
  }

  /// `struct fuse_setattr_in` with a different value in every field.
  private func setattr(_ valid: UInt32) -> Message {
    Message().u32(valid).u32(0).u64(77).u64(1234).u64(0).u64(10).u64(20).u64(30).u32(1).u32(2).u32(3).u32(0o600)
      .u32(0).u32(501).u32(502).u32(0)
  }

  @Test("SETATTR changes what its bits say and nothing else")
  func attributes() throws {
    let all = try SetattrRequest(parsing: setattr(0b1000_0111_1111).bytes.span.bytes)
    #expect(all.handle?.rawValue == 77)
    #expect(all.changes.size == 1234)
    #expect(all.changes.mode == 0o600)
    #expect(all.changes.userID == 501)
    #expect(all.changes.groupID == 502)
    #expect(all.changes.accessTime == .at(Timestamp(seconds: 10, nanoseconds: 1)))
    #expect(all.changes.modificationTime == .at(Timestamp(seconds: 20, nanoseconds: 2)))
    #expect(all.changes.killsSetID)
    let now = try SetattrRequest(parsing: setattr(0b1_1011_0000).bytes.span.bytes)
    #expect(now.changes.accessTime == .now)
    #expect(now.changes.modificationTime == .now)
    let none = try SetattrRequest(parsing: setattr(0).bytes.span.bytes)
    #expect(none.handle == nil)
    #expect(none.changes == AttributeChanges())
  }

  @Test("CREATE, MKNOD and MKDIR, each with a name behind it")
  func making() throws {
    let create = try CreateRequest(parsing: Message.create("new", flags: 0o1301).bytes.span.bytes)
    #expect(create.intent.flags == 0o1301)
    #expect(create.intent.isWriting && create.intent.isExclusive && create.intent.isTruncating)
    #expect(!create.intent.isReading && !create.intent.killsSetID)
    #expect(create.node.mode == 0o100640)
    #expect(create.node.umask == 0o027)
    #expect(create.name == 16..<19)
    let killing = Message().u32(2).u32(0o100600).u32(0).u32(1).name("x")
    #expect(try CreateRequest(parsing: killing.bytes.span.bytes).intent == OpenIntent(flags: 2, killsSetID: true))
    let mknod = try MknodRequest(parsing: Message.mknod("pipe", mode: 0o20600, specialDevice: 259).bytes.span.bytes)
    #expect(mknod.node.mode == 0o20600)
    #expect(mknod.node.specialDevice == 259)
    #expect(mknod.node.umask == 0o027)
    #expect(mknod.name == 16..<20)
    let mkdir = try MkdirRequest(parsing: Message.mkdir("directory").bytes.span.bytes)
    #expect(mkdir.node.mode == 0o750)
    #expect(mkdir.node.umask == 0o027)
    #expect(mkdir.name == 8..<17)
  }

  @Test("RENAME and RENAME2, with two names")
  func renaming() throws {
    let rename = try RenameRequest(parsing: Message().u64(7).name("ab").name("cde").bytes.span.bytes, hasFlags: false)
    #expect(rename.newDirectory.rawValue == 7)
    #expect(rename.flags == [])
    #expect(rename.name == 8..<10)
    #expect(rename.newName == 11..<14)
    for (bits, flags) in [(0, []), (1, .noReplace), (2, .exchange)] as [(UInt32, RenameFlags)] {
      let message = Message.rename2("ab", to: "c", in: 9, flags: bits)
      let rename = try RenameRequest(parsing: message.bytes.span.bytes, hasFlags: true)
      #expect(rename.newDirectory.rawValue == 9)
      #expect(rename.flags == flags)
      #expect(rename.name == 16..<18)
      #expect(rename.newName == 19..<20)
    }
    for bits: UInt32 in [3, 4, 5, 8, 1 << 31] {
      let message = Message.rename2("a", to: "b", flags: bits)
      #expect(throws: Errno.invalidArgument) {
        try RenameRequest(parsing: message.bytes.span.bytes, hasFlags: true)
      }
    }
    for message in [Message().u64(1).name("a"), Message().u64(1).name("a").data([98]), Message().u64(1).data([97])] {
      #expect(throws: Errno.protocolError) { try RenameRequest(parsing: message.bytes.span.bytes, hasFlags: false) }
    }
    let long = Message().u64(1).name(String(repeating: "x", count: 256)).name("b")
    #expect(throws: Errno.nameTooLong) { try RenameRequest(parsing: long.bytes.span.bytes, hasFlags: false) }
  }

  @Test("FALLOCATE with the ranges and modes that can be")
  func allocating() throws {
    let message = Message().u64(77).u64(4096).u64(8192).u32(3).u32(0)
    let fallocate = try FallocateRequest(parsing: message.bytes.span.bytes)
    #expect(fallocate.handle.rawValue == 77)
    #expect(fallocate.offset == 4096)
    #expect(fallocate.length == 8192)
    #expect(fallocate.mode == [.keepSize, .punchHole])
    for mode: UInt32 in [0, 1, 16, 17] {
      let message = Message.fallocate(at: 0, UInt64(Int64.max), mode: mode)
      #expect(try FallocateRequest(parsing: message.bytes.span.bytes).mode.rawValue == mode)
    }
    for mode: UInt32 in [2, 18, 19, 4, 8, 32, 64, 1 << 31] {
      let message = Message.fallocate(at: 0, 1, mode: mode)
      #expect(throws: Errno.notSupported) { try FallocateRequest(parsing: message.bytes.span.bytes) }
    }
    for (offset, length) in [(0, 0), (0, .max), (.max, 1), (1, UInt64(Int64.max)), (1 << 63, 1)] as [(UInt64, UInt64)] {
      let message = Message.fallocate(at: offset, length)
      #expect(throws: Errno.invalidArgument) { try FallocateRequest(parsing: message.bytes.span.bytes) }
    }
  }

  @Test("times before 1970 and beyond all bounds are times")
  func times() throws {
    #expect(try timestamp(seconds: UInt64(bitPattern: -1), nanoseconds: 5).nanosecondsSince1970 == -999_999_995)
    #expect(try timestamp(seconds: UInt64(Int64.max), nanoseconds: 0).nanosecondsSince1970 == .max)
    #expect(try timestamp(seconds: UInt64(bitPattern: .min), nanoseconds: 0).nanosecondsSince1970 == .min)
    // The year 2446 and the year 1901, to the nanosecond.
    for second: Int64 in [15_032_385_535, -2_147_483_648] {
      let time = try timestamp(seconds: UInt64(bitPattern: second), nanoseconds: 999_999_999)
      #expect(time == Timestamp(seconds: second, nanoseconds: 999_999_999))
    }
    #expect(throws: Errno.invalidArgument) { try timestamp(seconds: 0, nanoseconds: 1_000_000_000) }
    #expect(Timestamp(nanosecondsSince1970: -1).seconds == -1)
    #expect(Timestamp(nanosecondsSince1970: -1).nanoseconds == 999_999_999)
    #expect(Timestamp(nanosecondsSince1970: .min).nanoseconds < 1_000_000_000)
    #expect(Timestamp(nanosecondsSince1970: 1_000_000_001).seconds == 1)
  }

  @Test("a structure that is cut short anywhere is refused")
  func short() {
    let parsers: [(Int, (RawSpan) throws(Errno) -> Void)] = [
      (16, { bytes throws(Errno) in _ = try GetattrRequest(parsing: bytes) }),
      (24, { bytes throws(Errno) in _ = try StatxRequest(parsing: bytes) }),
      (88, { bytes throws(Errno) in _ = try SetattrRequest(parsing: bytes) }),
      (8, { bytes throws(Errno) in _ = try OpenRequest(parsing: bytes) }),
      (40, { bytes throws(Errno) in _ = try ReadRequest(parsing: bytes) }),
      (40, { bytes throws(Errno) in _ = try WriteRequest(parsing: bytes) }),
      (24, { bytes throws(Errno) in _ = try ReleaseRequest(parsing: bytes) }),
      (24, { bytes throws(Errno) in _ = try FlushRequest(parsing: bytes) }),
      (16, { bytes throws(Errno) in _ = try FsyncRequest(parsing: bytes) }),
      (8, { bytes throws(Errno) in _ = try GetxattrRequest(parsing: bytes) }),
      (8, { bytes throws(Errno) in _ = try AccessRequest(parsing: bytes) }),
      (24, { bytes throws(Errno) in _ = try LseekRequest(parsing: bytes) }),
      (8, { bytes throws(Errno) in _ = try SyncfsRequest(parsing: bytes) }),
      (8, { bytes throws(Errno) in _ = try ForgetRequest(parsing: bytes) }),
      (8, { bytes throws(Errno) in _ = try BatchForgetRequest(parsing: bytes) }),
    ]
    for (size, parse) in parsers {
      for length in 0..<size {
        let zeros = [UInt8](repeating: 0, count: length)
        #expect(throws: Errno.protocolError) { try parse(zeros.span.bytes) }
      }
      let zeros = [UInt8](repeating: 0, count: size)
      #expect(throws: Never.self) { try parse(zeros.span.bytes) }
    }
  }

  @Test("a batch that counts more nodes than it has is refused", arguments: [2, 1000, UInt32.max])
  func batch(count: UInt32) {
    let message = Message().u32(count).u32(0).u64(2).u64(1)
    #expect(throws: Errno.protocolError) { try BatchForgetRequest(parsing: message.bytes.span.bytes) }
  }
}

@Suite("Names") struct NameTests {
  private func length(_ bytes: [UInt8]) throws(Errno) -> Int { try bytes.span.bytes.nameLength() }

  @Test("a name ends at its NUL")
  func plain() throws {
    #expect(try length(Array("abc\0".utf8)) == 3)
    #expect(try length([UInt8](repeating: 120, count: 255) + [0]) == 255)
  }

  @Test("a name without NUL is refused") func unterminated() {
    #expect(throws: Errno.protocolError) { try length(Array("abc".utf8)) }
    #expect(throws: Errno.protocolError) { try length([]) }
  }

  @Test("a name with bytes behind its NUL is refused") func trailing() {
    #expect(throws: Errno.protocolError) { try length(Array("a\0b\0".utf8)) }
  }

  @Test("an empty name is refused") func empty() {
    #expect(throws: Errno.invalidArgument) { try length([0]) }
  }

  @Test("an entry's name has no slash, and what is changed is not . or ..")
  func entries() throws {
    let bytes = Array("1234name\0next\0".utf8)
    #expect(try bytes.span.bytes.entryName(from: 4, isLast: false) == 4..<8)
    #expect(try bytes.span.bytes.entryName(from: 9) == 9..<13)
    for name in [".", ".."] {
      let dots = Array("\(name)\0".utf8)
      #expect(try dots.span.bytes.entryName(isChanged: false) == 0..<name.utf8.count)
      #expect(throws: Errno.invalidArgument) { try dots.span.bytes.entryName() }
    }
    for name in ["a/b", "/", "", "../x"] {
      let bad = Array("\(name)\0".utf8)
      #expect(throws: Errno.invalidArgument) { try bad.span.bytes.entryName(isChanged: false) }
    }
    for name in ["...", ".a", "a."] {
      let good = Array("\(name)\0".utf8)
      #expect(try good.span.bytes.entryName() == 0..<name.utf8.count)
    }
  }

  @Test("a name of 256 bytes is too long") func long() {
    #expect(throws: Errno.nameTooLong) { try length([UInt8](repeating: 120, count: 256) + [0]) }
  }
}

@Suite("Replies at their offsets") struct ReplyTests {
  private func encoded(_ count: Int, over old: UInt8 = 0xee, _ encode: (inout MutableRawSpan) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: old, count: count)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    encode(&raw)
    return bytes
  }

  private var attributes: Attributes {
    var attributes = Attributes(inode: 10, mode: 0o100640)
    attributes.size = 11
    attributes.blocks = 12
    attributes.userID = 13
    attributes.groupID = 14
    attributes.linkCount = 15
    attributes.specialDevice = 0x1234_5678
    attributes.blockSize = 17
    attributes.accessTime = Timestamp(seconds: 18, nanoseconds: 19)
    attributes.modificationTime = Timestamp(seconds: 20, nanoseconds: 21)
    attributes.changeTime = Timestamp(seconds: 22, nanoseconds: 23)
    attributes.birthTime = Timestamp(nanosecondsSince1970: -1)
    return attributes
  }

  @Test("attributes and their lifetime")
  func getattr() {
    let reply = encoded(CachedAttributes.byteCount) {
      CachedAttributes(attributes, lifetime: 5_000_000_006).encode(into: &$0)
    }
    let expected = Message().u64(5).u32(6).u32(0)
      .u64(10).u64(11).u64(12).u64(18).u64(20).u64(22).u32(19).u32(21).u32(23)
      .u32(0o100640).u32(15).u32(13).u32(14).u32(0x1234_5678).u32(17).u32(0)
    #expect(reply == expected.bytes)
  }

  @Test("an entry")
  func entry() {
    var entry = Entry(NodeID(rawValue: 9), attributes, nameLifetime: 1_000_000_002, attributeLifetime: .max)
    entry.generation = 3
    let reply = encoded(Entry.byteCount) { entry.encode(node: entry.node, into: &$0) }
    let start = Message().u64(9).u64(3).u64(1).u64(18_446_744_073).u32(2).u32(709_551_615).u64(10).u64(11)
    #expect(Array(reply[..<56]) == start.bytes)
    #expect(reply.span.bytes.u32(124) == 0)
  }

  @Test("statx, with the birth time where there is one")
  func statx() {
    var attributes = attributes
    let reply = encoded(288) { CachedAttributes(attributes, lifetime: 1).encodeStatx(into: &$0) }
    let expected = Message().u64(0).u32(1).zeros(20)
      .u32(0xfff).u32(17).u64(0).u32(15).u32(13).u32(14).u16(0o100640).u16(0)
      .u64(10).u64(11).u64(12).u64(0).u64(18).u32(19).u32(0).u64(.max).u32(999_999_999).u32(0).u64(22).u32(23).u32(0)
      .u64(20).u32(21).u32(0).u32(0x456).u32(0x12378).zeros(120)
    #expect(reply == expected.bytes)
    attributes.birthTime = nil
    let without = encoded(288) { CachedAttributes(attributes, lifetime: 1).encodeStatx(into: &$0) }
    #expect(without.span.bytes.u32(32) == 0x7ff)
  }

  @Test(
    "a number for programs stands beside the node's: in attributes, entries, statx and listings",
    arguments: [false, true])
  func inode(isPlus: Bool) {
    var attributes = attributes
    attributes.inode = 77
    let node = NodeID(rawValue: 10)
    let entry = Entry(node, attributes, nameLifetime: 1, attributeLifetime: 1)
    let cached = CachedAttributes(attributes, lifetime: 1)
    #expect(encoded(CachedAttributes.byteCount) { cached.encode(into: &$0) }.span.bytes.u64(16) == 77)
    #expect(encoded(288) { cached.encodeStatx(into: &$0) }.span.bytes.u64(64) == 77)
    let whole = encoded(Entry.byteCount) { entry.encode(node: node, into: &$0) }
    #expect(whole.span.bytes.u64(0) == 10 && whole.span.bytes.u64(40) == 77)
    let buffers = ReplyBuffers()
    var reply = DirectoryReply(wanted: 4096, isPlus: isPlus, in: buffers)
    #expect(reply.add("f".utf8.span.bytes, entry, next: 1) == (isPlus ? .lookedUp : .listed))
    #expect(reply.contents().map(\.inode) == [77])
    let records = buffers.replies.body[..<reply.count]
    var lookedUp: [NodeID] = []
    if isPlus {
      DirectoryReply.forEachLookup(in: UnsafeRawBufferPointer(rebasing: records).bytes) { lookedUp.append($0) }
    }
    #expect(lookedUp == (isPlus ? [node] : []))
  }

  @Test("an open file, and statfs")
  func others() {
    let opened = encoded(Opened.byteCount) {
      Opened(FileHandle(rawValue: 5), [.keepCache, .cacheDirectory]).encode(into: &$0)
    }
    #expect(opened == Message().u64(5).u32(0b1010).u32(0).bytes)
    var status = FileSystemStatus()
    (status.blocks, status.freeBlocks, status.availableBlocks, status.files, status.freeFiles) = (1, 2, 3, 4, 5)
    let statfs = encoded(FileSystemStatus.byteCount) { status.encode(into: &$0) }
    #expect(statfs == Message().u64(1).u64(2).u64(3).u64(4).u64(5).u32(4096).u32(255).u32(4096).zeros(28).bytes)
  }

  @Test("no byte of an earlier reply stays")
  func whole() {
    let attributes = attributes
    let node = NodeID(rawValue: 10)
    let entry = Entry(node, attributes, nameLifetime: 1, attributeLifetime: 1)
    let cached = CachedAttributes(attributes, lifetime: 1)
    let answer = InitAnswer(
      major: 7, minor: 46, maxReadahead: 1, flags: .usual, maxBackground: 1, congestionThreshold: 1, maxWrite: 1,
      timeGranularity: 1, maxPages: 1)
    let replies: [(Int, (inout MutableRawSpan) -> Void)] = [
      (ReplyHeader.byteCount, { ReplyHeader(unique: 1, bodyByteCount: 0).encode(into: &$0) }),
      (InitAnswer.byteCount, { answer.encode(into: &$0) }),
      (Entry.byteCount, { entry.encode(node: node, into: &$0) }),
      (CachedAttributes.byteCount, { cached.encode(into: &$0) }),
      (CachedAttributes.statxByteCount, { cached.encodeStatx(into: &$0) }),
      (Opened.byteCount, { Opened().encode(into: &$0) }),
      (FileSystemStatus.byteCount, { FileSystemStatus().encode(into: &$0) }),
    ]
    for (count, encode) in replies {
      #expect(encoded(count, over: 0xee, encode) == encoded(count, over: 0x11, encode))
    }
  }

  @Test("errors are negative, and none that the kernel would not take", arguments: [0, -5, 512, Int32.max, Int32.min])
  func errors(number: Int32) {
    #expect(ReplyHeader(unique: 1, refusal: .noEntry).error == -2)
    #expect(ReplyHeader(unique: 1, refusal: Errno(rawValue: number)).error == -5)
  }
}
