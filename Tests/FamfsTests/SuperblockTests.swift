import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct SuperblockTests {
  private func parse(_ made: HandMade) throws -> Superblock { try Superblock(parsing: made.bytes.span.bytes) }

  @Test("every field stands at its offset")
  func fields() throws {
    var made = HandMade.superblock(unit: 2 << 20, logLength: 32 << 20, deviceSize: 0x1234_5678_9abc)
    made.put(104, UInt32(1))
    let superblock = try parse(made)
    #expect(superblock.logOffset == 2 << 20)
    #expect(superblock.logLength == 32 << 20)
    #expect(superblock.dataOffset == 34 << 20)
    #expect(superblock.allocationUnit == 2 << 20)
    #expect(superblock.major == 2)
    #expect(superblock.minor == 2)
    #expect("\(superblock.uuid)" == "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf")
    #expect("\(superblock.deviceUUID)" == "b0b1b2b3-b4b5-b6b7-b8b9-babbbcbdbebf")
    #expect(superblock.systemUUID == Host.master)
    #expect(superblock.flags == 1)
    #expect(superblock.deviceSize == 0x1234_5678_9abc)
    #expect(superblock.devicePath == "/dev/test")
  }

  @Test("writing gives the bytes of the facts page, gaps zeroed, whatever was there before")
  func encoding() throws {
    for made in [HandMade.superblock(), .superblock(unit: 2 << 20, logLength: 16 << 30, deviceSize: .max)] {
      let superblock = try parse(made)
      #expect(encoded(200, over: 0x5a) { superblock.encode(into: &$0) } == made.bytes)
    }
  }

  @Test("a device path of 64 bytes and more keeps its NUL", arguments: [62, 63, 64, 500])
  func longPath(count: Int) throws {
    var superblock = try parse(.superblock())
    superblock.devicePath = String(repeating: "p", count: count)
    let bytes = encoded(200) { superblock.encode(into: &$0) }
    #expect(Array(bytes[136...].prefix { $0 != 0 }).count == min(count, 63))
    #expect(bytes.count == 200)
  }

  @Test("a path field without a NUL, or with broken UTF-8, is read to its end")
  func brokenPath() throws {
    var made = HandMade.superblock()
    made.put(136, bytes: [UInt8](repeating: 0xff, count: 64))
    #expect(try parse(made).devicePath.unicodeScalars.count == 64)
  }

  struct Bad: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let error: SuperblockError
    var isSealed = true
    let change: @Sendable (inout HandMade) -> Void
  }

  static let badOnes = [
    Bad(testDescription: "other magic", error: .notFamfs) { $0.put(0, UInt64(0x87b2_82fe)) },
    Bad(testDescription: "magic in 8 bytes, not 4", error: .notFamfs) { $0.put(4, UInt32(1)) },
    Bad(testDescription: "all zeros", error: .notFamfs, isSealed: false) { $0 = HandMade(count: 200) },
    Bad(testDescription: "older version", error: .wrongVersion(47)) { $0.put(8, UInt64(47)) },
    Bad(testDescription: "huge version", error: .wrongVersion(.max)) { $0.put(8, UInt64.max) },
    Bad(testDescription: "other major", error: .wrongFormat(3, 2)) { $0.put(40, UInt32(3)) },
    Bad(testDescription: "log elsewhere", error: .badLog(4 << 20, 8 << 20)) { $0.put(16, UInt64(4 << 20)) },
    Bad(testDescription: "log offset at the end of all numbers", error: .badLog(.max, 8 << 20)) {
      $0.put(16, UInt64.max)
    },
    Bad(testDescription: "short log", error: .badLog(2 << 20, 4 << 20)) { $0.put(24, UInt64(4 << 20)) },
    Bad(testDescription: "log length no power of two", error: .badLog(2 << 20, 9 << 20)) {
      $0.put(24, UInt64(9 << 20))
    },
    Bad(testDescription: "no log", error: .badLog(2 << 20, 0)) { $0.put(24, UInt64(0)) },
    Bad(testDescription: "huge log", error: .badLog(2 << 20, 1 << 63)) { $0.put(24, UInt64(1) << 63) },
    Bad(testDescription: "unit 0", error: .badAllocationUnit(0)) { $0.put(32, UInt64(0)) },
    Bad(testDescription: "unit 8192", error: .badAllocationUnit(8192)) { $0.put(32, UInt64(8192)) },
    Bad(testDescription: "secondary device", error: .secondary(HandMade.volumeUUID)) { $0.put(104, UInt32(2)) },
    Bad(testDescription: "CRC in 8 bytes, not 4", error: .badChecksum, isSealed: false) { $0.put(100, UInt32(1)) },
  ]

  @Test("a bad superblock is refused, and the error says why", arguments: badOnes)
  func refused(_ bad: Bad) {
    var made = HandMade.superblock()
    bad.change(&made)
    if bad.isSealed { made.seal(96, at: 96) }
    #expect(throws: bad.error) { try parse(made) }
  }

  @Test("the CRC covers bytes 0 to 95 and none behind it")
  func coverage() throws {
    for offset in 16..<96 {
      var made = HandMade.superblock()
      made.bytes[offset] ^= 0x10
      #expect(throws: SuperblockError.badChecksum, "byte \(offset)") { try parse(made) }
    }
    for offset in 112..<200 {
      var made = HandMade.superblock()
      made.bytes[offset] ^= 0x01
      #expect(throws: Never.self, "byte \(offset)") { try parse(made) }
    }
  }

  @Test("a wrong version is told with both numbers")
  func versionSentence() {
    let sentence = "\(SuperblockError.wrongVersion(47))"
    #expect(sentence.contains("version 47") && sentence.contains("version 48"))
  }
}

