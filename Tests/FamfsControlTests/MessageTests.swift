import ControlChannel
import Counts
import Famfs
import Memory
import Platform
import Testing

@testable import FamfsControl

/// Random numbers that a seed repeats (splitmix64).
private struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func number() -> UInt64 { [0, 1, .max, next(), next() >> 40].randomElement(using: &self) ?? 0 }
  mutating func number32() -> UInt32 {
    [0, 1, .max, UInt32.random(in: 0...(.max), using: &self)].randomElement(using: &self) ?? 0
  }

  mutating func text() -> String {
    let letters = ["a", "/", "\0", " ", "ö", "語", "👩‍👩‍👧", "\n", "e\u{301}\u{301}"]
    return (0..<Int.random(in: 0...60, using: &self)).map { _ in letters.randomElement(using: &self) ?? "" }.joined()
  }

  mutating func name() -> NewName {
    NewName(path: text(), permissions: number32(), userID: number32(), groupID: number32())
  }

  mutating func striping() -> Striping? {
    let buckets = UInt64.random(in: 1...64, using: &self)
    let strips = UInt64.random(in: 1...min(16, buckets), using: &self)
    return Striping(strips: strips, buckets: buckets, chunkSize: 1 << UInt64.random(in: 12...63, using: &self))
  }

  mutating func layout() -> FileLayout {
    let extents = (0..<Int.random(in: 0...16, using: &self)).map { _ in
      Extent(device: number(), offset: number(), length: number())
    }
    return FileLayout(ExtentList(extents), chunkSize: number())
  }

  mutating func status() -> MountStatus {
    var status = MountStatus(mountMajor: number32(), mountMinor: number32(), isMaster: Bool.random(using: &self))
    (status.isNamed, status.isStrict) = (Bool.random(using: &self), Bool.random(using: &self))
    (status.processID, status.entries, status.entryCapacity) = (number(), number(), number())
    (status.badEntries, status.files, status.directories) = (number(), number(), number())
    (status.usedBytes, status.freeBytes, status.dataPath) = (number(), number(), text())
    (status.volumeUUID, status.masterUUID) = (UUID.random(), UUID.random())
    return status
  }

  mutating func memory() -> MemoryStatus {
    var status = MemoryStatus(.noncoherent, disabled: nil, unlisted: number())
    for _ in 0..<Int.random(in: 0...8, using: &self) {
      let error = MemoryError(
        id: number(), offset: number(), length: number(), fault: .cutShort, count: number(), first: number())
      status.ranges.append(
        BadRange(device: number(), error: error, contents: text(), files: [text(), text()], fileCount: number()))
    }
    return status
  }

  mutating func activity() -> MountActivity {
    var activity = MountActivity()
    (activity.uptime, activity.bytes) = (number(), ByteCount(read: number(), written: number()))
    (activity.staged.files, activity.staged.directories, activity.staged.bytes) = (number(), number(), number())
    for opcode in [nil, "lookup", "read"] {
      let counts = (0...LatencyHistogram.boundCount).map { _ in number() }
      let latency = LatencyHistogram(counts: counts, sum: number()) ?? LatencyHistogram()
      activity.operations.append(
        OperationCount(opcode: opcode, requests: number(), errors: number(), latency: latency))
    }
    return activity
  }

  mutating func device() -> DeviceUsage {
    DeviceUsage(
      index: number(), uuid: .random(), size: number(), free: number(), path: text() + "x", trouble: nil,
      pages: DevicePages(size: number() | 1, origin: text()))
  }

  mutating func peer() -> Peer {
    var heartbeat = Heartbeat(
      host: .random(), mount: number(), isMaster: Bool.random(using: &self), since: number(), hostName: text())
    (heartbeat.time, heartbeat.count, heartbeat.entries) = (number(), number(), number())
    return Peer(heartbeat: heartbeat, age: Bool.random(using: &self) ? number() : nil)
  }

  mutating func requests() -> [ControlRequest] {
    [
      .status, .peers(from: number()), .device(number()), .devices,
      .addDevice(text(), force: Bool.random(using: &self)),
      .makeDirectory(name()), .reserve(name(), size: number(), nil),
      .reserve(name(), size: number(), striping()), .commit([]), .commit([number(), number()]), .cancel(number()),
      .replay, .map(text()),
      .clone(text(), to: text()),
      .memory, .examine(Extent(device: number(), offset: number(), length: number())), .remove(text()),
      .forget(text()), .activity, .freeRuns(device: number(), from: number()), .change(cache: nil, lifetime: nil),
      .change(cache: CachePolicy.allCases.randomElement(using: &self), lifetime: number()),
    ]
  }

  mutating func replies() -> [ControlReply] {
    [
      .done, .reserved(number(), layout()),
      .status(status()), .device(text(), count: number()), .devices([device(), device()]), .added(number()),
      .peers([peer(), peer()]), .activity(activity()), .freeRuns([0..<4096, 8192..<(.max)]),
      .replayed(entries: number(), files: number(), directories: number()),
      .mapped(layout(), size: number()), .failed(text()), .memory(memory()),
    ]
  }
}

private func request(_ bytes: [UInt8]) throws(Errno) -> ControlRequest {
  try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try ControlRequest(parsing: bytes) }
}

private func reply(_ bytes: [UInt8]) throws(Errno) -> ControlReply {
  try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try ControlReply(parsing: bytes) }
}

