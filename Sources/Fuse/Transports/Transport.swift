import Glibc
import Platform

/// How requests arrive and replies leave: one value for each mount, or each device of a virtual machine. A transport knows
/// the frame of a message (nothing but its length) and no file system.
public protocol Transport: AnyObject, Sendable {
  /// One thread's share of the requests.
  associatedtype Queue: RequestQueue

  /// How many queues to serve.
  /// - Parameter wanted: as many as the caller would like; at least 1.
  func queueCount(wanted: Int) -> Int

  /// A queue, by its number from 0 on. Asked for once each, before the session begins.
  /// - Throws: what keeps the session from beginning.
  func queue(_ number: Int) throws(Errno) -> Queue

  /// INIT has been answered in these terms; called before the answer is sent. By default nothing.
  func negotiated(_ agreement: Agreement)

  /// Whether a session may follow another: after DESTROY or a reset INIT may come again.
  var isRestartable: Bool { get }

  /// How many requests may wait for locks at a time, where each holds a slot. Where INTERRUPT never comes and all slots wait,
  /// no unlock would get in any more. By default 1024.
  var mostWaiting: Int { get }

  /// Where notifications are sent; nil when the other side takes none.
  var notifications: (any NotificationChannel)? { get }
}

extension Transport {
  /// Nothing.
  public func negotiated(_ agreement: Agreement) {}
  /// No.
  public var isRestartable: Bool { false }
  /// 1024.
  public var mostWaiting: Int { 1024 }
}

/// One thread's share of a transport's requests.
public protocol RequestQueue: AnyObject {
  /// Waits for what comes next.
  /// - Throws: what makes this queue useless from now on. What passes (EINTR) it tries again itself.
  func next() throws(Errno) -> Arrival
}

/// What came out of waiting for a request.
public enum Arrival {
  /// A request: `requestCount` bytes of the slot's `request`, and `data`. The slot is the session's until it is freed. The
  /// transport keeps it for as long as the session runs, so that no request costs a retain.
  case request(Unmanaged<RequestSlot>)
  /// The other side began anew, as a virtual machine's driver does: what it knew is gone. INIT may come again.
  case reset
  /// There will be no more.
  case end(Ending)
}

/// Where notifications go.
public protocol NotificationChannel: Sendable {
  /// Sends a notification as one message.
  /// - Throws: ENOENT when the kernel does not know what it names.
  func notify(_ message: UnsafeRawBufferPointer) throws(Errno)
}

/// Why a session ended.
public enum Ending: Equatable, Sendable {
  /// The file system was unmounted, everywhere.
  case unmounted
  /// The connection was cut (fusectl's `abort`): the mount may still be there, and answers ENOTCONN until it is
  /// unmounted.
  case aborted
}
