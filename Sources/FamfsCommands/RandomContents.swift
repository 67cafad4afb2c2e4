import Platform

/// The contents that `creat --randomize --seed` gives a file and `verify --seed` expects, the same as the public tool's:
/// the low 32 bits of successive outputs of xoroshiro128+ (rotations 55, 14, 36), whose state is two successive outputs
/// of splitmix64 of the seed (SPEC-famfs, "Deterministic contents").
struct RandomContents {
  private var state: (UInt64, UInt64)

  init(seed: UInt64) {
    var seed = seed
    func next() -> UInt64 {
      seed &+= 0x9e37_79b9_7f4a_7c15
      var z = seed
      z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
      return z ^ z >> 31
    }
    state = (next(), next())
  }

  private mutating func next() -> UInt32 {
    let (a, b) = state
    let mixed = b ^ a
    state = (rotated(a, 55) ^ mixed ^ mixed << 14, rotated(mixed, 36))
    return UInt32(truncatingIfNeeded: a &+ b)
  }

  private func rotated(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }

  /// Writes the next bytes. All pieces but the last must be a multiple of 4 bytes long.
  mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) {
    let words = buffer.count / 4
    for place in 0..<words { buffer.storeBytes(of: next().littleEndian, toByteOffset: place * 4, as: UInt32.self) }
    guard buffer.count % 4 > 0 else { return }
    withUnsafeBytes(of: next().littleEndian) { word in
      for place in words * 4..<buffer.count { buffer[place] = word[place - words * 4] }
    }
  }
}
