import Platform

@testable import Famfs

/// A device that can lose its power at any step.
///
/// It shows what this host's caches show; `durable` is what has reached the memory for certain: what was written or
/// written back before a fence. What was not may have got there too, each aligned 8 bytes on their own, for a cache
/// line can leave the cache at any time. Of a file on a disk, only what lies in pages that were synced is durable.
final class PowerCutDevice: RamDevice, @unchecked Sendable {
  private let durable: RamDevice
  /// Changes, write-backs and fences so far.
  private(set) var steps = 0
  /// The step at which the power goes: its change is stored, but nothing after it happens.
  var cutAt = Int.max
  /// In memory after the next fence.
  private var pending: [Range<UInt64>] = []
  /// Stored, and not written back.
  private var volatile: [Range<UInt64>] = []

  /// Whether the memory is the page cache of a disk.
  private let isDisk: Bool

  /// A device on which everything of another one is durable.
  init(copying device: RamDevice, isDisk: Bool) {
    durable = RamDevice(copying: device)
    self.isDisk = isDisk
    super.init(copying: device)
  }

  /// Whether the power is gone. A fence cannot say so: what it was the last step of has not returned.
  var isOff: Bool { steps >= cutAt }

  override func will(_ access: Access, _ offset: UInt64, _ count: UInt64) throws(Errno) {
    if isOff { throw .inputOutput }
  }

  override func didStore(_ offset: UInt64, _ count: UInt64, streaming: Bool) throws(Errno) {
    if streaming { pending.append(offset..<offset + count) } else { volatile.append(offset..<offset + count) }
    try step()
  }

  override func writeBack(at offset: UInt64, count: UInt64) throws(Errno) {
    try super.writeBack(at: offset, count: count)
    if isDisk { return }
    let lines = offset & ~63..<(offset + count + 63) & ~63
    pending += volatile.filter(lines.overlaps)
    volatile.removeAll(where: lines.overlaps)
    try step()
  }

  override func fence() {
    if isOff || isDisk { return }
    do { try step() } catch { return }
    for range in pending { copy(range, to: durable) }
    pending = []
  }

  override func sync(at offset: UInt64, count: UInt64) throws(Errno) {
    try super.sync(at: offset, count: count)
    guard isDisk else { return }
    try step()
    let pages = offset & ~4095..<(offset + count + 4095) & ~4095
    for changes in [\PowerCutDevice.pending, \.volatile] {
      for range in self[keyPath: changes] where range.overlaps(pages) { copy(range.clamped(to: pages), to: durable) }
      let others = [0..<pages.lowerBound, pages.upperBound..<UInt64.max]
      self[keyPath: changes] = self[keyPath: changes].flatMap { range in
        others.map(range.clamped(to:)).filter { !$0.isEmpty }
      }
    }
  }

  private func step() throws(Errno) {
    steps += 1
    if isOff { throw .inputOutput }
  }

  private func copy(_ range: Range<UInt64>, to other: RamDevice) {
    let bytes = UnsafeRawBufferPointer(rebasing: memory[Int(range.lowerBound)..<Int(range.upperBound)])
    UnsafeMutableRawBufferPointer(rebasing: other.memory[Int(range.lowerBound)...]).copyMemory(from: bytes)
  }

  /// How much of what was under way reached the memory.
  enum Luck: CaseIterable { case none, all, some, few, most }

  /// The memory as the next mount finds it.
  func survivor(_ luck: Luck, _ random: inout SeededRandom) -> RamDevice {
    let image = RamDevice(copying: durable)
    for range in pending + volatile {
      var word = range.lowerBound & ~7
      while word < range.upperBound {
        // Behind their first bytes, large ranges go by runs of words: a log's worth of them would take a second.
        let run = word > range.lowerBound + 1024 ? UInt64.random(in: 1...8192, using: &random) * 8 : 8
        let end = min(word + run, (range.upperBound + 7) & ~7)
        let survives =
          switch luck {
          case .none: false
          case .all: true
          case .some: random.oneIn(2)
          case .few: random.oneIn(8)
          case .most: !random.oneIn(8)
          }
        if survives { copy(word..<end, to: image) }
        word = end
      }
    }
    return image
  }
}

/// A device of which one access fails, or all from that one on.
final class FailingDevice: RamDevice, @unchecked Sendable {
  private(set) var accesses = 0
  var failAt = Int.max
  var isLasting = false

  override func will(_ access: Access, _ offset: UInt64, _ count: UInt64) throws(Errno) {
    accesses += 1
    if accesses == failAt || (isLasting && accesses > failAt) { throw .inputOutput }
  }
}
