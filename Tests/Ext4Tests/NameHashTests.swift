import Ext4
import Platform
import Testing

@Suite struct NameHashTests {
  /// A name, whether chars are signed, and what each hash says of it: major/minor.
  struct Vector: Sendable {
    let name: String
    let isSigned: Bool
    let legacy: UInt32
    let halfMD4S, teaS, halfMD4D, teaD: (UInt32, UInt32)
  }

  static let vectors: [Vector] = [
    Vector(
      name: "a", isSigned: true, legacy: 0xe74b_53e2, halfMD4S: (0x79c1_d99c, 0x5ba7_f6c9),
      teaS: (0xc32c_619e, 0xe6a3_5cb9), halfMD4D: (0xd5fa_7d7a, 0xacb4_8187), teaD: (0x6d0e_a4c0, 0xc189_22df)),
    Vector(
      name: "hello", isSigned: true, legacy: 0x3225_2546, halfMD4S: (0x19af_f718, 0x5059_bf53),
      teaS: (0x7297_68e2, 0x90e2_f73d), halfMD4D: (0x1746_da32, 0x4200_13b5), teaD: (0x6f5b_b1a8, 0x2319_17c2)),
    Vector(
      name: "file_with_a_name_1", isSigned: true, legacy: 0x29cb_c264, halfMD4S: (0x8763_84d8, 0xca4d_7616),
      teaS: (0xcf2e_bed2, 0x6265_9f79), halfMD4D: (0x95f6_09a0, 0x72c3_1b26), teaD: (0x0fd4_3d7e, 0x8f1b_76ee)),
    Vector(
      name: "h\u{e9}llo", isSigned: true, legacy: 0x2399_28cc, halfMD4S: (0x9254_038e, 0xafbb_e324),
      teaS: (0xe3cc_c3ba, 0xbda5_6503), halfMD4D: (0x98e0_30c8, 0xe189_ee6e), teaD: (0x313e_cf7e, 0xedbe_6b7e)),
    Vector(
      name: "h\u{e9}llo", isSigned: false, legacy: 0x7798_acd8, halfMD4S: (0x410b_295e, 0x98a5_7e15),
      teaS: (0xca10_d87e, 0x7ad6_cd12), halfMD4D: (0xa5c6_7250, 0x6cd2_61bb), teaD: (0x7472_d1be, 0x99e4_e95b)),
    Vector(
      name: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEF", isSigned: true, legacy: 0x7097_6438,
      halfMD4S: (0x85c0_4c5a, 0xaed6_2453), teaS: (0xb5ad_5ba4, 0xe961_4016), halfMD4D: (0x9ffc_fcde, 0xe3f2_8c3a),
      teaD: (0xfdf7_0586, 0xf572_77d6)),
  ]

  @Test("names hash as debugfs says", arguments: vectors)
  func hashes(_ vector: Vector) {
    let seed: (UInt32, UInt32, UInt32, UInt32) = (0xddcc_bbaa, 0x4433_2211, 0x8877_6655, 0xccbb_aa99)
    func hash(_ version: HashVersion, _ seed: (UInt32, UInt32, UInt32, UInt32)) -> (UInt32, UInt32) {
      let hasher = NameHasher(version, isSigned: vector.isSigned, seed: seed)
      return Array(vector.name.utf8).withRawSpan { hasher($0) }
    }
    #expect(hash(.legacy, seed) == (vector.legacy, 0))
    #expect(hash(.halfMD4, seed) == vector.halfMD4S)
    #expect(hash(.tea, seed) == vector.teaS)
    #expect(hash(.halfMD4, (0, 0, 0, 0)) == vector.halfMD4D)
    #expect(hash(.tea, (0, 0, 0, 0)) == vector.teaD)
  }
}
