import FuseTestSupport
import Platform
import Testing

@testable import Fuse

@Suite("A session over a kernel made of lists") struct SessionTests {
  private let files = SmallFileSystem()
  private let hello = SmallFileSystem.hello.rawValue

  @Test("INIT is answered first, and nothing before it")
  func beforeInit() throws {
    let transport = MemoryTransport([
      Message.request(.getattr, unique: 7, Message().zeros(16)), Message.offer(), Message.offer(unique: 9),
      Message.request(.getattr, unique: 8, Message().zeros(16)),
    ])
    let session = Session(files, over: transport)
    #expect(session.agreement == nil)
    #expect(try session.run(threads: 1) == .unmounted)
    #expect(transport.replies.map(\.unique) == [7, 1, 9, 8])
    #expect(transport.replies.map(\.error) == [-5, 0, -71, 0])
    #expect(transport.replies[1].bytes.count == 80)
    #expect(session.agreement?.minor == 45)
  }

  @Test("a name becomes an entry and counts a lookup, which forgets take back")
  func lookups() throws {
    let found = try reply(of: files, to: Message.request(.lookup, Message().name("hello")))
    #expect(found.error == 0)
    #expect(found.bytes.count == 144)
    #expect(found.statedLength == 144)
    #expect(found.u64(0) == hello)
    #expect(found.u64(16) == 1)
    #expect(found.u32(32) == 500_000_000)
    #expect(files.record.withLock { $0.lookups[SmallFileSystem.hello] } == 1)
    #expect(files.record.withLock { $0.callers } == [Caller(userID: 1000, groupID: 100, processID: 4321)])
    _ = try replies(
      of: files,
      to: [Message.request(.lookup, Message().name("hello")), Message.request(.lookup, Message().name("big"))])
    let silent = try replies(
      of: files,
      to: [
        Message.request(.forget, node: hello, Message().u64(1)),
        Message.request(.batchForget, node: 0, Message().u32(2).u32(0).u64(hello).u64(1).u64(4).u64(1)),
        Message.request(.interrupt, node: 0, Message().u64(2)),
      ])
    #expect(silent.isEmpty)
    #expect(files.record.withLock { $0.lookups.values.allSatisfy { $0 == 0 } })
  }

  @Test("an absent name may be remembered or not")
  func absent() throws {
    #expect(try reply(of: files, to: Message.request(.lookup, Message().name("nothing"))).error == -2)
    let remembered = try reply(of: files, to: Message.request(.lookup, Message().name("absent")))
    #expect(remembered.error == 0)
    #expect(remembered.u64(0) == 0)
    #expect(remembered.u64(16) == 2)
  }

  @Test("a name with a slash never reaches the file system")
  func slash() throws {
    #expect(try reply(of: files, to: Message.request(.lookup, Message().name("a/b"))).error == -22)
    #expect(files.record.withLock { $0.callers.isEmpty })
  }

  @Test("lookups whose reply nobody takes are taken back")
  func undelivered() throws {
    let requests = [
      Message.offer(), Message.request(.lookup, Message().name("hello")),
      Message.request(.readdirplus, Message.read(at: 0, 4096)),
    ]
    let transport = MemoryTransport(requests)
    _ = try Session(files, over: transport).run(threads: 1)
    #expect(files.record.withLock { $0.lookups[SmallFileSystem.hello] } == 2)
    let deaf = SmallFileSystem()
    let failing = MemoryTransport(requests, failures: [.noEntry, .noEntry, .noEntry])
    let session = Session(deaf, over: failing)
    _ = try session.run(threads: 1)
    #expect(deaf.record.withLock { $0.lookups.values.allSatisfy { $0 == 0 } && !$0.lookups.isEmpty })
    #expect(session.counts.map(\.errors) == [1, 1, 1])
  }

