import Blocks
import Platform

/// Blocks of a file that lie side by side, or that do not exist.
public struct FileRun: Equatable, Sendable {
  /// What there is.
  public enum Place: Equatable, Sendable {
    /// Nothing: it reads as zeros.
    case hole
    /// Blocks of the device from this one on, which were never written: they read as zeros.
    case unwritten(UInt64)
    /// Blocks of the device from this one on.
    case blocks(UInt64)
  }

  /// The first block within the file.
  public var start: UInt64
  /// How many blocks: at least 1.
  public var count: UInt64
  /// What there is.
  public var place: Place

  /// A run.
  public init(start: UInt64, count: UInt64, _ place: Place) {
    (self.start, self.count, self.place) = (start, count, place)
  }

  /// The block behind it.
  public var end: UInt64 { start + count }

  /// The rest of the run from `block` on, which lies in it.
  func from(_ block: UInt64) -> FileRun {
    let skipped = block - start
    let place: Place =
      switch place {
      case .hole: .hole
      case .unwritten(let first): .unwritten(first + skipped)
      case .blocks(let first): .blocks(first + skipped)
      }
    return FileRun(start: block, count: count - skipped, place)
  }
}

extension Volume {
  /// The most blocks of a file that can be mapped.
  public static let mostBlocks: UInt64 = 1 << 32

  /// The run that holds block `block` of a file, from there on: as long as one extent or one hole is. Behind the last block
  /// that can be mapped there is a hole without end.
  public func run(of node: Node, at block: UInt64) throws(Ext4Error) -> FileRun {
    guard block < Volume.mostBlocks else { return FileRun(start: block, count: .max - block, .hole) }
    if node.inode.flags.contains(.inlineData) { return FileRun(start: block, count: .max - block, .hole) }
    let run =
      node.inode.flags.contains(.extents)
      ? try extentRun(of: node, at: UInt32(block)) : try indirectRun(of: node, at: block)
    switch run.place {
    case .hole: break
    case .blocks(let first), .unwritten(let first):
      let end = first.addingReportingOverflow(run.count)
      guard first >= geometry.firstDataBlock, !end.overflow, end.partialValue <= geometry.blocksCount else {
        throw .corrupted(.inode(node.number), "block \(block) of it is mapped to \(first), outside of the file system")
      }
    }
    return run
  }

  /// Calls `body` with the runs of a file's blocks that exist, in order. What it does not get are holes.
  /// - Throws: EUCLEAN for a file with more blocks than the file system has.
  public func forEachRun(
    of node: Node, in blocks: Range<UInt64> = 0..<Volume.mostBlocks, _ body: (FileRun) throws(Ext4Error) -> Void
  ) throws(Ext4Error) {
    var block = blocks.lowerBound
    var budget = MappedBudget(of: self, node)
    while block < min(blocks.upperBound, Volume.mostBlocks) {
      var run = try run(of: node, at: block)
      run.count = min(run.count, blocks.upperBound - block)
      if run.place != .hole {
        try budget.take(run.count)
        try body(run)
      }
      block = run.end
    }
  }
}

/// No two blocks of a file are one block of the device, so a file that has more than there are is damaged. This bounds the
/// walks over maps that name one block again and again.
struct MappedBudget {
  private var left: UInt64
  private let inode: UInt32

  init(of volume: Volume, _ node: Node) { (left, inode) = (volume.geometry.blocksCount, node.number) }

  /// Counts blocks that a walk has come across.
  mutating func take(_ count: UInt64) throws(Ext4Error) {
    guard count <= left else { throw .corrupted(.inode(inode), "more blocks of it are mapped than there are") }
    left -= count
  }
}
