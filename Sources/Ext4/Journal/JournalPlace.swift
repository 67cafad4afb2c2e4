import Blocks
import Platform

/// Where the journal is: its inode's blocks, mapped once, because replaying may rewrite the inode.
struct JournalPlace {
  let device: any BlockDevice
  let blockSize: Int
  let blocksCount: UInt64
  /// Runs in the order of the journal's blocks, without gaps.
  private let runs: [FileRun]
  /// Blocks of the inode.
  let count: UInt64

  /// Finds the journal of a volume.
  init(of volume: Volume) throws(Ext4Error) {
    let superblock = volume.superblock
    guard superblock.featureCompat.contains(.hasJournal) else {
      throw .corrupted(.superblock, "it says that a journal must be replayed, and that there is none")
    }
    guard superblock.journalInum != 0 else {
      throw .refused(
        "\(volume.device.name) has its journal on another device, of UUID \(superblock.journalUuid); mount it with the "
          + "kernel's ext4, or run e2fsck -j")
    }
    let node = try volume.node(superblock.journalInum)
    guard node.inode.kind == .regular, node.inode.linksCount > 0 else {
      throw .corrupted(.journal, "inode \(node.number) is not a file")
    }
    (device, blockSize) = (volume.device, volume.geometry.blockSize)
    blocksCount = volume.geometry.blocksCount
    var (runs, end): ([FileRun], UInt64) = ([], 0)
    try volume.forEachRun(of: node) { (run) throws(Ext4Error) in
      guard run.start == end, case .blocks = run.place else { throw .corrupted(.journal, "its file has a hole") }
      runs.append(run)
      end = run.end
    }
    (self.runs, count) = (runs, end)
  }

  /// The block of the device that is a block of the journal.
  func block(_ index: UInt64) -> UInt64? {
    var (low, high) = (0, runs.count)
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].end <= index { low = middle + 1 } else { high = middle }
    }
    guard low < runs.count, case .blocks(let first) = runs[low].place else { return nil }
    return first + (index - runs[low].start)
  }

  /// Whether a block of the device is one of the journal.
  func contains(_ block: UInt64) -> Bool {
    runs.contains { run in
      guard case .blocks(let first) = run.place else { return false }
      return block >= first && block - first < run.count
    }
  }

  /// Reads a block of the journal.
  func read(_ index: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Ext4Error) {
    guard let number = block(index) else { throw .corrupted(.journal, "block \(index) is outside of its file") }
    do throws(BlockDeviceError) { try device.read(at: number * UInt64(blockSize), into: buffer) } catch {
      throw .device(error)
    }
  }
}
