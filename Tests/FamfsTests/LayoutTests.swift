import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct LayoutTests {
  /// Byte `x` of a file, by the facts page's own words.
  private func place(of x: UInt64, _ extents: [Extent], chunkSize: UInt64) -> UInt64 {
    if chunkSize > 0 {
      let (chunk, strips) = (x / chunkSize, UInt64(extents.count))
      return extents[Int(chunk % strips)].offset + chunk / strips * chunkSize + x % chunkSize
    }
    var rest = x
    for extent in extents {
      if rest < extent.length { return extent.offset + rest }
      rest -= extent.length
    }
    return .max
  }

  /// A file that ends `slack` bytes before its last possible byte, in a volume whose every word is its own address.
  private func volume(_ extents: [Extent], chunkSize: UInt64, size: UInt64) throws -> Volume {
    var hand = HandMadeVolume()
    let data = hand.device.memory.bindMemory(to: UInt64.self)
    for word in Int(HandMadeVolume.dataStart) / 8..<Int(HandMadeVolume.dataStart) / 8 + 64 * 512 {
      data[word] = UInt64(word) * 8
    }
    hand.append(.file("file", size: size, extents, chunkSize: chunkSize))
    return try hand.open()
  }

  private func expectWords(_ volume: Volume, _ extents: [Extent], chunkSize: UInt64, size: UInt64) throws {
    #expect(volume.report().isClean)
    let number = try volume.number(of: "file")
    for (offset, count, pieces) in [(0, size, 16), (0, size, 1), (4088, 16, 3), (8200, 30_000, 2), (size - 8, 100, 1)] {
      if offset >= size { continue }
      let bytes = try volume.contents(of: number, offset: offset, count: count, pieces: pieces)
      try #require(UInt64(bytes.count) == min(count, size - offset))
      for at in stride(from: 0, to: bytes.count - 7, by: 4096 - 8) {
        let aligned = at & ~7
        let wanted = place(of: offset + UInt64(aligned), extents, chunkSize: chunkSize)
        #expect(bytes.span.bytes.u64(aligned) == wanted, "byte \(offset) + \(aligned)")
      }
    }
  }

  private static func extents(_ lengths: [UInt64]) -> [Extent] {
    // Backwards and with gaps, so that no two extents could be taken for one.
    var start: UInt64 = 64
    return lengths.map { length in
      start -= length + 1
      return Extent(offset: HandMadeVolume.dataStart + start * 4096, length: length * 4096)
    }
  }

  @Test(
    "a simple file is its extents one after the other",
    arguments: [[1], [3, 1, 2], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [20, 1]] as [[UInt64]])
  func simple(lengths: [UInt64]) throws {
    let extents = LayoutTests.extents(lengths)
    let size = lengths.reduce(0, +) * 4096 - 24
    try expectWords(volume(extents, chunkSize: 0, size: size), extents, chunkSize: 0, size: size)
  }

  struct Striping: Sendable, CustomTestStringConvertible {
    let strips: Int
    let length, chunk, size: UInt64  // the first two in units
    var testDescription: String { "\(strips) strips of \(length), chunks of \(chunk), \(size) bytes" }
  }

  static let stripings = [
    Striping(strips: 2, length: 4, chunk: 1, size: 8 * 4096), Striping(strips: 2, length: 4, chunk: 2, size: 8 * 4096),
    Striping(strips: 3, length: 4, chunk: 4, size: 12 * 4096 - 4000),
    Striping(strips: 3, length: 5, chunk: 2, size: 12 * 4096 + 4096),
    Striping(strips: 16, length: 2, chunk: 1, size: 17 * 4096 + 8),
    Striping(strips: 16, length: 2, chunk: 1, size: 8),
    Striping(strips: 2, length: 4, chunk: 1 << 40, size: 4 * 4096),
  ]

  @Test("an interleaved file takes a chunk from each strip in turn", arguments: stripings)
  func interleaved(_ striping: Striping) throws {
    let extents = LayoutTests.extents(Array(repeating: striping.length, count: striping.strips))
    let chunkSize = striping.chunk * 4096
    let volume = try volume(extents, chunkSize: chunkSize, size: striping.size)
    try expectWords(volume, extents, chunkSize: chunkSize, size: striping.size)
  }

  @Test("nothing lies behind the end of a file, and directories have no bytes")
  func ends() throws {
    let extents = LayoutTests.extents([2])
    let volume = try volume(extents, chunkSize: 0, size: 5000)
    let file = try volume.number(of: "file")
    func resolve(_ number: NodeNumber, _ offset: UInt64, _ count: UInt64, room: Int = 4) throws -> [Extent] {
      try withUnsafeTemporaryAllocation(of: Extent.self, capacity: max(1, room)) { ranges in
        let ranges = UnsafeMutableBufferPointer(rebasing: ranges[..<room])
        let found = try volume.resolve(number, offset: offset, count: count, into: ranges)
        return Array(ranges[..<found.pieces])
      }
    }
    let start = extents[0].offset
    #expect(try resolve(file, 4999, .max) == [Extent(offset: start + 4999, length: 1)])
    #expect(try resolve(file, 0, 10_000) == [Extent(offset: start, length: 5000)])
    for (offset, count) in [(5000, 1), (UInt64.max, UInt64.max), (8191, 1), (0, 0)] as [(UInt64, UInt64)] {
      #expect(try resolve(file, offset, count).isEmpty)
    }
    #expect(try resolve(file, 0, 10, room: 0).isEmpty)
    #expect(throws: Errno.isDirectory) { try resolve(.root, 0, 1) }
    #expect(throws: Errno.isDirectory) { try resolve(.meta, 0, 1) }
    #expect(throws: Errno.noEntry) { try resolve(NodeNumber(77), 0, 1) }
  }

  @Test("an empty file may have extents or none")
  func empty() throws {
    let hand = HandMadeVolume([.file("none", size: 0, []), .file("some", size: 0, [HandMadeVolume().units(0)])])
    let volume = try hand.open()
    #expect(volume.report().isClean)
    for name in ["none", "some"] { #expect(try volume.contents(of: volume.number(of: name)).isEmpty) }
    #expect(volume.usage().free == (6 << 20) - 4096)
  }
}
