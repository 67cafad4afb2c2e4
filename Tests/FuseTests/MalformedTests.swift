import FuseTestSupport
import Platform
import Testing

@testable import Fuse

/// Whatever comes, the session lives on, and answers each request at most once and to its own number.
@Suite("Malformed requests") struct MalformedTests {
  /// One whole request of every kind.
  private var valid: [[UInt8]] {
    [
      Message.request(.lookup, Message().name("hello")),
      Message.request(.forget, node: 2, Message().u64(1)),
      Message.request(.getattr, Message().zeros(16)),
      Message.request(.setattr, node: 2, Message().u32(0xffff_ffff).zeros(84)),
      Message.request(.open, node: 2, Message().zeros(8)),
      Message.request(.read, node: 4, Message.read(at: 100, 5000)),
      Message.request(.write, node: 4, Message.write(at: 100, [UInt8](repeating: 7, count: 300))),
      Message.request(.statfs),
      Message.request(.release, node: 2, Message().zeros(24)),
      Message.request(.fsync, node: 2, Message().zeros(16)),
      Message.request(.getxattr, node: 2, Message().u32(100).u32(0).name("user.color")),
      Message.request(.listxattr, node: 2, Message().u32(100).u32(0)),
      Message.request(.flush, node: 2, Message().zeros(24)),
      Message.offer(unique: 2),
      Message.request(.opendir, Message().zeros(8)),
      Message.request(.readdir, Message.read(at: 0, 4096)),
      Message.request(.releasedir, Message().zeros(24)),
      Message.request(.fsyncdir, Message().zeros(16)),
      Message.request(.access, Message().zeros(8)),
      Message.request(.interrupt, Message().u64(4)),
      Message.request(.batchForget, Message().u32(2).u32(0).u64(2).u64(1).u64(4).u64(1)),
      Message.request(.readdirplus, Message.read(at: 0, 4096)),
      Message.request(.lseek, node: 2, Message().u64(0).u64(3).u32(4).u32(0)),
      Message.request(.statx, Message().zeros(24)),
      Message.request(.fallocate, node: 2, Message.fallocate(at: 0, 5000)),
      Message.request(.syncfs, Message().zeros(8)),
      Message.request(.getFmap, node: 2),
      Message.request(.getDaxdev, node: 0, Message().u32(0)),
    ] + Message.changes
  }

  /// Sends requests, each with a number of its own, to a file system that refuses changes and to one that makes them, and
  /// checks the replies.
  private func check(_ requests: [[UInt8]], _ isOurs: (UInt64) -> Bool) throws {
    try check(requests, of: SmallFileSystem(), isOurs)
    try check(requests, of: MemoryFileSystem(), isOurs)
  }

  private func check(_ requests: [[UInt8]], of files: some FileSystem, _ isOurs: (UInt64) -> Bool) throws {
    let transport = MemoryTransport([Message.offer()] + requests)
    let ending = try Session(files, over: transport).run(threads: 1)
    #expect(ending == .unmounted)
    let numbers = transport.replies.map(\.unique)
    #expect(Set(numbers).count == numbers.count)
    #expect(numbers.allSatisfy { $0 == 1 || isOurs($0) })
    #expect(transport.replies.allSatisfy { $0.statedLength == $0.bytes.count && (-511...0).contains($0.error) })
    #expect(transport.replies.allSatisfy { $0.error == 0 || $0.bytes.count == 16 })
  }

  private func numbered(_ request: [UInt8], _ unique: UInt64) -> [UInt8] {
    guard request.count >= 16 else { return request }
    return Array(request[..<8]) + Message().u64(unique).bytes + Array(request[16...])
  }

  private func lengthened(_ request: [UInt8]) -> [UInt8] {
    request.count < 4 ? request : Message().u32(UInt32(request.count)).bytes + Array(request[4...])
  }

  @Test("a request cut short at any byte, with and without the length that says so")
  func truncated() throws {
    var requests: [[UInt8]] = []
    for request in valid {
      for length in 0...request.count {
        let cut = numbered(Array(request[..<length]), UInt64(1000 + requests.count))
        requests.append(cut)
        requests.append(numbered(lengthened(cut), UInt64(1000 + requests.count)))
      }
    }
    #expect(requests.count > 3000)
    try check(requests) { (1000..<UInt64(1000 + requests.count)).contains($0) }
  }

  @Test("a valid request with bytes changed at random", arguments: 0..<8)
  func mutated(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let valid = valid
    var requests: [[UInt8]] = []
    for number in 0..<4000 {
      var request = valid[Int.random(in: 0..<valid.count, using: &random)]
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: 0..<request.count, using: &random)
        // The extremes are where arithmetic breaks.
        let values: [UInt8] = [0, 1, 0x7f, 0x80, 0xff, .random(in: 0...255, using: &random)]
        request[place] = values[Int.random(in: 0..<values.count, using: &random)]
      }
      if Bool.random(using: &random) { request = lengthened(request) }
      // DESTROY would end it all, rightly.
      if request[4] == 38 { request[4] = 3 }
      requests.append(numbered(request, UInt64(1000 + number)))
    }
    try check(requests) { (1000..<5000).contains($0) }
  }

  @Test("random bytes", arguments: 0..<4)
  func random(seed: UInt64) throws {
    var random = SplitMix(state: 100 + seed)
    var requests: [[UInt8]] = []
    for number in 0..<4000 {
      var request = (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      if request.count >= 40, Bool.random(using: &random) {
        request[4] = UInt8(Int.random(in: 0...60, using: &random))
        if request[4] == 38 { request[4] = 3 }
        request.replaceSubrange(5..<8, with: [0, 0, 0])
        request.replaceSubrange(36..<40, with: [0, 0, 0, 0])
        request = lengthened(request)
      }
      requests.append(numbered(request, UInt64(1000 + number)))
    }
    try check(requests) { (1000..<5000).contains($0) }
  }

  @Test("random bytes instead of INIT")
  func beforeInit() throws {
    var random = SplitMix(state: 4242)
    for _ in 0..<500 {
      let body = (0..<Int.random(in: 0...80, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      let transport = MemoryTransport([Message.request(.initialize, unique: 3, node: 0, Message(bytes: body))])
      _ = try Session(SmallFileSystem(), over: transport).run(threads: 1)
      #expect(transport.replies.map(\.unique) == [3])
    }
  }
}

/// Random numbers that are the same every time.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }
}
