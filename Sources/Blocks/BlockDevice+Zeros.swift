// Bytes that shall be zeros.
extension BlockDevice {
  /// Does nothing: a device that is not a file's cannot clear a range without writing it.
  public func zeroQuickly(at offset: UInt64, count: UInt64) throws(BlockDeviceError) -> Bool { false }

  /// Has a range read as zeros afterwards.
  public func zero(at offset: UInt64, count: UInt64) throws(BlockDeviceError) {
    if try zeroQuickly(at: offset, count: count) { return }
    let zeros = [UInt8](repeating: 0, count: Int(min(count, 1 << 20)))
    var done: UInt64 = 0
    while done < count {
      let part = Int(min(count - done, UInt64(zeros.count)))
      try write(part == zeros.count ? zeros : Array(zeros[..<part]), at: offset + done)
      done += UInt64(part)
    }
  }

  /// Writes all bytes at `offset`.
  public func write(_ bytes: [UInt8], at offset: UInt64) throws(BlockDeviceError) {
    var failure: BlockDeviceError?
    bytes.withUnsafeBytes { buffer in
      do throws(BlockDeviceError) { try write(at: offset, from: buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
