import Famfs

/// What a view shows: names, attributes, and where contents lie. Items are numbered in the order in which they came; 0 is
/// the root, and a directory comes before what is in it.
struct ViewTree {
  struct Item {
    var isDirectory: Bool
    var permissions: UInt16
    var userID: UInt32
    var groupID: UInt32
    var size: UInt64
    var modified: Int64
    /// By which the volume knows it.
    var number: UInt32
    var parent: UInt32
    var name: Name
    var contents: Contents
    /// Directories in a directory.
    var subdirectories: UInt32 = 0
  }

  /// Where a name stands in `names`.
  struct Name {
    var start: UInt32
    var length: UInt8
    static let dot = Name(start: 0, length: 1)
    static let dots = Name(start: 0, length: 2)
  }

  /// Where a file's bytes lie.
  enum Contents {
    /// On the first device, in one piece, from this block on. Directories have none.
    case plain(block: UInt32)
    /// In chunks of 4096 << bits bytes; the layout stands at this place of `layouts`.
    case chunks(bits: UInt8, isWide: Bool, layout: Int)
  }

  private(set) var items: [Item] = []
  /// Of all names; begins with the two dots that `.` and `..` are made of.
  private(set) var names: [UInt8] = Array("..".utf8)
  private(set) var layouts: [FileLayout] = []
  /// The log's entries whose doing it shows.
  private(set) var entries: UInt64 = 0

  var directoryCount: Int { items.count { $0.isDirectory } }

  static let blockSize: UInt64 = 4096

  /// What a volume has, but for its own files.
  /// - Throws: a sentence, when the format cannot describe it.
  init(_ volume: Volume) throws(FamfsError) {
    var places = [UInt32](repeating: .max, count: Int(volume.nodeCount))
    var tree = self
    tree.entries = try volume.forEachNode { (item) throws(FamfsError) in
      let isRoot = item.number == .root
      let isArea = item.node.parent == .root && ViewArea.number(in: item.name) != nil
      let (number, parent) = (Int(item.number.rawValue), Int(item.node.parent.rawValue))
      // What has come since, or whose directory is gone since, comes with the next view.
      guard isRoot || !isArea, number < places.count, places[parent] != .max || isRoot else { return }
      places[number] = UInt32(tree.items.count)
      try tree.add(item, to: isRoot ? 0 : places[parent])
    }
    self = tree
  }

  private mutating func add(_ item: borrowing Volume.ListedNode, to parent: UInt32) throws(FamfsError) {
    let node = item.node
    let isDirectory = node.kind == .directory
    guard let start = UInt32(exactly: names.count) else { throw .other("the names of the volume are more than 4 GiB") }
    names.append(contentsOf: item.name)
    items.append(
      Item(
        isDirectory: isDirectory, permissions: node.permissions, userID: node.userID, groupID: node.groupID,
        size: isDirectory ? 0 : node.size, modified: node.modified, number: item.number.rawValue &+ 1, parent: parent,
        name: Name(start: start, length: UInt8(item.name.count)),
        contents: isDirectory ? .plain(block: 0) : try place(item.layout, size: node.size)))
    if isDirectory && items.count > 1 { items[Int(parent)].subdirectories += 1 }
  }

  // MARK: Contents

  private mutating func place(_ layout: FileLayout, size: UInt64) throws(FamfsError) -> Contents {
    if size == 0 { return .plain(block: 0) }
    var boundaries: UInt64 = 0
    var isWide = false
    let extents = layout.extents.array
    var start: UInt64 = 0
    for extent in extents where start < size {
      guard (extent.offset + extent.length) / ViewTree.blockSize <= UInt64(UInt32.max) else {
        throw .other("EROFS reaches 16 TiB of a device, and files lie behind that; the volume cannot be published")
      }
      if start > 0 { boundaries |= start }
      if extent.device != 0 { isWide = true }
      start += extent.length
    }
    if layout.chunkSize > 0 { boundaries = layout.chunkSize }
    if boundaries == 0 && !isWide { return .plain(block: UInt32(extents[0].offset / ViewTree.blockSize)) }
    // The largest power of two that no piece's beginning is amid, but no larger than the file.
    let needed = UInt64.bitWidth - ((size - 1) / ViewTree.blockSize).leadingZeroBitCount
    let most = boundaries == 0 ? needed : boundaries.trailingZeroBitCount - ViewTree.blockSize.trailingZeroBitCount
    layouts.append(layout)
    return .chunks(bits: UInt8(min(most, needed, 31)), isWide: isWide, layout: layouts.count - 1)
  }

  /// How many chunks a file has.
  static func chunkCount(size: UInt64, bits: UInt8) -> UInt64 {
    let chunk = blockSize << UInt64(bits)
    return size / chunk + (size % chunk > 0 ? 1 : 0)
  }
}
