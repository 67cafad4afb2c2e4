import Ext4
import Platform
import Testing

@Suite struct FormatTests {
  @Test("times before 1970 and after 2038 are what the kernel writes")
  func times() {
    let cases: [(Int64, UInt32, low: UInt32, extra: UInt32)] = [
      (-86400, 5, 0xfffe_ae80, 0x14), (5_000_000_000, 7, 0x2a05_f200, 0x1d),
      (InodeTime.range.lowerBound, 0, 0x8000_0000, 0),
      (InodeTime.range.upperBound, 999_999_999, 0x7fff_ffff, 999_999_999 << 2 | 3),
    ]
    for (seconds, nanoseconds, low, extra) in cases {
      let time = InodeTime(seconds: seconds, nanoseconds: nanoseconds)
      #expect(time.low == low)
      #expect(time.extra == extra)
      #expect(InodeTime(low, extra: extra) == time)
    }
  }

  @Test("an ACL on media and the form that processes see translate both ways")
  func accessControlLists() throws {
    let media = [UInt8](hex: "01000000 01000600 02000600e8030000 04000400 0800040032000000 10000600 20000400")
    let list = try #require(media.withRawSpan { AccessControlList(parsing: $0) })
    #expect(list.entries.map(\.tag) == [.owner, .user, .owningGroup, .group, .mask, .other])
    #expect(list.entries.map(\.id) == [nil, 1000, nil, 50, nil, nil])
    #expect(list.encoded() == media)
    let process = list.encodedProcessForm()
    #expect(process.count == 4 + 6 * 8)
    #expect(Array(process[..<12]) == [UInt8](hex: "02000000 01000600ffffffff"))
    #expect(process.withRawSpan { AccessControlList(parsingProcessForm: $0) } == list)
  }

  @Test("an xattr's entry hash is the one on media")
  func xattrHashes() {
    func hash(_ name: String, _ value: [UInt8]) -> UInt32 {
      Array(name.utf8).withRawSpan { name in value.withRawSpan { XattrEntry.hash(name: name, value: $0) } }
    }
    #expect(hash("a", Array(repeating: UInt8(ascii: "v"), count: 1500)) == 0x7617_7676)
    #expect(hash("small", Array(repeating: UInt8(ascii: "v"), count: 10)) == 0x09ec_7171)
  }

  @Test("all bits without a name are told by their number, all at once")
  func featureNames() {
    let judgement = FeatureJudgement(
      [.hasJournal, CompatibleFeatures(rawValue: 1 << 30)],
      [.extents, .compression, IncompatibleFeatures(rawValue: 1 << 20), IncompatibleFeatures(rawValue: 1 << 31)],
      [.bigalloc, ReadOnlyCompatibleFeatures(rawValue: 1 << 25)])
    #expect(judgement.refused == ["compression", "FEATURE_I20", "FEATURE_I31"])
    #expect(judgement.readOnly == ["bigalloc", "FEATURE_R25"])
  }

  @Test("device numbers are stored as the kernel does")
  func deviceNumbers() {
    var inode = Inode()
    inode.device = 0x0801
    #expect(inode.block.words[0] == 0x0801)
    inode.device = 0x1111_2c70
    #expect(inode.block.words[0] == 0 && inode.block.words[1] == 0x1111_2c70)
    #expect(inode.device == 0x1111_2c70)
  }

  @Test("the way to a block of an indirect map counts through all its levels")
  func indirectPaths() throws {
    let pointers: UInt64 = 256
    let cases: [(UInt64, [UInt32])] = [
      (11, [11]), (12, [12, 0]), (267, [12, 255]), (268, [13, 0, 0]), (268 + 65535, [13, 255, 255]),
      (268 + 65536, [14, 0, 0, 0]), (268 + 65536 + 16_777_215, [14, 255, 255, 255]),
    ]
    for (block, indexes) in cases {
      let path = try #require(IndirectPath(to: block, pointers: pointers))
      #expect((0..<path.count).map { path.indexes[$0] } == indexes)
    }
    #expect(IndirectPath(to: 268 + 65536 + 16_777_216, pointers: pointers) == nil)
    #expect(IndirectPath(to: 268 + 65536, pointers: pointers)?.span(at: 1, pointers: pointers) == 65536)
  }
}
