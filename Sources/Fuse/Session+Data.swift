import Glibc
import Platform

extension Session {
  func open(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let open = try OpenRequest(parsing: request.body.bytes)
    if traits.contains(.withoutOpen) { throw .noSystemCall }
    let opened = try fileSystem.open(request.header.node, open.intent, request.header.caller)
    _ = worker.body(Opened.byteCount) { opened.encode(into: &$0) }
    return .opened(opened.handle, isDirectory: false, Opened.byteCount)
  }

  func read(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let read = try ReadRequest(parsing: request.body.bytes)
    try checkRange(at: read.offset, count: read.count)
    var reply = ReadReply(wanted: read.count, memory: worker.replies)
    let header = request.header
    try fileSystem.read(header.node, read.handle, at: read.offset, into: &reply, header.caller)
    return .ranges(reply.rangeCount, byteCount: reply.count)
  }

  func write(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let write = try WriteRequest(parsing: request.body.bytes)
    let data = UnsafeRawBufferPointer(rebasing: request.body[WriteRequest.byteCount...])
    let header = request.header
    let count = try fileSystem.write(
      header.node, write.handle, at: write.offset, data, write.intent, header.caller)
    guard (0...write.count).contains(count) else { throw .inputOutput }
    worker.counters.countWritten(count)
    return worker.body(8) { bytes in
      bytes.set(0, UInt32(count))
      bytes.set(4, UInt32(0))
    }
  }

  func release(_ request: Request) throws(Errno) -> Reply {
    let release = try ReleaseRequest(parsing: request.body.bytes)
    fileSystem.release(request.header.node, release.handle)
    return .done
  }

  func flush(_ request: Request) throws(Errno) -> Reply {
    let flush = try FlushRequest(parsing: request.body.bytes)
    try fileSystem.flush(request.header.node, flush.handle, request.header.caller)
    return .done
  }

  func fsync(_ request: Request) throws(Errno) -> Reply {
    let fsync = try FsyncRequest(parsing: request.body.bytes)
    try fileSystem.fsync(request.header.node, fsync.handle, dataOnly: fsync.dataOnly, request.header.caller)
    return .done
  }

  func syncfs(_ request: Request) throws(Errno) -> Reply {
    _ = try SyncfsRequest(parsing: request.body.bytes)
    try fileSystem.syncfs(request.header.caller)
    return .done
  }

  func fallocate(_ request: Request) throws(Errno) -> Reply {
    let fallocate = try FallocateRequest(parsing: request.body.bytes)
    let header = request.header
    try fileSystem.fallocate(
      header.node, fallocate.handle, at: fallocate.offset, length: fallocate.length, fallocate.mode, header.caller)
    return .done
  }

  func lseek(_ request: Request, _ worker: borrowing Worker) throws(Errno) -> Reply {
    let lseek = try LseekRequest(parsing: request.body.bytes)
    guard let target = lseek.target else { throw .invalidArgument }
    let header = request.header
    let offset = try fileSystem.lseek(header.node, lseek.handle, lseek.offset, target, header.caller)
    return worker.body(8) { $0.set(0, offset) }
  }
}
