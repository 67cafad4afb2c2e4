import Glibc
import Platform
import Synchronization
import Testing

@testable import Fuse

/// Requests outside of a session, and how each was answered.
private final class Answers: ExchangeServer {
  private let state = Mutex<[UInt64: Errno?]>([:])
  private let slots = Mutex<[ReplyBuffers]>([])

  /// A request of this number.
  func pending(_ number: UInt64) -> PendingDone {
    let slot = ReplyBuffers()
    slots.withLock { $0.append(slot) }
    slot.server = self
    slot.arrival = number
    return PendingDone(exchange: Exchange(slot))
  }

  /// How it was answered: nil when it was not, and an error of 0 for success.
  subscript(number: UInt64) -> Int32? {
    state.withLock { state in state[number].map { $0?.rawValue ?? 0 } }
  }

  private func note(_ slot: RequestSlot, _ error: Errno?) {
    state.withLock { state in
      if state[slot.arrival] != nil { Issue.record("request \(slot.arrival) was answered twice") }
      state[slot.arrival] = .some(error)
    }
  }

  func finishRead(_ slot: RequestSlot, ranges: Int, byteCount: Int) { note(slot, nil) }
  func finish(_ slot: RequestSlot, byteCount: Int, written: Int) { note(slot, nil) }
  func fail(_ slot: RequestSlot, _ error: Errno) { note(slot, error) }
}

@Suite("Locks on files") struct LockTableTests {
  private let table = LockTable<Int>()
  private let answers = Answers()

  private func owner(_ number: UInt64) -> LockOwner { LockOwner(rawValue: number) }

  /// Asks for a lock on file 1, as request `number`.
  private func set(
    _ kind: FileLock.Kind, _ range: ClosedRange<UInt64>, by number: UInt64, waits: Bool = false, isFlock: Bool = false,
    as request: UInt64, on file: Int = 1
  ) {
    let intent = LockIntent(
      owner(number), isFlock: isFlock, waits: waits, request: RequestID(rawValue: request))
    table.set(
      FileLock(kind, from: range.lowerBound, through: range.upperBound), intent, on: file, answers.pending(request))
  }

  private func conflict(_ kind: FileLock.Kind, _ range: ClosedRange<UInt64>, by number: UInt64) -> FileLock? {
    table.conflict(of: FileLock(kind, from: range.lowerBound, through: range.upperBound), by: owner(number), on: 1)
  }

  @Test("shared locks go together, exclusive ones with nobody else's, and the holder is told")
  func kinds() {
    set(.shared, 0...9, by: 1, as: 1)
    set(.shared, 5...20, by: 2, as: 2)
    set(.exclusive, 9...9, by: 3, as: 3)
    set(.exclusive, 21...30, by: 3, as: 4)
    set(.shared, 30...40, by: 1, as: 5)
    #expect(answers[1] == 0 && answers[2] == 0 && answers[3] == EAGAIN && answers[4] == 0 && answers[5] == EAGAIN)
    #expect(conflict(.exclusive, 0...4, by: 2) == FileLock(.shared, from: 0, through: 9))
    #expect(conflict(.shared, 0...20, by: 3) == nil)
    #expect(conflict(.exclusive, 21...30, by: 3) == nil)
  }

  @Test("a range is split by another kind, and grows together with its own")
  func ranges() {
    set(.exclusive, 0...99, by: 1, as: 1)
    set(.unlock, 40...49, by: 1, as: 2)
    #expect(conflict(.shared, 40...49, by: 2) == nil)
    #expect(conflict(.shared, 49...50, by: 2) == FileLock(.exclusive, from: 50, through: 99))
    set(.shared, 60...69, by: 1, as: 3)
    #expect(conflict(.shared, 60...69, by: 2) == nil)
    #expect(conflict(.shared, 59...60, by: 2) == FileLock(.exclusive, from: 50, through: 59))
    #expect(conflict(.shared, 70...70, by: 2) == FileLock(.exclusive, from: 70, through: 99))
    set(.exclusive, 40...69, by: 1, as: 4)
    #expect(conflict(.shared, 50...50, by: 2) == FileLock(.exclusive, from: 0, through: 99))
    set(.exclusive, 100...UInt64(Int64.max), by: 1, as: 5)
    #expect(conflict(.shared, 7...7, by: 2) == FileLock(.exclusive))
    set(.unlock, 0...UInt64(Int64.max), by: 1, as: 6)
    #expect(conflict(.exclusive, 0...UInt64(Int64.max), by: 2) == nil)
  }

  @Test("a process waits until the lock is free, in its turn, and close gives all locks back")
  func waiting() {
    set(.exclusive, 0...9, by: 1, as: 1)
    set(.exclusive, 5...6, by: 2, waits: true, as: 2)
    set(.exclusive, 0...9, by: 3, waits: true, as: 3)
    #expect(answers[2] == nil && answers[3] == nil && table.waiterCount == 2)
    set(.unlock, 6...6, by: 1, as: 4)
    #expect(answers[2] == nil)
    table.release(owner(1), isFlock: false, on: 1)
    #expect(answers[2] == 0 && answers[3] == nil)
    table.release(owner(2), isFlock: false, on: 1)
    #expect(answers[3] == 0 && table.waiterCount == 0)
    // A lock that becomes shared frees those that wait to share it.
    set(.shared, 0...9, by: 4, waits: true, as: 5)
    set(.shared, 0...9, by: 3, as: 6)
    #expect(answers[5] == 0)
  }

