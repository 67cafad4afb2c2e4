import Glibc
import Platform

/// How requests arrive and replies leave. A transport knows the frame of a message (nothing but its length) and no file
/// system.
public protocol Transport: Sendable {
  /// Waits for a request and puts it, header first, at the start of `buffer`.
  /// - Parameter buffer: has room for the largest request; its 80th byte starts a page.
  /// - Throws: what makes this transport useless from now on. What passes (EINTR) it tries again itself.
  func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Received

  /// Sends a reply or a notification as one message.
  /// - Parameter parts: first the header, then up to `ReadReply.maxRanges` ranges of memory.
  /// - Throws: ENOENT when nobody waits for it (any more); EFAULT when a range could not be read.
  func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno)

  /// Whether memory like this can be a range of a reply. A transport that would lose the reply to find out (rather than
  /// throw EFAULT and take another) must know.
  func canSend(from range: UnsafeRawBufferPointer) -> Bool

  /// One more way into the same session, for one more thread.
  func another() throws(Errno) -> Self
}

extension Transport {
  /// Yes.
  public func canSend(from range: UnsafeRawBufferPointer) -> Bool { true }
}

/// What came out of waiting for a request.
public enum Received: Equatable, Sendable {
  /// A request of this many bytes.
  case request(Int)
  /// There will be no more.
  case end(Ending)
}

/// Why a session ended.
public enum Ending: Equatable, Sendable {
  /// The file system was unmounted, everywhere.
  case unmounted
  /// The connection was cut (fusectl's `abort`): the mount may still be there, and answers ENOTCONN until it is
  /// unmounted.
  case aborted
}
