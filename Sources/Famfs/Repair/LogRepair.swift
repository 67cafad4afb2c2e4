import Memory
import Platform

// MARK: - The header

extension RepairPlan {
  /// Mends the log's header. Its fixed part follows from the superblock; its count of entries, where that is damaged,
  /// from the entries, if they leave no doubt.
  mutating func mendHeader(of device: PatchedDevice, _ superblock: Superblock) throws(FamfsError) {
    let start = superblock.logOffset
    let old = try device.freshBytes(at: start, count: LogHeader.size)
    var header = LogHeader(logLength: superblock.logLength)
    let (sequence, index) = (old.span.bytes.u64(32), old.span.bytes.u64(40))
    let isFixedPartGood = (try? LogHeader(parsing: old.span.bytes, logLength: superblock.logLength)) != nil
    let sentence: String
    if isFixedPartGood && index <= header.capacity && sequence == index { return }
    if isFixedPartGood && index < header.capacity && sequence == index + 1 {
      (header.nextSequence, header.nextIndex) = (index, index)
      sentence = "the log header: next sequence number set back from \(sequence) to \(index); an append was cut off"
    } else {
      let scan = LogScan(of: device, superblock, capacity: header.capacity)
      guard let count = scan.count(sequence: sequence, index: index) else {
        return leave(
          "the log header claims \(index) entries and \(sequence) as the next number, the log's first \(scan.good) "
            + "slots hold good entries, and others follow: how many count cannot be told, so the header is left as it is"
        )
      }
      (header.nextSequence, header.nextIndex) = (count, count)
      sentence =
        "the log header" + (isFixedPartGood ? "" : " made anew")
        + ": \(count) entries (next index \(index), next sequence number \(sequence) before)"
    }
    var new = old
    var span = new.mutableSpan
    var raw = span.mutableBytes
    header.encode(into: &raw)
    // The count first: as long as the checksum is wrong nobody reads it.
    let stores = old.stores(to: new, at: start)
    let counts = stores.filter { $0.offset >= start + LogHeader.nextSequenceOffset }
    add(sentence, counts + stores.filter { !counts.contains($0) }, to: device)
  }
}

/// What the slots of a log hold, whatever its header says.
struct LogScan {
  /// Slots from the first on that hold good entries, with the right number, or such as have one wrong bit.
  private(set) var good: UInt64 = 0
  /// Whether the slots behind them are all zeros.
  private(set) var endsInZeros = true
  private let capacity: UInt64

  init(of device: any MemoryDevice, _ superblock: Superblock, capacity: UInt64) {
    self.capacity = capacity
    var (good, endsInZeros) = (UInt64(0), true)
    var triesLeft = LogScan.tries
    LogReader(device: device, start: superblock.logOffset).read(0..<capacity) { index, entry, bytes in
      switch entry {
      case .success where good == index: good += 1
      case .failure(.badChecksum) where good == index && triesLeft > 0 && !LogScan.isZero(bytes):
        triesLeft -= 1
        if LogEntry.withOneBitMended(bytes, index: index) != nil { good += 1 } else { endsInZeros = false }
      case .success, .failure(.unreadable): endsInZeros = false
      case .failure: endsInZeros = endsInZeros && LogScan.isZero(bytes)
      }
    }
    (self.good, self.endsInZeros) = (good, endsInZeros)
  }

  /// Bad entries that are looked at for one wrong bit: each costs milliseconds.
  private static let tries = 1000

  static func isZero(_ bytes: RawSpan) -> Bool { bytes.withUnsafeBytes { $0.allSatisfy { $0 == 0 } } }

  /// How many entries count, if that leaves no doubt: what both numbers of the header say, if the entries do not
  /// contradict; else the good entries, if one of the numbers confirms them, or nothing was ever written behind them;
  /// of these the last does not count if the index leaves out just it.
  func count(sequence: UInt64, index: UInt64) -> UInt64? {
    // Zeros are what is left of a header that was wiped, too. One more good entry is an append that was cut off.
    if sequence == index, index > 0, index <= capacity, good <= index + 1 { return index }
    if good > 0, index == good || sequence == good { return good }
    if !endsInZeros { return nil }
    // So it is where only the sequence number is damaged: by the index, nobody ever saw that entry.
    return good > 0 && index == good - 1 ? index : good
  }
}

// MARK: - Entries

