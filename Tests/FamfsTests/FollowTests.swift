import Glibc
import Memory
import Platform
import Synchronization
import Testing

@testable import Famfs
@testable import FamfsTestSupport

@Suite struct FollowTests {
  @Test("a client sees what the master adds, in the order of the log, once it follows")
  func follow() throws {
    let device = try newVolume()
    let master = try Volume(on: device, host: Host.master)
    let client = try Volume(on: device, host: Host.client)
    #expect(client.follow().directories.isEmpty)
    let directory = try master.makeDirectory("dir")
    try master.create("dir/z", [1, 2, 3])
    try master.create("dir/a", [4])
    try master.create("top", [5])
    #expect(try client.items().isEmpty)
    let news = client.follow()
    #expect(news.directories == [.root, directory, .root])
    #expect(news.files == 3)
    #expect(news.newDirectories == 1)
    #expect(news.problems == 0)
    #expect(news.trouble == nil)
    #expect(try client.items() == master.items())
    #expect(try client.names(in: directory) == ["z", "a"])
    #expect(try client.number(of: "dir/a") == master.number(of: "dir/a"))
    #expect(try client.contents(of: client.number(of: "dir/z")) == [1, 2, 3])
    #expect(client.follow().files == 0)
  }

  @Test("a volume opened without playing its log is empty until it follows, or appends")
  func unplayed() throws {
    let device = try newVolume()
    try Volume(on: device, host: Host.master).makeDirectory("a")
    let client = try Volume(on: device, host: Host.client, playing: false)
    #expect(try client.items().isEmpty)
    _ = client.follow()
    #expect(try client.names(in: .root) == [".meta", "a"])
    let master = try Volume(on: device, host: Host.master, playing: false)
    #expect(refusal { try master.makeDirectory("a") } == "exists")
    try master.makeDirectory("b")
    #expect(try Volume(on: device, host: Host.client).names(in: .root) == [".meta", "a", "b"])
  }

  @Test("a volume can be asked for its news without a look at the log; that it was replaced is seen all the same")
  func newsAlone() throws {
    let device = try newVolume()
    let master = try Volume(on: device, host: Host.master)
    let client = try Volume(on: device, host: Host.client)
    try master.makeDirectory("a")
    #expect(client.takeNews().newDirectories == 0)
    client.catchUp()
    #expect(client.takeNews().newDirectories == 1)
    #expect(client.takeNews().newDirectories == 0)
    try make(on: device, force: true)
    #expect(client.takeNews().trouble?.contains("another file system") == true)
    #expect(client.isLost)
  }

