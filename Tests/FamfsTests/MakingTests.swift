import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct MakingTests {
  @Test("a new volume has the bytes of the facts page and an empty log", arguments: [4096, 2 << 20] as [UInt64])
  func bytes(unit: UInt64) throws {
    let device = RamDevice()
    device.poke(0, Array(repeating: 0xee, count: 4096))
    device.poke(2 << 20, Array(repeating: 0xee, count: 4096))
    device.poke((10 << 20) - 8, Array(repeating: 0xee, count: 16))
    try make(on: device, unit: unit)
    var expected = HandMade.superblock(unit: unit)
    for offset in [48, 64, 120] { expected.put(offset, bytes: device.peek(UInt64(offset), 16)) }
    expected.seal(96, at: 96)
    #expect(device.peek(0, 200) == expected.bytes)
    #expect(device.peek(64, 16) == device.peek(120, 16))
    #expect(device.isZero(200, (2 << 20) - 200))
    #expect(device.peek(2 << 20, 48) == HandMade.logHeader().bytes)
    #expect(device.isZero((2 << 20) + 48, 4096))
    #expect(device.isZero((10 << 20) - 8, 8))
    #expect(device.peek(10 << 20, 8).allSatisfy { $0 == 0xee }, "the data area is left as it was")
  }

  @Test("two volumes never have the same identifiers")
  func identifiers() throws {
    let (a, b) = (try newVolume(), try newVolume())
    #expect(a.peek(48, 16) != b.peek(48, 16))
    #expect(a.peek(48, 16) != a.peek(64, 16))
  }

  @Test("a volume that is there stays unless it is forced away")
  func force() throws {
    let device = try newVolume()
    try Volume(on: device, host: Host.master).makeDirectory("old")
    let (before, identifier) = (device.sum(0, 3 << 20), device.peek(48, 16))
    #expect(refusal { try make(on: device) } == "other")
    #expect(device.sum(0, 3 << 20) == before)
    try make(on: device, unit: 2 << 20, force: true)
    let volume = try Volume(on: device, host: Host.master)
    #expect(try volume.items().isEmpty)
    #expect(volume.superblock.allocationUnit == 2 << 20)
    #expect(device.peek(48, 16) != identifier)
  }

  @Test("impossible options are refused and nothing is written")
  func options() throws {
    let device = RamDevice()
    for length: UInt64 in [0, 1, 4 << 20, 12 << 20, 32 << 30, 1 << 63, .max] {
      var options = MakeOptions()
      options.logLength = length
      #expect(refusal { try Volume.make(on: device, host: Host.master, options) } == "other")
    }
    for unit: UInt64 in [0, 1, 8192, 1 << 20, 4 << 20, .max] {
      #expect(refusal { try make(on: device, unit: unit) } == "other")
    }
    var options = MakeOptions()
    options.logLength = 16 << 20
    #expect(refusal { try Volume.make(on: device, host: Host.master, options) } == "tooSmall")
    #expect(refusal { try make(on: RamDevice(size: (16 << 20) - 4096)) } == "tooSmall")
    #expect(refusal { try Volume.make(on: RamDevice(size: 8), host: Host.master) } == "tooSmall")
    #expect(device.isZero(0, 4096))
  }

  @Test("a device need not be a whole number of units")
  func ragged() throws {
    let device = try newVolume(size: (16 << 20) + 12_345, unit: 2 << 20)
    let usage = try Volume(on: device, host: Host.master).usage()
    #expect(usage.free == 6 << 20)
    #expect(usage.allocated == 10 << 20)
    #expect(usage.deviceSize == (16 << 20) + 12_345)
  }

  @Test("wiping the superblock leaves no volume")
  func destroy() throws {
    let device = try newVolume()
    try Volume.destroySuperblock(of: device)
    #expect(refusal { _ = try Volume(on: device, host: Host.master) } == "superblock")
    #expect(device.isZero(0, 2 << 20))
    #expect(device.peek(2 << 20, 48) == HandMade.logHeader().bytes)
  }
}

@Suite struct OpeningTests {
  @Test("a device without a volume is refused with a sentence that says what to do")
  func refused() throws {
    let device = RamDevice()
    let error = #expect(throws: FamfsError.self) { try Volume(on: device, host: Host.master) }
    #expect(error.map { "\($0)" } == "/dev/test holds no famfs file system; make one with mkfs.famfs")
    #expect(error?.errno == .invalidArgument)
    #expect(refusal { _ = try Volume(on: RamDevice(size: 100), host: Host.master) } == "superblock")
    device.poke(0, HandMade.superblock().bytes)
    #expect(refusal { _ = try Volume(on: device, host: Host.master) } == "logHeader")
    device.poke(0, HandMade.superblock(logLength: 16 << 20).bytes)
    #expect(refusal { _ = try Volume(on: device, host: Host.master) } == "tooSmall")
  }

