import FuseTestSupport
import Platform
import Testing

@testable import Fuse

@Suite("Messages of ioctls, locks, copies and mappings") struct OperationWireTests {
  private func encoded(_ count: Int, _ encode: (inout MutableRawSpan) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xee, count: count)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    encode(&raw)
    return bytes
  }

  private func ioctl(flags: UInt32 = 0, input: [UInt8] = [], size: UInt32? = nil, output: UInt32 = 0) -> Message {
    Message().u64(5).u32(flags).u32(IoctlCommand.getFlags).u64(77).u32(size ?? UInt32(input.count)).u32(output)
      .data(input)
  }

  @Test("IOCTL in its restricted form")
  func ioctl() throws {
    let message = ioctl(flags: 0b11000, input: [1, 2, 3, 4], output: 28)
    let ioctl = try IoctlRequest(parsing: message.bytes.span.bytes)
    #expect(ioctl.handle.rawValue == 5)
    #expect(ioctl.command == 0x8008_6601)
    #expect(ioctl.argument == 77)
    #expect(ioctl.input == 32..<36)
    #expect(ioctl.outputCount == 28)
    #expect(ioctl.isDirectory && ioctl.is32Bit)
    #expect(encoded(16) { IoctlReply(result: 3).encode(into: &$0) } == Message().u32(3).zeros(12).bytes)
    let wrong: [(Message, Errno)] = [
      (self.ioctl(flags: 2), .notTerminal), (self.ioctl(output: .max), .invalidArgument),
      (self.ioctl(output: 1 << 20), .invalidArgument), (self.ioctl(size: 1), .protocolError),
      (self.ioctl(input: [1], size: 0), .protocolError), (self.ioctl(size: .max), .protocolError),
    ]
    for (message, error) in wrong {
      #expect(throws: error) { try IoctlRequest(parsing: message.bytes.span.bytes) }
    }
  }

  @Test("a file's flags in their two forms")
  func flags() throws {
    #expect(IoctlCommand.setFlags == 0x4008_6602)
    #expect(IoctlCommand.getExtendedFlags == 0x801c_581f)
    #expect(IoctlCommand.setExtendedFlags == 0x401c_5820)
    let bytes = Message().u32(1).u32(2).u32(3).u32(4).u32(5).zeros(8).bytes
    let flags = try ExtendedFileFlags(parsing: bytes.span.bytes)
    #expect(flags.flags == 1 && flags.extentSize == 2 && flags.extentCount == 3)
    #expect(flags.projectID == 4 && flags.copyOnWriteExtentSize == 5)
    #expect(encoded(ExtendedFileFlags.byteCount) { flags.encode(into: &$0) } == bytes)
  }

  private func lock(_ type: UInt32, _ start: UInt64 = 10, _ end: UInt64 = 19, flags: UInt32 = 0) -> Message {
    Message().u64(5).u64(6).u64(start).u64(end).u32(type).u32(4321).u32(flags).u32(0)
  }

  @Test("GETLK, SETLK and SETLKW, for ranges and for whole files")
  func locks() throws {
    for (type, kind) in [(0, .shared), (1, .exclusive), (2, .unlock)] as [(UInt32, FileLock.Kind)] {
      let request = try LockRequest(parsing: lock(type).bytes.span.bytes)
      #expect(request.handle.rawValue == 5)
      #expect(request.owner.rawValue == 6)
      #expect(request.lock == FileLock(kind, from: 10, through: 19, processID: 4321))
      #expect(!request.isFlock)
      let reply = encoded(LockReply.byteCount) { LockReply(lock: request.lock).encode(into: &$0) }
      #expect(reply == Message().u64(10).u64(19).u32(type).u32(4321).bytes)
    }
    #expect(try LockRequest(parsing: lock(1, 0, UInt64(Int64.max), flags: 1).bytes.span.bytes).isFlock)
    #expect(encoded(24) { LockReply(lock: nil).encode(into: &$0) } == Message().zeros(16).u32(2).u32(0).bytes)
    for message in [lock(3), lock(.max), lock(0, 20, 19), lock(0, 0, 1 << 63), lock(0, .max, .max)] {
      #expect(throws: Errno.invalidArgument) { try LockRequest(parsing: message.bytes.span.bytes) }
    }
  }

  @Test("INTERRUPT names a request")
  func interrupt() throws {
    #expect(try InterruptRequest(parsing: Message().u64(42).bytes.span.bytes).request.rawValue == 42)
  }

  private func copy(
    _ count: UInt64, from offset: UInt64 = 100, to newOffset: UInt64 = 200, flags: UInt64 = 0
  ) -> Message {
    Message().u64(5).u64(offset).u64(9).u64(6).u64(newOffset).u64(count).u64(flags)
  }

  @Test("COPY_FILE_RANGE tells 32 bits, COPY_FILE_RANGE_64 all")
  func copying() throws {
    for isWide in [false, true] {
      let request = try CopyFileRangeRequest(parsing: copy(4096).bytes.span.bytes, isWide: isWide)
      #expect(request.handle.rawValue == 5 && request.offset == 100)
      #expect(request.newNode.rawValue == 9 && request.newHandle.rawValue == 6 && request.newOffset == 200)
      #expect(request.count == 4096)
      let large = try CopyFileRangeRequest(parsing: copy(1 << 40).bytes.span.bytes, isWide: isWide)
      #expect(large.count == (isWide ? 1 << 40 : 0xffff_f000))
      let reply = CopyFileRangeReply(count: large.count, isWide: isWide)
      #expect(
        encoded(reply.byteCount) { reply.encode(into: &$0) }
          == (isWide ? Message().u64(1 << 40) : Message().u32(0xffff_f000).u32(0)).bytes)
      let last = UInt64(Int64.max)
      let wrong = [
        copy(1, flags: 1), copy(.max), copy(1 << 63), copy(1, from: .max), copy(1, from: last), copy(1, to: last),
      ]
      for message in wrong {
        #expect(throws: Errno.invalidArgument) {
          try CopyFileRangeRequest(parsing: message.bytes.span.bytes, isWide: isWide)
        }
      }
    }
  }

  @Test("POLL and the replies that are a number")
  func numbers() throws {
    let poll = try PollRequest(parsing: Message().u64(5).u64(6).u32(1).u32(7).bytes.span.bytes)
    #expect(poll.handle.rawValue == 5 && poll.kernelHandle == 6 && poll.wantsNotification && poll.events == 7)
    let nine = Message().u32(9).u32(0).bytes
    #expect(encoded(PollReply.byteCount) { PollReply(events: 9).encode(into: &$0) } == nine)
    #expect(encoded(WrittenReply.byteCount) { WrittenReply(count: 9).encode(into: &$0) } == nine)
    #expect(encoded(LengthReply.byteCount) { LengthReply(length: 9).encode(into: &$0) } == nine)
    let far = Message().u64(1 << 40).bytes
    #expect(encoded(LseekReply.byteCount) { LseekReply(offset: 1 << 40).encode(into: &$0) } == far)
  }

  @Test("SETUPMAPPING and REMOVEMAPPING name ranges of the window")
  func mappings() throws {
    let setup = try SetupMappingRequest(
      parsing: Message().u64(5).u64(4096).u64(8192).u64(3).u64(1 << 21).bytes.span.bytes)
    #expect(setup.handle.rawValue == 5 && setup.offset == 4096 && setup.count == 8192 && setup.windowOffset == 1 << 21)
    #expect(setup.isReading && setup.isWriting)
    let wrong: [(UInt64, UInt64, UInt64, UInt64)] = [
      (0, 0, 1, 0), (0, .max, 1, 0), (.max, 1, 1, 0), (0, 1, 1, .max), (0, 1, 4, 0),
    ]
    for (offset, count, flags, window) in wrong {
      let message = Message().u64(5).u64(offset).u64(count).u64(flags).u64(window)
      #expect(throws: Errno.invalidArgument) { try SetupMappingRequest(parsing: message.bytes.span.bytes) }
    }
    let bytes = Message().u32(2).u64(1).u64(2).u64(3).u64(.max).bytes
    let remove = try RemoveMappingRequest(parsing: bytes.span.bytes)
    #expect(remove.count == 2)
    let first = try remove.range(0, in: bytes.span.bytes)
    #expect(first.windowOffset == 1 && first.count == 2)
    #expect(throws: Errno.invalidArgument) { _ = try remove.range(1, in: bytes.span.bytes) }
    #expect(throws: Errno.protocolError) { try RemoveMappingRequest(parsing: Array(bytes[..<35]).span.bytes) }
    for count: UInt32 in [257, .max] {
      #expect(throws: Errno.invalidArgument) {
        try RemoveMappingRequest(parsing: Message().u32(count).bytes.span.bytes)
      }
    }
  }

  @Test("SETATTR brings the change time, RELEASE and FLUSH owners of locks")
  func additions() throws {
    let times = Message().u32(1 << 10).u32(0).zeros(40).u64(30).u32(1).u32(2).u32(3).zeros(20)
    #expect(
      try SetattrRequest(parsing: times.bytes.span.bytes).changes.changeTime == Timestamp(seconds: 30, nanoseconds: 3))
    #expect(try SetattrRequest(parsing: Message().zeros(88).bytes.span.bytes).changes.changeTime == nil)
    #expect(
      try ReleaseRequest(parsing: Message().u64(5).u32(0).u32(2).u64(6).bytes.span.bytes).flockOwner?.rawValue == 6)
    #expect(try ReleaseRequest(parsing: Message().u64(5).u32(0).u32(1).u64(6).bytes.span.bytes).flockOwner == nil)
    #expect(try FlushRequest(parsing: Message().u64(5).u64(0).u64(6).bytes.span.bytes).lockOwner.rawValue == 6)
  }

  @Test("a structure that is cut short anywhere is refused")
  func short() {
    let parsers: [(Int, (RawSpan) throws(Errno) -> Void)] = [
      (32, { bytes throws(Errno) in _ = try IoctlRequest(parsing: bytes) }),
      (28, { bytes throws(Errno) in _ = try ExtendedFileFlags(parsing: bytes) }),
      (48, { bytes throws(Errno) in _ = try LockRequest(parsing: bytes) }),
      (8, { bytes throws(Errno) in _ = try InterruptRequest(parsing: bytes) }),
      (56, { bytes throws(Errno) in _ = try CopyFileRangeRequest(parsing: bytes, isWide: false) }),
      (24, { bytes throws(Errno) in _ = try PollRequest(parsing: bytes) }),
      (4, { bytes throws(Errno) in _ = try RemoveMappingRequest(parsing: bytes) }),
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
}