  @Test("children can be listed on from any of them while more arrive")
  func listing() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    let first = try volume.makeDirectory("a")
    func next(_ previous: NodeNumber?, _ directory: NodeNumber = .root) throws -> NodeNumber? {
      var found: NodeNumber?
      try volume.children(of: directory, after: previous) { number, _, _ in
        found = number
        return false
      }
      return found
    }
    #expect(try next(.meta) == first)
    #expect(try next(first) == nil)
    let second = try volume.makeDirectory("b")
    #expect(try next(first) == second)
    for wrong in [NodeNumber.root, .log, NodeNumber(99), NodeNumber(.max)] {
      #expect(throws: Errno.invalidArgument) { try next(wrong) }
    }
    #expect(throws: Errno.noEntry) { try next(nil, NodeNumber(.max)) }
    #expect(throws: Errno.notDirectory) { try next(nil, .log) }
  }

  // MARK: Logs that are not what they were

  @Test("an index that went back is trouble, and stays so when it grows again")
  func wentBack() throws {
    var hand = HandMadeVolume([.directory("a"), .directory("b")])
    let volume = try hand.open()
    hand.setHeader(count: 1)
    #expect(volume.follow().trouble?.contains("shorter") == true)
    #expect(refusal { try volume.makeDirectory("c") } == "disabled")
    hand.append(.directory("foreign"))
    #expect(volume.follow().trouble != nil)
    #expect(volume.usage().entries == 2)
    #expect(refusal { try volume.makeDirectory("c") } == "disabled")
    #expect(throws: Errno.stale) { try volume.names(in: .root) }
  }

  @Test("an index beyond the last slot is trouble and plays nothing", arguments: [15_421, 1 << 32, UInt64.max])
  func beyond(index: UInt64) throws {
    let hand = HandMadeVolume([.directory("a")])
    let volume = try hand.open()
    hand.setHeader(count: index)
    #expect(volume.follow().trouble?.contains("more entries") == true)
    #expect(volume.usage().entries == 1)
    #expect(refusal { try volume.makeDirectory("c") } == "disabled")
  }

  @Test("an index of unwritten slots brings bad entries and ends appending")
  func lyingIndex() throws {
    let hand = HandMadeVolume([.directory("a")])
    let volume = try hand.open()
    hand.setHeader(count: 4)
    let news = volume.follow()
    #expect(news.problems == 3)
    #expect(news.directories.isEmpty)
    #expect(refusal { try volume.makeDirectory("c") } == "badEntries")
  }

  @Test("a bad entry among new ones is skipped and counted")
  func badEntry() throws {
    var hand = HandMadeVolume()
    let volume = try hand.open(as: Host.client)
    hand.append(.directory("a"))
    hand.append(bytes: Array(repeating: 7, count: 544))
    hand.append(.directory("b"))
    let news = volume.follow()
    #expect(news.problems == 1)
    #expect(news.newDirectories == 2)
    #expect(try volume.names(in: .root) == [".meta", "a", "b"])
    #expect(volume.report().problems.map(\.index) == [1])
  }

  // MARK: Another file system on the device

  @Test("a device that was made anew is told and never written again")
  func replaced() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.master)
    let reservation = try volume.reserve("late", size: 1)
    try make(on: device, force: true)
    let before = device.sum(0, 3 << 20)
    #expect(refusal { try volume.commit(reservation.id) } == "disabled")
    #expect(refusal { try volume.makeDirectory("dir") } == "disabled")
    #expect(volume.follow().trouble?.contains("another file system") == true)
    #expect(device.sum(0, 3 << 20) == before)
  }

  @Test("of a volume that is gone nothing is answered, least of all with files of the one that replaced it")
  func foreignFiles() throws {
    let device = try newVolume()
    let first = try Volume(on: device, host: Host.master)
    try first.create("old", [1])
    let client = try Volume(on: device, host: Host.client)
    try make(on: device, force: true)
    let second = try Volume(on: device, host: Host.master)
    for name in ["new1", "new2", "new3"] { try second.create(name, [2]) }
    for volume in [first, client] {
      #expect(volume.follow().trouble?.contains("another file system") == true)
      #expect(volume.usage().entries == 1)
      #expect(volume.isLost)
      #expect(throws: Errno.stale) { try volume.names(in: .root) }
      #expect(throws: Errno.stale) { try volume.node(.entry(0)) }
      #expect(throws: Errno.stale) { try volume.contents(of: .entry(0)) }
    }
  }

  @Test("a wiped superblock is trouble too")
  func wiped() throws {
    let device = try newVolume()
    let volume = try Volume(on: device, host: Host.client)
    try Volume.destroySuperblock(of: device)
    #expect(volume.follow().trouble != nil)
  }
}

/// A device that tells of reads of the log's slots, by the number of the first.
private final class WatchedDevice: RamDevice, @unchecked Sendable {
  var onRead: ((UInt64) -> Void)?

  override func will(_ access: Access, _ offset: UInt64, _ count: UInt64) throws(Errno) {
    guard access == .read, offset >= HandMadeVolume.place(of: 0), offset < HandMadeVolume.dataStart else { return }
    onRead?((offset - HandMadeVolume.place(of: 0)) / 544)
  }
}

/// A thread that does one thing, for which it has to wait for a lock.
private final class Other: Sendable {
  private let thread = Atomic<Int32>(0)
  private let hasEnded = Atomic(false)
  private let hasWaited = Atomic(false)
  private let wasInTime = Atomic(false)

