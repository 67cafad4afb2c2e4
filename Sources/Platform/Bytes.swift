// Little-endian fields at explicit offsets: the one way from bytes to values and back, for media, the kernel and
// sockets alike. Offsets are the program's own, so one outside the span is a mistake in the program and traps.

extension RawSpan {
  /// The unsigned byte at `offset`.
  @inlinable public func u8(_ offset: Int) -> UInt8 { unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self) }

  /// The little-endian 16-bit number at `offset`.
  @inlinable public func u16(_ offset: Int) -> UInt16 {
    UInt16(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }

  /// The little-endian 32-bit number at `offset`.
  @inlinable public func u32(_ offset: Int) -> UInt32 {
    UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  /// The little-endian 64-bit number at `offset`.
  @inlinable public func u64(_ offset: Int) -> UInt64 {
    UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}

extension MutableRawSpan {
  /// Stores `value` little-endian at `offset`.
  @inlinable public mutating func set<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ value: Value) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
  }

  /// Stores `bytes` at `offset`.
  @inlinable public mutating func set(_ offset: Int, bytes: RawSpan) {
    precondition(offset >= 0 && bytes.byteCount <= byteCount - offset)
    withUnsafeMutableBytes { to in
      bytes.withUnsafeBytes { from in UnsafeMutableRawBufferPointer(rebasing: to[offset...]).copyMemory(from: from) }
    }
  }
}
