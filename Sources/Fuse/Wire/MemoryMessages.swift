import Platform

// What a famfs kernel asks: GET_FMAP and GET_DAXDEV, of the kernel's patch series of January 2026. Mainline's header has
// neither.

extension MemoryMap {
  /// The most runs, or stripes, that the kernel takes.
  static let maxRuns = 32
  /// The most strips of one stripe that it takes.
  static let maxStrips = 32
  /// Bytes of the longest reply that it takes.
  static let maxByteCount = 32768

  /// `struct fuse_famfs_fmap_header`.
  private static let headerByteCount = 32
  /// `struct fuse_famfs_simple_ext` and `struct fuse_famfs_iext`.
  private static let recordByteCount = 24
  private static let version: UInt16 = 1

  /// Bytes of the reply.
  /// - Throws: EFBIG for more runs, stripes or strips than the kernel takes.
  func byteCount() throws(Errno) -> Int {
    let records: Int
    switch layout {
    case .simple(let runs):
      guard runs.count <= MemoryMap.maxRuns else { throw .fileTooLarge }
      records = runs.count
    case .interleaved(let stripes):
      guard stripes.count <= MemoryMap.maxRuns, stripes.allSatisfy({ $0.strips.count <= MemoryMap.maxStrips }) else {
        throw .fileTooLarge
      }
      records = stripes.reduce(0) { $0 + 1 + $1.strips.count }
    }
    let count = MemoryMap.headerByteCount + records * MemoryMap.recordByteCount
    guard count <= MemoryMap.maxByteCount else { throw .fileTooLarge }
    return count
  }

  /// Writes `byteCount()` bytes.
  func encode(into bytes: inout MutableRawSpan) {
    let (type, count): (UInt32, Int) =
      switch layout {
      case .simple(let runs): (0, runs.count)
      case .interleaved(let stripes): (1, stripes.count)
      }
    bytes.set(0, purpose.rawValue)
    bytes.set(1, UInt8(0))
    bytes.set(2, MemoryMap.version)
    bytes.set(4, type)
    bytes.set(8, UInt32(count))
    bytes.set(12, UInt32(0))
    bytes.set(16, size)
    bytes.set(24, UInt64(0))
    var place = MemoryMap.headerByteCount
    switch layout {
    case .simple(let runs):
      for run in runs { run.encode(into: &bytes, at: &place) }
    case .interleaved(let stripes):
      for stripe in stripes {
        bytes.set(place, UInt32(stripe.strips.count))
        bytes.set(place + 4, stripe.chunkSize)
        bytes.set(place + 8, stripe.strips.reduce(0) { $0 &+ $1.length })
        bytes.set(place + 16, UInt64(0))
        place += MemoryMap.recordByteCount
        for strip in stripe.strips { strip.encode(into: &bytes, at: &place) }
      }
    }
  }
}

extension MemoryMap.Run {
  fileprivate func encode(into bytes: inout MutableRawSpan, at place: inout Int) {
    bytes.set(place, device)
    bytes.set(place + 4, UInt32(0))
    bytes.set(place + 8, offset)
    bytes.set(place + 16, length)
    place += 24
  }
}

/// `struct fuse_get_daxdev_in`.
struct MemoryDeviceRequest {
  let index: UInt32

  /// The series has this body in its header, and its kernel sends none: the index is then where other requests have
  /// their node.
  init(parsing bytes: RawSpan, node: NodeID) throws(Errno) {
    if bytes.byteCount == 0 {
      guard let index = UInt32(exactly: node.rawValue) else { throw .noDevice }
      self.index = index
    } else {
      try bytes.require(4)
      index = bytes.u32(0)
    }
  }
}

/// `struct fuse_daxdev_out`.
struct MemoryDeviceReply {
  static let byteCount = 280
  private static let nameOffset = 24

  let index: UInt16
  let name: [UInt8]

  /// - Throws: ENODEV for an index that has no room, ENAMETOOLONG for a name that has none behind which a NUL fits, EINVAL
  ///   for one with a NUL or none at all.
  init(_ index: UInt32, _ name: [UInt8]) throws(Errno) {
    guard let index = UInt16(exactly: index) else { throw .noDevice }
    guard !name.isEmpty, !name.contains(0) else { throw .invalidArgument }
    guard name.count < MemoryDeviceReply.byteCount - MemoryDeviceReply.nameOffset else { throw .nameTooLong }
    (self.index, self.name) = (index, name)
  }

  func encode(into bytes: inout MutableRawSpan) {
    for offset in stride(from: 0, to: MemoryDeviceReply.byteCount, by: 8) { bytes.set(offset, UInt64(0)) }
    bytes.set(0, index)
    bytes.set(MemoryDeviceReply.nameOffset, bytes: name.span.bytes)
  }
}
