import Platform
import Synchronization

/// Blocks of metadata in memory, and nowhere else. The bytes of those that nothing pins have a bound. Data is not in it.
///
/// Blocks are spread over shards, each with a lock of its own, which is held for a look at its table and never while the
/// device is waited for: a block that is being read is in the table already, pinned by its reader, and whoever else wants
/// it waits for that.
public final class BufferCache: Sendable {
  /// Bytes of a block.
  public let blockSize: Int
  /// Where blocks come from.
  public let device: any BlockDevice
  private let shards: [Monitor<Shard>]

  /// What was asked for so far.
  public struct Counts: Equatable, Sendable {
    /// Blocks that were in memory.
    public var hits: UInt64 = 0
    /// Blocks that had to be read.
    public var misses: UInt64 = 0
    /// Blocks that are in memory.
    public var blocks = 0
    /// Of those, the ones in use at this moment.
    public var pinned = 0
  }

  /// A cache of a device's blocks.
  /// - Parameters:
  ///   - size: bytes of the blocks that it keeps, apart from those in use.
  ///   - shards: locks that it has.
  public init(of device: any BlockDevice, blockSize: Int, size: Int, shards: Int = 16) {
    self.device = device
    self.blockSize = blockSize
    let limit = max(1, size / blockSize / shards)
    self.shards = (0..<shards).map { _ in Monitor(Shard(limit: limit)) }
  }

  /// Neighbours lie in different shards.
  private func shard(_ number: UInt64) -> Monitor<Shard> { shards[Int(number % UInt64(shards.count))] }

  /// A block, pinned. It is read if it is not in memory, and checked if it was not, or for another use.
  /// - Parameter check: throws when the bytes are not what they should be; then nothing is kept.
  public func block<Failure: Error>(
    _ number: UInt64, for use: BlockUse, failed: (BlockDeviceError) -> Failure,
    check: (RawSpan) throws(Failure) -> Void
  ) throws(Failure) -> PinnedBuffer {
    let shard = shard(number)
    let (buffer, isNew) = shard.look { $0.pin(number, blockSize: blockSize) }
    if isNew {
      do throws(Failure) {
        do throws(BlockDeviceError) { try read(buffer) } catch { throw failed(error) }
        try check(UnsafeRawBufferPointer(buffer.memory).bytes)
      } catch {
        shard.change { $0.fail(buffer) }
        throw error
      }
      shard.change { _ in buffer.use = use }
      return PinnedBuffer(buffer, in: self)
    }
    // Either its reader has come to an end, or it is another buffer's turn.
    let found: BlockUse? = shard.wait { shard in
      if let use = buffer.use { return .some(use) }
      return shard.holds(buffer) ? nil : .some(nil)
    }
    guard let found else {
      unpin(buffer)
      return try block(number, for: use, failed: failed, check: check)
    }
    if found != use {
      do throws(Failure) { try check(UnsafeRawBufferPointer(buffer.memory).bytes) } catch {
        unpin(buffer)
        throw error
      }
      shard.look { _ in buffer.use = use }
    }
    return PinnedBuffer(buffer, in: self)
  }

  private func read(_ buffer: Buffer) throws(BlockDeviceError) {
    let (offset, overflow) = buffer.number.multipliedReportingOverflow(by: UInt64(blockSize))
    guard !overflow else {
      throw .outside(device.name, offset: .max, count: UInt64(blockSize), size: device.size)
    }
    try device.read(at: offset, into: buffer.memory)
  }

  func unpin(_ buffer: Buffer) { shard(buffer.number).look { $0.unpin(buffer) } }

  /// What was asked for, and what there is.
  public func counts() -> Counts {
    var counts = Counts()
    for shard in shards {
      shard.look { shard in
        counts.hits += shard.hits
        counts.misses += shard.misses
        counts.blocks += shard.count
        counts.pinned += shard.pinned
      }
    }
    return counts
  }
}

/// A part of the cache's blocks. Only its monitor's holder touches it, and the variables of its buffers.
private struct Shard {
  private var table: [UInt64: Int] = [:]
  /// In no order; a hand goes round them and drops the first that nothing wanted since it last came by.
  private var buffers: [Buffer] = []
  private var hand = 0
  private let limit: Int
  private(set) var hits: UInt64 = 0
  private(set) var misses: UInt64 = 0

  init(limit: Int) { self.limit = limit }

  var count: Int { buffers.count }
  var pinned: Int { buffers.count { $0.pins > 0 } }

  /// Whether this buffer is the block's.
  func holds(_ buffer: Buffer) -> Bool { table[buffer.number].map { buffers[$0] === buffer } ?? false }

  /// The block's buffer with one more pin, or a new one that the caller must fill.
  mutating func pin(_ number: UInt64, blockSize: Int) -> (Buffer, isNew: Bool) {
    if let place = table[number] {
      hits += 1
      let buffer = buffers[place]
      buffer.pins += 1
      buffer.isRecent = true
      return (buffer, false)
    }
    misses += 1
    let buffer = Buffer(number: number, size: blockSize)
    if buffers.count >= limit, let place = victim() {
      table[buffers[place].number] = nil
      buffers[place] = buffer
      table[number] = place
    } else {
      table[number] = buffers.count
      buffers.append(buffer)
    }
    return (buffer, true)
  }

  /// A place whose buffer can go; nil when all are in use, and the shard must grow.
  private mutating func victim() -> Int? {
    for _ in 0..<(2 * buffers.count) {
      hand = hand + 1 < buffers.count ? hand + 1 : 0
      let buffer = buffers[hand]
      if buffer.pins > 0 { continue }
      if !buffer.isRecent { return hand }
      buffer.isRecent = false
    }
    return nil
  }

  /// Takes a pin back. A shard that had to grow shrinks again.
  mutating func unpin(_ buffer: Buffer) {
    precondition(buffer.pins > 0, "a buffer is unpinned as often as it was pinned")
    buffer.pins -= 1
    if buffers.count > limit && buffer.pins == 0 && holds(buffer) { drop(buffer) }
  }

  /// Takes a buffer away that could not be filled; those that wait for it see that it is gone.
  mutating func fail(_ buffer: Buffer) {
    drop(buffer)
    buffer.pins -= 1
  }

  private mutating func drop(_ buffer: Buffer) {
    guard let place = table.removeValue(forKey: buffer.number), let last = buffers.popLast() else { return }
    if place < buffers.count {
      buffers[place] = last
      table[last.number] = place
    }
  }
}
