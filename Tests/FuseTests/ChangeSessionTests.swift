import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

/// A file system in memory that keeps what it knows behind a session's end, to be looked at.
private struct Kept: ForwardingFileSystem {
  let base = MemoryFileSystem()
  func destroy() {}
}

@Suite("Changes over a kernel made of lists") struct ChangeSessionTests {
  private let files = Kept()
  private var memory: MemoryFileSystem { files.base }

  @Test("a created file is an entry and an open file in one reply")
  func create() throws {
    let made = try reply(of: files, to: Message.request(.create, Message.create("new")))
    #expect(made.error == 0)
    #expect(made.bytes.count == 16 + 128 + 16)
    #expect(made.statedLength == made.bytes.count)
    #expect(made.u64(0) == 2)
    #expect(made.u32(40 + 60) == 0o100640)
    #expect(made.u32(40 + 68) == 1000)
    #expect(Array(made.body[128...]) == Message().u64(1).u32(OpenFlags.keepCache.rawValue).u32(0).bytes)
    #expect(memory.nodeCount == 2 && memory.lookupCount == 1 && memory.openCount == 1)
    let exclusive: UInt32 = 0o302
    #expect(try reply(of: files, to: Message.request(.create, Message.create("new", flags: exclusive))).error == -17)
    let release = Message.request(.release, node: 2, Message().u64(1).zeros(16))
    #expect(try replies(of: files, to: [release, Message.request(.forget, node: 2, Message().u64(1))]).count == 1)
    #expect(memory.lookupCount == 0 && memory.openCount == 0 && memory.mistakes == [])
  }

  @Test("names are made, moved and removed")
  func changes() throws {
    let made = try replies(of: files, to: Array(Message.changes[..<3]))
    #expect(made.map(\.error) == [0, 0, 0])
    #expect(made.map(\.bytes.count) == [144, 160, 144])
    #expect(made.map { $0.u32(40 + 60) } == [0o40750, 0o100640, 0o10640])
    #expect(memory.names == ["d", "f", "p"])
    let moved = try replies(of: files, to: Array(Message.changes[3..<5]))
    #expect(moved.map(\.bytes.count) == [16, 16])
    #expect(moved.map(\.error) == [0, 0])
    let type = try reply(of: files, to: Message.request(.lookup, Message().name("g"))).u32(40 + 60) & S_IFMT
    #expect(type == S_IFDIR)
    let removed = try replies(of: files, to: Array(Message.changes[5...]))
    #expect(removed.map(\.error) == [0, 0, 0])
    #expect(memory.names == [])
    #expect(memory.lookupCount == 4)
    let forgets = [(2, 2), (3, 1), (4, 1)].map { Message.request(.forget, node: $0, Message().u64($1)) }
    let release = Message.request(.release, node: 3, Message().u64(1).zeros(16))
    _ = try replies(of: files, to: forgets + [release])
    #expect(memory.nodeCount == 1 && memory.mistakes == [])
  }

  @Test("what a name cannot be never reaches the file system", arguments: ["", ".", "..", "a/b"])
  func badNames(name: String) throws {
    let name = Message().name(name).bytes
    let good = Message().name("x").bytes
    for request in [
      Message.request(.create, Message().zeros(16).data(name)), Message.request(.mknod, Message().zeros(16).data(name)),
      Message.request(.mkdir, Message().zeros(8).data(name)), Message.request(.unlink, Message(bytes: name)),
      Message.request(.rmdir, Message(bytes: name)),
      Message.request(.rename, Message().u64(1).data(name).data(good)),
      Message.request(.rename, Message().u64(1).data(good).data(name)),
      Message.request(.rename2, Message().u64(1).u64(1).data(good).data(name)),
    ] {
      #expect(try reply(of: files, to: request).error == -22)
    }
    #expect(memory.names == [])
  }

  @Test("flags that renameat2 and fallocate do not have are refused before the file system is asked")
  func flags() throws {
    _ = try replies(of: files, to: Array(Message.changes[..<2]))
    let whiteout = Message.rename2("f", to: "h", flags: 4)
    #expect(try reply(of: files, to: Message.request(.rename2, whiteout)).error == -22)
    #expect(memory.names == ["d", "f"])
    let collapse = Message.fallocate(at: 0, 4096, mode: 8)
    #expect(try reply(of: files, to: Message.request(.fallocate, node: 3, collapse)).error == -95)
    #expect(try reply(of: files, to: Message.request(.fallocate, node: 3, Message.fallocate(at: 0, 99))).error == 0)
    #expect(try reply(of: files, to: Message.request(.syncfs, Message().zeros(8))).bytes.count == 16)
    #expect(memory.calls.syncfs == 1 && memory.mistakes == [])
  }

  @Test("what is made or opened by a reply that nobody takes is let go", arguments: [ENOENT, ENODEV, EIO])
  func undelivered(failure: Int32) throws {
    let openings = [
      Message.request(.open, unique: 20, node: 3, Message().zeros(8)),
      Message.request(.opendir, unique: 21, node: 1, Message().zeros(8)),
    ]
    let requests = [Message.offer()] + Message.changes[..<3] + openings
    _ = try Session(files, over: MemoryTransport(requests)).run(threads: 1)
    #expect(memory.lookupCount == 3 && memory.openCount == 3)

    let deaf = Kept()
    let failures = [Errno](repeating: Errno(rawValue: failure), count: 20)
    let session = Session(deaf, over: MemoryTransport(requests, failures: failures))
    _ = try session.run(threads: 1)
    #expect(deaf.base.lookupCount == 0 && deaf.base.openCount == 0)
    #expect(deaf.base.mistakes == [])
    #expect(session.counts.map(\.errors) == [1, 1, 1, 1, 1, 1])
    #expect(deaf.base.nodeCount == 4)
  }
}
