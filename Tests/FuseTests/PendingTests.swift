import FuseTestSupport
import Glibc
import Platform
import Synchronization
import Testing

@testable import Fuse

/// A file of zeros whose contents are answered when the test says so, by other threads and in any order.
private final class LateFileSystem: FileSystem {
  struct Held {
    var reads: [Box<PendingRead>] = []
    var writes: [Box<PendingWrite>] = []
    var syncs: [Box<PendingDone>] = []
    var events: [String] = []
  }

  let held = Monitor(Held())
  let locks = LockTable<NodeID>()
  var traits: FileSystemTraits { [.posixLocks, .flockLocks] }

  func note(_ event: String) { held.change { $0.events.append(event) } }

  func began(_ agreement: Agreement) { note("began") }
  func destroy() {
    locks.removeAll()
    note("destroyed")
  }
  func interruptAll() { locks.interruptAll() }
  func interrupt(_ request: RequestID) { locks.interrupt(request) }

  func lookup(_ name: RawSpan, in directory: NodeID, _ caller: Caller) throws(Errno) -> Entry { throw .noEntry }

  func getattr(_ node: NodeID, _ handle: FileHandle?, _ caller: Caller) throws(Errno) -> CachedAttributes {
    CachedAttributes(Attributes(inode: 1, mode: S_IFDIR | 0o755), lifetime: 0)
  }

  func readdir(
    _ node: NodeID, _ handle: FileHandle, from cookie: UInt64, into reply: inout DirectoryReply, _ caller: Caller
  ) throws(Errno) {}

  func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {}

  func read(_ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingRead, _ caller: Caller)
  {
    let box = Box(pending)
    held.change { $0.reads.append(box) }
  }

  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingWrite, _ intent: WriteIntent,
    _ caller: Caller
  ) {
    let box = Box(pending)
    held.change { $0.writes.append(box) }
  }

  func fsync(
    _ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller
  ) {
    let box = Box(pending)
    held.change { $0.syncs.append(box) }
  }

  func setLock(
    _ node: NodeID, _ handle: FileHandle, _ lock: FileLock, _ intent: LockIntent, _ pending: consuming PendingDone,
    _ caller: Caller
  ) {
    locks.set(lock, intent, on: node, pending)
  }
}