  /// Begins, unless it has begun, and returns when it waits.
  func begin(_ body: @escaping @Sendable () -> Void) {
    if thread.load(ordering: .acquiring) != 0 { return }
    try? Thread.detached(named: "weft-test") { [self] in
      let name = (try? linkTarget("/proc/thread-self")) ?? ""
      thread.store(name.split(separator: "/").last.flatMap { Int32($0) } ?? -1, ordering: .releasing)
      body()
      hasEnded.store(true, ordering: .releasing)
    }
    while true {
      let number = thread.load(ordering: .acquiring)
      if number != 0 && processState(number) == "S" || hasEnded.load(ordering: .acquiring) { return }
      sched_yield()
    }
  }

  /// Waits for its end, the first time that this is called.
  func waitForEnd(seconds: UInt64) {
    if hasWaited.exchange(true, ordering: .acquiringAndReleasing) { return }
    let deadline = Clock.monotonic() + seconds * 1_000_000_000
    while !hasEnded.load(ordering: .acquiring) && Clock.monotonic() < deadline { sched_yield() }
    if hasEnded.load(ordering: .acquiring) { wasInTime.store(true, ordering: .releasing) }
  }

  var hasEndedInTime: Bool { wasInTime.load(ordering: .acquiring) }
}

/// Logs whose index is more than their entries bear out.
@Suite(.timeLimit(.minutes(15))) struct HollowLogTests {
  private static let most = LogFollower.mostEmpty

  /// A volume with one directory, whose index says that there are entries up to the last slot.
  private func hollow() -> HandMadeVolume {
    var hand = HandMadeVolume()
    hand.append(.directory("good"))
    hand.setHeader(count: 15_420)
    return hand
  }

  @Test("an index that no entries bear out is not believed: what there is is shown, and nothing is appended")
  func opened() throws {
    let volume = try hollow().open()
    #expect(try Array(volume.items().keys) == ["good"])
    #expect(volume.usage().entries == 1 && volume.usage().problemCount == 0)
    let problem = volume.report().headerProblem
    #expect(problem?.contains("15420") == true && problem?.contains("first 1 ") == true, "\(problem ?? "")")
    #expect(refusal { try volume.makeDirectory("more") } == "disabled")
    #expect(volume.follow().trouble?.contains("fsck") == true)
    #expect(try Array(volume.items().keys) == ["good"])
  }

  @Test("the same while the volume is followed: nothing of what is not there is counted or kept")
  func followed() throws {
    var hand = HandMadeVolume()
    hand.append(.directory("good"))
    let volume = try hand.open()
    let before = volume.memoryUse
    hand.setHeader(count: 15_420)
    let news = volume.follow()
    #expect(news.trouble?.contains("fsck") == true && news.problems == 0 && news.directories.isEmpty)
    #expect(volume.usage().entries == 1 && volume.usage().problemCount == 0 && !volume.isLost)
    #expect(volume.memoryUse < before + 4 << 20)
    #expect(refusal { try volume.makeDirectory("more") } == "disabled")
    // For good: an index that was wrong once is another log's.
    hand.append(.directory("later"))
    #expect(volume.follow().trouble != nil)
    #expect(try Array(volume.items().keys) == ["good"])
  }

  @Test("entries behind fewer empty slots are shown, and the slots are named as bad", arguments: [false, true])
  func gap(whileOpen: Bool) throws {
    var hand = HandMadeVolume()
    hand.append(.directory("good"))
    let early = whileOpen ? try hand.open() : nil
    let last = HollowLogTests.most  // behind one slot less
    hand.device.poke(HandMadeVolume.place(of: last), HandMade.directory("behind").sealed(last))
    hand.setHeader(count: last + 1)
    let volume = try early ?? hand.open()
    #expect(volume.follow().trouble == nil)
    #expect(try Set(volume.items().keys) == ["good", "behind"])
    #expect(volume.usage().problemCount == last - 1 && volume.report().headerProblem == nil)
    #expect(refusal { try volume.makeDirectory("more") } == "badEntries")
  }

  @Test("while much of the log is read, its end is given to others between two batches")
  func batches() throws {
    let device = WatchedDevice()
    let hand = HandMadeVolume(on: device)
    let volume = try hand.open()
    let last = LogFollower.batch + 100
    device.poke(HandMadeVolume.place(of: last), HandMade.directory("behind").sealed(last))
    hand.setHeader(count: last + 1)
    let path = try EntryPath("other")
    let other = Other()
    device.onRead = { slot in
      if slot < LogFollower.batch {
        other.begin { _ = volume.isReserved(path) }
      } else {
        other.waitForEnd(seconds: 180)
      }
    }
    #expect(volume.follow().trouble == nil)
    #expect(try Array(volume.items().keys) == ["behind"])
    #expect(other.hasEndedInTime)
  }

  @Test("a log of 16 GiB whose index was set to its end by one store takes no memory and no time")
  func huge() throws {
    var template = Array("/dev/shm/weft-hollow-XXXXXX".utf8CString)
    let number = template.withUnsafeMutableBufferPointer { buffer in buffer.baseAddress.map { mkstemp($0) } ?? -1 }
    try #require(number >= 0)
    let file = FileDescriptor(owning: number)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(path) }
    let (size, logLength): (UInt64, UInt64) = (17 << 30, 16 << 30)
    try file.truncate(to: size)
    let last = (logLength - 48) / 544 - 1
    let superblock = HandMade.superblock(logLength: logLength, deviceSize: size)
    let header = HandMade.logHeader(
      logLength: logLength, lastIndex: last, nextSequence: 1, nextIndex: last + 1)
    for (place, bytes) in [
      (0, superblock.bytes), (HandMade.logStart, header.bytes),
      (HandMadeVolume.place(of: 0), HandMade.directory("good").sealed(0)),
    ] {
      try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try file.write(at: place, all: bytes) }
    }
    let volume = try Volume(on: MappedDevice(path: path, writable: true), host: Host.master)
    #expect(try Array(volume.items().keys) == ["good"])
    #expect(volume.report().headerProblem?.contains("\(last + 1)") == true)
    #expect(volume.follow().trouble != nil)
    #expect(volume.memoryUse < 32 << 20)
    // Nor of the memory below: a hole that is read is filled.
    #expect(try FileStatus(path: path).allocated < 32 << 20)
  }
}

