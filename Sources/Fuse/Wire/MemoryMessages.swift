import CFuse
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

  /// Bytes of the reply.
  /// - Throws: EFBIG for more runs, stripes or strips than the kernel takes.
  func byteCount() throws(Errno) -> Int {
    var count = weft_famfs_fmap_header.byteCount
    switch layout {
    case .simple(let runs):
      guard runs.count <= MemoryMap.maxRuns else { throw .fileTooLarge }
      count += runs.count * weft_famfs_simple_ext.byteCount
    case .interleaved(let stripes):
      guard stripes.count <= MemoryMap.maxRuns, stripes.allSatisfy({ $0.strips.count <= MemoryMap.maxStrips }) else {
        throw .fileTooLarge
      }
      for stripe in stripes {
        count += weft_famfs_iext.byteCount + stripe.strips.count * weft_famfs_simple_ext.byteCount
      }
    }
    guard count <= MemoryMap.maxByteCount else { throw .fileTooLarge }
    return count
  }

  /// Writes `byteCount()` bytes.
  func encode(into bytes: inout MutableRawSpan) {
    var header = weft_famfs_fmap_header()
    header.file_type = purpose.rawValue
    header.fmap_version = UInt16(WEFT_FAMFS_FMAP_VERSION)
    header.file_size = size
    var place = weft_famfs_fmap_header.byteCount
    switch layout {
    case .simple(let runs):
      header.ext_type = WEFT_FAMFS_EXT_SIMPLE.rawValue
      header.nextents = UInt32(runs.count)
      for run in runs { run.encode(into: &bytes, at: &place) }
    case .interleaved(let stripes):
      header.ext_type = WEFT_FAMFS_EXT_INTERLEAVE.rawValue
      header.nextents = UInt32(stripes.count)
      for stripe in stripes {
        var extent = weft_famfs_iext()
        extent.ie_nstrips = UInt32(stripe.strips.count)
        extent.ie_chunk_size = stripe.chunkSize
        extent.ie_nbytes = stripe.strips.reduce(0) { $0 &+ $1.length }
        bytes.store(extent, at: place)
        place += weft_famfs_iext.byteCount
        for strip in stripe.strips { strip.encode(into: &bytes, at: &place) }
      }
    }
    bytes.store(header)
  }
}

extension MemoryMap.Run {
  fileprivate func encode(into bytes: inout MutableRawSpan, at place: inout Int) {
    let extent = weft_famfs_simple_ext(se_devindex: device, reserved: 0, se_offset: offset, se_len: length)
    bytes.store(extent, at: place)
    place += weft_famfs_simple_ext.byteCount
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
      index = try bytes.load(weft_famfs_get_daxdev_in.self).daxdev_num
    }
  }
}

/// `struct fuse_daxdev_out`.
struct MemoryDeviceReply {
  static var byteCount: Int { weft_famfs_daxdev_out.byteCount + longestName + 1 }
  /// A NUL follows it.
  private static let longestName = Int(WEFT_FAMFS_DAXDEV_NAME) - 1

  let index: UInt16
  let name: [UInt8]

  /// - Throws: ENODEV for an index that has no room, ENAMETOOLONG for a name that has none behind which a NUL fits, EINVAL
  ///   for one with a NUL or none at all.
  init(_ index: UInt32, _ name: [UInt8]) throws(Errno) {
    guard let index = UInt16(exactly: index) else { throw .noDevice }
    guard !name.isEmpty, !name.contains(0) else { throw .invalidArgument }
    guard name.count <= MemoryDeviceReply.longestName else { throw .nameTooLong }
    (self.index, self.name) = (index, name)
  }

  func encode(into bytes: inout MutableRawSpan) {
    var out = weft_famfs_daxdev_out()
    out.index = index
    bytes.store(out)
    let start = weft_famfs_daxdev_out.byteCount
    for offset in start..<MemoryDeviceReply.byteCount { bytes.set(offset, UInt8(0)) }
    bytes.set(start, bytes: name.span.bytes)
  }
}
