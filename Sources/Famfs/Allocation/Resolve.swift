/// Finds the device ranges behind a range of a file.
///
/// The file's extents stand in `extents`; `chunkSize` is 0 for a simple layout. Both were checked when the entry was
/// played, so the arithmetic cannot overflow: every offset lies inside a device and every sum below its size.
/// - Parameter body: called for each range, in file order: which device, where, how many bytes.
public func resolve<Failure: Error>(
  _ extents: ArraySlice<Extent>, chunkSize: UInt64, offset: UInt64, count: UInt64,
  _ body: (_ device: UInt64, _ offset: UInt64, _ count: UInt64) throws(Failure) -> Void
) throws(Failure) {
  guard let first = extents.first else { return }
  var position = offset
  let end = offset + count
  if chunkSize > 0 {
    let strips = UInt64(extents.count)
    while position < end {
      let (chunk, within) = position.quotientAndRemainder(dividingBy: chunkSize)
      let strip = extents[extents.startIndex + Int(chunk % strips)]
      let length = min(chunkSize - within, end - position)
      try body(strip.device, strip.offset + chunk / strips * chunkSize + within, length)
      position += length
    }
    return
  }
  if end <= first.length {
    if count > 0 { try body(first.device, first.offset + offset, count) }
    return
  }
  var start: UInt64 = 0  // of the extent, in the file
  for extent in extents where position < end {
    if position < start + extent.length {
      let length = min(start + extent.length, end) - position
      try body(extent.device, extent.offset + position - start, length)
      position += length
    }
    start += extent.length
  }
}

extension FileLayout {
  /// Hands the device ranges behind the first `size` bytes of a file to `body`, in file order.
  public func forEachRange<Failure: Error>(
    size: UInt64, _ body: (_ range: Extent, _ fileOffset: UInt64) throws(Failure) -> Void
  ) throws(Failure) {
    var position: UInt64 = 0
    try resolve(extents.array[...], chunkSize: chunkSize, offset: 0, count: size) {
      (device, offset, length) throws(Failure) in
      try body(Extent(device: device, offset: offset, length: length), position)
      position += length
    }
  }
}
