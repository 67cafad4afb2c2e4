import CLinux
import Glibc
import Platform
import Synchronization

/// Requests over /dev/fuse: one read(2) for each, one writev(2) for each reply.
public final class DevFuse: Transport, NotificationChannel {
  /// Slots that requests which are answered later may hold at a time, over those of the threads. When all are held, new
  /// requests wait.
  static let mostSlots = 64
  static let path = "/dev/fuse"

  private let descriptor: FileDescriptor
  /// All slots: a request does not keep the slot that it is in. Then those that are not in use, and how many were made over
  /// those of the threads.
  private let slots = Monitor<(all: [DevFuseSlot], free: [DevFuseSlot], extra: Int)>(([], [], 0))

  /// Takes over the descriptor of a mounted connection. It must not be O_NONBLOCK, or waiting would spin.
  public init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func queueCount(wanted: Int) -> Int { wanted }

  /// The first queue reads the connection's own descriptor. Each other one has a descriptor with a list of its own of
  /// requests that are being answered, so that threads do not contend for one. Reading new requests is shared by all.
  ///
  /// Where /dev/fuse cannot be opened (any more: by another user, in another root directory) that list is shared, too.
  public func queue(_ number: Int) throws(Errno) -> DevFuseQueue {
    if number > 0, let clone = try? FileDescriptor(opening: DevFuse.path, .readWrite),
      weft_fuse_clone(clone.rawValue, descriptor.rawValue) == 0
    {
      return DevFuseQueue(clone, of: self)
    }
    return DevFuseQueue(FileDescriptor(owning: try retrying { weft_duplicate(descriptor.rawValue) }), of: self)
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public var notifications: (any NotificationChannel)? { self }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func notify(_ message: UnsafeRawBufferPointer) throws(Errno) {
    try retrying { write(descriptor.rawValue, message.baseAddress, message.count) }
  }

  /// A slot in place of one that is held; waits for one if there are too many.
  fileprivate func takeSlot() -> DevFuseSlot {
    slots.wait { slots in
      if let slot = slots.free.popLast() { return slot }
      guard slots.extra < DevFuse.mostSlots else { return nil }
      slots.extra += 1
      let slot = DevFuseSlot(of: self)
      slots.all.append(slot)
      return slot
    }
  }

  /// The first slot of a thread.
  fileprivate func makeSlot() -> DevFuseSlot {
    let slot = DevFuseSlot(of: self)
    slots.change { $0.all.append(slot) }
    return slot
  }

  fileprivate func giveBack(_ slot: DevFuseSlot) { slots.change { $0.free.append(slot) } }
}

/// One thread's descriptor of a connection.
public final class DevFuseQueue: RequestQueue {
  private let descriptor: FileDescriptor
  private let transport: DevFuse
  /// The slot that the next request arrives in. It is behind a pointer for the same reason as a slot's variables.
  private let current: UnsafeMutablePointer<Unmanaged<DevFuseSlot>>

  fileprivate init(_ descriptor: consuming FileDescriptor, of transport: DevFuse) {
    self.descriptor = descriptor
    self.transport = transport
    current = .allocate(capacity: 1)
    current.initialize(to: .passUnretained(transport.makeSlot()))
  }

  deinit { current.deallocate() }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func next() throws(Errno) -> Arrival {
    if current.pointee._withUnsafeGuaranteedRef({ $0.isHeld() }) {
      current.pointee = .passUnretained(transport.takeSlot())
    }
    while true {
      if current.pointee._withUnsafeGuaranteedRef({ $0.receive(on: descriptor.rawValue) }) {
        return .request(current.pointee._withUnsafeGuaranteedRef { .passUnretained($0) })
      }
      switch Errno.current {
      case .interrupted, .tryAgain: continue
      case .noEntry: continue  // the request was interrupted between being queued and being read
      case .noDevice: return .end(.unmounted)
      case Errno(rawValue: ECONNABORTED): return .end(.aborted)
      case let error: throw error
      }
    }
  }
}

/// The memory of one request over /dev/fuse.
private final class DevFuseSlot: RequestSlot, @unchecked Sendable {
  /// Whether a request is in the slot, and whether its thread took another one meanwhile.
  private enum Occupancy: UInt8, AtomicRepresentable {
    case idle
    case busy
    case held
  }

  private let occupancy = Atomic(Occupancy.idle)
  /// It lives as long as the session, which has all slots answered before it ends.
  private unowned(unsafe) let transport: DevFuse
  /// The descriptor that the request came from: its answer goes there.
  private var descriptor: Int32 = -1
  private let room: UnsafeMutableRawBufferPointer
  private let body: UnsafeMutableRawBufferPointer

  init(of transport: DevFuse) {
    let page = pageSize
    // The data of a WRITE, behind 40 bytes of header and 40 of its own struct, starts a page.
    let lead = RequestHeader.byteCount + WriteRequest.byteCount
    room = .allocate(byteCount: page + SessionSettings.maxTransfer, alignment: page)
    body = .allocate(byteCount: SessionSettings.maxTransfer, alignment: page)
    self.transport = transport
    super.init(request: UnsafeMutableRawBufferPointer(rebasing: room[(page - lead)...]), body: body)
  }

  deinit {
    room.deallocate()
    body.deallocate()
  }

  /// Waits for a request.
  /// - Returns: false when read(2) has failed, with the reason in errno.
  func receive(on descriptor: Int32) -> Bool {
    let count = read(descriptor, request.baseAddress, request.count)
    guard count >= 0 else { return false }
    requestCount = count
    self.descriptor = descriptor
    occupancy.store(.busy, ordering: .relaxed)
    return true
  }

  /// Whether the request is under way still. Then the slot goes to the spare ones when it is freed, and not back to its
  /// thread.
  func isHeld() -> Bool {
    if occupancy.load(ordering: .acquiring) == .idle { return false }
    return occupancy.compareExchange(expected: .busy, desired: .held, ordering: .acquiringAndReleasing).exchanged
  }

  override func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) {
    try retrying { writev(descriptor, parts.baseAddress, Int32(parts.count)) }
  }

  /// The device pins the pages of a reply, which PFN mappings (a PCI BAR through sysfs) do not allow. When that fails in
  /// the middle of a reply, the kernel has given the waiting process EIO already and takes no second reply.
  override func canSend(from range: UnsafeRawBufferPointer) -> Bool { weft_can_pin(range.baseAddress) }

  override func free() {
    if occupancy.exchange(.idle, ordering: .acquiringAndReleasing) == .held { transport.giveBack(self) }
  }

  override func forWaiting() -> RequestSlot? { WaitingSlot(descriptor) }
}

/// Enough for an answer that is a header alone.
private final class WaitingSlot: RequestSlot, @unchecked Sendable {
  private let descriptor: Int32
  /// Itself, while the request waits.
  private var itself: WaitingSlot?

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    super.init(
      request: UnsafeMutableRawBufferPointer(start: nil, count: 0),
      body: UnsafeMutableRawBufferPointer(start: nil, count: 0), mostRanges: 1)
    itself = self
  }

  override func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) {
    try retrying { writev(descriptor, parts.baseAddress, Int32(parts.count)) }
  }

  override func free() { itself = nil }
}
