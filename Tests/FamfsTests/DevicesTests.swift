import Glibc
import Memory
import Platform
import Synchronization
import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// The devices of a host, found by UUID as `DeviceSearch` does; some may be unplugged.
private final class Shelf: Sendable {
  private let devices: Mutex<[RamDevice]>

  init(_ devices: RamDevice...) { self.devices = Mutex(devices) }

  func put(_ device: RamDevice) { devices.withLock { $0.append(device) } }

  func find(_ record: DeviceRecord, _ volume: Superblock) throws(FamfsError) -> any MemoryDevice {
    for device in devices.withLock({ $0 }) {
      let found = try? Volume.readSuperblock(of: device, allowsSecondary: true)
      if found?.deviceUUID == record.uuid && found?.uuid == volume.uuid { return device }
    }
    throw .other("device \(record.index) is not on the shelf")
  }
}

/// A device that says when it is unmapped.
private final class MortalDevice: RamDevice, @unchecked Sendable {
  private let onEnd: @Sendable () -> Void

  init(_ onEnd: @escaping @Sendable () -> Void) {
    self.onEnd = onEnd
    super.init()
  }

  deinit { onEnd() }
}

@Suite struct DevicesTests {
  private static let size: UInt64 = 16 << 20

  /// Makes a file of so many bytes, of which the first and the last 1000 of each extent are written.
  private func create(_ volume: Volume, _ path: String, _ size: Int, _ seed: UInt8) throws {
    let reservation = try volume.reserve(path, size: UInt64(size))
    for (extent, contents) in marks(reservation.extents, seed) {
      try volume.memory(extent.device).write(contents, at: extent.offset)
    }
    try volume.commit(reservation.id)
  }

  /// Whether a file has what `create` wrote.
  private func isThere(_ volume: Volume, _ path: String, _ seed: UInt8) throws -> Bool {
    try marks(volume.extents(of: volume.number(of: path)), seed).allSatisfy { extent, contents in
      try volume.memory(extent.device).contents(at: extent.offset, count: 1000) == contents
    }
  }

  private func marks(_ extents: [Extent], _ seed: UInt8) -> [(Extent, [UInt8])] {
    extents.enumerated().flatMap { place, extent in
      let end = Extent(device: extent.device, offset: extent.offset + extent.length - 1000, length: 1000)
      return [extent, end].map { ($0, [UInt8](repeating: seed &+ UInt8(place), count: 1000)) }
    }
  }

  private func make(_ devices: [RamDevice], unit: UInt64 = 4096) throws {
    var options = MakeOptions()
    options.allocationUnit = unit
    try Volume.make(on: devices[0], Array(devices[1...]), host: Host.master, options)
  }

  private func open(_ device: RamDevice, _ shelf: Shelf, host: UUID = Host.master) throws -> Volume {
    try Volume(on: device, host: host, finding: shelf.find)
  }

