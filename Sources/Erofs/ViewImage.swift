import Famfs
import Platform

/// The metadata of a view: first a header of our own and the inodes, then the blocks of directories that do not fit behind
/// their inode. It is laid out first, and then written piece by piece, so it takes little memory however large it is.
struct ViewImage {
  /// The first bytes: what tells a later mount whether there is anything new.
  static let magic: UInt64 = 0x7765_6976_7466_6577  // "weftview"

  let tree: ViewTree
  private let directories: Directories
  /// Where each item's inode stands, in bytes from the start.
  private let places: [Int]
  /// Where each directory's first block stands, in blocks from the start; -1 for those behind their inode.
  private let directoryBlocks: [Int]
  /// Where the blocks of directories begin.
  private let inodesEnd: Int
  /// Bytes, whole blocks.
  let size: UInt64
  private static let block = Int(ViewTree.blockSize)

  /// Lays it out.
  /// - Throws: a sentence when it takes more than `limit` bytes.
  init(_ tree: ViewTree, limit: UInt64) throws(FamfsError) {
    let directories = Directories(of: tree)
    var (places, blocks) = ([Int](), [Int](repeating: -1, count: tree.items.count))
    places.reserveCapacity(tree.items.count)
    var (offset, blockCount) = (ViewSuperblock.rootOffset, 0)
    for (number, item) in tree.items.enumerated() {
      var behind = 0
      switch item.contents {
      case .plain where item.isDirectory:
        let (count, last) = directories.size(of: number)
        if count == 1 && Inode.size + last <= ViewImage.block {
          behind = last
          // Both in one block.
          if offset % ViewImage.block + Inode.size + last > ViewImage.block {
            offset = ViewImage.up(offset, ViewImage.block)
          }
        } else {
          blocks[number] = blockCount
          blockCount += count
        }
      case .plain: break
      case .chunks(let bits, let isWide, _):
        let count = ViewTree.chunkCount(size: item.size, bits: bits)
        guard count <= limit / 4 else { throw ViewImage.tooLarge(limit) }
        behind = Int(count) * (isWide ? 8 : 4)
      }
      places.append(offset)
      offset = ViewImage.up(offset + Inode.size + behind, Inode.size)
      guard offset <= limit else { throw ViewImage.tooLarge(limit) }
    }
    inodesEnd = ViewImage.up(offset, ViewImage.block)
    for number in blocks.indices where blocks[number] >= 0 { blocks[number] += inodesEnd / ViewImage.block }
    size = UInt64(inodesEnd + blockCount * ViewImage.block)
    guard size <= limit else { throw ViewImage.tooLarge(limit) }
    (self.tree, self.directories, self.places, directoryBlocks) = (tree, directories, places, blocks)
  }

  private static func tooLarge(_ limit: UInt64) -> FamfsError {
    .other("the metadata for EROFS would take more than \(limit) bytes, which is all there is; use a larger device")
  }

  private static func up(_ offset: Int, _ unit: Int) -> Int { (offset + unit - 1) / unit * unit }

  // MARK: Writing

  /// Writes it, for a place that begins at this block of the device.
  /// - Parameters:
  ///   - entries: of the log, that it takes account of.
  ///   - store: stores bytes at an offset from the start.
  func write(
    at block: UInt32, entries: UInt64, _ store: (UInt64, RawSpan) throws(FamfsError) -> Void
  ) throws(FamfsError) {
    var output = Output()
    output.put(at: 0, count: ViewSuperblock.rootOffset) { bytes in
      bytes.set(0, ViewImage.magic)
      bytes.set(8, entries)
      bytes.set(16, size)
    }
    for number in tree.items.indices {
      try output.fill(upTo: places[number], store)
      put(number, block, &output)
    }
    try output.fill(upTo: inodesEnd, store)
    for number in tree.items.indices where directoryBlocks[number] >= 0 {
      try directories.forEachBlock(of: number) { (entries, used) throws(FamfsError) in
        put(entries, used, &output)
        try output.fill(upTo: ViewImage.up(output.end, ViewImage.block), store)
      }
    }
    try output.flush(store)
  }

