import Platform

extension Session {
  func opendir(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let open = try OpenRequest(parsing: request.body.bytes)
    if traits.contains(.withoutOpendir) { throw .noSystemCall }
    let opened = try fileSystem.opendir(request.header.node, open.intent, request.header.caller)
    _ = slot.body(Opened.byteCount) { opened.encode(into: &$0) }
    return .opened(opened.handle, isDirectory: true, Opened.byteCount)
  }

  func readdir(_ request: Request, isPlus: Bool, _ slot: RequestSlot) throws(Errno) -> Reply {
    let read = try ReadRequest(parsing: request.body.bytes)
    var reply = DirectoryReply(wanted: read.count, isPlus: isPlus, memory: slot.replies)
    let header = request.header
    do throws(Errno) {
      try fileSystem.readdir(header.node, read.handle, from: read.offset, into: &reply, header.caller)
    } catch {
      // Entries that are counted as lookups must reach the kernel; the error waits for those that follow.
      if reply.count == 0 { throw error }
    }
    return isPlus ? .lookups(reply.count) : .body(reply.count)
  }

  func releasedir(_ request: Request) throws(Errno) -> Reply {
    let release = try ReleaseRequest(parsing: request.body.bytes)
    fileSystem.releasedir(request.header.node, release.handle)
    return .done
  }

  func fsyncdir(_ request: Request, _ exchange: consuming Exchange) {
    let fsync: FsyncRequest
    do throws(Errno) { fsync = try FsyncRequest(parsing: request.body.bytes) } catch { return exchange.fail(error) }
    let header = request.header
    fileSystem.fsyncdir(
      header.node, fsync.handle, dataOnly: fsync.dataOnly, PendingDone(exchange: exchange), header.caller)
  }
}