@Suite struct LogHeaderTests {
  private func parse(_ made: HandMade, _ length: UInt64 = 8 << 20) throws -> LogHeader {
    try LogHeader(parsing: made.bytes.span.bytes, logLength: length)
  }

  @Test("every field stands at its offset; next sequence and next index are read as found")
  func fields() throws {
    let header = try parse(.logHeader(nextSequence: .max, nextIndex: 0x0102_0304_0506_0708))
    #expect(header.logLength == 8 << 20)
    #expect(header.lastIndex == 15_419)
    #expect(header.capacity == 15_420)
    #expect(header.nextSequence == .max)
    #expect(header.nextIndex == 0x0102_0304_0506_0708)
  }

  @Test("writing gives the bytes of the facts page", arguments: [8 << 20, 16 << 20, 16 << 30] as [UInt64])
  func encoding(length: UInt64) {
    var header = LogHeader(logLength: length)
    (header.nextSequence, header.nextIndex) = (5, 6)
    let bytes = encoded(48, over: 0x5a) { header.encode(into: &$0) }
    let last = (length - 48) / 544 - 1
    let made = HandMade.logHeader(logLength: length, lastIndex: last, nextSequence: 5, nextIndex: 6)
    #expect(bytes == made.bytes)
  }

  @Test("the last slot ends inside the log", arguments: 23...34)
  func lastSlot(bits: Int) {
    let length = UInt64(1) << UInt64(bits)
    let capacity = LogHeader(logLength: length).capacity
    #expect(48 + capacity * 544 <= length)
    #expect(48 + (capacity + 1) * 544 > length)
  }

  @Test("a wrong magic, CRC, length or last index is refused")
  func refused() {
    var made = HandMade.logHeader()
    made.put(0, UInt64(0xbad_cafe_f00e))
    #expect(throws: LogHeaderError.badMagic) { try parse(made) }
    for offset in 8..<32 {
      var made = HandMade.logHeader()
      made.bytes[offset] ^= 1
      #expect(throws: LogHeaderError.badChecksum, "byte \(offset)") { try parse(made) }
    }
    #expect(throws: LogHeaderError.badLength) { try parse(.logHeader(), 16 << 20) }
    #expect(throws: LogHeaderError.badLength) { try parse(.logHeader(logLength: 16 << 20)) }
    for last: UInt64 in [0, 15_418, 15_420, .max] {
      #expect(throws: LogHeaderError.badLength) { try parse(.logHeader(lastIndex: last)) }
    }
  }
}
