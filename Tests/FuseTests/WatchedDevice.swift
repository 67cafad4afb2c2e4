import Glibc
import Platform

@testable import Fuse

/// A request as the kernel sent it.
struct SeenRequest: Sendable {
  let header: RequestHeader
  /// What follows the header: the operation's structure, names, data.
  let body: [UInt8]

  init(_ header: RequestHeader, _ bytes: UnsafeRawBufferPointer) {
    self.header = header
    body = Array(bytes.dropFirst(RequestHeader.byteCount))
  }

  /// Nil for one that `Opcode` does not know.
  var opcode: Opcode? { Opcode(rawValue: header.opcode) }

  /// Numbers of the body.
  func u32(_ offset: Int) -> UInt32 { body.span.bytes.u32(offset) }
  func u64(_ offset: Int) -> UInt64 { body.span.bytes.u64(offset) }

  /// The text from an offset up to a NUL.
  func text(_ offset: Int = 0) -> String {
    String(decoding: body.dropFirst(offset).prefix { $0 != 0 }, as: UTF8.self)
  }
}

/// /dev/fuse with a record of what the kernel sends. It can keep requests from the session, and change what INIT agrees.
final class WatchedDevice: Transport {
  private struct State {
    var seen: [SeenRequest] = []
    var isHolding = false
    var held = 0
  }

  private let device: DevFuse
  private let withheld: InitFlags
  private let added: InitFlags
  private let holding: Opcode?
  private let state = Monitor(State())

  /// - Parameters:
  ///   - withheld: what the session does not hear of, though the kernel offers it.
  ///   - added: what the kernel hears that was agreed, though the session does not want it.
  ///   - holding: requests that wait from `hold` to `letGo`.
  init(_ device: DevFuse, withheld: InitFlags = [], added: InitFlags = [], holding: Opcode? = nil) {
    (self.device, self.withheld, self.added, self.holding) = (device, withheld, added, holding)
  }

  func queueCount(wanted: Int) -> Int { device.queueCount(wanted: wanted) }
  func queue(_ number: Int) throws(Errno) -> WatchedQueue { WatchedQueue(try device.queue(number), of: self) }
  var notifications: (any NotificationChannel)? { device.notifications }

  // MARK: what tests ask

  /// All requests so far, in the order in which the session's threads took them.
  var seen: [SeenRequest] { state.wait { $0.seen } }
  /// Requests that wait.
  var heldCount: Int { state.wait { $0.held } }

  /// What the kernel offered in INIT.
  var offered: InitFlags {
    seen(.initialize).first.flatMap { try? InitOffer(parsing: $0.body.span.bytes) }?.flags ?? []
  }

  func seen(_ opcode: Opcode) -> [SeenRequest] { seen.filter { $0.opcode == opcode } }

  /// What comes while `body` runs. Releases and forgets, which no process waits for, may be of what was before.
  func during(_ body: () throws -> Void) rethrows -> [SeenRequest] {
    let before = seen.count
    try body()
    return Array(seen[before...])
  }

  func hold() { state.change { $0.isHolding = true } }
  func letGo() { state.change { $0.isHolding = false } }

  // MARK: requests

  fileprivate func watch(_ slot: RequestSlot) -> RequestSlot {
    let bytes = UnsafeRawBufferPointer(rebasing: slot.request[..<slot.requestCount])
    guard let header = RequestHeader(parsing: bytes.bytes) else { return slot }
    let seen = SeenRequest(header, bytes)
    state.change { $0.seen.append(seen) }
    if seen.opcode == .initialize { return watchInit(slot) }
    if seen.opcode == holding { waitWhileHeld() }
    return slot
  }

  private func waitWhileHeld() {
    state.change { $0.held += 1 }
    state.wait { $0.isHolding ? nil : () }
    state.change { $0.held -= 1 }
  }

  /// The offer's flags are at bytes 12 and 16 of `fuse_init_in`.
  private func watchInit(_ slot: RequestSlot) -> RequestSlot {
    let offer = slot.request[RequestHeader.byteCount...]
    for (offset, bits) in [(12, withheld.rawValue), (16, withheld.rawValue >> 32)] {
      let place = UnsafeMutableRawBufferPointer(rebasing: offer.dropFirst(offset).prefix(4))
      let flags = place.loadUnaligned(as: UInt32.self)
      place.storeBytes(of: flags & ~UInt32(truncatingIfNeeded: bits), as: UInt32.self)
    }
    return InitSlot(slot, adding: added)
  }
}

/// One thread's share of a `WatchedDevice`.
final class WatchedQueue: RequestQueue {
  private let queue: DevFuseQueue
  private let device: WatchedDevice

  fileprivate init(_ queue: DevFuseQueue, of device: WatchedDevice) { (self.queue, self.device) = (queue, device) }

  func next() throws(Errno) -> Arrival {
    let arrival = try queue.next()
    guard case .request(let slot) = arrival else { return arrival }
    return .request(.passUnretained(device.watch(slot.takeUnretainedValue())))
  }
}

/// Adds flags to the answer of INIT.
private final class InitSlot: RequestSlot, @unchecked Sendable {
  private let slot: RequestSlot
  private let added: InitFlags
  /// Itself, while the request is under way.
  private var itself: InitSlot?

  init(_ slot: RequestSlot, adding added: InitFlags) {
    (self.slot, self.added) = (slot, added)
    super.init(request: slot.request, body: slot.replies.body)
    requestCount = slot.requestCount
    itself = self
  }

  /// The answer's flags are at bytes 12 and 32 of `fuse_init_out`.
  override func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) {
    if parts.count == 2, parts[1].iov_len == InitAnswer.byteCount {
      let answer = UnsafeMutableRawBufferPointer(start: parts[1].iov_base, count: parts[1].iov_len)
      for (offset, bits) in [(12, added.rawValue), (32, added.rawValue >> 32)] {
        let flags = answer.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        answer.storeBytes(of: flags | UInt32(truncatingIfNeeded: bits), toByteOffset: offset, as: UInt32.self)
      }
    }
    try slot.send(parts)
  }

  override func free() {
    slot.free()
    itself = nil
  }
}
