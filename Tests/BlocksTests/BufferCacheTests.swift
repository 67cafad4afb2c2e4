import Blocks
import Platform
import Synchronization
import Testing

/// A device in memory whose blocks begin with their number, which counts reads and can fail them.
final class CountingDevice: BlockDevice {
  let name = "counting"
  let size: UInt64
  let isReadOnly = true
  var file: BackingFile? { nil }
  let reads = Mutex<[UInt64: Int]>([:])
  /// Blocks whose next read fails.
  let failing = Mutex<Set<UInt64>>([])
  /// Called before each read, without a lock.
  let before = Mutex<(@Sendable () -> Void)?>(nil)

  init(blocks: UInt64) { size = blocks * 1024 }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(BlockDeviceError) {
    guard offset + UInt64(buffer.count) <= size else {
      throw .outside(name, offset: offset, count: UInt64(buffer.count), size: size)
    }
    if let wait = before.withLock({ $0 }) { wait() }
    reads.withLock { $0[offset / 1024, default: 0] += 1 }
    if failing.withLock({ $0.remove(offset / 1024) }) != nil { throw .failed(name, .read, at: offset, .inputOutput) }
    buffer.initializeMemory(as: UInt8.self, repeating: 0)
    buffer.storeBytes(of: offset / 1024, as: UInt64.self)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(BlockDeviceError) { throw .readOnly(name) }
  func flush() throws(BlockDeviceError) {}
  func discard(at offset: UInt64, count: UInt64) throws(BlockDeviceError) {}
}

@Suite struct BufferCacheTests {
  private func block(
    _ number: UInt64, in cache: BufferCache, for use: BlockUse = BlockUse(kind: 1),
    check: (RawSpan) throws(BlockDeviceError) -> Void = { _ in }
  ) throws(BlockDeviceError) -> PinnedBuffer {
    try cache.block(number, for: use, failed: { $0 }, check: check)
  }

  @Test("a block is read and checked once, as long as there is room")
  func readOnce() throws {
    let device = CountingDevice(blocks: 100)
    let cache = BufferCache(of: device, blockSize: 1024, size: 100 * 1024, shards: 1)
    var checks = 0
    for _ in 0..<3 {
      for number in 0..<UInt64(100) {
        let pinned = try block(number, in: cache) { _ in checks += 1 }
        #expect(pinned.withBytes { $0.u64(0) } == number)
      }
    }
    #expect(checks == 100)
    #expect(device.reads.withLock { $0.values.allSatisfy { $0 == 1 } })
    let counts = cache.counts()
    #expect((counts.hits, counts.misses) == (200, 100))
    #expect((counts.blocks, counts.pinned) == (100, 0))
  }

  @Test("no more blocks are kept than there is room for, and what is pinned is never dropped")
  func bounded() throws {
    let device = CountingDevice(blocks: 1000)
    let cache = BufferCache(of: device, blockSize: 1024, size: 8 * 1024, shards: 1)
    let pinned = try block(500, in: cache)
    for number in 0..<UInt64(400) { _ = try block(number, in: cache) }
    #expect(cache.counts().blocks == 8)
    #expect(cache.counts().pinned == 1)
    #expect(try block(500, in: cache).buffer === pinned.buffer)
    #expect(device.reads.withLock { $0[500] } == 1)
  }

  @Test("a cache whose blocks are all in use grows, and shrinks when they are not")
  func growsForPins() throws {
    let cache = BufferCache(of: CountingDevice(blocks: 100), blockSize: 1024, size: 2 * 1024, shards: 1)
    func hold(_ number: UInt64) throws {
      if number == 20 {
        #expect(cache.counts().blocks == 20)
        return
      }
      let pinned = try block(number, in: cache)
      try hold(number + 1)
      #expect(pinned.withBytes { $0.u64(0) } == number)
    }
    try hold(0)
    #expect(cache.counts().blocks == 2)
    #expect(cache.counts().pinned == 0)
  }

