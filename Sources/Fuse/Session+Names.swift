import Platform

extension Session {
  func lookup(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let bytes = request.body.bytes
    let name = bytes.extracting(try bytes.entryName(isChanged: false))
    return reply(try fileSystem.lookup(name, in: request.header.node, request.header.caller), worker)
  }

  private func reply(_ entry: Entry, _ worker: borrowing Worker) -> Reply {
    _ = worker.body(Entry.byteCount) { entry.encode(node: entry.node, into: &$0) }
    return .lookup(entry.node, Entry.byteCount)
  }

  func create(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let (header, bytes) = (request.header, request.body.bytes)
    let create = try CreateRequest(parsing: bytes)
    let (entry, opened) = try fileSystem.create(
      bytes.extracting(create.name), in: header.node, mode: create.mode, umask: create.umask, create.intent,
      header.caller)
    let byteCount = Entry.byteCount + Opened.byteCount
    _ = worker.body(byteCount) { body in
      entry.encode(node: entry.node, into: &body)
      opened.encode(into: &body, at: Entry.byteCount)
    }
    return .created(entry.node, opened.handle, byteCount)
  }

  func mknod(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let (header, bytes) = (request.header, request.body.bytes)
    let mknod = try MknodRequest(parsing: bytes)
    let entry = try fileSystem.mknod(
      bytes.extracting(mknod.name), in: header.node, mode: mknod.mode, umask: mknod.umask,
      specialDevice: mknod.specialDevice, header.caller)
    return reply(entry, worker)
  }

  func mkdir(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let (header, bytes) = (request.header, request.body.bytes)
    let mkdir = try MkdirRequest(parsing: bytes)
    let entry = try fileSystem.mkdir(
      bytes.extracting(mkdir.name), in: header.node, mode: mkdir.mode, umask: mkdir.umask, header.caller)
    return reply(entry, worker)
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

  func forget(_ request: Request) throws(Errno) {
    let forget = try ForgetRequest(parsing: request.body.bytes)
    fileSystem.forget(request.header.node, forget.count)
  }

  func batchForget(_ request: Request) throws(Errno) {
    let batch = try BatchForgetRequest(parsing: request.body.bytes)
    for index in 0..<batch.count {
      let (node, count) = batch.pair(index, in: request.body.bytes)
      fileSystem.forget(node, count)
    }
  }
}
