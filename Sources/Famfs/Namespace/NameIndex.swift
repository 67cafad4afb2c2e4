/// From a directory and a name to a node: a hash table with open addressing. It holds hashes and numbers only; the
/// caller compares names. The hash is seeded anew for each process, so no volume can be made to collide.
struct NameIndex: Sendable {
  /// Upper half: hash. Lower half: node number, 0 (the root, which has no name) for an empty slot.
  private var slots: [UInt64]
  private var count = 0

  init(capacity: Int) { slots = Array(repeating: 0, count: NameIndex.slotCount(for: capacity)) }

  var memoryUse: Int { slots.capacity * 8 }

  /// A power of two, at least four thirds of the capacity.
  private static func slotCount(for capacity: Int) -> Int {
    var slots = 64
    while slots * 3 / 4 <= capacity { slots *= 2 }
    return slots
  }

  static func hash(_ parent: NodeNumber, _ name: UnsafeRawBufferPointer) -> UInt32 {
    var hasher = Hasher()
    hasher.combine(parent.rawValue)
    hasher.combine(bytes: name)
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }

  @inline(__always)
  func find(_ hash: UInt32, where matches: (NodeNumber) -> Bool) -> NodeNumber? {
    let mask = slots.count - 1
    var place = Int(hash) & mask
    while slots[place] != 0 {
      let node = NodeNumber(UInt32(truncatingIfNeeded: slots[place]))
      if slots[place] >> 32 == UInt64(hash) && matches(node) { return node }
      place = (place + 1) & mask
    }
    return nil
  }

  /// Makes room for this many names in all.
  mutating func makeRoom(for capacity: Int) {
    let wanted = NameIndex.slotCount(for: capacity)
    if wanted > slots.count { grow(to: wanted) }
  }

  mutating func insert(_ node: NodeNumber, hash: UInt32) {
    if count >= slots.count * 3 / 4 { grow(to: slots.count * 2) }
    place(UInt64(hash) << 32 | UInt64(node.rawValue))
    count += 1
  }

  mutating func remove(_ node: NodeNumber, hash: UInt32) {
    let mask = slots.count - 1
    var hole = Int(hash) & mask
    while slots[hole] != UInt64(hash) << 32 | UInt64(node.rawValue) {
      if slots[hole] == 0 { return }
      hole = (hole + 1) & mask
    }
    // Whatever comes behind and could not be found past a hole moves into it.
    var next = (hole + 1) & mask
    while slots[next] != 0 {
      let home = Int(slots[next] >> 32) & mask
      if (next - home) & mask >= (next - hole) & mask {
        slots[hole] = slots[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    slots[hole] = 0
    count -= 1
  }

  private mutating func place(_ value: UInt64) {
    let mask = slots.count - 1
    var place = Int(value >> 32) & mask
    while slots[place] != 0 { place = (place + 1) & mask }
    slots[place] = value
  }

  private mutating func grow(to slotCount: Int) {
    let old = slots
    slots = Array(repeating: 0, count: slotCount)
    for value in old where value != 0 { place(value) }
  }
}
