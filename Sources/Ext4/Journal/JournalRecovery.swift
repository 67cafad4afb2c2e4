import Blocks
import Platform

/// Replays a journal: what transactions that were committed have logged is written to where it belongs.
///
/// Whatever stops it, it can be done again from the start: the log is given up only after all is on the medium. Nothing is
/// written before the whole log has been looked at.
public struct JournalRecovery {
  /// What was replayed.
  public struct Summary: Equatable, Sendable {
    /// Transactions.
    public var transactions = 0
    /// Blocks that were written.
    public var blocks = 0
    /// Blocks that were not, because a later transaction revoked them.
    public var revoked = 0
  }

  private let place: JournalPlace
  private let superblock: JournalSuperblock
  private let sums: LogChecksums
  /// The block behind the log's last one.
  private let end: UInt64
  private let buffer: UnsafeMutableRawBufferPointer
  private var summary = Summary()

  /// A log's block that was committed.
  private struct Copy {
    let logBlock: UInt64
    let tag: LogTag
    let sequence: UInt32
  }

  /// Replays the journal of the file system on a device, where that is needed, and notes that it is done.
  /// - Returns: what was replayed; nil when nothing had to be.
  /// - Throws: when the log cannot be believed; then nothing was written.
  public static func run(on device: any BlockDevice) throws(Ext4Error) -> Summary? {
    var options = Volume.Options()
    (options.isForRecovery, options.cacheSize) = (true, 1 << 20)
    let volume = try Volume(on: device, options)
    guard volume.superblock.featureIncompat.contains(.recover) else { return nil }
    let place = try JournalPlace(of: volume)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: place.blockSize, alignment: 4096)
    defer { buffer.deallocate() }
    var recovery = try JournalRecovery(place, buffer)
    try recovery.run()
    try clearFlag(on: device, hadErrors: recovery.superblock.errno != 0)
    return recovery.summary
  }

  private init(_ place: JournalPlace, _ buffer: UnsafeMutableRawBufferPointer) throws(Ext4Error) {
    (self.place, self.buffer) = (place, buffer)
    try place.read(0, into: buffer)
    let bytes = UnsafeRawBufferPointer(buffer).bytes
    guard let superblock = JournalSuperblock(parsing: bytes) else {
      throw .corrupted(.journal, "its superblock has the magic or type of something else")
    }
    let features = superblock.featureIncompat
    guard features.isSubset(of: .known), superblock.featureRoCompat == 0 else {
      throw .refused("\(place.device.name) has a journal with features that kfs does not know; run e2fsck -p on it")
    }
    guard !(features.contains(.csumV2) && features.contains(.csumV3)),
      !(features.hasChecksums && superblock.featureCompat & 1 != 0)
    else { throw .corrupted(.journal, "it says that it has checksums of two kinds") }
    if features.hasChecksums {
      guard JournalSuperblock.checksum(of: bytes) == superblock.checksum else { throw .badChecksum(.journal) }
    }
    let fast: UInt64 =
      features.contains(.fastCommit) ? UInt64(superblock.numFcBlks == 0 ? 256 : superblock.numFcBlks) : 0
    guard Int(superblock.blocksize) == place.blockSize, UInt64(superblock.maxlen) <= place.count,
      superblock.first >= 1, UInt64(superblock.maxlen) > UInt64(superblock.first) + fast + 1, superblock.nrUsers <= 1
    else { throw .corrupted(.journal, "its superblock says what cannot be") }
    end = UInt64(superblock.maxlen) - fast
    guard superblock.start == 0 || superblock.start >= superblock.first && UInt64(superblock.start) < end else {
      throw .corrupted(.journal, "its log would begin at block \(superblock.start)")
    }
    (self.superblock, sums) = (superblock, LogChecksums(superblock.uuid))
  }

  private mutating func run() throws(Ext4Error) {
    guard superblock.start != 0 else { return }
    let last = try scan()
    var revokes: [UInt64: UInt32] = [:]
    let copies = try gather(before: last, &revokes)
    try checkFastCommits(after: last &- 1)
    var isDamaged = false
    for copy in copies {
      if let sequence = revokes[copy.tag.block], Int32(bitPattern: sequence &- copy.sequence) >= 0 {
        summary.revoked += 1
      } else if try !replay(copy) {
        isDamaged = true
      }
    }
    try flush()
    guard !isDamaged else { throw .corrupted(.journal, "blocks of its log have wrong checksums") }
    try giveUp(next: last &+ 1)
  }

  /// Reads a block of the log into the buffer.
  /// - Returns: its header; nil when the log ends before it.
  private func read(_ block: UInt64, sequence: UInt32) throws(Ext4Error) -> LogBlockHeader? {
    try place.read(block, into: buffer)
    guard let header = LogBlockHeader(parsing: buffer.bytes), header.sequence == sequence else { return nil }
    return header
  }

  private func after(_ block: UInt64, by count: Int = 1) -> UInt64 {
    let place = block + UInt64(count)
    return place < end ? place : place - end + UInt64(superblock.first)
  }

  /// Finds the end of the log.
  /// - Returns: the first transaction that was not committed.
  private mutating func scan() throws(Ext4Error) -> UInt32 {
    var (sequence, block, passed) = (superblock.sequence, UInt64(superblock.start), UInt64(0))
    let features = superblock.featureIncompat
    var lastCommit: CommitBlock?
    // A wrong block is damage only if its transaction was committed later than the one before: else it is from an earlier
    // lap of the log.
    var hasWrongBlock = false
    while let kind = try read(block, sequence: sequence)?.kind {
      var count = 1
      switch kind {
      case .descriptor:
        if features.hasChecksums && !sums.isRight(tailOf: buffer.bytes) { hasWrongBlock = true }
        count += LogTag.all(in: buffer.bytes, features).count
      case .revoke:
        if features.hasChecksums && !sums.isRight(tailOf: buffer.bytes) { hasWrongBlock = true }
      case .commit:
        let commit = CommitBlock(parsing: buffer.bytes)
        let isStale = lastCommit.map { commit.isBefore($0) } ?? false
        if hasWrongBlock {
          if isStale { return sequence }
          throw .badChecksum(.journal)
        }
        if features.hasChecksums && !sums.isRight(commit: buffer.bytes) { return sequence }
        lastCommit = commit
        sequence &+= 1
        summary.transactions += 1
      }
      block = after(block, by: count)
      passed += UInt64(count)
      guard passed <= end else { break }
    }
    return sequence
  }

  /// Goes through the committed transactions: which blocks they log, and which they revoke.
  private func gather(before last: UInt32, _ revokes: inout [UInt64: UInt32]) throws(Ext4Error) -> [Copy] {
    var (sequence, block) = (superblock.sequence, UInt64(superblock.start))
    let features = superblock.featureIncompat
    var copies: [Copy] = []
    while sequence != last, let kind = try read(block, sequence: sequence)?.kind {
      var count = 1
      switch kind {
      case .descriptor:
        for tag in LogTag.all(in: buffer.bytes, features) {
          guard tag.block < place.blocksCount, !place.contains(tag.block) else {
            throw .corrupted(.journal, "its log would overwrite block \(tag.block)")
          }
          copies.append(Copy(logBlock: after(block, by: count), tag: tag, sequence: sequence))
          count += 1
        }
      case .revoke:
        guard let blocks = RevokeBlock.blocks(in: buffer.bytes, features) else {
          throw .corrupted(.journal, "a revoke block of it says what cannot be")
        }
        for revoked in blocks {
          let before = revokes[revoked]
          if before.map({ Int32(bitPattern: sequence &- $0) > 0 }) ?? true { revokes[revoked] = sequence }
        }
      case .commit: sequence &+= 1
      }
      block = after(block, by: count)
    }
    return copies
  }

  /// Fast commits tell of changes in terms of files. Where there are some behind the last commit, the kernel must redo them.
  private func checkFastCommits(after last: UInt32) throws(Ext4Error) {
    guard superblock.featureIncompat.contains(.fastCommit) else { return }
    try place.read(end, into: buffer)
    let head: UInt16 = 9  // EXT4_FC_TAG_HEAD
    guard buffer.bytes.u16(0) == head, buffer.bytes.u16(2) >= 8, buffer.bytes.u32(8) == last &+ 1 else { return }
    throw .refused(
      "\(place.device.name) has fast commits in its journal, which kfs does not replay; mount it once with the kernel's "
        + "ext4, or run e2fsck -fy on it")
  }

  /// Writes a copy to where it belongs.
  /// - Returns: false when its checksum is wrong, and it was not written.
  private mutating func replay(_ copy: Copy) throws(Ext4Error) -> Bool {
    try place.read(copy.logBlock, into: buffer)
    let features = superblock.featureIncompat
    if features.hasChecksums, !sums.isRight(buffer.bytes, copy.tag, sequence: copy.sequence, features) { return false }
    if copy.tag.isEscaped { buffer.storeBytes(of: JournalSuperblock.magic.bigEndian, as: UInt32.self) }
    try write(at: copy.tag.block * UInt64(place.blockSize), UnsafeRawBufferPointer(buffer))
    summary.blocks += 1
    return true
  }

  /// Marks the log as empty. Sequence numbers go on: what is still in the log must not be taken for its continuation.
  private func giveUp(next: UInt32) throws(Ext4Error) {
    var superblock = superblock
    (superblock.start, superblock.sequence, superblock.head, superblock.errno) = (0, next, 0, 0)
    try place.read(0, into: buffer)
    var encoded = [UInt8](repeating: 0, count: JournalSuperblock.size)
    for _ in 0..<2 {
      var span = encoded.mutableSpan
      var raw = span.mutableBytes
      superblock.encode(into: &raw)
      if superblock.featureIncompat.hasChecksums { superblock.checksum = JournalSuperblock.checksum(of: raw.bytes) }
    }
    buffer.copyBytes(from: encoded)
    guard let number = place.block(0) else { throw .corrupted(.journal, "it has no first block") }
    try write(at: number * UInt64(place.blockSize), UnsafeRawBufferPointer(buffer))
    try flush()
  }

  /// Takes the mark off the superblock, which may have been in the log itself.
  private static func clearFlag(on device: any BlockDevice, hadErrors: Bool) throws(Ext4Error) {
    var bytes = [UInt8](repeating: 0, count: Superblock.size)
    do throws(BlockDeviceError) {
      var span = bytes.mutableSpan
      try span.withUnsafeMutableBytes { (buffer) throws(BlockDeviceError) in
        try device.read(at: Superblock.offset, into: buffer)
      }
    } catch { throw .device(error) }
    guard var superblock = Superblock(parsing: bytes.span.bytes) else {
      throw .corrupted(.superblock, "the journal has overwritten it")
    }
    superblock.featureIncompat.remove(.recover)
    if hadErrors { superblock.state |= 2 }
    superblock.wtime = Clock.realtime() / 1_000_000_000
    if superblock.featureRoCompat.contains(.metadataCsum) {
      superblock.checksum = superblock.encoded().withUnsafeBytes { Superblock.checksum(of: $0.bytes) }
    }
    do throws(BlockDeviceError) {
      let encoded = superblock.encoded()
      try encoded.span.bytes.withUnsafeBytes { (buffer) throws(BlockDeviceError) in
        try device.write(at: Superblock.offset, from: buffer)
      }
      try device.flush()
    } catch { throw .device(error) }
  }

  private func write(at offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws(Ext4Error) {
    do throws(BlockDeviceError) { try place.device.write(at: offset, from: bytes) } catch { throw .device(error) }
  }

  private func flush() throws(Ext4Error) {
    do throws(BlockDeviceError) { try place.device.flush() } catch { throw .device(error) }
  }
}
