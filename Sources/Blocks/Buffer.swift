import Platform
import Synchronization

/// For what a block is used: which structure it is, and whose. What was checked for one use is checked again for another,
/// or a block that two structures of a damaged image name would pass unchecked as the second.
public struct BlockUse: Equatable, Sendable {
  /// The structure, as a number of the file system's choosing.
  public let kind: UInt32
  /// Whose: what else the check depends on.
  public let owner: UInt64

  /// A use.
  public init(kind: UInt32, owner: UInt64 = 0) { (self.kind, self.owner) = (kind, owner) }
}

/// A block of metadata in memory. There is one for each block, as long as it is pinned: the journal relies on that.
///
/// Its states will be: clean; dirty in the running transaction; in the committing one, with a frozen copy if the running
/// one wants to change it; committed, waiting to go home. Until kfs writes, all buffers are clean, and `withBytes` needs no
/// lock. Then it takes the buffer's own lock, shared, and a handle takes it alone; only clean buffers without pins are ever
/// dropped.
public final class Buffer: @unchecked Sendable {
  // Unchecked: the bytes are written once, before the buffer is anybody's but the reader's; the other variables are the
  // shard's, under its lock.

  /// The block.
  public let number: UInt64
  let memory: UnsafeMutableRawBufferPointer
  /// Threads that use it, or that wait for it to be read. The shard's.
  var pins = 1
  /// Whether it was read and checked. The shard's.
  var use: BlockUse?
  /// Whether it was wanted since the shard last looked for something to drop. The shard's.
  var isRecent = true
  /// Parts of the block that have checksums of their own and were found right: inodes of a table, for example.
  private let checkedParts = Atomic<UInt64>(0)

  init(number: UInt64, size: Int) {
    self.number = number
    memory = .allocate(byteCount: size, alignment: 4096)
  }

  deinit { memory.deallocate() }

  /// Whether part `part` was checked; those behind the first 64 never are.
  public func isChecked(part: Int) -> Bool {
    part < 64 && checkedParts.load(ordering: .acquiring) & 1 << UInt64(part) != 0
  }

  /// Notes that part `part` was checked.
  public func noteChecked(part: Int) {
    if part < 64 { checkedParts.bitwiseOr(1 << UInt64(part), ordering: .releasing) }
  }
}

/// A buffer that stays in memory for as long as this value lives.
public struct PinnedBuffer: ~Copyable, Sendable {
  /// The buffer.
  public let buffer: Buffer
  private let cache: BufferCache

  init(_ buffer: Buffer, in cache: BufferCache) { (self.buffer, self.cache) = (buffer, cache) }

  deinit { cache.unpin(buffer) }

  /// Calls `body` with the block's bytes.
  public borrowing func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeRawBufferPointer(buffer.memory).bytes)
  }
}
