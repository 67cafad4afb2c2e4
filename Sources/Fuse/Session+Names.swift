import Glibc
import Platform

extension Session {
  func lookup(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let bytes = request.body.bytes
    let name = bytes.extracting(try bytes.entryName(isChanged: false))
    return reply(try fileSystem.lookup(name, in: request.header.node, request.header.caller), slot)
  }

  private func reply(_ entry: Entry, _ slot: RequestSlot) -> Reply {
    _ = slot.body(Entry.byteCount) { entry.encode(node: entry.node, into: &$0) }
    return .lookup(entry.node, Entry.byteCount)
  }

  func create(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let (header, bytes) = (request.header, request.body.bytes)
    let create = try CreateRequest(parsing: bytes)
    let (entry, opened) = try fileSystem.create(
      bytes.extracting(create.name), in: header.node, try request.withLabels(create.node), create.intent, header.caller)
    return created(entry, opened, slot)
  }

  private func created(_ entry: Entry, _ opened: Opened, _ slot: RequestSlot) -> Reply {
    let byteCount = Entry.byteCount + Opened.byteCount
    _ = slot.body(byteCount) { body in
      entry.encode(node: entry.node, into: &body)
      opened.encode(into: &body, at: Entry.byteCount)
    }
    return .created(entry.node, opened.handle, byteCount)
  }

  func mknod(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let (header, bytes) = (request.header, request.body.bytes)
    let mknod = try MknodRequest(parsing: bytes)
    let entry = try fileSystem.mknod(
      bytes.extracting(mknod.name), in: header.node, try request.withLabels(mknod.node), header.caller)
    return reply(entry, slot)
  }

  func mkdir(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let (header, bytes) = (request.header, request.body.bytes)
    let mkdir = try MkdirRequest(parsing: bytes)
    let entry = try fileSystem.mkdir(
      bytes.extracting(mkdir.name), in: header.node, try request.withLabels(mkdir.node), header.caller)
    return reply(entry, slot)
  }

  func symlink(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let (header, bytes) = (request.header, request.body.bytes)
    let symlink = try SymlinkRequest(parsing: bytes)
    let node = try request.withLabels(NewNode(mode: S_IFLNK | 0o777))
    let entry = try fileSystem.symlink(
      bytes.extracting(symlink.target), as: bytes.extracting(symlink.name), in: header.node, node, header.caller)
    return reply(entry, slot)
  }

  func readlink(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let buffer = UnsafeMutableRawBufferPointer(rebasing: slot.replies.body[..<(LinkTarget.longest + 1)])
    let length = try fileSystem.readlink(request.header.node, into: buffer, request.header.caller)
    try LinkTarget.check(length)
    return .body(length)
  }

  func link(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let (header, bytes) = (request.header, request.body.bytes)
    let link = try LinkRequest(parsing: bytes)
    let entry = try fileSystem.link(link.node, as: bytes.extracting(link.name), in: header.node, header.caller)
    return reply(entry, slot)
  }

  func tmpfile(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let tmpfile = try TmpfileRequest(parsing: request.body.bytes)
    let (entry, opened) = try fileSystem.tmpfile(
      in: request.header.node, try request.withLabels(tmpfile.node), tmpfile.intent, request.header.caller)
    return created(entry, opened, slot)
  }

  func unlink(_ request: Request) throws(Errno) -> Reply {
    let bytes = request.body.bytes
    try fileSystem.unlink(bytes.extracting(try bytes.entryName()), in: request.header.node, request.header.caller)
    return .done
  }

  func rmdir(_ request: Request) throws(Errno) -> Reply {
    let bytes = request.body.bytes
    try fileSystem.rmdir(bytes.extracting(try bytes.entryName()), in: request.header.node, request.header.caller)
    return .done
  }

  func rename(_ request: Request, hasFlags: Bool) throws(Errno) -> Reply {
    let (header, bytes) = (request.header, request.body.bytes)
    let rename = try RenameRequest(parsing: bytes, hasFlags: hasFlags)
    try fileSystem.rename(
      bytes.extracting(rename.name), in: header.node, to: bytes.extracting(rename.newName), in: rename.newDirectory,
      rename.flags, header.caller)
    return .done
  }

  func forget(_ request: Request) throws(Errno) -> Reply {
    let forget = try ForgetRequest(parsing: request.body.bytes)
    fileSystem.forget(request.header.node, forget.count)
    return .done
  }

  func batchForget(_ request: Request) throws(Errno) -> Reply {
    let batch = try BatchForgetRequest(parsing: request.body.bytes)
    // Where they lie: `LookupCount` has the layout of `struct fuse_forget_one`.
    let records = request.body[BatchForgetRequest.byteCount...].prefix(batch.count * MemoryLayout<LookupCount>.stride)
    UnsafeRawBufferPointer(rebasing: records).withMemoryRebound(to: LookupCount.self) {
      fileSystem.forget($0.span)
    }
    return .done
  }
}
