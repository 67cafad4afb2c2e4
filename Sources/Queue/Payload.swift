/// Payloads that a seed gives, so that the other end can check each byte.
///
/// Message `n` of seed `s` holds what `famfs creat --randomize --seed s+n` would fill a file with: the low 32 bits of successive
/// outputs of xoroshiro128+, whose state splitmix64 makes of the seed.
public enum Payload {
  /// Fills a payload.
  public static func fill(_ payload: UnsafeMutableRawBufferPointer, seed: UInt64, sequence: UInt64) {
    var numbers = Xoroshiro(seed: seed &+ sequence)
    var place = 0
    while place + 4 <= payload.count {
      payload.storeBytes(of: numbers.next().littleEndian, toByteOffset: place, as: UInt32.self)
      place += 4
    }
    if place == payload.count { return }
    let last = numbers.next()
    for rest in place..<payload.count { payload[rest] = UInt8(truncatingIfNeeded: last >> UInt32(8 * (rest - place))) }
  }

  /// Whether a payload is what the seed gives.
  public static func isRight(_ payload: UnsafeRawBufferPointer, seed: UInt64, sequence: UInt64) -> Bool {
    var numbers = Xoroshiro(seed: seed &+ sequence)
    var place = 0
    while place + 4 <= payload.count {
      let found = UInt32(littleEndian: payload.loadUnaligned(fromByteOffset: place, as: UInt32.self))
      if found != numbers.next() { return false }
      place += 4
    }
    if place == payload.count { return true }
    let last = numbers.next()
    return (place..<payload.count).allSatisfy {
      payload[$0] == UInt8(truncatingIfNeeded: last >> UInt32(8 * ($0 - place)))
    }
  }
}

/// xoroshiro128+ with the rotations 55, 14 and 36.
private struct Xoroshiro {
  private var state: (UInt64, UInt64)

  init(seed: UInt64) {
    let first = seed &+ 0x9e37_79b9_7f4a_7c15
    state = (Xoroshiro.splitmix(first), Xoroshiro.splitmix(first &+ 0x9e37_79b9_7f4a_7c15))
  }

  private static func splitmix(_ state: UInt64) -> UInt64 {
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  /// The low 32 bits of the next output.
  mutating func next() -> UInt32 {
    let (a, b) = state
    let mixed = a ^ b
    state = (rotate(a, 55) ^ mixed ^ mixed << 14, rotate(mixed, 36))
    return UInt32(truncatingIfNeeded: a &+ b)
  }

  private func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }
}