@Suite struct LogFollowerTests {
  @Test("a step is as long as was asked for, and a log ends where too many slots hold no entry")
  func bounded() {
    var follower = LogFollower(played: 0, capacity: 100_000)
    #expect(follower.see(100_000, atMost: 10) == .play(0..<10))
    for index in 0..<10 as Range<UInt64> { follower.take(index, .failure(.pathExists)) }
    #expect(follower.see(100_000, atMost: 90_000) == .play(10..<90_010))
    for index in 10..<LogFollower.mostEmpty + 10 {
      #expect(!follower.isHollow)
      follower.take(index, .failure(index % 2 == 0 ? .badChecksum : .unreadable))
    }
    #expect(follower.isHollow && follower.played == 10)
    #expect(follower.see(100_000) == .hollow(10) && follower.see(11) == .hollow(10))
  }

  @Test("the index alone decides what to do")
  func steps() {
    var follower = LogFollower(played: 2, capacity: 10)
    #expect(follower.see(2) == .rest)
    #expect(follower.see(5) == .play(2..<5))
    #expect(follower.see(5) == .rest)
    #expect(follower.see(10) == .play(5..<10))
    #expect(follower.played == 10)
    #expect(follower.see(11) == .beyond)
  }

  @Test("a log that was lost once is never played again")
  func lost() {
    var shorter = LogFollower(played: 2, capacity: 10)
    #expect(shorter.see(1) == .wentBack)
    #expect(shorter.see(5) == .wentBack)
    var longer = LogFollower(played: 2, capacity: 10)
    #expect(longer.see(.max) == .beyond)
    #expect(longer.see(5) == .beyond)
    #expect(longer.played == 2)
  }
}
