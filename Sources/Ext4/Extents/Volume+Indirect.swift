import Blocks
import Platform

// Maps of pointers to blocks, as ext2 and ext3 have them.
extension Volume {
  /// The blocks that lie side by side, or the hole, from a block on.
  func indirectRun(of node: Node, at block: UInt64) throws(Ext4Error) -> FileRun {
    let pointers = UInt64(geometry.blockSize / 4)
    guard let path = IndirectPath(to: block, pointers: pointers) else {
      return FileRun(start: block, count: .max - block, .hole)
    }
    if path.count == 1 {
      return node.inode.block.withBytes { run(in: $0, from: Int(path.indexes[0]), to: 12, at: block) }
    }
    var number = UInt64(node.inode.block.words[Int(path.indexes[0])])
    for step in 1..<path.count {
      if number == 0 { return hole(path, at: block, above: step, pointers) }
      let structure = Structure.indirectBlock(inode: node.number, number)
      // Pointers have no checksum; each is looked at when it is followed.
      let pinned = try self.block(number, .indirect, of: structure) { (_) throws(Ext4Error) in }
      let index = Int(path.indexes[step])
      if step == path.count - 1 {
        return pinned.withBytes { run(in: $0, from: index, to: Int(pointers), at: block) }
      }
      number = pinned.withBytes { UInt64($0.u32(4 * index)) }
    }
    preconditionFailure("a walk along pointers ends with a run")
  }

  /// The run of pointers from `index` on that follow each other, or that are zeros.
  private func run(in bytes: RawSpan, from index: Int, to end: Int, at block: UInt64) -> FileRun {
    let first = UInt64(bytes.u32(4 * index))
    var count: UInt64 = 1
    while index + Int(count) < end {
      let next = UInt64(bytes.u32(4 * (index + Int(count))))
      guard next == (first == 0 ? 0 : first + count) else { break }
      count += 1
    }
    return FileRun(start: block, count: count, first == 0 ? .hole : .blocks(first))
  }

  /// The hole of a pointer that is zero, from a block on to its end.
  /// - Parameter step: how many pointers lead to what it should point to.
  private func hole(_ path: IndirectPath, at block: UInt64, above step: Int, _ pointers: UInt64) -> FileRun {
    let span = path.span(at: step - 1, pointers: pointers)
    var place: UInt64 = 0
    for index in step..<path.count { place = place * pointers + UInt64(path.indexes[index]) }
    return FileRun(start: block, count: span - place, .hole)
  }
}
