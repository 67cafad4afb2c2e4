import FuseTestSupport
import Platform
import Testing

@testable import Fuse

@Suite("INIT") struct NegotiationTests {
  private func negotiation(_ traits: FileSystemTraits = []) -> Negotiation {
    Negotiation(SessionSettings(), traits, pageSize: 4096)
  }

  private func offer(major: UInt32 = 7, minor: UInt32, flags: InitFlags = InitFlags(rawValue: .max)) -> InitOffer {
    InitOffer(major: major, minor: minor, maxReadahead: 131072, flags: flags)
  }

  @Test("the older of both minor versions is spoken", arguments: [(31, 31), (38, 38), (46, 46), (47, 46), (900, 46)])
  func minor(offered: UInt32, spoken: UInt32) throws {
    var negotiation = negotiation()
    let answer = try negotiation.answer(offer(minor: offered))
    #expect(answer.major == 7)
    #expect(answer.minor == spoken)
    #expect(negotiation.agreement?.minor == spoken)
  }

  @Test("kernels before 7.31 are refused with EPROTO", arguments: [(7, 30), (7, 0), (6, 99), (0, 0)])
  func tooOld(major: UInt32, minor: UInt32) {
    var negotiation = negotiation()
    #expect(throws: Errno.protocolError) { try negotiation.answer(offer(major: major, minor: minor)) }
    #expect(negotiation.agreement == nil)
  }

  @Test("a newer major version gets ours, and an agreement with its second offer")
  func newerMajor() throws {
    var negotiation = negotiation()
    let first = try negotiation.answer(offer(major: 8, minor: 3))
    #expect(first.major == 7)
    #expect(first.minor == 46)
    #expect(negotiation.agreement == nil)
    _ = try negotiation.answer(offer(minor: 46))
    #expect(negotiation.agreement?.minor == 46)
  }

  @Test("a second INIT is refused")
  func second() throws {
    var negotiation = negotiation()
    _ = try negotiation.answer(offer(minor: 40))
    #expect(throws: Errno.protocolError) { try negotiation.answer(offer(minor: 40)) }
  }

  @Test("only what is offered is answered, and locks and the writeback cache never")
  func flags() throws {
    var all = negotiation()
    let everything = try all.answer(offer(minor: 46)).flags
    #expect(everything == .usual)
    #expect(everything.isDisjoint(with: [.posixLocks, .flockLocks, .writebackCache, .noOpen, .noOpendir]))
    #expect(everything.isDisjoint(with: [.atomicTruncate, .dontMask]))
    var few = negotiation()
    #expect(try few.answer(offer(minor: 46, flags: [.asyncRead, .writebackCache])).flags == .asyncRead)
    var wishing = negotiation([.withoutOpen, .withoutOpendir, .explicitInvalidation])
    let wished = try wishing.answer(offer(minor: 46)).flags
    #expect(wished.isSuperset(of: [.noOpen, .noOpendir, .explicitInvalidation]))
  }

  @Test("without INIT_EXT the upper flags do not count on either side")
  func upperFlags() throws {
    let message = Message().u32(7).u32(40).u32(0).u32(0x3fff_ffff).u32(0xffff_ffff).zeros(44)
    let offer = try InitOffer(parsing: message.bytes.span.bytes)
    #expect(offer.flags.rawValue == 0x3fff_ffff)
    var negotiation = negotiation()
    let constructed = self.offer(minor: 40, flags: [.directIOAllowMmap, .asyncRead])
    #expect(try negotiation.answer(constructed).flags == .asyncRead)
  }

  @Test("an offer is read at its offsets, with 16 bytes or 64")
  func parsing() throws {
    let short = Message().u32(7).u32(33).u32(65536).u32(0x4000_0001)
    let old = try InitOffer(parsing: short.bytes.span.bytes)
    #expect(old == InitOffer(major: 7, minor: 33, maxReadahead: 65536, flags: [.asyncRead, .initExtension]))
    let long = short.u32(1 << 4).zeros(44)
    #expect(try InitOffer(parsing: long.bytes.span.bytes).flags.contains(.directIOAllowMmap))
    #expect(throws: Errno.protocolError) { try InitOffer(parsing: Array(short.bytes[..<15]).span.bytes) }
    let newer = try InitOffer(parsing: Message().u32(8).u32(0).bytes.span.bytes)
    #expect(newer.major == 8)
  }

  @Test("an answer is written at its offsets")
  func encoding() throws {
    var settings = SessionSettings()
    settings.maxReadahead = 0x0030_0000
    var negotiation = Negotiation(settings, [], pageSize: 4096)
    let answer = try negotiation.answer(offer(minor: 45))
    var bytes = [UInt8](repeating: 0xff, count: InitAnswer.byteCount)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    answer.encode(into: &raw)
    let fields = bytes.span.bytes
    #expect(fields.u32(0) == 7)
    #expect(fields.u32(4) == 45)
    #expect(fields.u32(8) == 0x0030_0000)
    #expect(fields.u32(12) == UInt32(truncatingIfNeeded: InitFlags.usual.rawValue))
    #expect(fields.u16(16) == 64)
    #expect(fields.u16(18) == 48)
    #expect(fields.u32(20) == 1 << 20)
    #expect(fields.u32(24) == 1)
    #expect(fields.u16(28) == 256)
    #expect(fields.u16(30) == 0)
    #expect(fields.u32(32) == UInt32(InitFlags.usual.rawValue >> 32))
    #expect(bytes[36...].allSatisfy { $0 == 0 })
  }
}