@Suite struct MessageTests {
  @Test("every request is what it was after a journey", arguments: 1...50 as ClosedRange<UInt64>)
  func requests(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    for wanted in random.requests() {
      let bytes = wanted.encode()
      #expect(bytes.count <= controlMessageLimit)
      #expect(try request(bytes) == wanted)
    }
  }

  @Test("every reply is what it was after a journey", arguments: 1...50 as ClosedRange<UInt64>)
  func replies(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    for wanted in random.replies() {
      let bytes = wanted.encode()
      #expect(bytes.count <= controlMessageLimit)
      #expect(try reply(bytes) == wanted)
    }
  }

  @Test("a message that was cut off is refused wherever that was")
  func truncated() {
    var random = SeededRandom(seed: 1)
    for bytes in random.requests().map({ $0.encode() }) {
      for count in 0..<bytes.count {
        #expect(throws: Errno.protocolError) { try request(Array(bytes.prefix(count))) }
      }
    }
    for bytes in random.replies().map({ $0.encode() }) {
      for count in 0..<bytes.count { #expect(throws: Errno.protocolError) { try reply(Array(bytes.prefix(count))) } }
    }
  }

  @Test("random bytes, and messages with random changes, never trap", arguments: 1...20 as ClosedRange<UInt64>)
  func random(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for _ in 0..<200 {
      var bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      _ = try? request(bytes)
      _ = try? reply(bytes)
      // With a kind that exists, so that more of it is read.
      let kind = [UInt8.random(in: 0...51, using: &random), 0, 0, 0, 0, 0, 0, 0]
      let version = withUnsafeBytes(of: ControlVersion.word.littleEndian) { Array($0) }
      bytes.replaceSubrange(0..<min(16, bytes.count), with: version + kind)
      _ = try? request(bytes)
      _ = try? reply(bytes)
    }
    for message in random.requests().map({ $0.encode() }) + random.replies().map({ $0.encode() }) {
      for _ in 0..<20 {
        var bytes = message
        let place = Int.random(in: 0..<bytes.count, using: &random)
        bytes[place] = [0, 0xff, 0x80, UInt8.random(in: 0...255, using: &random)].randomElement(using: &random) ?? 0
        if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
        _ = try? request(bytes)
        _ = try? reply(bytes)
      }
    }
  }

  @Test("a message of another version is refused as such, and answered in a way that its sender can read")
  func versions() throws {
    let refusal = ControlReply.failed("no").encode()
    for version in [ControlVersion.word + 1, ControlVersion.word + 1000] {
      let word = withUnsafeBytes(of: version.littleEndian) { Array($0) }
      let theirs = word + ControlRequest.status.encode().dropFirst(8)
      #expect(throws: ControlVersion.mismatch) { try request(theirs) }
      #expect(throws: ControlVersion.mismatch) { try reply(word + refusal.dropFirst(8)) }
      #expect(theirs.withUnsafeBytes { ControlVersion.answer(refusal, to: $0) } == refusal)
    }
    // The first one had no word of its version.
    let first = Array(ControlRequest.status.encode().dropFirst(8))
    #expect(throws: ControlVersion.mismatch) { try request(first) }
    #expect(first.withUnsafeBytes { ControlVersion.answer(refusal, to: $0) } == Array(refusal.dropFirst(8)))
  }

  @Test("counts and lengths beyond the message are refused")
  func lies() {
    func words(_ numbers: [UInt64]) -> [UInt8] {
      ([ControlVersion.word] + numbers).flatMap { number in withUnsafeBytes(of: number.littleEndian) { Array($0) } }
    }
    for count in [1, 1 << 31, 1 << 62, UInt64(Int64.max), .max] as [UInt64] {
      #expect(throws: Errno.protocolError) { try request(words([8, count])) }  // a text
      #expect(throws: Errno.protocolError) { try reply(words([5, count])) }
      #expect(throws: Errno.protocolError) { try reply(words([2, 1, 0, count])) }  // extents
    }
    #expect(throws: Errno.protocolError) { try reply(words([2, 1, 0, 17] + Array(repeating: 0, count: 51))) }
    #expect(throws: Errno.protocolError) { try request(words([2, 0, 1 << 32, 0, 0])) }  // 33 bits of mode
    #expect(throws: Errno.protocolError) { try request(words([8, 1]) + [0xff]) }  // not UTF-8
    #expect(throws: Errno.protocolError) { try request(words([0])) }
    #expect(throws: Errno.protocolError) { try reply(words([.max])) }
  }

  @Test("the mounts that one message is to hold fit, each with the longest name that media can have")
  func crowd() throws {
    var random = SeededRandom(seed: 1)
    var peer = random.peer()
    // 64 bytes that are no UTF-8.
    peer.heartbeat.hostName = String(repeating: "\u{fffd}", count: 64)
    let crowd = ControlReply.peers(Array(repeating: peer, count: ControlReply.mostPeers))
    let bytes = crowd.encode()
    #expect(bytes.count <= controlMessageLimit)
    #expect(try reply(bytes) == crowd)
  }

  @Test("a refusal always fits in a message, whatever characters are in it")
  func longSentences() throws {
    for sentence in [
      String(repeating: "x", count: 100_000), String(repeating: "👩‍👩‍👧", count: 3000),
      "e" + String(repeating: "\u{301}", count: 10_000),
    ] {
      let bytes = ControlReply.failed(sentence).encode()
      #expect(bytes.count <= controlMessageLimit)
      guard case .failed(let short) = try reply(bytes) else {
        Issue.record("not a refusal any more")
        continue
      }
      #expect(short.utf8.prefix(5900).elementsEqual(sentence.utf8.prefix(5900)))
    }
  }
}
