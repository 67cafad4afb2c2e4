import Memory
import Platform

/// Reads log entries from a device, many at a time, into memory of its own: what is checked is what is used.
struct LogReader: ~Copyable {
  private let device: any MemoryDevice
  private let start: UInt64
  private let buffer: UnsafeMutableRawBufferPointer
  private static let batch: UInt64 = 60  // 32 KiB: stays in the first-level cache

  /// A reader of the log at `start`, a byte offset of the device.
  init(device: any MemoryDevice, start: UInt64) {
    self.device = device
    self.start = start
    buffer = .allocate(byteCount: Int(LogReader.batch) * LogEntry.size, alignment: 64)
  }

  deinit { buffer.deallocate() }

  /// Where entry `index` stands on the device.
  private func offset(of index: UInt64) -> UInt64 {
    start + UInt64(LogHeader.size) + index * UInt64(LogEntry.size)
  }

  /// Where entry `index` of a volume stands on its first device; the index lies inside the log.
  static func offset(of index: UInt64, _ superblock: Superblock) -> UInt64 {
    superblock.logOffset + UInt64(LogHeader.size) + index * UInt64(LogEntry.size)
  }

  /// Hands each entry of a range to `body`, in order, or what is wrong with it. The range lies inside the log.
  func read(_ range: Range<UInt64>, _ body: (UInt64, Result<LogEntry, EntryProblem>, RawSpan) -> Void) {
    var index = range.lowerBound
    while index < range.upperBound {
      let count = min(LogReader.batch, range.upperBound - index)
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(Int(count) * LogEntry.size)])
      // What this host still has cached of these slots may be entries of a former volume, and good ones.
      let isReadable =
        (try? device.invalidate(at: offset(of: index), count: UInt64(piece.count))) != nil
        && (try? device.read(at: offset(of: index), into: piece)) != nil
      for place in 0..<count {
        let slot = Int(place) * LogEntry.size
        let bytes = UnsafeMutableRawBufferPointer(rebasing: piece[slot..<slot + LogEntry.size])
        let entry = readEntry(index + place, bytes, isFresh: isReadable)
        body(index + place, entry, UnsafeRawBufferPointer(bytes).bytes)
      }
      index += count
    }
  }

  private func readEntry(
    _ index: UInt64, _ bytes: UnsafeMutableRawBufferPointer, isFresh: Bool
  ) -> Result<LogEntry, EntryProblem> {
    if isFresh, let entry = try? LogEntry(parsing: UnsafeRawBufferPointer(bytes).bytes, index: index) {
      return .success(entry)
    }
    // A stale cache line looks like a bad entry: forget the lines and look once more.
    do {
      try device.invalidate(at: offset(of: index), count: UInt64(LogEntry.size))
      try device.read(at: offset(of: index), into: bytes)
    } catch {
      for place in bytes.indices { bytes[place] = 0 }
      return .failure(.unreadable)
    }
    do { return .success(try LogEntry(parsing: UnsafeRawBufferPointer(bytes).bytes, index: index)) } catch {
      return .failure(error)
    }
  }

  /// The path that an entry names, even when the entry is bad; nil where none can be made out.
  static func path(in bytes: RawSpan) -> String? {
    let type = bytes.u32(8)
    let field = type == 0 ? 40 : type <= 2 || type == AttributeRecord.type ? 28 : nil
    guard let field else { return nil }
    let text = bytes.extracting(field..<field + EntryPath.fieldSize).withUnsafeBytes { bytes in
      String(fileName: bytes.prefix { $0 != 0 })
    }
    return text.isEmpty ? nil : text
  }
}
