import Glibc

/// What stands in the directories of a view, each sorted by the bytes of the names, `.` and `..` included.
struct Directories {
  /// A name in a directory, and what has it.
  struct Entry {
    var item: UInt32
    var name: ViewTree.Name
    /// Bytes of it in a directory block.
    var size: Int { Directories.headSize + Int(name.length) }
  }

  /// Bytes of an entry without its name.
  static let headSize = 12

  private let entries: [Entry]
  /// Where each item's entries begin; those of a file are none.
  private let starts: [Int]

  init(of tree: borrowing ViewTree) {
    var starts = [Int](repeating: 0, count: tree.items.count + 1)
    for (number, item) in tree.items.enumerated() {
      if item.isDirectory { starts[number + 1] += 2 }
      if number > 0 { starts[Int(item.parent) + 1] += 1 }
    }
    for number in tree.items.indices { starts[number + 1] += starts[number] }
    var next = starts
    var entries = [Entry](repeating: Entry(item: 0, name: .dot), count: starts[tree.items.count])
    func add(_ entry: Entry, to directory: Int) {
      entries[next[directory]] = entry
      next[directory] += 1
    }
    for (number, item) in tree.items.enumerated() {
      if item.isDirectory {
        add(Entry(item: UInt32(number), name: .dot), to: number)
        add(Entry(item: item.parent, name: .dots), to: number)
      }
      if number > 0 { add(Entry(item: UInt32(number), name: item.name), to: Int(item.parent)) }
    }
    tree.names.withUnsafeBytes { names in
      for (number, item) in tree.items.enumerated() where item.isDirectory {
        entries[starts[number]..<starts[number + 1]].sort { isBefore($0.name, $1.name, names) }
      }
    }
    (self.starts, self.entries) = (starts, entries)
  }

  /// Hands each block's entries of a directory to `body`, and how many bytes they take.
  func forEachBlock<Failure: Error>(
    of directory: Int, _ body: (ArraySlice<Entry>, Int) throws(Failure) -> Void
  ) throws(Failure) {
    var (first, used) = (starts[directory], 0)
    for place in starts[directory]..<starts[directory + 1] {
      let size = entries[place].size
      if used + size > Int(ViewTree.blockSize) {
        try body(entries[first..<place], used)
        (first, used) = (place, 0)
      }
      used += size
    }
    try body(entries[first..<starts[directory + 1]], used)
  }

  /// How many blocks a directory takes, and how many bytes of the last one.
  func size(of directory: Int) -> (blocks: Int, last: Int) {
    var (blocks, last) = (0, 0)
    forEachBlock(of: directory) { _, used in (blocks, last) = (blocks + 1, used) }
    return (blocks, last)
  }
}

private func isBefore(_ a: ViewTree.Name, _ b: ViewTree.Name, _ names: UnsafeRawBufferPointer) -> Bool {
  guard let start = names.baseAddress else { return false }
  let order = memcmp(start + Int(a.start), start + Int(b.start), Int(min(a.length, b.length)))
  return order == 0 ? a.length < b.length : order < 0
}