  @Test("attributes, open, statfs, xattrs and lseek")
  func attributes() throws {
    let getattr = try reply(of: files, to: Message.request(.getattr, node: 4, Message().zeros(16)))
    #expect(getattr.u64(24) == UInt64(SmallFileSystem.pattern.count))
    let statx = try reply(of: files, to: Message.request(.statx, node: 4, Message().zeros(24)))
    #expect(statx.bytes.count == 16 + 288)
    let open = try reply(of: files, to: Message.request(.open, node: 2, Message().zeros(8)))
    #expect(open.body == Message().u64(77).u32(2).u32(0).bytes)
    let opendir = try reply(of: files, to: Message.request(.opendir, Message().zeros(8)))
    #expect(opendir.body == Message().u64(88).u32(8).u32(0).bytes)
    let release = try reply(of: files, to: Message.request(.release, node: 2, Message().zeros(24)))
    #expect(release.bytes.count == 16)
    #expect(files.record.withLock { $0.opened == 1 && $0.released == 1 })
    #expect(try reply(of: files, to: Message.request(.statfs)).u64(8) == 600)
    let color = Message().name("user.color")
    let size = try reply(of: files, to: Message.request(.getxattr, Message().u32(0).u32(0).data(color.bytes)))
    #expect(size.body == Message().u32(5).u32(0).bytes)
    let value = try reply(of: files, to: Message.request(.getxattr, Message().u32(5).u32(0).data(color.bytes)))
    #expect(value.body == Array("green".utf8))
    let small = try reply(of: files, to: Message.request(.getxattr, Message().u32(4).u32(0).data(color.bytes)))
    #expect(small.error == -34)
    let list = try reply(of: files, to: Message.request(.listxattr, Message().u32(100).u32(0)))
    #expect(list.body == color.bytes)
    let hole = Message().u64(0).u64(3).u32(4).u32(0)
    #expect(try reply(of: files, to: Message.request(.lseek, node: 2, hole)).u64(0) == 13)
    let start = Message().u64(0).u64(3).u32(0).u32(0)
    #expect(try reply(of: files, to: Message.request(.lseek, node: 2, start)).error == -22)
  }

  @Test("a read answers the bytes that are there", arguments: [1, 100, 4096, 1 << 20])
  func read(rangeSize: Int) throws {
    let files = SmallFileSystem(rangeSize: rangeSize)
    let pattern = SmallFileSystem.pattern
    for (offset, count) in [(0, 10), (4095, 4098), (0, 1 << 20), (pattern.count - 5, 4096), (pattern.count, 4096)] {
      let read = Message.read(at: UInt64(offset), UInt32(count))
      let answer = try reply(of: files, to: Message.request(.read, node: 4, read))
      #expect(answer.error == 0)
      #expect(answer.body == Array(pattern[offset..<min(pattern.count, offset + count)]))
    }
  }

  @Test("memory that the transport cannot take is copied", arguments: [true, false])
  func copied(isSendable: Bool) throws {
    let requests =
      [Message.offer()]
      + (2..<5).map { unique in
        Message.request(.read, unique: unique, node: 4, Message.read(at: 4096, 8192))
      }
    let transport = MemoryTransport(requests, isSendable: isSendable)
    let session = Session(files, over: transport)
    _ = try session.run(threads: 1)
    #expect(session.sending.load(ordering: .relaxed) == (isSendable ? SendingMode.direct : .copied).rawValue)
    for answer in transport.replies.dropFirst() {
      #expect(answer.body == Array(SmallFileSystem.pattern[4096..<12288]))
    }
  }

  @Test("EFAULT is answered with a copy, and the next reads are copied at once")
  func fault() throws {
    let requests = (2..<4).map { unique in
      Message.request(.read, unique: unique, node: 4, Message.read(at: 4096, 8192))
    }
    let transport = FaultingTransport([Message.offer()] + requests)
    let session = Session(files, over: transport)
    _ = try session.run(threads: 1)
    #expect(transport.faults == 1)
    let reads = transport.inner.replies.dropFirst()
    #expect(reads.map(\.unique) == [2, 3])
    #expect(reads.allSatisfy { $0.body == Array(SmallFileSystem.pattern[4096..<12288]) })
    #expect(session.counts.allSatisfy { $0.errors == 0 })
  }

  @Test("memory that is gone gives EIO, and the session goes on", arguments: [true, false])
  func gone(isSendable: Bool) throws {
    let memory = try VanishedMemory()
    let files = SmallFileSystem(given: memory.bytes)
    let requests = [
      Message.request(.read, unique: 2, node: 5, Message.read(at: 0, 4096)),
      Message.request(.read, unique: 3, node: 2, Message.read(at: 0, 4096)),
    ]
    let transport = FaultingTransport([Message.offer()] + requests, vanished: memory.bytes, isSendable: isSendable)
    let session = Session(files, over: transport)
    _ = try session.run(threads: 1)
    #expect(transport.inner.replies.map(\.error) == [0, -5, 0])
    #expect(transport.inner.replies.last?.body == files.contents(SmallFileSystem.hello))
    #expect(session.sending.load(ordering: .relaxed) == SendingMode.direct.rawValue)
  }

  @Test("a write arrives, and says what it changes")
  func write() throws {
    let answer = try reply(
      of: files, to: Message.request(.write, node: 2, Message.write(at: 7, Array("Weft!".utf8), flags: 4)))
    #expect(answer.body == Message().u32(5).u32(0).bytes)
    #expect(files.contents(SmallFileSystem.hello) == Array("Hello, Weft!\n".utf8))
    #expect(files.record.withLock { $0.killed } == 1)
    let beyond = try reply(of: files, to: Message.request(.write, node: 2, Message.write(at: 12, [1, 2])))
    #expect(beyond.error == -28)
  }

