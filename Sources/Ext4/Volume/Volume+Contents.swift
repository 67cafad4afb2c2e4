import Blocks
import Platform

/// Bytes of a file that lie side by side.
public struct FileBytes: Equatable, Sendable {
  /// Where they are.
  public enum Place: Equatable, Sendable {
    /// Nowhere: they are zeros.
    case zeros
    /// On the device, from this byte on.
    case device(UInt64)
    /// In the inode: ask `readInline`.
    case inline
  }

  /// How many: at least 1.
  public let count: UInt64
  /// Where.
  public let place: Place
}

// Contents of files.
extension Volume {
  /// The bytes of a file from `offset` on that lie side by side; nil at and behind its end.
  public func bytes(of node: Node, at offset: UInt64) throws(Ext4Error) -> FileBytes? {
    guard offset < node.inode.size else { return nil }
    let rest = node.inode.size - offset
    try checkReadable(node)
    if node.inode.flags.contains(.inlineData) { return FileBytes(count: rest, place: .inline) }
    let size = UInt64(geometry.blockSize)
    let run = try run(of: node, at: offset / size)
    let skipped = offset % size
    let whole = run.count.multipliedReportingOverflow(by: size)
    let count = min(rest, (whole.overflow ? .max : whole.partialValue) - skipped)
    switch run.place {
    case .hole, .unwritten: return FileBytes(count: count, place: .zeros)
    case .blocks(let first): return FileBytes(count: count, place: .device(first * size + skipped))
    }
  }

  /// Copies a file's bytes from `offset` on into the buffer.
  /// - Returns: how many; fewer than there is room for where the file ends.
  public func read(
    _ node: Node, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Ext4Error) -> Int {
    var done = 0
    while done < buffer.count {
      let (place, overflow) = offset.addingReportingOverflow(UInt64(done))
      guard !overflow, let bytes = try bytes(of: node, at: place) else { break }
      let count = Int(min(bytes.count, UInt64(buffer.count - done)))
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + count)])
      switch bytes.place {
      case .zeros: part.initializeMemory(as: UInt8.self, repeating: 0)
      case .inline: try readInline(node, at: place, into: part)
      case .device(let start): try read(deviceAt: start, into: part)
      }
      done += count
    }
    return done
  }

  /// Fills the buffer with bytes of the device, where `bytes` said that a file's are.
  public func read(deviceAt start: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Ext4Error) {
    do throws(BlockDeviceError) { try device.read(at: start, into: buffer) } catch { throw .device(error) }
  }

  /// The first byte of data, or of a hole, at or behind `offset`; SEEK_DATA and SEEK_HOLE of lseek(2).
  /// - Returns: nil when there is no data any more, or `offset` is not within the file. The file's end is a hole.
  public func seek(_ node: Node, from offset: UInt64, toHole: Bool) throws(Ext4Error) -> UInt64? {
    var place = offset
    var budget = MappedBudget(of: self, node)
    while let bytes = try bytes(of: node, at: place) {
      if (bytes.place == .zeros) == toHole { return place }
      if bytes.place != .zeros { try budget.take(bytes.count / UInt64(geometry.blockSize)) }
      place += bytes.count
    }
    return toHole && offset < node.inode.size ? node.inode.size : nil
  }

  /// Without their key, encrypted contents are of no use.
  func checkReadable(_ node: Node) throws(Ext4Error) {
    if node.inode.flags.contains(.encrypt) { throw .errno(.noKey) }
  }

  /// Copies bytes that lie in the inode: 60 in its block, the others in the xattr system.data.
  public func readInline(
    _ node: Node, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Ext4Error) {
    try withInlineData(of: node) { (head, rest) throws(Ext4Error) in
      for place in 0..<buffer.count {
        let (at, overflow) = offset.addingReportingOverflow(UInt64(place))
        guard !overflow, at < UInt64(head.byteCount + rest.byteCount) else {
          throw .corrupted(.inlineData(node.number), "it has fewer bytes than the file's size says")
        }
        buffer[place] = at < UInt64(head.byteCount) ? head.u8(Int(at)) : rest.u8(Int(at) - head.byteCount)
      }
    }
  }

  /// Calls `body` with both parts of the contents that lie in an inode.
  func withInlineData<Result>(
    of node: Node, _ body: (RawSpan, RawSpan) throws(Ext4Error) -> Result
  ) throws(Ext4Error) -> Result {
    try withInode(node.number) { (bytes) throws(Ext4Error) in
      let head = bytes.extracting(0x28..<(0x28 + InodeBlock.size))
      guard let area = try inodeXattrs(bytes, node.number) else {
        return try body(head, bytes.extracting(0..<0))
      }
      let value = area.first(in: bytes) { entry, name in
        entry.nameIndex == XattrPrefix.system.rawValue && name.isEqual(to: "data")
      }
      return try body(head, bytes.extracting(value.map { area.value(of: $0) } ?? 0..<0))
    }
  }
}

extension RawSpan {
  /// Whether these are the text's bytes.
  func isEqual(to text: StaticString) -> Bool {
    guard byteCount == text.utf8CodeUnitCount else { return false }
    for place in 0..<byteCount where u8(place) != text.utf8Start[place] { return false }
    return true
  }

  /// Whether the bytes are equal.
  func isEqual(to other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    for place in 0..<byteCount where u8(place) != other.u8(place) { return false }
    return true
  }
}
