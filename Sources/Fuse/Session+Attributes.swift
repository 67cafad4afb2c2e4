import Platform

extension Session {
  func getattr(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let getattr = try GetattrRequest(parsing: request.body.bytes)
    let node = request.header.node
    return reply(try fileSystem.getattr(node, getattr.handle, request.header.caller), of: node, worker)
  }

  func setattr(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let setattr = try SetattrRequest(parsing: request.body.bytes)
    let (node, caller) = (request.header.node, request.header.caller)
    return reply(try fileSystem.setattr(node, setattr.handle, setattr.changes, caller), of: node, worker)
  }

  private func reply(_ attributes: CachedAttributes, of node: NodeID, _ worker: borrowing Worker) -> Reply {
    worker.body(CachedAttributes.byteCount) { attributes.encode(node: node, into: &$0) }
  }

  func statx(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let statx = try StatxRequest(parsing: request.body.bytes)
    let node = request.header.node
    let attributes = try fileSystem.getattr(node, statx.handle, request.header.caller)
    return worker.body(CachedAttributes.statxByteCount) { attributes.encodeStatx(node: node, into: &$0) }
  }

  func statfs(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let status = try fileSystem.statfs(request.header.node, request.header.caller)
    return worker.body(FileSystemStatus.byteCount) { status.encode(into: &$0) }
  }

  func access(_ request: Request) throws(Errno) -> Reply {
    let access = try AccessRequest(parsing: request.body.bytes)
    try fileSystem.access(request.header.node, access.mask, request.header.caller)
    return .done
  }

  func getxattr(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let bytes = request.body.bytes
    let getxattr = try GetxattrRequest(parsing: bytes)
    let start = GetxattrRequest.byteCount
    let name = bytes.extracting(start..<(start + (try bytes.nameLength(from: start))))
    let buffer = UnsafeMutableRawBufferPointer(rebasing: worker.replies.body[..<getxattr.count])
    let length = try fileSystem.getxattr(request.header.node, name, into: buffer, request.header.caller)
    return try reply(valueOf: length, asked: getxattr.count, worker)
  }

  func listxattr(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let listxattr = try GetxattrRequest(parsing: request.body.bytes)
    let buffer = UnsafeMutableRawBufferPointer(rebasing: worker.replies.body[..<listxattr.count])
    let length = try fileSystem.listxattr(request.header.node, into: buffer, request.header.caller)
    return try reply(valueOf: length, asked: listxattr.count, worker)
  }

  /// A value that stands in the body, or only its length when that was asked for: `struct fuse_getxattr_out`.
  private func reply(valueOf length: Int, asked count: Int, _ worker: borrowing Worker) throws(Errno) -> Reply {
    guard let size = UInt32(exactly: length) else { throw .inputOutput }
    if count > 0 {
      guard length <= count else { throw .outOfRange }
      return .body(length)
    }
    return worker.body(8) { bytes in
      bytes.set(0, size)
      bytes.set(4, UInt32(0))
    }
  }
}
