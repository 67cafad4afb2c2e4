import Famfs
import Fuse
import Glibc
import Platform

// Contents: of files that are staged, in space that grows; of all others as the log has them.
extension StagingFileSystem {
  func open(_ node: NodeID, _ intent: OpenIntent, _ caller: Caller) throws(Errno) -> Opened {
    guard StagedTree.isStaged(node) else { return try base.open(node, intent, caller) }
    let isStaged = try staging.withTree { (tree) throws(Errno) in
      guard let found = tree[node] else { throw .stale }
      if found.committed != nil { return false }
      if found.isDropped { throw .stale }
      if intent.killsSetID { tree[node]?.clearSetID() }
      tree.open(node)
      return true
    }
    if isStaged { return base.opened(.staged, base.stagedFlags(intent)) }
    return try base.open(logged(node), intent, caller)
  }

  func release(_ node: NodeID, _ handle: FileHandle, _ flockOwner: LockOwner?) {
    guard StagedTree.isStaged(node) else { return base.release(node, handle, flockOwner) }
    guard handle.flags.contains(.staged) else {
      if let id = try? logged(node) { base.release(id, handle, flockOwner) }
      return
    }
    base.openFiles.close(handle)
    let isLast = staging.withTree { tree in
      if volume.isReclaiming, let number = tree[node]?.committed { volume.closed(number) }
      guard tree.close(node), tree[node]?.link != nil else { return false }
      tree.set(due: Clock.monotonic() + staging.delay, of: node)
      return tree.due[node] != nil
    }
    // What fails is tried again, and told, by `Staging.run`.
    if isLast && staging.delay == 0 { try? staging.commit(node, evenOpen: false) }
  }

  func read(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, into reply: inout ReadReply, _ caller: Caller
  ) throws(Errno) {
    if case .staged(let found) = try target(node) {
      if try contents(of: found).read(at: offset, into: &reply) { return }
    }
    try base.read(logged(node), handle, at: offset, into: &reply, caller)
  }

  /// A staged file's bytes.
  func contents(of node: StagedNode) throws(Errno) -> StagedContents {
    guard let contents = node.contents else { throw node.isDirectory ? .isDirectory : .stale }
    return contents
  }

  func memoryMap(_ node: NodeID, _ caller: Caller) throws(Errno) -> MemoryMap {
    try base.memoryMap(logged(node), caller)
  }

  func memoryDevice(_ index: UInt32, _ caller: Caller) throws(Errno) -> [UInt8] {
    try base.memoryDevice(index, caller)
  }

  func foundUnreadable(_ memory: UnsafeRawBufferPointer) { base.foundUnreadable(memory) }

  func write(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, _ data: UnsafeRawBufferPointer, _ intent: WriteIntent,
    _ caller: Caller
  ) throws(Errno) -> Int {
    if case .staged(let found) = try target(node) {
      let written = try contents(of: found).withState { (state) throws(Errno) in
        try state.write(data, at: offset, on: volume)
      }
      if let (_, shape) = written {
        note(node, shape, killsSetID: intent.killsSetID)
        if intent.isSynchronous && handle.flags.contains(.direct) {
          try fsync(node, handle, dataOnly: false, caller)
        }
        return data.count
      }
    }
    return try base.write(logged(node), handle, at: offset, data, intent, caller)
  }

  private func note(_ node: NodeID, _ shape: StagedContents.Shape, killsSetID: Bool = false) {
    let now = Clock.fileTime()
    staging.withTree { tree in
      tree.note(shape, of: node)
      guard var found = tree[node] else { return }
      (found.modified, found.changed) = (now, now)
      if killsSetID { found.clearSetID() }
      tree[node] = found
    }
  }

  func fallocate(
    _ node: NodeID, _ handle: FileHandle, at offset: UInt64, length: UInt64, _ mode: FallocateMode, _ caller: Caller
  ) throws(Errno) {
    let (end, overflow) = offset.addingReportingOverflow(length)
    if overflow || end > UInt64(Int64.max) { throw .fileTooLarge }
    if case .staged(let found) = try target(node) {
      let changed = try contents(of: found).withState { (state) throws(Errno) in
        if !mode.contains(.punchHole) { try state.reserve(end, on: volume) }
        if mode.contains(.punchHole) || mode.contains(.zeroRange) { try state.clear(offset..<end, on: volume) }
        let mayGrow = mode.isDisjoint(with: [.punchHole, .keepSize])
        if mayGrow && end > state.size { try state.resize(to: end, on: volume) }
      }
      if let (_, shape) = changed { return note(node, shape) }
    }
    if !mode.contains(.keepSize), try end > volume.node(NodeNumber(logged(node))).size {
      base.openFiles.refuse(handle)
      throw .fileTooLarge
    }
    // The space of a file in the log is its own already.
    guard volume.role == .master, mode.isSubset(of: .keepSize) else { throw Errno(rawValue: EOPNOTSUPP) }
  }

  /// A file with a passing name keeps it until it gets its own, with which it is committed: programs that replace files
  /// write, fsync and rename, and nothing can be renamed once the log has it.
  func fsync(_ node: NodeID, _ handle: FileHandle, dataOnly: Bool, _ caller: Caller) throws(Errno) {
    guard case .staged = try target(node) else {
      return try base.fsync(logged(node), handle, dataOnly: dataOnly, caller)
    }
    let isTemporary = staging.withTree { tree in
      guard let name = tree[node]?.link?.name, TemporaryName.isTemporary(name) else { return false }
      tree[node]?.isPromised = true
      return true
    }
    if isTemporary { return }
    try commit(node)
    if !dataOnly, case .logged(let id) = try target(node) { try base.saveAttributes(of: id) }
  }

  /// Commits all that is closed. To commit what is open would cut off the programs that write it, at the wish of any user:
  /// this fails instead.
  /// - Throws: EBUSY when a file is open that the log does not have.
  func syncfs(_ caller: Caller) throws(Errno) {
    do throws(FamfsError) {
      try staging.commitAll()
      try staging.attributes.saveAll()
    } catch {
      throw error.errno
    }
    try base.syncfs(caller)
    if staging.withTree({ $0.closed(below: .number(.root), in: volume).hasOpen }) { throw .busy }
  }

  func commit(_ id: NodeID) throws(Errno) {
    do throws(FamfsError) { try staging.commit(id, evenOpen: true) } catch { throw error.errno }
  }

  func lseek(
    _ node: NodeID, _ handle: FileHandle, _ offset: UInt64, _ target: SeekTarget, _ caller: Caller
  ) throws(Errno) -> UInt64 {
    guard case .staged(let found) = try self.target(node) else {
      return try base.lseek(logged(node), handle, offset, target, caller)
    }
    if offset >= found.shape.size { throw .noSuchAddress }
    return target == .data ? offset : found.shape.size
  }
}
