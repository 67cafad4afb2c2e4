import Synchronization

/// How often an operation was asked for.
public struct OperationCount: Equatable, Sendable {
  /// Which; nil for all that `Opcode` does not know.
  public let opcode: Opcode?
  /// Requests.
  public let requests: UInt64
  /// Those among them that were answered with an error, or whose answer did not arrive.
  public let errors: UInt64
}

/// One thread's counts by opcode. Only that thread writes, so that plain loads and stores will do and no cache line
/// moves between processors; others may read at any time.
final class Counters: Sendable {
  static let slots = 64

  private let requests = InlineArray<64, Atomic<UInt64>> { (_: Int) in Atomic(0) }
  private let errors = InlineArray<64, Atomic<UInt64>> { (_: Int) in Atomic(0) }

  func countRequest(_ opcode: UInt32) {
    let slot = Counters.slot(opcode)
    requests[slot].store(requests[slot].load(ordering: .relaxed) &+ 1, ordering: .relaxed)
  }

  func countError(_ opcode: UInt32) {
    let slot = Counters.slot(opcode)
    errors[slot].store(errors[slot].load(ordering: .relaxed) &+ 1, ordering: .relaxed)
  }

  func values(_ slot: Int) -> (requests: UInt64, errors: UInt64) {
    (requests[slot].load(ordering: .relaxed), errors[slot].load(ordering: .relaxed))
  }

  /// Unknown opcodes share slot 0, which is no opcode.
  private static func slot(_ opcode: UInt32) -> Int { opcode < slots ? Int(opcode) : 0 }
}
