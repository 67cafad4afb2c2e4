import CZlib

/// zlib's CRC-32 of the bytes, zero-extended as the format stores it.
func checksum(_ bytes: RawSpan) -> UInt64 {
  bytes.withUnsafeBytes { buffer in
    UInt64(crc32(0, buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), uInt(buffer.count)))
  }
}
