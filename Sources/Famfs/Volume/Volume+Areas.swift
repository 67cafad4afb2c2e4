/// Where a volume's own structures lie on a device.
extension Volume {
  /// Bytes of a device's superblock, and what belongs to it.
  public func superblockArea(ofDevice device: UInt64) -> Range<UInt64> {
    0..<(device == 0 ? superblock.logOffset : Superblock.area)
  }

  /// Bytes of the first device that the log's header and entries take, and bytes that more entries will.
  public var logAreas: (used: Range<UInt64>, room: Range<UInt64>) {
    let start = superblock.logOffset
    let used = min(UInt64(LogHeader.size) + usage().entries * UInt64(LogEntry.size), superblock.logLength)
    return (start..<start + used, start + used..<start + superblock.logLength)
  }
}