  @Test("a block that was checked for one use is checked again for another")
  func checkedForEachUse() throws {
    let cache = BufferCache(of: CountingDevice(blocks: 10), blockSize: 1024, size: 8 * 1024)
    _ = try block(3, in: cache, for: BlockUse(kind: 1, owner: 12))
    #expect(throws: BlockDeviceError.readOnly("check")) {
      _ = try block(3, in: cache, for: BlockUse(kind: 1, owner: 13)) { (_) throws(BlockDeviceError) in
        throw .readOnly("check")
      }
    }
    var wasChecked = false
    _ = try block(3, in: cache, for: BlockUse(kind: 1, owner: 12)) { _ in wasChecked = true }
    #expect(!wasChecked)
    #expect(cache.counts().pinned == 0)
  }

  @Test("what could not be read or was wrong is not kept, and is read anew")
  func failuresAreNotKept() throws {
    let device = CountingDevice(blocks: 10)
    let cache = BufferCache(of: device, blockSize: 1024, size: 8 * 1024)
    device.failing.withLock { $0 = [4] }
    #expect(throws: BlockDeviceError.self) { _ = try block(4, in: cache) }
    #expect(throws: BlockDeviceError.self) {
      _ = try block(4, in: cache) { (_) throws(BlockDeviceError) in throw .readOnly("check") }
    }
    #expect(cache.counts().blocks == 0)
    #expect(try block(4, in: cache).withBytes { $0.u64(0) } == 4)
    #expect(throws: BlockDeviceError.self) { _ = try block(10, in: cache) }
    #expect(throws: BlockDeviceError.self) { _ = try block(.max, in: cache) }
  }

  @Test("threads that want one block wait for its reader, and read it themselves when that fails")
  func oneReader() throws {
    let device = CountingDevice(blocks: 10)
    let cache = BufferCache(of: device, blockSize: 1024, size: 8 * 1024, shards: 1)
    let others = Monitor(0)
    device.failing.withLock { $0 = [7] }
    // The first reader goes on once all the others have asked.
    device.before.withLock { before in
      before = {
        device.before.withLock { $0 = nil }
        others.wait { $0 == 4 ? () : nil }
        while cache.counts().hits < 4 { sched() }
      }
    }
    let results = Mutex<[Bool]>([])
    let threads = try (0..<5).map { index in
      try Thread(named: "test-\(index)") {
        if index > 0 {
          while cache.counts().misses == 0 { sched() }
          others.change { $0 += 1 }
        }
        let isRight = (try? self.block(7, in: cache).withBytes { $0.u64(0) == 7 }) ?? false
        results.withLock { $0.append(isRight) }
      }
    }
    for thread in threads { thread.join() }
    #expect(results.withLock { $0.count { $0 } } == 4)
    #expect(device.reads.withLock { $0[7] } == 2)
    #expect(cache.counts().pinned == 0)
    #expect(cache.counts().blocks == 1)
  }

  @Test("many threads on a small cache always see the block that they asked for")
  func manyThreads() throws {
    let cache = BufferCache(of: CountingDevice(blocks: 64), blockSize: 1024, size: 16 * 1024, shards: 4)
    let wrong = Atomic(0)
    try withoutActuallyEscaping({ (seed: UInt64) in
      var number = seed
      for _ in 0..<20_000 {
        number = number &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let block = number >> 33 & 63
        let isRight = (try? self.block(block, in: cache).withBytes { $0.u64(0) == block }) ?? false
        if !isRight { wrong.add(1, ordering: .relaxed) }
      }
    }) { body in
      nonisolated(unsafe) let body = body
      let threads = try (0..<4).map { index in try Thread(named: "test-\(index)") { body(UInt64(index)) } }
      for thread in threads { thread.join() }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    #expect(cache.counts().pinned == 0)
    #expect(cache.counts().blocks <= 16)
  }
}

private func sched() { Clock.sleep(nanoseconds: 100_000) }
