import Fuse
import FuseTestSupport
import Glibc
import Platform
import Synchronization

/// A transport that cannot read certain memory, as the kernel cannot pin certain pages: the pattern of the small file
/// system's big file, or memory that is gone.
final class FaultingTransport: Transport {
  let inner: MemoryTransport
  private let count = Mutex(0)
  private let vanished: UInt
  private let isSendable: Bool

  init(_ requests: [[UInt8]], vanished: UnsafeRawBufferPointer? = nil, isSendable: Bool = true) {
    inner = MemoryTransport(requests)
    self.vanished = UInt(bitPattern: vanished?.baseAddress)
    self.isSendable = isSendable
  }

  /// How often memory could not be read.
  var faults: Int { count.withLock { $0 } }

  func queueCount(wanted: Int) -> Int { wanted }

  func queue(_ number: Int) throws(Errno) -> MemoryQueue {
    MemoryQueue(inner) { [self] in FaultingSlot(self) }
  }

  var notifications: (any NotificationChannel)? { nil }

  fileprivate func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) {
    let isFirstRange = parts.count > 1 && parts[1].iov_len == 8192 && faults == 0
    if isFirstRange || parts.contains(where: { isVanished($0.iov_base) }) {
      count.withLock { $0 += 1 }
      throw .badAddress
    }
    try inner.send(parts)
  }

  fileprivate func canSend(from range: UnsafeRawBufferPointer) -> Bool { isSendable || !isVanished(range.baseAddress) }

  private func isVanished(_ address: UnsafeRawPointer?) -> Bool {
    vanished != 0 && UInt(bitPattern: address) == vanished
  }
}

private final class FaultingSlot: MemorySlot, @unchecked Sendable {
  private let transport: FaultingTransport

  init(_ transport: FaultingTransport) {
    self.transport = transport
    super.init(transport.inner)
  }

  override func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) { try transport.send(parts) }

  override func canSend(from range: UnsafeRawBufferPointer) -> Bool { transport.canSend(from: range) }
}