  @Test("the host whose system UUID the superblock has is the master, all others are clients")
  func roles() throws {
    let device = try newVolume()
    #expect(try Volume(on: device, host: Host.master).role == .master)
    #expect(try Volume(on: device, host: Host.client).role == .client)
    #expect(try Volume(on: device, host: .zero).role == .client)
  }

  @Test("superblock and log are files in .meta; the log is the master's to write")
  func meta() throws {
    let device = try newVolume()
    for (host, permissions) in [(Host.master, UInt16(0o644)), (Host.client, 0o444)] {
      let volume = try Volume(on: device, host: host)
      #expect(try volume.names(in: .root) == [".meta"])
      #expect(try volume.names(in: .meta) == [".superblock", ".log"])
      let (superblock, log) = (try volume.node(.superblock), try volume.node(.log))
      #expect(superblock.size == 2 << 20)
      #expect(superblock.permissions == 0o444)
      #expect(log.size == 8 << 20)
      #expect(log.permissions == permissions)
      #expect(volume.extents(of: .log) == [Extent(offset: 2 << 20, length: 8 << 20)])
      #expect(try volume.contents(of: .superblock, count: 200) == device.peek(0, 200))
      #expect(volume.path(of: .log) == ".meta/.log")
      #expect(volume.usage().files == 0)
      #expect(volume.usage().directories == 0)
    }
  }

  @Test("an append that was cut off before its index is a warning only, and the next one mends it")
  func tornAppend() throws {
    var hand = HandMadeVolume()
    hand.append(.directory("a"))
    hand.device.poke(HandMade.logStart, HandMade.logHeader(nextSequence: 2, nextIndex: 1).bytes)
    let volume = try hand.open()
    let warnings = volume.report().warnings
    #expect(warnings.count == 1 && warnings[0].contains("an append was cut off"))
    #expect(volume.report().isClean)
    try volume.makeDirectory("b")
    #expect(hand.device.peek(HandMade.logStart, 48) == HandMade.logHeader(nextSequence: 2, nextIndex: 2).bytes)
    let again = try hand.open()
    #expect(again.report().warnings.isEmpty)
    #expect(try again.names(in: .root) == [".meta", "a", "b"])
  }

  @Test(
    "a next index beyond the last slot shows every good entry and refuses to append", arguments: [15_421, UInt64.max])
  func nextIndexBeyond(index: UInt64) throws {
    var hand = HandMadeVolume()
    hand.append(.directory("good"))
    hand.device.poke(HandMade.logStart, HandMade.logHeader(nextSequence: index, nextIndex: index).bytes)
    let volume = try hand.open()
    #expect(try Array(volume.items().keys) == ["good"])
    // Slots that were never written are no bad entries.
    #expect(volume.usage().entries == 1 && volume.usage().problemCount == 0)
    #expect(volume.report().headerProblem?.contains("\(index)") == true && !volume.report().isClean)
    #expect(refusal { try volume.makeDirectory("more") } == "disabled")
    #expect(volume.follow().trouble != nil)
  }

  @Test("memory that cannot be read is told as such")
  func unreadable() throws {
    final class Broken: RamDevice, @unchecked Sendable {
      var bad: Range<UInt64> = 0..<0
      override func will(_ access: Access, _ offset: UInt64, _ count: UInt64) throws(Errno) {
        if access == .read, offset < bad.upperBound, offset + count > bad.lowerBound { throw .inputOutput }
      }
    }
    let device = Broken()
    var hand = HandMadeVolume(on: device)
    for number in 0..<5 { hand.append(.directory("d\(number)")) }
    device.bad = 0..<64
    #expect(refusal { _ = try hand.open() } == "memory")
    device.bad = HandMade.logStart..<HandMade.logStart + 8
    #expect(refusal { _ = try hand.open() } == "memory")
    let place = HandMadeVolume.place(of: 2)
    device.bad = place + 8..<place + 9
    let volume = try hand.open()
    #expect(try volume.names(in: .root) == [".meta", "d0", "d1", "d3", "d4"])
    #expect(volume.report().problems == [LogProblem(index: 2, path: nil, problem: .unreadable)])
  }
}
