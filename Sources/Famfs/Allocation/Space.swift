/// Which space is taken on all devices of a volume, and where new files go.
struct Space: Sendable {
  /// Bytes of an allocation unit.
  let unit: UInt64
  /// One for each device, by its index.
  private(set) var devices: [SpaceMap]
  /// The bucket with which the next striped file begins.
  var turn: UInt64 = 0

  /// The space of a volume's first device, of which `reserved` bytes (superblock and log) are taken.
  init(size: UInt64, unit: UInt64, reserved: UInt64) {
    self.unit = unit
    devices = [SpaceMap(size: size, unit: unit, reserved: reserved)]
  }

  /// Adds the next device.
  mutating func addDevice(size: UInt64) {
    devices.append(SpaceMap(size: size, unit: unit, reserved: Superblock.area))
  }

  /// Free units of all devices.
  var freeCount: UInt64 { devices.reduce(0) { $0 + $1.freeCount } }

  var memoryUse: Int { devices.reduce(0) { $0 + $1.memoryUse } }

  /// Whether any byte of an aligned range, which lies in one of the devices, is taken already.
  func isTaken(_ extent: Extent) -> Bool { devices[Int(extent.device)].isTaken(extent) }

  /// Takes an aligned range that is free.
  mutating func take(_ extent: Extent) { devices[Int(extent.device)].take(extent) }

  /// Gives an aligned range back that was taken.
  mutating func release(_ extent: Extent) { devices[Int(extent.device)].release(extent) }

  /// The parts of an aligned range that are free.
  func freeParts(of extent: Extent) -> [Extent] {
    let end = (extent.offset + extent.length) / unit
    var parts: [Extent] = []
    var position = extent.offset / unit
    while let run = devices[Int(extent.device)].freeRun(from: position), run.lowerBound < end {
      let length = min(run.upperBound, end) - run.lowerBound
      parts.append(Extent(device: extent.device, offset: run.lowerBound * unit, length: length * unit))
      position = run.upperBound
    }
    return parts
  }

  /// Takes room for `bytes` on devices that this host has: the first run that holds all of it, else the fewest runs
  /// that do, largest first.
  /// - Throws: when there is too little, or it lies in more pieces than a file can have.
  mutating func allocate(bytes: UInt64, on present: Set<UInt64> = [0]) throws(AllocationError) -> ExtentList {
    let (wanted, remainder) = bytes.quotientAndRemainder(dividingBy: unit)
    let units = wanted + (remainder > 0 ? 1 : 0)
    guard units <= freeCount(of: present) else { throw .full }
    if units == 0 { return ExtentList() }
    var list = ExtentList()
    for run in try runs(units: units, on: present) {
      let extent = Extent(device: run.device, offset: run.units.lowerBound * unit, length: run.length * unit)
      take(extent)
      list.append(extent)
    }
    return list
  }

  /// Takes the `bytes` right behind an extent, if they are free.
  mutating func extend(_ extent: Extent, by bytes: UInt64) -> Extent? {
    let start = extent.offset + extent.length
    let units = (bytes + unit - 1) / unit
    let map = devices[Int(extent.device)]
    guard units > 0, units <= map.unitCount, start / unit <= map.unitCount - units else { return nil }
    let found = Extent(device: extent.device, offset: start, length: units * unit)
    if map.isTaken(found) { return nil }
    take(found)
    return found
  }

  /// Free units of some devices.
  func freeCount(of present: Set<UInt64>) -> UInt64 {
    present.reduce(0) { $0 + (devices.indices.contains(Int($1)) ? devices[Int($1)].freeCount : 0) }
  }

  private struct Run {
    var device: UInt64
    var units: Range<UInt64>
    var length: UInt64 { units.upperBound - units.lowerBound }
  }

  private func runs(units: UInt64, on present: Set<UInt64>) throws(AllocationError) -> [Run] {
    var largest: [Run] = []  // at most 16, longest first
    for device in present.sorted() where devices.indices.contains(Int(device)) {
      var position: UInt64 = 0
      while let run = devices[Int(device)].freeRun(from: position) {
        let length = run.upperBound - run.lowerBound
        if length >= units { return [Run(device: device, units: run.lowerBound..<run.lowerBound + units)] }
        let place = largest.firstIndex { $0.length < length } ?? largest.count
        largest.insert(Run(device: device, units: run), at: place)
        if largest.count > ExtentList.capacity { largest.removeLast() }
        position = run.upperBound
      }
    }
    var missing = units
    var chosen: [Run] = []
    for run in largest where missing > 0 {
      let count = min(missing, run.length)
      chosen.append(Run(device: run.device, units: run.units.lowerBound..<run.units.lowerBound + count))
      missing -= count
    }
    guard missing == 0 else { throw .fragmented }
    return chosen
  }
}

/// Why there is no room.
enum AllocationError: Error {
  case full, fragmented
}
