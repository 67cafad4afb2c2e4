import ControlChannel
import Famfs
import FamfsControl
import Testing

@testable import FamfsService

/// When changed attributes are brought into the log.
@Suite(.timeLimit(.minutes(15)))
struct PendingAttributesTests {
  private static let second = PendingAttributes.second

  /// Has what is due saved, with nothing in the way.
  private func save(_ pending: inout PendingAttributes, at now: UInt64) -> [NodeNumber] {
    let due = pending.takeDue(by: now)
    for number in due { if let change = pending.begin(number) { pending.saved(number, change, now: now) } }
    return due
  }

  /// Counts the entries of a file that a program changes each 100 ms.
  private func entries(_ change: PendingAttributes.Change, seconds: UInt64) -> [UInt64] {
    var (pending, saved) = (PendingAttributes(), [UInt64]())
    for tick in 0..<seconds * 10 {
      let now = tick * PendingAttributesTests.second / 10
      pending.note(NodeNumber(9), change, now: now)
      if !save(&pending, at: now).isEmpty { saved.append(tick / 10) }
    }
    return saved
  }

  @Test("a change is due after a second, is put off by no other, and is saved once")
  func once() {
    var pending = PendingAttributes()
    let second = PendingAttributesTests.second
    for tick in 0..<10 { pending.note(NodeNumber(9), .access, now: UInt64(tick) * second / 20) }
    #expect(pending.next == second && save(&pending, at: second - 1) == [])
    #expect(save(&pending, at: second) == [NodeNumber(9)] && pending.isEmpty)
    #expect(save(&pending, at: 100 * second) == [] && pending.next == nil)
  }

  @Test("a file is saved at most once a second; and where its times alone change, ever less often")
  func pace() {
    let access = entries(.access, seconds: 1000)
    #expect(access.count >= 900 && access.count <= 1000)
    #expect(zip(access, access.dropFirst()).allSatisfy { $1 - $0 >= 1 })
    let times = entries(.times, seconds: 24 * 3600)
    #expect(times.count >= 80 && times.count <= 100, "\(times.count) a day")
    #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 <= 1025 })
  }

  @Test("a change of mode does not wait for the pause that times have come to, and after a rest neither do times")
  func impatience() {
    var pending = PendingAttributes()
    let second = PendingAttributesTests.second
    var now: UInt64 = 0
    for _ in 0..<6000 {
      now += second / 10
      pending.note(NodeNumber(9), .times, now: now)
      _ = save(&pending, at: now)
    }
    while let next = pending.next {
      now = max(now, next)
      _ = save(&pending, at: now)
    }
    pending.note(NodeNumber(9), .times, now: now + 1)
    #expect(pending.next ?? 0 > now + second)
    pending.note(NodeNumber(9), .access, now: now + 2)
    #expect(save(&pending, at: now + 2 + second) == [NodeNumber(9)])
    now += 10_000 * second
    pending.note(NodeNumber(9), .times, now: now)
    #expect(save(&pending, at: now + second) == [NodeNumber(9)])
  }

  @Test("what could not be saved waits until it changes, or is asked for; and all is forgotten with the log")
  func failures() {
    var pending = PendingAttributes()
    let second = PendingAttributesTests.second
    pending.note(NodeNumber(9), .access, now: 0)
    #expect(pending.takeDue(by: second) == [NodeNumber(9)] && pending.begin(NodeNumber(9)) == .access)
    #expect(pending.begin(NodeNumber(9)) == nil)
    pending.failed(NodeNumber(9), .access)
    #expect(pending.next == nil && pending.takeDue(by: 1000 * second) == [] && pending.all == [NodeNumber(9)])
    pending.note(NodeNumber(9), .times, now: 1000 * second)
    #expect(pending.takeDue(by: 1002 * second) == [NodeNumber(9)] && pending.begin(NodeNumber(9)) == .access)
    pending.note(NodeNumber(8), .times, now: 0)
    pending.drop()
    #expect(pending.isEmpty && pending.next == nil && pending.takeDue(by: .max - 1) == [])
  }

  @Test("of any changes of many files the last of each is saved, and no file twice within a second", arguments: 1...6)
  func model(seed: UInt64) {
    var state = seed
    func random(_ below: UInt64) -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state >> 33) % below
    }
    var (pending, now) = (PendingAttributes(), UInt64(0))
    var (current, saved, times): ([UInt32: UInt64], [UInt32: UInt64], [UInt32: UInt64]) = ([:], [:], [:])
    for step in 1...20_000 as ClosedRange<UInt64> {
      now += random(PendingAttributesTests.second / 100)
      let file = UInt32(random(4000))
      current[file] = step
      pending.note(NodeNumber(file), random(2) == 0 ? .access : .times, now: now)
      for number in pending.takeDue(by: now) {
        guard let change = pending.begin(number) else {
          Issue.record("due and not waiting")
          continue
        }
        if random(10) == 0 {
          pending.failed(number, change)
          continue
        }
        pending.saved(number, change, now: now)
        if let last = times[number.rawValue] { #expect(now - last >= PendingAttributesTests.second) }
        (saved[number.rawValue], times[number.rawValue]) = (current[number.rawValue], now)
      }
      if let next = pending.next { #expect(next > now) }
    }
    for number in pending.all {
      if pending.begin(number) != nil { saved[number.rawValue] = current[number.rawValue] }
    }
    #expect(saved == current && pending.isEmpty)
  }
}
