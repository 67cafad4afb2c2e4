import Fuse
import Glibc
import Platform

// Contents of files.
extension MemoryFileSystem {
  package func open(_ id: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    try tree.withLock { (tree) throws(Errno) in
      let node = try tree.node(id)
      if intent.isWriting {
        try node.checkMutable(intent.flags & UInt32(O_APPEND) == 0 ? .appendOnly : [])
      }
      if intent.killsSetID { node.clearSetID() }
      return Opened(tree.open(node), .keepCache)
    }
  }

  // MARK: reading

  package func read(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {
    let contents = try tree.withLock { (tree) throws(Errno) in try tree.openNode(id, handle).contents }
    try contents.forEachPiece(from: offset, count: reply.wanted) { (piece, length) throws(Errno) in
      if let piece { try reply.append(copying: piece.span.bytes) } else { try reply.append(zeros: length) }
    }
  }

  package func read(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingRead, _ caller: Caller
  ) {
    let isLater = pending.reply.wanted >= options.laterFrom
    answer(pending, isLater: isLater) { files, pending in
      var pending = pending
      do throws(Errno) { try files.read(id, handle, at: offset, into: &pending.reply, caller) } catch {
        return pending.fail(error)
      }
      pending.finish()
    }
  }

  /// Answers a request on this thread or on another.
  private func answer<Pending: ~Copyable & Sendable>(
    _ pending: consuming Pending, isLater: Bool,
    _ body: @escaping @Sendable (MemoryFileSystem, consuming Pending) -> Void
  ) {
    if !isLater { return body(self, pending) }
    count(\.later)
    workers.run(pending) { [self] pending in body(self, pending) }
  }

  package func lseek(
    _ id: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller
  ) throws(Errno) -> UInt64 {
    try tree.withLock { (tree) throws(Errno) in
      try tree.openNode(id, handle).contents.seek(target, from: offset)
    }
  }

  // MARK: writing

  package func write(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, _ pending: consuming PendingWrite, _ intent: WriteIntent,
    _ caller: Caller
  ) {
    let isLater = pending.count >= options.laterFrom
    answer(pending, isLater: isLater) { files, pending in
      var end = offset
      do throws(Errno) {
        try pending.forEachPiece { (piece) throws(Errno) in
          end += UInt64(try files.write(id, handle, at: end, piece, intent, caller))
        }
      } catch {
        return pending.fail(error)
      }
      pending.finish(Int(end - offset))
    }
  }

  package func write(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int {
    // The kernel says which handle, but of pages that it writes back any will do.
    let data = Array(data)
    let node = { (tree: inout MemoryTree) throws(Errno) in
      intent.isWriteBack ? try tree.node(id) : try tree.openNode(id, handle)
    }
    try tree.withLock { (tree) throws(Errno) in
      let node = try node(&tree)
      try node.checkMutable()
      if !intent.isWriteBack, node.flags.contains(.appendOnly), offset != node.contents.size { throw .notPermitted }
      let end = offset + UInt64(data.count)  // checked by the session
      guard node.contents.missingPages(from: offset, to: end) <= tree.freePages else { throw .noSpace }
      tree.change(node) { contents in data.withUnsafeBytes { contents.write($0, at: offset) } }
      wrote(to: node, killsSetID: intent.killsSetID, keepsTimes: intent.isWriteBack && traits.contains(.writeBack))
    }
    return data.count
  }

  private func wrote(to node: MemoryNode, killsSetID: Bool, keepsTimes: Bool = false) {
    if killsSetID { node.clearSetID() } else { node.clearCapabilities() }
    if !keepsTimes { node.modified() }
  }

  package func fallocate(
    _ id: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode, _ caller: Caller
  ) throws(Errno) {
    let end = offset + length  // checked by the session
    try tree.withLock { (tree) throws(Errno) in
      let node = try tree.openNode(id, handle)
      try node.checkMutable(mode.isSubset(of: .keepSize) ? [] : .appendOnly)
      let isPunching = mode.contains(.punchHole)
      let missing = node.contents.missingPages(from: offset, to: end)
      guard isPunching || missing <= tree.freePages else { throw .noSpace }
      tree.change(node) { contents in
        if isPunching || mode.contains(.zeroRange) { contents.punch(from: offset, to: end) }
        if !isPunching { contents.allocate(from: offset, to: end) }
        if !mode.contains(.keepSize) { contents.extend(to: end) }
      }
      wrote(to: node, killsSetID: caller.userID != 0)
    }
  }

  package func copyFileRange(
    from source: FileRange, to destination: FileRange, count: UInt64, _ pending: consuming PendingCount,
    _ caller: Caller
  ) {
    // In parts: the process asks for the rest.
    let part = Int(min(count, 1 << 20))
    answer(pending, isLater: part >= options.laterFrom) { files, pending in
      let copied: Int
      do throws(Errno) { copied = try files.copy(source, destination, part, caller) } catch {
        return pending.fail(error)
      }
      pending.finish(UInt64(copied))
    }
  }

  private func copy(
    _ source: FileRange, _ destination: FileRange, _ count: Int, _ caller: Caller
  ) throws(Errno) -> Int {
    try tree.withLock { (tree) throws(Errno) in
      let data = try tree.openNode(source.node, source.handle).contents.bytes(from: source.offset, count: count)
      let node = try tree.openNode(destination.node, destination.handle)
      try node.checkMutable(.appendOnly)
      let end = destination.offset + UInt64(data.count)
      guard node.contents.missingPages(from: destination.offset, to: end) <= tree.freePages else { throw .noSpace }
      if data.isEmpty { return 0 }
      tree.change(node) { contents in data.withUnsafeBytes { contents.write($0, at: destination.offset) } }
      wrote(to: node, killsSetID: caller.userID != 0)
      return data.count
    }
  }

  // MARK: to the medium

  package func fsync(_ id: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    count(\.fsync)
  }

  package func fsync(
    _ id: NodeID, _ handle: FileHandle, dataOnly: Bool, _ pending: consuming PendingDone, _ caller: Caller
  ) {
    answer(pending, isLater: true) { files, pending in
      pending.finish { () throws(Errno) in try files.fsync(id, handle, dataOnly: dataOnly, caller) }
    }
  }

  package func syncfs(_ caller: Caller) throws(Errno) { count(\.syncfs) }
}
