import Foundation
import Platform
import Testing

/// Many commands at once on one mount, some of them killed.
@Suite(.realMounts, .serialized, .timeLimit(.minutes(15)))
struct ConcurrentCommandTests {
  private static let unit: UInt64 = 2 << 20

  /// A file that a command is to make: the seed of its contents, and the bytes that it takes on the device.
  private struct Wanted {
    let name: String
    let seed: Int
    let size: Int
    let words: [String]
    let taken: UInt64
  }

  /// The `place`-th command: every other one a cp of `source`, which holds 20,001 bytes of seed 7.
  private func wanted(_ place: Int, _ prefix: String, _ volume: TestVolume, _ source: String) -> Wanted {
    let name = "\(prefix)\(place)"
    let path = volume.master + "/" + name
    switch place % 10 {
    case 1, 3, 5, 7, 9:
      let words = ["cp", "-t", "\(place % 3)", source, path]
      return Wanted(name: name, seed: 7, size: 20_001, words: words, taken: Self.unit)
    case 4:
      // Two chunks on two strips.
      let size = Int(Self.unit) + place
      let words = ["creat", "-N2", "-B4", "-C2m", "-s", "\(size)", "-r", "-S", "\(place + 1)", path]
      return Wanted(name: name, seed: place + 1, size: size, words: words, taken: 2 * Self.unit)
    default:
      let size = 5000 + place
      let words = ["creat", "-s", "\(size)", "-r", "-S", "\(place + 1)", path]
      return Wanted(name: name, seed: place + 1, size: size, words: words, taken: Self.unit)
    }
  }

  private func source(in volume: TestVolume) throws -> String {
    let inside = volume.master + "/source"
    try succeed(volume.famfs("creat", "-s", "20001", "-r", "-S", "7", inside))
    try write(read(inside), to: volume.room.at("source"))
    return volume.room.at("source")
  }

  private func expectWhole(_ files: [Wanted], in volume: TestVolume, _ comment: Comment) throws {
    let words = files.flatMap { ["-m", "\(volume.master)/\($0.name),\($0.seed)"] }
    let verified = try run(["famfs", "verify"] + words)
    #expect(verified.status == 0, "\(comment): \(verified.stderr)")
    for file in files {
      #expect(try FileStatus(path: volume.master + "/" + file.name).size == UInt64(file.size), comment)
    }
  }

  private func expectClean(_ volume: TestVolume, _ comment: Comment) throws {
    let outcome = try volume.famfs("fsck", "-v", volume.master)
    #expect(outcome.status == 0 && outcome.stderr == "", "\(comment): \(outcome.stderr)")
  }

  @Test("100 famfs creat and cp at once all succeed, and no extent is shared")
  func crowd() throws {
    try withVolume(size: "512m") { volume in
      let source = try source(in: volume)
      let free = try volume.freeBytes()
      let files = (0..<100).map { wanted($0, "f", volume, source) }
      let children = try files.map { try Child(["famfs"] + $0.words, environment: Host.master.environment) }
      for child in children {
        let outcome = try child.wait()
        #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
      }
      try expectClean(volume, "100 at once")
      try expectWhole(files, in: volume, "100 at once")
      let left = free - files.reduce(0) { $0 + $1.taken }
      #expect(try volume.freeBytes() == left)
      try volume.unmount()
      try volume.mount()
      #expect(try volume.freeBytes() == left)
    }
  }

  @Test("one of many killed, 200 times at any moment, leaves a whole file or none, and no lost space", arguments: 0..<4)
  func killed(part: Int) throws {
    let seed = UInt64.random(in: 0...(.max))
    print("killed(part: \(part)): seed \(seed)")
    var state = seed
    let random = { (limit: Int) in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(limit))
    }
    try withVolume(size: "4800m") { volume in
      let source = try source(in: volume)
      let start = try volume.freeBytes()
      var files: [Wanted] = []
      for round in 0..<50 {
        let comment: Comment = "seed \(seed), part \(part), round \(round)"
        let new = (0..<20).map { wanted($0, "r\(round)-", volume, source) }
        let victim = random(new.count)
        let order = new.indices.filter { $0 != victim }
        let before = random(order.count)
        // Some run already, the victim starts, and the others follow it when it is gone.
        var children: [Child] = []
        let begin = { (place: Int) in
          children.append(try Child(["famfs"] + new[place].words, environment: Host.master.environment))
        }
        for place in order[..<before] { try begin(place) }
        let killed = try Child(["famfs"] + new[victim].words, environment: Host.master.environment)
        // Alone a command takes about 4 ms; those before it hold it up.
        Platform.Clock.sleep(nanoseconds: UInt64(random(4_000_000 + 500_000 * before)))
        killed.send(SIGKILL)
        for place in order[before...] { try begin(place) }
        for child in children {
          let outcome = try child.wait()
          #expect(outcome.status == 0 && outcome.stderr == "", "\(comment): \(outcome)")
        }
        let status = try killed.wait().status
        #expect(status == 0 || status == 128 + SIGKILL, comment)
        let isThere = access(volume.master + "/" + new[victim].name, F_OK) == 0
        if status == 0 { #expect(isThere, comment) }
        let visible = new.indices.filter { $0 != victim || isThere }.map { new[$0] }
        files += visible
        try expectClean(volume, comment)
        let left = start - files.reduce(0) { $0 + $1.taken }
        // The daemon hears of the death, and gives the space back at once.
        let isBack = try seconds(until: { try volume.freeBytes() == left }) != nil
        #expect(isBack, comment)
        try volume.unmount()
        try volume.mount()
        #expect(try volume.freeBytes() == left, comment)
        try expectClean(volume, comment)
        try expectWhole(visible, in: volume, comment)
      }
      try expectWhole(files, in: volume, "seed \(seed), part \(part)")
    }
  }
}
