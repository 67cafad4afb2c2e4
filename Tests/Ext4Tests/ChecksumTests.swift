import CLinux
import Ext4
import Platform
import Testing

@Suite struct ChecksumTests {
  private func crc(_ text: String) -> UInt32 { Array(text.utf8).withRawSpan { crc32c(~0, $0) } }

  @Test("CRC-32C of 123456789 is the usual one, not inverted")
  func knownValue() { #expect(crc("123456789") == 0x1cf9_6d7c) }

  @Test("the CPU's instruction and the table agree on all lengths and places")
  func sameWithoutTheInstruction() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 131 + $0 >> 3) }
    bytes.withUnsafeBytes { bytes in
      for start in 0..<9 {
        for end in start..<bytes.count {
          let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
          let seed = UInt32(truncatingIfNeeded: end &* 0x9e37_79b9)
          let (fast, slow) = (
            weft_crc32c(seed, piece.baseAddress, piece.count),
            weft_crc32c_by_table(seed, piece.baseAddress, piece.count)
          )
          #expect(fast == slow)
        }
      }
    }
  }

  @Test("a UUID's seed is that of the facts")
  func seedOfUUID() throws {
    let uuid = try #require(UUID("12345678-1234-4321-8765-0123456789ab"))
    #expect(ChecksumSeed(uuid).value == 0x4d8e_437e)
  }

  @Test("CRC-16 is the ANSI one")
  func crc16IsARC() { #expect(Array("123456789".utf8).withRawSpan { crc16(0, $0) } == 0xbb3d) }
}
