import Foundation
import Platform
import Synchronization
import Testing

@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ConcurrentReadTests {
  /// Reads random ranges of random files until told to stop.
  private final class Readers: Sendable {
    let files: [(name: String, bytes: [UInt8])]
    let reads = Atomic<Int>(0)
    let wrong = Mutex<[String]>([])
    let shouldStop = Atomic(false)

    init(_ files: [(name: String, bytes: [UInt8])]) { self.files = files }

    func run(_ mount: String, seed: UInt64) {
      var numbers = Numbers(state: seed)
      while !shouldStop.load(ordering: .relaxed) {
        let (name, bytes) = files[numbers.next(below: files.count)]
        let offset = numbers.next(below: bytes.count)
        let count = min(bytes.count - offset, 1 + numbers.next(below: 200_000))
        do {
          let found = try FileDescriptor(opening: mount + "/" + name, .readOnly).bytes(at: offset, count: count)
          if !areSame(found, Array(bytes[offset..<offset + count])) {
            wrong.withLock { $0.append("\(name): \(count) bytes at \(offset)") }
          }
        } catch {
          wrong.withLock { $0.append("\(name): \(error)") }
        }
        reads.add(1, ordering: .relaxed)
      }
    }
  }

  private struct Numbers {
    var state: UInt64
    mutating func next(below limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(limit))
    }
  }

  @Test("8 threads on two mounts read right while the master adds files", arguments: ["never", "auto"])
  func readers(cache: String) throws {
    try withVolume(size: "256m", client: true, mounting: ["--cache", cache]) { volume in
      let sizes = [1, 4097, 100_000, 2 << 20 + 1, 5 << 20 + 123]
      let files = try sizes.map { (name: "\($0)", bytes: try volume.add("\($0)", count: $0, seed: UInt64($0))) }
      #expect(seconds(until: { files.allSatisfy { access(volume.client + "/" + $0.name, F_OK) == 0 } }) != nil)
      let readers = Readers(files)
      let mounts = volume.mounts
      let threads = try (0..<8).map { place in
        try Platform.Thread(named: "reader") { readers.run(mounts[place % 2], seed: UInt64(place)) }
      }
      defer { readers.shouldStop.store(true, ordering: .relaxed) }
      for place in 0..<30 {
        let bytes = try volume.add("new\(place)", count: 10_000 + place, seed: UInt64(place))
        #expect(seconds(until: { access(volume.client + "/new\(place)", F_OK) == 0 }) != nil)
        for mount in mounts { expect(mount + "/new\(place)", holds: bytes) }
      }
      #expect(seconds(until: { readers.reads.load(ordering: .relaxed) > 2000 }) != nil)
      readers.shouldStop.store(true, ordering: .relaxed)
      for thread in threads { thread.join() }
      #expect(readers.wrong.withLock { $0 } == [])
      try succeed(volume.famfs("fsck", volume.client, as: .client))
    }
  }
}
