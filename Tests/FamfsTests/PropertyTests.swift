import Platform
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct PropertyTests {
  @Test(
    "any volume is seen as the model of it, when opened and when followed", arguments: 1...24 as ClosedRange<UInt64>)
  func random(seed: UInt64) throws {
    var made = RandomVolume(seed: seed)
    let follower = try made.hand.open(as: Host.client)
    for round in 0..<4 {
      made.grow(30, badOneIn: seed % 3 == 0 ? 1_000_000 : 6)
      let comment: Comment = "seed \(seed), round \(round)"
      let opened = try made.hand.open()
      _ = follower.follow()
      for volume in [opened, follower] {
        #expect(try volume.items() == made.items, comment)
        #expect(volume.report().problems.map(\.index) == made.problems, comment)
        #expect(volume.report().warnings.count == made.clones.count, comment)
        #expect(volume.usage().free == UInt64(made.free.count { $0 }) * made.hand.unit, comment)
        #expect(volume.usage().files == UInt64(made.items.values.count { !$0.isDirectory }), comment)
        #expect(volume.usage().fileBytes == made.items.values.reduce(0) { $0 + $1.size }, comment)
        let names = made.clones.map { "\($0) is a clone" }
        #expect(zip(volume.report().warnings, names).allSatisfy { $0.hasPrefix($1) }, comment)
      }
      #expect(
        refusal { try opened.makeDirectory("new\(round)") } == (made.problems.isEmpty ? nil : "badEntries"), comment)
      if made.problems.isEmpty { return }
    }
  }

  @Test(
    "any order of reserve, commit, cancel and mkdir adds up, for master and client",
    arguments: 1...10 as ClosedRange<UInt64>)
  func operations(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let device = try newVolume()
    let master = try Volume(on: device, host: Host.master)
    let client = try Volume(on: device, host: Host.client)
    var items: [String: Item] = [:]
    var staged: [(path: String, size: UInt64, Reservation)] = []
    var directories = [""]
    for step in 0..<80 {
      let comment: Comment = "seed \(seed), step \(step)"
      let directory = directories.randomElement(using: &random) ?? ""
      let path = (directory.isEmpty ? "" : directory + "/") + "\(Int.random(in: 0..<12, using: &random))"
      let isTaken = items[path] != nil || staged.contains { $0.path == path }
      switch Int.random(in: 0..<6, using: &random) {
      case 0:
        #expect((refusal { try master.makeDirectory(path) } == nil) == !isTaken, comment)
        if isTaken { break }
        items[path] = Item(isDirectory: true, permissions: 0o750, userID: 7, groupID: 8)
        if path.count < 8 { directories.append(path) }
      case 1...3:
        let size = UInt64.random(in: 1...400_000, using: &random)
        do {
          staged.append((path, size, try master.reserve(path, size: size)))
          #expect(!isTaken, comment)
        } catch {
          #expect(isTaken || master.usage().free < size + 4096, comment)
        }
      case 4:
        guard let place = staged.indices.randomElement(using: &random) else { break }
        let (path, size, reservation) = staged.remove(at: place)
        try master.commit(reservation.id)
        items[path] = Item(permissions: 0o640, userID: 7, groupID: 8, size: size, extents: reservation.extents)
      default:
        guard let place = staged.indices.randomElement(using: &random) else { break }
        master.cancel(staged.remove(at: place).2.id)
      }
      let used = items.values.flatMap(\.extents) + staged.flatMap { $0.2.extents }
      #expect(master.usage().free == (6 << 20) - used.reduce(0) { $0 + $1.length }, comment)
      #expect(areDisjoint(used), comment)
      if random.oneIn(10) {
        _ = client.follow()
        #expect(try client.items() == items, comment)
      }
    }
    #expect(try master.items() == items, "seed \(seed)")
    let again = try Volume(on: device, host: Host.client)
    #expect(try again.items() == items, "seed \(seed)")
    #expect(again.report().isClean)
  }
}