extension RepairPlan {
  /// More bad entries than these are not looked at: each costs milliseconds.
  private static let entryLimit = 1000
  /// The most entries that are cut off and kept: each takes half a KiB of memory.
  private static let cutLimit = 65_536

  /// Mends entries that have one wrong bit.
  mutating func mendEntries(of device: PatchedDevice, _ superblock: Superblock, host: UUID?) throws(FamfsError) {
    guard let before = try? Volume(on: device, host: host) else { return }
    var found: [(sentence: String, stores: [WordStore])] = []
    var removed: Set<NodeNumber> = []
    for (index, old) in badEntries(before) {
      guard let new = LogEntry.withOneBitMended(old.span.bytes, index: index) else { continue }
      if case .removal(let record)? = (try? LogEntry(parsing: new.span.bytes, index: index))?.payload,
        record.target < index
      {
        removed.insert(.entry(record.target))
      }
      let path = LogReader.path(in: new.span.bytes).map { " (\($0))" } ?? ""
      found.append(
        (
          "log entry \(index)\(path): one wrong bit turned",
          old.stores(to: new, at: LogReader.offset(of: index, superblock))
        ))
    }
    if found.isEmpty { return }
    // Somebody may have used the same name or space since, not knowing of the entry: then that is the file that is
    // shown today, and it must stay.
    let mended = device.copy()
    for item in found { mended.patch(item.stores) }
    let after = try Volume(on: mended, host: host)
    guard Set(after.entryNumbers).isSuperset(of: before.entryNumbers.filter { !removed.contains($0) }) else {
      return leave(
        "\(found.count) log entries have one wrong bit each, but files that are shown today would be lost by mending "
          + "them, so they are left as they are")
    }
    for item in found { add(item.sentence, item.stores, to: device) }
  }

  private func badEntries(_ volume: Volume) -> [(index: UInt64, bytes: [UInt8])] {
    var found: [(UInt64, [UInt8])] = []
    LogReader(device: volume.device, start: volume.superblock.logOffset).read(
      0..<min(volume.header.nextIndex, volume.header.capacity)
    ) { index, entry, bytes in
      guard case .failure(.badChecksum) = entry, found.count < RepairPlan.entryLimit else { return }
      found.append((index, bytes.withUnsafeBytes { Array($0) }))
    }
    return found
  }

  /// Cuts off what nobody can read at the log's end: entries with a wrong checksum behind the last other one.
  mutating func cutTail(of device: PatchedDevice, _ superblock: Superblock) throws(FamfsError) {
    guard let header = try? Volume.readLogHeader(of: device, superblock), header.nextIndex <= header.capacity else {
      return
    }
    // Slots that were never written have nothing to be kept; of others a bounded number is.
    var (first, tail): (UInt64?, [(index: UInt64, bytes: [UInt8])]) = (nil, [])
    LogReader(device: device, start: superblock.logOffset).read(0..<header.nextIndex) { index, entry, bytes in
      // An entry that cannot be read could not be kept, either.
      if case .failure(.badChecksum) = entry {
        first = first ?? index
        guard tail.count <= RepairPlan.cutLimit, !LogScan.isZero(bytes) else { return }
        tail.append((index, bytes.withUnsafeBytes { Array($0) }))
      } else {
        (first, tail) = (nil, [])
      }
    }
    guard let first else { return }
    if tail.count > RepairPlan.cutLimit {
      return leave(
        "more than \(RepairPlan.cutLimit) log entries from entry \(first) on cannot be read, which is too many to keep, so "
          + "they are left as they are")
    }
    cutEntries = tail
    let start = superblock.logOffset
    add(
      "log entries \(first) to \(header.nextIndex - 1) cut off, which nobody can read: \(first) entries are left",
      [
        WordStore(offset: start + LogHeader.nextIndexOffset, value: first),
        WordStore(offset: start + LogHeader.nextSequenceOffset, value: first),
      ], to: device)
  }
}

extension LogEntry {
  /// A bad entry's bytes with the one wrong bit turned that it has; nil when that does not make it a good one.
  fileprivate static func withOneBitMended(_ bytes: RawSpan, index: UInt64) -> [UInt8]? {
    let mended = bytes.withUnsafeBytes { Array($0) }.withOneBitMended(checked: checkedSize)
    guard let mended, (try? LogEntry(parsing: mended.span.bytes, index: index)) != nil else { return nil }
    return mended
  }
}
