import Platform

/// Which hash of names a directory's htree is in the order of.
public enum HashVersion: UInt8, Sendable {
  /// DX_HASH_LEGACY.
  case legacy = 0
  /// DX_HASH_HALF_MD4.
  case halfMD4 = 1
  /// DX_HASH_TEA.
  case tea = 2
}

/// How a file system hashes names.
public struct NameHasher: Sendable {
  /// The hash.
  public var version: HashVersion
  /// Whether chars are signed: `Superblock.flags` says so, because it once depended on the CPU.
  public var isSigned: Bool
  /// The seed; where it is zero, MD4's own stands in.
  public var seed: (UInt32, UInt32, UInt32, UInt32)

  /// A hasher.
  public init(_ version: HashVersion, isSigned: Bool, seed: (UInt32, UInt32, UInt32, UInt32)) {
    (self.version, self.isSigned) = (version, isSigned)
    self.seed = seed == (0, 0, 0, 0) ? (0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476) : seed
  }

  /// A name's hash: `major`, by which htrees are ordered, has a clear bit 0 and is never FFFFFFFEh. `minor` is 0 for the
  /// legacy hash.
  public func callAsFunction(_ name: RawSpan) -> (major: UInt32, minor: UInt32) {
    var (major, minor): (UInt32, UInt32)
    switch version {
    case .legacy: (major, minor) = (legacy(name), 0)
    case .halfMD4: (major, minor) = halfMD4(name)
    case .tea: (major, minor) = tea(name)
    }
    major &= ~1
    return (major == 0xffff_fffe ? 0xffff_fffc : major, minor)
  }

  private func char(_ byte: UInt8) -> UInt32 {
    isSigned ? UInt32(bitPattern: Int32(Int8(bitPattern: byte))) : UInt32(byte)
  }

  private func legacy(_ name: RawSpan) -> UInt32 {
    var (before, last): (UInt32, UInt32) = (0x37ab_e8f9, 0x12a3_fe2d)
    for place in 0..<name.byteCount {
      var hash = before &+ (last ^ char(name.u8(place)) &* 7_152_373)
      if hash & 0x8000_0000 != 0 { hash &-= 0x7fff_ffff }
      (before, last) = (last, hash)
    }
    return last << 1
  }

  /// Packs what is left of a name from `start` on into words: the fill of all words is the length that is left, in each
  /// byte.
  private func words<let count: Int>(_ name: RawSpan, from start: Int, _ words: inout InlineArray<count, UInt32>) {
    let rest = name.byteCount - start
    let pad = UInt32(truncatingIfNeeded: rest & 0xff) &* 0x0101_0101
    var place = start
    for word in 0..<count {
      var value = pad
      let end = min(place + 4, name.byteCount)
      while place < end {
        value = value << 8 &+ char(name.u8(place))
        place += 1
      }
      words[word] = value
    }
  }

  private func tea(_ name: RawSpan) -> (UInt32, UInt32) {
    var state = (seed.0, seed.1)
    var key = InlineArray<4, UInt32>(repeating: 0)
    for start in stride(from: 0, to: name.byteCount, by: 16) {
      words(name, from: start, &key)
      var (b0, b1) = state
      var sum: UInt32 = 0
      for _ in 0..<16 {
        sum &+= 0x9e37_79b9
        b0 &+= (b1 << 4 &+ key[0]) ^ (b1 &+ sum) ^ (b1 >> 5 &+ key[1])
        b1 &+= (b0 << 4 &+ key[2]) ^ (b0 &+ sum) ^ (b0 >> 5 &+ key[3])
      }
      state = (state.0 &+ b0, state.1 &+ b1)
    }
    return state
  }

  private func halfMD4(_ name: RawSpan) -> (UInt32, UInt32) {
    var state = seed
    var input = InlineArray<8, UInt32>(repeating: 0)
    for start in stride(from: 0, to: name.byteCount, by: 32) {
      words(name, from: start, &input)
      halfMD4Transform(&state, input)
    }
    return (state.1, state.2)
  }

  private func halfMD4Transform(_ state: inout (UInt32, UInt32, UInt32, UInt32), _ input: InlineArray<8, UInt32>) {
    var (a, b, c, d) = state
    func rotated(_ value: UInt32, _ shift: UInt32) -> UInt32 { value << shift | value >> (32 - shift) }
    func round(
      _ order: InlineArray<8, Int>, _ constant: UInt32, _ shifts: InlineArray<4, UInt32>,
      _ mix: (UInt32, UInt32, UInt32) -> UInt32
    ) {
      for step in 0..<8 {
        let next = rotated(a &+ mix(b, c, d) &+ input[order[step]] &+ constant, shifts[step & 3])
        (a, d, c, b) = (d, c, b, next)
      }
    }
    round([0, 1, 2, 3, 4, 5, 6, 7], 0, [3, 7, 11, 19]) { x, y, z in z ^ (x & (y ^ z)) }
    round([1, 3, 5, 7, 0, 2, 4, 6], 0x5a82_7999, [3, 5, 9, 13]) { x, y, z in (x & y) &+ ((x ^ y) & z) }
    round([3, 7, 2, 6, 1, 5, 0, 4], 0x6ed9_eba1, [3, 9, 11, 15]) { x, y, z in x ^ y ^ z }
    state = (state.0 &+ a, state.1 &+ b, state.2 &+ c, state.3 &+ d)
  }
}
