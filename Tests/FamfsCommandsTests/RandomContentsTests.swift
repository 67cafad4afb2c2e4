import CommandKit
import Testing

@testable import FamfsCommands

@Suite struct RandomContentsTests {
  /// The contents in pieces of these lengths.
  private func bytes(seed: UInt64, _ pieces: [Int]) -> [UInt8] {
    var contents = RandomContents(seed: seed)
    return pieces.flatMap { count in
      var piece = [UInt8](repeating: 0xcc, count: count)
      piece.withUnsafeMutableBytes { contents.fill($0) }
      return piece
    }
  }

  @Test(
    "the first bytes are those of the public tool",
    arguments: [
      (1, "284991ee66b6fb343a87ca18de441778e8a866"), (42, "985f52e27afb0c3df88c822b402249e5d5781c"),
      (99, "87d5e4d3dee4fe7e754d93eeb1d85d0c461bb0"),
    ] as [(UInt64, String)])
  func vectors(seed: UInt64, text: String) {
    let digits = bytes(seed: seed, [19]).map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }
    #expect(digits.joined() == text)
  }

  @Test("pieces of whole words give what one call gives, and a tail its first bytes", arguments: 0...3)
  func pieces(tail: Int) {
    for seed in [1, 7, .max] as [UInt64] {
      let whole = bytes(seed: seed, [4000 + tail])
      #expect(bytes(seed: seed, [4, 400, 1596, 2000, tail]) == whole)
      #expect(bytes(seed: seed, Array(repeating: 4, count: 1000) + [tail]) == whole)
      #expect(bytes(seed: seed, [0, 4000, 0, tail]) == whole)
      #expect(bytes(seed: seed, [4004]).starts(with: whole))
    }
    #expect(bytes(seed: 1, [64]) != bytes(seed: 2, [64]))
  }

  @Test("a buffer that is not aligned is filled as one that is")
  func unaligned() {
    var contents = RandomContents(seed: 5)
    var room = [UInt8](repeating: 0, count: 30)
    room.withUnsafeMutableBytes { contents.fill(UnsafeMutableRawBufferPointer(rebasing: $0[1..<28])) }
    #expect(Array(room[1..<28]) == bytes(seed: 5, [27]))
    #expect(room[0] == 0 && room[28] == 0)
  }

  @Test("seeds are decimal or hexadecimal numbers of 64 bits")
  func seeds() throws {
    #expect(try CreatCommand.parseSeed("42") == 42 && CreatCommand.parseSeed("0x2A") == 42)
    #expect(try CreatCommand.parseSeed("18446744073709551615") == .max)
    for text in ["", "-1", "x", "0x", "1k", "18446744073709551616", "1.0"] {
      #expect(throws: UsageError.self, "\(text)") { try CreatCommand.parseSeed(text) }
    }
  }
}