@Suite("Requests that are answered later", .timeLimit(.minutes(10))) struct PendingTests {
  private let files = LateFileSystem()

  private func read(_ unique: UInt64, at offset: UInt64 = 0, _ count: UInt32 = 4096) -> [UInt8] {
    Message.request(.read, unique: unique, node: 2, Message.read(at: offset, count))
  }

  private func lock(_ unique: UInt64, owner: UInt64, _ opcode: Opcode = .setlkw, type: UInt32 = 1) -> [UInt8] {
    Message.request(
      opcode, unique: unique, node: 2, Message().u64(1).u64(owner).u64(0).u64(9).u32(type).u32(7).u32(0).u32(0))
  }

  /// Runs a session while `body` does something.
  private func serve(_ transport: MemoryTransport, _ body: () throws -> Void) throws {
    let session = Session(files, over: transport)
    let thread = try Thread(named: "session") { _ = try? session.run(threads: 1) }
    try body()
    thread.join()
  }

  @Test("answers leave in the order in which they are ready, from other threads, while the session goes on")
  func order() throws {
    let transport = MemoryTransport(
      items: [Message.offer(), read(2), read(3), read(4), Message.request(.statfs, unique: 5)].map { .request($0) }
        + [.replies(5)])
    try serve(transport) {
      let reads = files.held.wait { $0.reads.count == 3 ? $0.reads : nil }
      transport.wait(forReplies: 2)
      for place in [2, 0, 1] {
        let box = reads[place]
        let thread = try Thread(named: "late") {
          guard var pending = box.take() else { return }
          try? pending.reply.append(copying: [UInt8(place), 9].span.bytes)
          pending.finish()
        }
        thread.join()
      }
    }
    let replies = transport.replies
    #expect(Set(replies.prefix(2).map(\.unique)) == [1, 5])
    #expect(replies.dropFirst(2).map(\.unique) == [4, 2, 3])
    #expect(replies.dropFirst(2).map(\.body) == [[2, 9], [0, 9], [1, 9]])
  }

  @Test("a pending value that is dropped answers EIO, and no answer is given twice")
  func dropped() throws {
    let write = Message.request(.write, unique: 3, node: 2, Message.write(at: 0, [1, 2, 3]))
    let transport = MemoryTransport(
      items: [Message.offer(), read(2), write, Message.request(.fsync, unique: 4, node: 2, Message().zeros(16))]
        .map { .request($0) } + [.replies(4)])
    try serve(transport) {
      files.held.wait { $0.reads.count + $0.writes.count + $0.syncs.count == 3 ? () : nil }
      files.held.change { held in
        held.reads = []
        // More than was given is a mistake of the file system's.
        held.writes[0].take()?.finish(4)
        held.syncs[0].take()?.fail(.noSpace)
      }
    }
    let errors = Dictionary(uniqueKeysWithValues: transport.replies.map { ($0.unique, $0.error) })
    #expect(errors == [1: 0, 2: -EIO, 3: -EIO, 4: -ENOSPC])
  }

  private final class Owner: @unchecked Sendable {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
    private let isGone: Flag
    init(_ isGone: Flag) {
      self.isGone = isGone
      bytes.initializeMemory(as: UInt8.self, repeating: 7)
    }
    deinit {
      bytes.deallocate()
      isGone.raise()
    }
  }

  @Test("memory that a reply names is kept until the reply is sent, and no longer", arguments: [false, true])
  func owners(isDropped: Bool) throws {
    let transport = MemoryTransport(items: [.request(Message.offer()), .request(read(2)), .replies(2)])
    let isGone = Flag()
    try serve(transport) {
      let box = files.held.wait { $0.reads.first }
      var pending = box.take()
      func lend() throws {
        let owner = Owner(isGone)
        try pending?.reply.append(UnsafeRawBufferPointer(owner.bytes), keeping: owner)
      }
      try lend()
      #expect(!isGone.isRaised)
      if isDropped { pending = nil } else { pending.take()?.finish() }
      #expect(isGone.isRaised)
    }
    #expect(transport.replies.last?.error == (isDropped ? -EIO : 0))
    #expect(transport.replies.last?.body == (isDropped ? [] : [UInt8](repeating: 7, count: 4096)))
  }

  @Test("the data of a write may lie in pieces", arguments: [1, 2, 7])
  func scattered(pieces: Int) throws {
    let data = (0..<5000).map { UInt8(truncatingIfNeeded: $0 * 7) }
    let write = Message.request(.write, unique: 2, node: 2, Message.write(at: 0, data))
    let cut = Message.request(.write, unique: 3, node: 2, Message.write(at: 0, data, count: 4999))
    let transport = MemoryTransport(
      items: [
        .request(Message.offer()), .scattered(write, pieces: pieces), .scattered(cut, pieces: pieces), .replies(3),
      ])
    try serve(transport) {
      let box = files.held.wait { $0.writes.first }
      guard let pending = box.take() else { return }
      var seen: [UInt8] = []
      var count = 0
      pending.forEachPiece { piece in
        seen += Array(piece)
        count += 1
      }
      #expect(seen == data && count == pieces && pending.count == data.count)
      #expect(Array(pending.contiguousData()) == data)
      pending.finish(data.count)
    }
    let errors = Dictionary(uniqueKeysWithValues: transport.replies.map { ($0.unique, $0.error) })
    #expect(errors == [1: 0, 2: 0, 3: -EPROTO])
  }

  @Test("a reset ends what is under way and waits for it, and INIT may come again", arguments: [false, true])
  func reset(isDestroy: Bool) throws {
    let end: MemoryTransport.Item = isDestroy ? .request(Message.request(.destroy, unique: 6)) : .reset
    let transport = MemoryTransport(
      items: [
        .request(Message.offer()), .request(lock(2, owner: 1)), .request(lock(3, owner: 2)), .request(read(4)), end,
        .request(Message.request(.statfs, unique: 7)), .request(Message.offer(unique: 8)),
        .request(Message.request(.statfs, unique: 9)), .request(lock(10, owner: 2)),
      ], isRestartable: true)
    try serve(transport) {
      let box = files.held.wait { $0.reads.first }
      // The session cannot end before this is answered; the lock that is waited for is given up.
      files.note("answered")
      box.take()?.finish()
    }
    let errors = Dictionary(uniqueKeysWithValues: transport.replies.map { ($0.unique, $0.error) })
    var expected: [UInt64: Int32] = [1: 0, 2: 0, 3: -EINTR, 4: 0, 7: -EIO, 8: 0, 9: 0, 10: 0]
    if isDestroy { expected[6] = 0 }
    #expect(errors == expected)
    #expect(files.held.change { $0.events } == ["began", "answered", "destroyed", "began", "destroyed"])
  }

  @Test("a lock is waited for without a thread, and INTERRUPT ends the wait, early or late")
  func interrupts() throws {
    let interrupt = { (unique: UInt64) in Message.request(.interrupt, unique: 90, node: 0, Message().u64(unique)) }
    let transport = MemoryTransport(
      [
        Message.offer(), lock(2, owner: 1), lock(3, owner: 2), interrupt(3), interrupt(4), lock(4, owner: 2),
        lock(5, owner: 2), lock(6, owner: 1, .setlk, type: 2), lock(7, owner: 1, .setlk),
      ])
    try serve(transport) {}
    let errors = Dictionary(uniqueKeysWithValues: transport.replies.map { ($0.unique, $0.error) })
    #expect(errors == [1: 0, 2: 0, 3: -EINTR, 4: -EINTR, 5: 0, 6: 0, 7: -EAGAIN])
  }

  @Test("so many requests may wait for locks where each holds a slot, and no more")
  func bound() throws {
    let transport = MemoryTransport(
      items: ([Message.offer(), lock(2, owner: 1)] + (3...6).map { lock($0, owner: $0) }).map { .request($0) },
      mostWaiting: 2)
    try serve(transport) {}
    let errors = Dictionary(uniqueKeysWithValues: transport.replies.map { ($0.unique, $0.error) })
    // The two that waited are ended with the session.
    #expect(errors == [1: 0, 2: 0, 3: -EINTR, 4: -EINTR, 5: -ENOLCK, 6: -ENOLCK])
  }
}

/// Something that happens once.
private final class Flag: Sendable {
  private let value = Mutex(false)
  var isRaised: Bool { value.withLock { $0 } }
  func raise() { value.withLock { $0 = true } }
}
