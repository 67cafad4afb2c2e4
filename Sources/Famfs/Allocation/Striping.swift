/// How a file is to be spread over the devices, so that several parts of it work at a time.
public struct Striping: Equatable, Sendable {
  /// Strips of a file: 1 (which is contiguous) to 16.
  public let strips: UInt64
  /// Parts into which each device is divided, 1 to 64; each strip lies in a part of its own.
  public let buckets: UInt64
  /// Bytes that go into one strip before the next one's turn: a power of two, a multiple of the allocation unit.
  public let chunkSize: UInt64

  /// A way to stripe; nil when the numbers cannot be.
  public init?(strips: UInt64, buckets: UInt64, chunkSize: UInt64) {
    guard (1...16).contains(strips), (1...64).contains(buckets), strips <= buckets, chunkSize >= 4096,
      chunkSize & (chunkSize - 1) == 0
    else { return nil }
    self.strips = strips
    self.buckets = buckets
    self.chunkSize = chunkSize
  }
}

extension Space {
  /// Takes room for a file of `bytes`, which is not 0, as strips of one length on devices that this host has, by turns.
  /// What is smaller than a chunk is allocated contiguously.
  /// - Throws: when too few buckets have a run of that length.
  mutating func allocate(
    bytes: UInt64, _ striping: Striping, on present: Set<UInt64> = [0]
  ) throws(AllocationError) -> FileLayout {
    let (strips, chunkSize) = (striping.strips, striping.chunkSize)
    guard strips > 1, bytes >= chunkSize else { return FileLayout(try allocate(bytes: bytes, on: present)) }
    let rows = ((bytes - 1) / chunkSize) / strips + 1
    let (length, overflow) = rows.multipliedReportingOverflow(by: chunkSize)
    let (units, free) = (length / unit, freeCount(of: present))
    guard !overflow, units <= free, units * strips <= free else { throw .full }
    let list = findStrips(strips, of: units, in: striping.buckets, on: present.sorted())
    guard UInt64(list.count) == strips else { throw .fragmented }
    for extent in list.array { take(extent) }
    turn = (turn + 1) % striping.buckets
    return FileLayout(list, chunkSize: chunkSize)
  }

  /// One bucket of each device, then the next bucket of each: so that all devices work at a time.
  private func findStrips(
    _ strips: UInt64, of units: UInt64, in buckets: UInt64, on present: [UInt64]
  ) -> ExtentList {
    var list = ExtentList()
    for step in 0..<buckets {
      // Begin elsewhere each time, so that small files do not all lie in the first buckets.
      let bucket = (step + turn) % buckets
      for device in present where UInt64(list.count) < strips && devices.indices.contains(Int(device)) {
        let map = devices[Int(device)]
        let size = map.unitCount / buckets
        if let place = map.freeRun(of: units, from: bucket * size, before: (bucket + 1) * size) {
          list.append(Extent(device: device, offset: place * unit, length: units * unit))
        }
      }
    }
    return list
  }
}