  @Test("files spread over the devices when the first is full, and are the same on another host")
  func spread() throws {
    let devices = (0..<3).map { _ in RamDevice(size: DevicesTests.size) }
    try make(devices)
    let shelf = Shelf(devices[2], devices[1])
    let volume = try open(devices[0], shelf)
    let usage = volume.usage()
    #expect(usage.deviceSize == 3 * DevicesTests.size && usage.free == 34 << 20 && usage.reserved == 14 << 20)
    for (place, size) in [5, 5, 12, 8].enumerated() { try create(volume, "f\(place)", size << 20, UInt8(place)) }
    #expect(try volume.extents(of: volume.number(of: "f0")).map(\.device) == [0])
    #expect(try volume.extents(of: volume.number(of: "f1")).map(\.device) == [1])
    #expect(try volume.extents(of: volume.number(of: "f2")).map(\.device) == [2])
    #expect(try volume.extents(of: volume.number(of: "f3")).map(\.device) == [1])
    try create(volume, "f4", 4 << 20, 9)
    // The longest run first.
    #expect(try volume.extents(of: volume.number(of: "f4")).map(\.device) == [2, 0, 1])
    #expect(volume.usage().free == 0)
    #expect(refusal { try volume.create("f5", [1]) } == "noSpace")
    let client = try open(devices[0], shelf, host: Host.client)
    #expect(try client.items() == volume.items())
    for (place, seed) in [0, 1, 2, 3, 9].enumerated() {
      #expect(try isThere(client, "f\(place)", UInt8(seed)))
      #expect(
        try client.contents(of: client.number(of: "f\(place)"), count: 1000)
          == Array(repeating: UInt8(seed), count: 1000))
    }
    #expect(client.report().isClean && client.report().warnings.isEmpty)
    #expect(client.report().devices.map(\.free) == [0, 0, 0])
  }

  @Test("strips take turns on the devices")
  func strips() throws {
    let devices = (0..<3).map { _ in RamDevice(size: DevicesTests.size) }
    try make(devices)
    let volume = try open(devices[0], Shelf(devices[1], devices[2]))
    let striping = try #require(Striping(strips: 5, buckets: 8, chunkSize: 8192))
    for place in 0..<6 {
      let reservation = try volume.reserve(
        path: EntryPath("f\(place)"), size: 1_000_000, permissions: 0o644, userID: 0, groupID: 0, striping: striping)
      #expect(reservation.layout.chunkSize == 8192)
      let used = Dictionary(grouping: reservation.extents) { $0.device }.mapValues { $0.count }
      // The first device is half log: some of its buckets are taken.
      #expect(used[1, default: 0] >= 1 && used[2, default: 0] >= 1 && used.values.reduce(0, +) == 5)
      try volume.commit(reservation.id)
    }
    #expect(try open(devices[0], Shelf(devices[1], devices[2])).report().isClean)
  }

  @Test("a device is added to a volume in use, and followers find it")
  func add() throws {
    let (first, second) = (RamDevice(size: DevicesTests.size), RamDevice(size: DevicesTests.size))
    try make([first])
    let shelf = Shelf(second)
    let (volume, client) = (try open(first, shelf), try open(first, shelf, host: Host.client))
    try volume.create("before", [1, 2, 3])
    #expect(try volume.addDevice(second) == 1)
    #expect(volume.deviceCount == 2)
    try create(volume, "after", 10 << 20, 3)
    #expect(client.follow().problems == 0)
    #expect(try isThere(client, "after", 3))
    #expect(try client.contents(of: client.number(of: "before")) == [1, 2, 3])
    #expect(client.devices() == volume.devices())
    let superblock = try Volume.readSuperblock(of: second, allowsSecondary: true)
    #expect(superblock.isSecondary && superblock.uuid == volume.superblock.uuid)
    #expect(throws: FamfsError.self) { try Volume.readSuperblock(of: second) }
    #expect(refusal { try volume.addDevice(second, force: true) } == "other")
    #expect(refusal { try volume.addDevice(first, force: true) } == "other")
    #expect(refusal { try client.addDevice(RamDevice(size: DevicesTests.size)) } == "notMaster")
    #expect(refusal { try volume.addDevice(RamDevice(size: 2 << 20)) } == "tooSmall")
    let stranger = RamDevice(size: DevicesTests.size)
    try make([stranger])
    #expect(refusal { try volume.addDevice(stranger) } == "other")
    #expect(try volume.addDevice(stranger, force: true) == 2)
  }

  @Test("a host that lacks a device reads what it can, puts nothing there, and takes it into use when it comes")
  func missing() throws {
    let devices = (0..<2).map { _ in RamDevice(size: DevicesTests.size) }
    try make(devices)
    let whole = try open(devices[0], Shelf(devices[1]))
    try whole.create("here", [7])
    try create(whole, "there", 8 << 20, 1)
    let volume = try open(devices[0], Shelf())
    #expect(try volume.contents(of: volume.number(of: "here")) == [7])
    #expect(throws: Errno.inputOutput) { try volume.contents(of: volume.number(of: "there"), count: 1) }
    #expect(volume.report().isClean && volume.report().warnings.count == 1)
    #expect(volume.devices()[1].path == nil && volume.devices()[1].free == 6 << 20)
    #expect(refusal { try create(volume, "more", 6 << 20, 2) } == "noSpace")
    let reservation = try volume.reserve("small", size: 4096)
    #expect(reservation.extents.map(\.device) == [0])
    volume.cancel(reservation.id)
    // On a client too, for it changes nothing.
    let client = try open(devices[0], Shelf(), host: Host.client)
    #expect(try client.addDevice(devices[1]) == 1)
    #expect(try isThere(client, "there", 1))
    #expect(client.report().warnings.isEmpty)
  }

  @Test("a device on which something else was made is let go of, and no wrong byte is read")
  func replaced() throws {
    let devices = (0..<2).map { _ in RamDevice(size: DevicesTests.size) }
    try make(devices)
    let volume = try open(devices[0], Shelf(devices[1]))
    try create(volume, "there", 8 << 20, 1)
    var options = MakeOptions()
    options.force = true
    try Volume.make(on: devices[1], host: Host.client, options)
    #expect(volume.follow().trouble == nil)
    #expect(throws: Errno.inputOutput) { try volume.contents(of: volume.number(of: "there"), count: 1) }
    #expect(volume.devices()[1].trouble?.contains("something else") == true)
    try volume.create("here", [1])
  }

  @Test("what was let go of stays mapped while the volume is open, and is taken back when it is the volume's again")
  func letGo() throws {
    let devices = (0..<2).map { _ in RamDevice(size: DevicesTests.size) }
    try make(devices)
    let ends = Atomic(0)
    let finds = Atomic(0)
    do {
      let stamp = devices[1].peek(0, 200)
      let volume = try Volume(on: devices[0], host: Host.master) { (record, _) throws(FamfsError) in
        if finds.add(1, ordering: .relaxed).oldValue > 0 { throw .other("it is gone") }
        let device = MortalDevice { ends.add(1, ordering: .relaxed) }
        device.poke(0, stamp)
        return device
      }
      try create(volume, "there", 8 << 20, 1)
      let bytes = try volume.memory(1).bytes(at: 2 << 20, count: 1)  // as in a reply that is not sent yet
      try volume.memory(1).write([UInt8](repeating: 0, count: 200), at: 0)
      #expect(volume.follow().trouble == nil)
      #expect(throws: Errno.inputOutput) { try volume.memory(1) }
      #expect(ends.load(ordering: .relaxed) == 0 && bytes[0] == 1)
      let start = try #require(bytes.baseAddress) - (2 << 20)
      UnsafeMutableRawBufferPointer(mutating: UnsafeRawBufferPointer(start: start, count: 200)).copyBytes(from: stamp)
      let deadline = Clock.monotonic() + 180_000_000_000
      while (try? volume.memory(1)) == nil && Clock.monotonic() < deadline { Clock.sleep(nanoseconds: 10_000_000) }
      #expect(try isThere(volume, "there", 1))
      #expect(finds.load(ordering: .relaxed) == 1)
    }
    #expect(ends.load(ordering: .relaxed) == 1)
  }

  @Test("while one device is looked for, the others are read")
  func lookingBeside() throws {
    let devices = (0..<3).map { _ in RamDevice(size: DevicesTests.size) }
    try make(devices)
    let isLooking = Atomic(false)
    let mayEnd = Atomic(false)
    let isRead = Atomic(false)
    let finds = Atomic(0)
    let volume = try Volume(on: devices[0], host: Host.master) { (record, _) throws(FamfsError) in
      if record.index == 1 { return devices[1] }
      if finds.add(1, ordering: .relaxed).oldValue == 1 {
        isLooking.store(true, ordering: .releasing)
        while !mayEnd.load(ordering: .acquiring) { Clock.sleep(nanoseconds: 1_000_000) }
        return devices[2]
      }
      throw .other("it is not there yet")
    }
    let deadline = Clock.monotonic() + 180_000_000_000
    let looker = try Thread(named: "look") {
      while (try? volume.memory(2)) == nil && Clock.monotonic() < deadline { Clock.sleep(nanoseconds: 10_000_000) }
    }
    while !isLooking.load(ordering: .acquiring) && Clock.monotonic() < deadline { Clock.sleep(nanoseconds: 1_000_000) }
    let reader = try Thread(named: "read") {
      if (try? volume.memory(1)) != nil { isRead.store(true, ordering: .releasing) }
    }
    while !isRead.load(ordering: .acquiring) && Clock.monotonic() < deadline { Clock.sleep(nanoseconds: 1_000_000) }
    #expect(isLooking.load(ordering: .acquiring) && isRead.load(ordering: .acquiring))
    mayEnd.store(true, ordering: .releasing)
    for thread in [looker, reader] { thread.join() }
    #expect(throws: Never.self) { try volume.memory(2) }
  }

  @Test("while a device that was added is looked for, all else is read, and no file on it is seen before it is there")
  func newBeside() throws {
    let devices = (0..<3).map { _ in RamDevice(size: DevicesTests.size) }
    try make([devices[0], devices[1]])
    let isLooking = Atomic(false)
    let mayEnd = Atomic(false)
    let client = try Volume(on: devices[0], host: Host.client) { (record, _) throws(FamfsError) in
      if record.index == 1 { return devices[1] }
      isLooking.store(true, ordering: .releasing)
      while !mayEnd.load(ordering: .acquiring) { Clock.sleep(nanoseconds: 1_000_000) }
      return devices[2]
    }
    let master = try open(devices[0], Shelf(devices[1]))
    try master.addDevice(devices[2])
    try create(master, "big", 24 << 20, 3)
    #expect(Set(master.extents(of: try master.number(of: "big")).map(\.device)).contains(2))
    let follower = try Thread(named: "follow") { _ = client.follow() }
    let deadline = Clock.monotonic() + 180_000_000_000
    while !isLooking.load(ordering: .acquiring) && Clock.monotonic() < deadline { Clock.sleep(nanoseconds: 1_000_000) }
    // On threads of their own: who waits for the lock waits for ever.
    let isRead = Atomic(false)
    let path = try EntryPath("big")
    let reader = try Thread(named: "read") {
      let usages = client.devices()
      let isMissing = client.find(path) == nil
      if (try? client.memory(1)) != nil && usages.count == 3 && usages[2].path == nil && isMissing {
        isRead.store(true, ordering: .releasing)
      }
    }
    while !isRead.load(ordering: .acquiring) && Clock.monotonic() < deadline { Clock.sleep(nanoseconds: 1_000_000) }
    #expect(isLooking.load(ordering: .acquiring) && isRead.load(ordering: .acquiring))
    mayEnd.store(true, ordering: .releasing)
    for thread in [follower, reader] { thread.join() }
    #expect(try isThere(client, "big", 3))
  }

  @Test("a mount that does not follow lets go of such a device, too")
  func replacedUnfollowed() throws {
    let devices = (0..<2).map { _ in RamDevice(size: DevicesTests.size) }
    try make(devices)
    let volume = try open(devices[0], Shelf(devices[1]), host: Host.client)
    _ = try volume.memory(1)
    devices[1].poke(0, [UInt8](repeating: 0, count: 200))
    _ = volume.takeNews()
    #expect(throws: Errno.inputOutput) { try volume.memory(1) }
  }

  @Test("a file on a device that was let go of before its commit is not made, and its space is free again")
  func replacedBeforeCommit() throws {
    let devices = (0..<2).map { _ in RamDevice(size: DevicesTests.size) }
    try make(devices)
    let volume = try open(devices[0], Shelf(devices[1]))
    let free = volume.usage().free
    let reservation = try volume.reserve("there", size: 8 << 20)
    #expect(reservation.extents.map(\.device) == [1])
    devices[1].poke(0, [UInt8](repeating: 0, count: 200))
    #expect(refusal { try volume.commit(reservation.id) } == "other")
    #expect(volume.find(try EntryPath("there")) == nil && volume.usage().free == free)
    #expect(try open(devices[0], Shelf()).usage().entries == 1)
  }

  @Test("a device that becomes something else while its lock is waited for is not found")
  func replacedWhileFound() throws {
    let path = "/dev/shm/weft-devices-\(UUID.random())"
    try FileDescriptor(opening: path, [.readWrite, .create, .exclusive], mode: 0o600).truncate(to: DevicesTests.size)
    defer { unlink(path) }
    let first = RamDevice(size: DevicesTests.size)
    var options = MakeOptions()
    options.allocationUnit = 4096
    try Volume.make(on: first, [MappedDevice(path: path, writable: true)], host: Host.master, options)
    let search = DeviceSearch(named: [path])
    #expect(try Volume(on: first, host: Host.master, finding: search.find).devices()[1].path == path)
    let waiting = DeviceSearch(named: [path]) { (_) throws(FamfsError) in
      do {
        try Volume.destroySuperblock(of: MappedDevice(path: path, writable: true))
      } catch { throw .other("\(error)") }
    }
    #expect(try Volume(on: first, host: Host.master, finding: waiting.find).devices()[1].path == nil)
  }

  @Test("a device that is smaller than its entry says is not used")
  func shrunk() throws {
    let devices = (0..<2).map { _ in RamDevice(size: DevicesTests.size) }
    try make(devices)
    let small = RamDevice(size: 8 << 20)
    small.poke(0, devices[1].peek(0, 200))
    let volume = try open(devices[0], Shelf())
    #expect(refusal { try volume.addDevice(small) } == "other")
    #expect(volume.devices()[1].path == nil)
  }

  @Test("mkfs refuses a device of another volume, first or further, unless forced")
  func unused() throws {
    let devices = (0..<3).map { _ in RamDevice(size: DevicesTests.size) }
    try make([devices[0], devices[1]])
    let before = devices[1].sum(0, 4096)
    #expect(refusal { try make([devices[2], devices[1]]) } == "other")
    #expect(refusal { try make([devices[1]]) } == "other")
    #expect(devices[1].sum(0, 4096) == before && devices[2].isZero(0, 4096))
    var options = MakeOptions()
    options.force = true
    try Volume.make(on: devices[1], host: Host.master, options)
    #expect(try Volume.readSuperblock(of: devices[1]).isSecondary == false)
  }

  @Test("an adding that is cut off anywhere leaves the volume whole, and can be done again")
  func cutOff() throws {
    for step in 0..<60 {
      let first = FailingDevice(size: DevicesTests.size)
      try make([first])
      let volume = try open(first, Shelf())
      try volume.create("file", [1, 2, 3])
      let second = FailingDevice(size: DevicesTests.size)
      let victim = step % 2 == 0 ? first : second
      (victim.failAt, victim.isLasting) = (victim.accesses + step / 2 + 1, true)
      let failure = refusal { try volume.addDevice(second) }
      (victim.failAt, victim.isLasting) = (Int.max, false)
      let again = try open(first, Shelf(second))
      #expect(again.report().isClean, "step \(step)")
      #expect(try again.contents(of: again.number(of: "file")) == [1, 2, 3])
      if failure == nil { #expect(again.deviceCount == 2) }
      if again.deviceCount == 1 { #expect(try again.addDevice(second) == 1, "step \(step)") }
      try create(again, "big", 10 << 20, 1)
    }
  }

  @Test("a log that claims huge devices and files takes little memory")
  func hostile() throws {
    var hand = HandMadeVolume()
    for index in 1..<24 {
      let uuid = [UInt8](repeating: UInt8(index), count: 16)
      hand.append(.addDevice(size: 4096 << 32, uuid: uuid, index: UInt32(index)))
      let everything = Extent(device: UInt64(index), offset: 2 << 20, length: 4096 << 32 - 2 << 20)
      hand.append(.file("f\(index)", size: 1, [everything]))
    }
    hand.append(.addDevice(size: 1 << 30, uuid: HandMade.hostBytes, index: 24))
    let volume = try open(hand.device, Shelf())
    #expect(try volume.items().count == 23)
    #expect(volume.report().problems.map(\.problem) == [.badDeviceIndex(24)])
    #expect(volume.memoryUse < 512 << 20)
  }

  /// Minutes, if each unit, or chunk of units, were looked at.
  @Test("a log whose files have huge devices looked through, again and again, is soon played", .timeLimit(.minutes(15)))
  func hostileSearches() throws {
    var hand = HandMadeVolume()
    let size: UInt64 = 4096 << 32
    for index in 1..<24 {
      let uuid = [UInt8](repeating: UInt8(index), count: 16)
      hand.append(.addDevice(size: size, uuid: uuid, index: UInt32(index)))
    }
    hand.append(.file("end", size: 1, [Extent(device: 1, offset: size - 4096, length: 4096)]))
    let free = (2..<17).map { Extent(device: UInt64($0), offset: 2 << 20, length: size - 2 << 20) }
    let shared = Extent(device: 1, offset: 2 << 20, length: size - 2 << 20)
    for place in 0..<400 { hand.append(.file("f\(place)", size: 1, free + [shared])) }
    let volume = try open(hand.device, Shelf())
    #expect(volume.report().usage.problemCount == 400)
    #expect(volume.report().problems.first?.problem == .shared(shared))
    #expect(volume.find(try EntryPath("end")) != nil)
  }
}