  @Test("who would wait for itself is told so, and flock never is")
  func deadlock() {
    for number: UInt64 in 1...3 { set(.exclusive, number...number, by: number, as: number) }
    set(.exclusive, 2...2, by: 1, waits: true, as: 11)
    set(.exclusive, 3...3, by: 2, waits: true, as: 12)
    set(.exclusive, 1...1, by: 3, waits: true, as: 13)
    #expect(answers[11] == nil && answers[12] == nil && answers[13] == EDEADLK)
    table.release(owner(3), isFlock: false, on: 1)
    #expect(answers[12] == 0)
    for (file, number) in [(2, 21), (3, 22)] as [(Int, UInt64)] {
      set(.exclusive, 0...9, by: number, isFlock: true, as: number, on: file)
    }
    set(.exclusive, 0...9, by: 21, waits: true, isFlock: true, as: 31, on: 3)
    set(.exclusive, 0...9, by: 22, waits: true, isFlock: true, as: 32, on: 2)
    #expect(answers[31] == nil && answers[32] == nil)
    table.interruptAll()
    #expect(answers[31] == EINTR && answers[32] == EINTR && answers[11] == EINTR)
  }

  @Test("flock and fcntl do not see each other")
  func apart() {
    set(.exclusive, 0...9, by: 1, as: 1)
    set(.exclusive, 0...UInt64(Int64.max), by: 2, isFlock: true, as: 2)
    #expect(answers[1] == 0 && answers[2] == 0)
    table.release(owner(1), isFlock: true, on: 1)
    #expect(conflict(.shared, 0...0, by: 3) != nil)
    table.release(owner(1), isFlock: false, on: 1)
    #expect(conflict(.shared, 0...0, by: 3) == nil)
    set(.shared, 0...UInt64(Int64.max), by: 3, isFlock: true, as: 3)
    #expect(answers[3] == EAGAIN)
  }

  @Test("an interrupt ends a wait, also one that has not begun, and nothing else")
  func interrupts() {
    set(.exclusive, 0...9, by: 1, as: 1)
    set(.exclusive, 0...9, by: 2, waits: true, as: 2)
    table.interrupt(RequestID(rawValue: 2))
    #expect(answers[2] == EINTR)
    table.interrupt(RequestID(rawValue: 3))
    set(.exclusive, 0...9, by: 2, waits: true, as: 3)
    #expect(answers[3] == EINTR)
    // Most interrupts are of other requests: the oldest are dropped.
    table.interrupt(RequestID(rawValue: 4))
    for number in 1000..<1200 as Range<UInt64> { table.interrupt(RequestID(rawValue: number)) }
    set(.exclusive, 0...9, by: 2, waits: true, as: 4)
    #expect(answers[4] == nil)
    table.removeAll()
    #expect(answers[4] == EINTR)
    set(.exclusive, 0...9, by: 5, as: 5)
    #expect(answers[5] == 0)
  }

  @Test("random locks are as a table of bytes says", arguments: 1...8)
  func model(seed: Int) {
    var random = SystemRandomNumberGenerator()
    var bytes: [[UInt64: FileLock.Kind]] = Array(repeating: [:], count: 24)
    for step in 0..<600 as Range<UInt64> {
      let by = UInt64.random(in: 1...4, using: &random)
      let (first, second) = (UInt64.random(in: 0...23, using: &random), UInt64.random(in: 0...23, using: &random))
      let range = min(first, second)...max(first, second)
      let kind = [FileLock.Kind.shared, .exclusive, .unlock].randomElement(using: &random) ?? .shared
      let isFree = range.allSatisfy { byte in
        bytes[Int(byte)].allSatisfy { $0.key == by || kind == .shared && $0.value == .shared }
      }
      let request = UInt64(seed) * 10_000 + step
      set(kind, range, by: by, as: request)
      let expected = kind == .unlock || isFree ? 0 : EAGAIN
      #expect(answers[request] == expected, "step \(step)")
      if expected == 0 { for byte in range { bytes[Int(byte)][by] = kind == .unlock ? nil : kind } }
      for byte in 0...23 as ClosedRange<UInt64> {
        let isHeld = bytes[Int(byte)].contains { $0.key != 5 && $0.value == .exclusive }
        #expect((conflict(.shared, byte...byte, by: 5) != nil) == isHeld, "step \(step), byte \(byte)")
        let first = (byte...23).first { !bytes[Int($0)].isEmpty }
        let found = conflict(.exclusive, byte...23, by: 5)
        #expect(found.map { max($0.start, byte) } == first, "step \(step), from byte \(byte)")
      }
    }
  }
}
