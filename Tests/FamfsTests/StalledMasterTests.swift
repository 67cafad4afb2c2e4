import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

/// A master that is stopped amid an append, for so long that another host takes the volume over and appends, and then
/// goes on.
@Suite struct StalledMasterTests {
  @Test("wherever it is stopped, the log never gets shorter, and what the new master adds afterwards is whole")
  func everywhere() throws {
    var steps = 0
    while true {
      let device = StallingDevice(copying: try newVolume())
      let old = try Volume(on: device, host: Host.master)
      let new = try Volume(on: device, host: Host.client)
      try old.makeDirectory("before")
      new.catchUp()
      device.stallAt = steps
      device.meanwhile = {
        try new.claimMastership()
        try new.becomeMaster()
        try new.makeDirectory("new0")
        try new.create("new1", [1, 2, 3])
      }
      let outcome = Result { try old.makeDirectory("stalled") }
      guard device.hasStalled else { break }
      try #require(device.failure == nil, "step \(steps)")
      _ = old.follow()
      #expect(old.role == .client, "step \(steps)")
      try new.create("new2", [4, 5])
      let last = try Volume(on: device, host: nil)
      // Stopped right before it stores to the slot, it overwrites that one entry when it goes on: no check is closer.
      let isOverwritten = device.slotStep == steps
      let isMade = (try? outcome.get()) != nil
      var names = ["before", "new1", "new2"]
      if isMade || isOverwritten { names.append("stalled") }
      if !isOverwritten { names.append("new0") }
      #expect(try last.names(in: .root).sorted() == (names + [".meta"]).sorted(), "step \(steps)")
      #expect(try last.contents(of: last.number(of: "new1")) == [1, 2, 3])
      #expect(try last.contents(of: last.number(of: "new2")) == [4, 5])
      #expect(last.usage().problemCount == 0, "step \(steps)")
      #expect(refusal { try old.makeDirectory("again") } == "notMaster")
      steps += 1
    }
    #expect(steps > 10)
  }
}

/// A device on which something happens before one of its accesses.
private final class StallingDevice: RamDevice, @unchecked Sendable {
  var stallAt = Int.max
  var meanwhile: () throws -> Void = {}
  private(set) var hasStalled = false
  private(set) var failure: (any Error)?
  /// The step before which the slot of an entry is written.
  private(set) var slotStep = -1
  private var steps = 0

  override func will(_ access: Access, _ offset: UInt64, _ count: UInt64) throws(Errno) {
    if stallAt == .max || hasStalled { return }
    defer { steps += 1 }
    guard steps == stallAt else { return }
    if access == .write && count == 544 { slotStep = steps }
    hasStalled = true
    do { try meanwhile() } catch { failure = error }
  }

  /// One step, as on memory that hosts share coherently.
  override func replace64(at offset: UInt64, _ old: UInt64, with new: UInt64) throws(Errno) -> Bool {
    try will(.write, offset, 8)
    let place = Int(offset)
    guard UnsafeRawBufferPointer(memory).bytes.u64(place) == old else { return false }
    memory.storeBytes(of: new.littleEndian, toByteOffset: place, as: UInt64.self)
    return true
  }
}