  private func put(_ number: Int, _ block: UInt32, _ output: inout Output) {
    let item = tree.items[number]
    var inode = Inode(
      mode: item.permissions | (item.isDirectory ? 0o040000 : 0o100000), size: item.size, contents: .inline,
      number: item.number, userID: item.userID, groupID: item.groupID, modified: item.modified, linkCount: 1)
    switch item.contents {
    case .plain(let place): inode.contents = .plain(block: place)
    case .chunks(let bits, let isWide, _): inode.contents = .chunks(bits: bits, isWide: isWide)
    }
    if item.isDirectory {
      let (count, last) = directories.size(of: number)
      inode.size = UInt64((count - 1) * ViewImage.block + last)
      inode.linkCount = 2 + item.subdirectories
      inode.contents =
        directoryBlocks[number] < 0 ? .inline : .plain(block: block + UInt32(directoryBlocks[number]))
    }
    output.put(at: output.end, count: Inode.size) { inode.encode(into: &$0) }
    if case .inline = inode.contents {
      directories.forEachBlock(of: number) { put($0, $1, &output) }
    } else if case .chunks(let bits, let isWide, let layout) = item.contents {
      put(tree.layouts[layout], item.size, ViewTree.blockSize << UInt64(bits), isWide, &output)
    }
  }

  /// The places of a file's chunks.
  private func put(_ layout: FileLayout, _ size: UInt64, _ chunk: UInt64, _ isWide: Bool, _ output: inout Output) {
    layout.forEachRange(size: size) { range, _ in
      for offset in stride(from: range.offset, to: range.offset + range.length, by: Int(chunk)) {
        output.put(at: output.end, count: isWide ? 8 : 4) { bytes in
          if isWide { bytes.set(2, UInt16(truncatingIfNeeded: range.device)) }
          bytes.set(isWide ? 4 : 0, UInt32(truncatingIfNeeded: offset / ViewTree.blockSize))
        }
      }
    }
  }

  /// A directory block.
  private func put(_ entries: ArraySlice<Directories.Entry>, _ used: Int, _ output: inout Output) {
    output.put(at: output.end, count: used) { bytes in
      var name = entries.count * Directories.headSize
      for (place, entry) in entries.enumerated() {
        let head = place * Directories.headSize
        bytes.set(head, UInt64(places[Int(entry.item)] / Inode.slot))
        bytes.set(head + 8, UInt16(name))
        bytes.set(head + 10, UInt8(tree.items[Int(entry.item)].isDirectory ? 2 : 1))
        let start = Int(entry.name.start)
        bytes.set(name, bytes: tree.names.span.bytes.extracting(start..<start + Int(entry.name.length)))
        name += Int(entry.name.length)
      }
    }
  }
}

/// Bytes on their way to the device, about a MiB at a time.
private struct Output {
  private var bytes: [UInt8] = []
  private var start = 0
  private static let piece = 1 << 20

  init() { bytes.reserveCapacity(Output.piece * 2) }

  /// Where the next byte goes.
  var end: Int { start + bytes.count }

  /// Adds bytes, which `body` finds as zeros; they go to `end`.
  mutating func put(at place: Int, count: Int, _ body: (inout MutableRawSpan) -> Void) {
    precondition(place == end)
    let first = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: count))
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    var part = raw._mutatingExtracting(first..<first + count)
    body(&part)
  }

  /// Adds zeros; stores what has come together.
  mutating func fill(upTo place: Int, _ store: (UInt64, RawSpan) throws(FamfsError) -> Void) throws(FamfsError) {
    bytes.append(contentsOf: repeatElement(0, count: place - end))
    if bytes.count >= Output.piece { try flush(store) }
  }

  mutating func flush(_ store: (UInt64, RawSpan) throws(FamfsError) -> Void) throws(FamfsError) {
    try store(UInt64(start), bytes.span.bytes)
    start = end
    bytes.removeAll(keepingCapacity: true)
  }
}
