import CLinux
import Glibc
import Platform

/// Requests over /dev/fuse: one read(2) for each, one writev(2) for each reply.
public final class DevFuse: Transport {
  private let descriptor: FileDescriptor

  /// Takes over the descriptor of a mounted connection. It must not be O_NONBLOCK, or waiting would spin.
  public init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

  static let path = "/dev/fuse"

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func receive(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Received {
    while true {
      let count = read(descriptor.rawValue, buffer.baseAddress, buffer.count)
      if count >= 0 { return .request(count) }
      switch Errno.current {
      case .interrupted, .tryAgain: continue
      case .noEntry: continue  // the request was interrupted between being queued and being read
      case .noDevice: return .end(.unmounted)
      case Errno(rawValue: ECONNABORTED): return .end(.aborted)
      case let error: throw error
      }
    }
  }

  // swift-format-ignore: AllPublicDeclarationsHaveDocumentation
  public func send(_ parts: UnsafeBufferPointer<iovec>) throws(Errno) {
    try retrying { writev(descriptor.rawValue, parts.baseAddress, Int32(parts.count)) }
  }

  /// The device pins the pages of a reply, which PFN mappings (a PCI BAR through sysfs) do not allow. When that fails in
  /// the middle of a reply, the kernel has given the waiting process EIO already and takes no second reply.
  public func canSend(from range: UnsafeRawBufferPointer) -> Bool { weft_can_pin(range.baseAddress) }

  /// A descriptor with a queue of its own of requests that are being answered, so that threads do not contend for one.
  /// Reading new requests is shared by all.
  ///
  /// Where /dev/fuse cannot be opened (any more: by another user, in another root directory) the queue is shared, too.
  public func another() throws(Errno) -> DevFuse {
    if let clone = try? FileDescriptor(opening: DevFuse.path, .readWrite),
      weft_fuse_clone(clone.rawValue, descriptor.rawValue) == 0
    {
      return DevFuse(clone)
    }
    return DevFuse(FileDescriptor(owning: try retrying { weft_duplicate(descriptor.rawValue) }))
  }
}
