import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// A device of which this host has old cache lines: they are read until they are invalidated.
private final class StaleDevice: RamDevice, @unchecked Sendable {
  private var stale: [UInt64: [UInt8]] = [:]

  /// Makes these bytes, which need not be whole lines, what this host still has of the device.
  func cache(_ bytes: [UInt8], at offset: UInt64) { stale[offset] = bytes }

  override func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try super.read(at: offset, into: buffer)
    for (start, bytes) in stale {
      for (place, byte) in bytes.enumerated() {
        let place = Int(start) + place - Int(offset)
        if buffer.indices.contains(place) { buffer[place] = byte }
      }
    }
  }

  override func load64(at offset: UInt64) throws(Errno) -> UInt64 {
    var word = InlineArray<8, UInt8>(repeating: 0)
    var span = word.mutableSpan
    try span.withUnsafeMutableBytes { (buffer) throws(Errno) in try read(at: offset, into: buffer) }
    return word.span.bytes.u64(0)
  }

  override func invalidate(at offset: UInt64, count: UInt64) throws(Errno) {
    try super.invalidate(at: offset, count: count)
    let range = offset..<offset + count
    stale = stale.filter { !range.overlaps($0.key..<$0.key + UInt64($0.value.count)) }
  }
}

@Suite struct StaleCacheTests {
  @Test("a stale cache line is forgotten before a superblock, a header or an entry is called bad")
  func parts() throws {
    let device = StaleDevice()
    var hand = HandMadeVolume(on: device)
    for number in 0..<3 { hand.append(.directory("d\(number)")) }
    let line = [UInt8](repeating: 0, count: 16)
    for offset in [32, HandMade.logStart + 16, HandMadeVolume.place(of: 1) + 24] { device.cache(line, at: offset) }
    let volume = try hand.open()
    #expect(try volume.names(in: .root) == [".meta", "d0", "d1", "d2"])
    #expect(volume.report().isClean)
  }

  @Test("what is cached of a former volume, and is whole, is not taken for the new one's")
  func formerVolume() throws {
    let device = StaleDevice()
    var hand = HandMadeVolume(on: device)
    hand.append(.directory("new"))
    device.cache(HandMade.superblock(unit: 2 << 20).bytes, at: 0)
    device.cache(HandMade.logHeader().bytes, at: HandMade.logStart)
    device.cache(HandMade.directory("old").sealed(0), at: HandMadeVolume.place(of: 0))
    let volume = try hand.open(as: Host.client)
    #expect(volume.superblock.allocationUnit == 4096)
    #expect(try volume.names(in: .root) == [".meta", "new"])
    hand.append(.directory("newer"))
    device.cache(HandMade.directory("older").sealed(1), at: HandMadeVolume.place(of: 1))
    device.cache(HandMade.logHeader(nextSequence: 1, nextIndex: 1).bytes, at: HandMade.logStart)
    _ = volume.follow()
    #expect(try volume.names(in: .root) == [".meta", "new", "newer"])
  }
}
