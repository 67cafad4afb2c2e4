import CFuse
import CLinux
import Glibc
import Platform

/// Memory to build replies in without a session: for tests of file systems.
public final class ReplyBuffers: RequestSlot, @unchecked Sendable {
  private let body = UnsafeMutableRawBufferPointer.allocate(byteCount: SessionSettings.maxTransfer, alignment: pageSize)

  /// Buffers for replies of up to 1 MiB.
  public init() { super.init(request: UnsafeMutableRawBufferPointer(start: nil, count: 0), body: body) }

  deinit { body.deallocate() }
}

/// What a slot builds a reply in.
struct ReplyMemory {
  /// The reply as writev(2) takes it: the header, then ranges.
  let parts: UnsafeMutableBufferPointer<iovec>
  private let header: UnsafeMutablePointer<fuse_out_header>
  /// The body of replies that are not zero-copy; the slot's owner's. Page-aligned: the kernel copies page by page.
  let body: UnsafeMutableRawBufferPointer

  init(body: UnsafeMutableRawBufferPointer, mostRanges: Int) {
    self.body = body
    parts = .allocate(capacity: 1 + mostRanges)
    parts.initialize(repeating: iovec(iov_base: nil, iov_len: 0))
    header = .allocate(capacity: 1)
    header.initialize(to: fuse_out_header())
    parts[0] = iovec(iov_base: header, iov_len: ReplyHeader.byteCount)
  }

  func deallocate() {
    parts.deallocate()
    header.deallocate()
  }

  /// The header and the first `rangeCount` ranges, once the header is written.
  @inline(__always)
  func message(_ header: ReplyHeader, rangeCount: Int) -> UnsafeBufferPointer<iovec> {
    self.header.pointee = header.encoded
    precondition((0..<parts.count).contains(rangeCount), "more ranges than the slot has room for")
    return UnsafeBufferPointer(start: parts.baseAddress, count: 1 + rangeCount)
  }

  /// Makes the first `count` bytes of the body the only range.
  func setBody(_ count: Int) {
    parts[1] = iovec(iov_base: body.baseAddress, iov_len: count)
  }

  /// The range at `index`, as it was set.
  func range(_ index: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: parts[1 + index].iov_base, count: parts[1 + index].iov_len)
  }

  /// Copies the first `rangeCount` ranges together into the body, which becomes the only one.
  ///
  /// A range that stands in the body already, where it belongs, stays.
  /// - Returns: false when memory of a range could not be read.
  func gather(rangeCount: Int) -> Bool {
    var done = 0
    for index in 0..<rangeCount {
      let range = range(index)
      guard range.count <= body.count - done, let base = body.baseAddress else { return false }
      if range.baseAddress != UnsafeRawPointer(base + done) {
        guard weft_guarded_copy(base + done, range.baseAddress, range.count) else { return false }
      }
      done += range.count
    }
    setBody(done)
    return true
  }
}