  @Test("a directory is listed in as many pieces as it takes", arguments: [false, true])
  func directory(isPlus: Bool) throws {
    var names: [String] = []
    var cookie: UInt64 = 0
    for _ in 0..<10 {
      let opcode: Opcode = isPlus ? .readdirplus : .readdir
      let piece = try reply(of: files, to: Message.request(opcode, Message.read(at: cookie, isPlus ? 330 : 70)))
      if piece.body.isEmpty { break }
      var start = 0
      while start < piece.body.count {
        let record = start + (isPlus ? 128 : 0)
        let length = Int(piece.u32(record + 16))
        names.append(String(decoding: piece.body[(record + 24)..<(record + 24 + length)], as: UTF8.self))
        cookie = piece.u64(record + 8)
        start = (record + 24 + length + 7) & ~7
      }
    }
    #expect(names == [".", "..", "hello", "empty", "big"])
    #expect(files.record.withLock { $0.lookups.values.reduce(0, +) } == (isPlus ? 3 : 0))
  }

  @Test("what is not implemented is refused in the file system's words")
  func refusals() throws {
    #expect(try reply(of: files, to: Message.request(.mkdir, Message().zeros(8).name("x"))).error == -30)
    for request in Message.changes { #expect(try reply(of: files, to: request).error == -30) }
    #expect(try reply(of: files, to: Message.request(.fallocate, Message.fallocate(at: 0, 1))).error == -38)
    #expect(try reply(of: files, to: Message.request(.syncfs, Message().zeros(8))).error == -38)
    #expect(try reply(of: files, to: Message.request(4095)).error == -38)
    #expect(try reply(of: files, to: Message.request(.flush, Message().zeros(24))).error == -38)
    let open = SmallFileSystem(traits: [.withoutOpen, .withoutOpendir])
    #expect(try reply(of: open, to: Message.request(.open, Message().zeros(8))).error == -38)
    #expect(try reply(of: open, to: Message.request(.opendir, Message().zeros(8))).error == -38)
  }

  @Test("a length that is not what came is EIO, and not a word to a request without a number")
  func frames() throws {
    let wrong = try replies(
      of: files,
      to: [
        Message.request(3, unique: 5, length: 57, Message().zeros(16)),
        Message.request(3, unique: 6, extensions: 3, Message().zeros(16)),
        Message.request(3, unique: 0, Message().zeros(16)),
        Message.request(2, unique: 8, length: 4, Message().zeros(8)),
        Array(Message.request(3)[..<39]),
        Message.request(3, unique: 7, extensions: 1, Message().zeros(24)),
      ])
    #expect(wrong.map(\.unique) == [5, 6, 7])
    #expect(wrong.map(\.error) == [-5, -5, 0])
  }

  @Test("DESTROY is answered and ends the session, of which the file system hears once")
  func destroy() throws {
    let rest = try replies(of: files, to: [Message.request(.destroy, unique: 3), Message.request(.statfs, unique: 4)])
    #expect(rest.map(\.unique) == [3])
    #expect(files.record.withLock { $0.destroyed } == 1)
    let cut = SmallFileSystem()
    #expect(try Session(cut, over: MemoryTransport([], ending: .aborted)).run(threads: 3) == .aborted)
    // It was never told that a session began.
    #expect(cut.record.withLock { $0.destroyed } == 0)
  }

  @Test("requests and errors are counted by operation, over all threads")
  func counts() throws {
    let requests =
      (0..<300).map { Message.request(.getattr, unique: 10 + $0, Message().zeros(16)) }
      + (0..<20).map { Message.request(.lookup, unique: 1000 + $0, Message().name("nothing")) }
      + [Message.request(4000, unique: 5000), Message.request(60, unique: 5001)]
    let first = MemoryTransport([Message.offer()] + requests)
    let session = Session(files, over: first)
    _ = try session.run(threads: 1)
    let counts = session.counts
    #expect(counts.map(\.opcode) == [nil, "lookup", "getattr", "init"])
    #expect(counts.map(\.requests) == [2, 20, 300, 1])
    #expect(counts.map(\.errors) == [2, 20, 0, 0])
    #expect(counts.allSatisfy { $0.latency.count == $0.requests && $0.latency.sum > 0 })
    let many = MemoryTransport([Message.offer()] + requests)
    _ = try Session(files, over: many).run(threads: 4)
    #expect(Set(many.replies.map(\.unique)).count == 323)
    #expect(many.replies.count == 323)
  }
}
