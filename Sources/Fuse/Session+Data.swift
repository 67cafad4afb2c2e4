import Glibc
import Platform

extension Session {
  func open(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let open = try OpenRequest(parsing: request.body.bytes)
    if traits.contains(.withoutOpen) { throw .noSystemCall }
    let opened = try fileSystem.open(request.header.node, open.intent, request.header.caller)
    _ = slot.body(Opened.byteCount) { opened.encode(into: &$0) }
    return .opened(opened.handle, isDirectory: false, Opened.byteCount)
  }

  func read(_ request: Request, _ exchange: consuming Exchange) {
    let read: ReadRequest
    do throws(Errno) {
      read = try ReadRequest(parsing: request.body.bytes)
      try checkRange(at: read.offset, count: read.count)
    } catch {
      return exchange.fail(error)
    }
    let header = request.header
    fileSystem.read(
      header.node, read.handle, at: read.offset, PendingRead(exchange, wanted: read.count), header.caller)
  }

  func write(_ request: Request, _ exchange: consuming Exchange) {
    let write: WriteRequest
    do throws(Errno) {
      write = try WriteRequest(parsing: request.body.bytes, dataElsewhere: exchange.slot.dataCount)
    } catch {
      return exchange.fail(error)
    }
    let header = request.header
    fileSystem.write(
      header.node, write.handle, at: write.offset, PendingWrite(exchange, count: write.count), write.intent,
      header.caller)
  }

  func release(_ request: Request) throws(Errno) -> Reply {
    let release = try ReleaseRequest(parsing: request.body.bytes)
    fileSystem.release(request.header.node, release.handle, release.flockOwner)
    return .done
  }

  func flush(_ request: Request) throws(Errno) -> Reply {
    let flush = try FlushRequest(parsing: request.body.bytes)
    try fileSystem.flush(request.header.node, flush.handle, flush.lockOwner, request.header.caller)
    return .done
  }

  func fsync(_ request: Request, _ exchange: consuming Exchange) {
    let fsync: FsyncRequest
    do throws(Errno) { fsync = try FsyncRequest(parsing: request.body.bytes) } catch { return exchange.fail(error) }
    let header = request.header
    fileSystem.fsync(
      header.node, fsync.handle, dataOnly: fsync.dataOnly, PendingDone(exchange: exchange), header.caller)
  }

  func syncfs(_ request: Request, _ exchange: consuming Exchange) {
    do throws(Errno) { _ = try SyncfsRequest(parsing: request.body.bytes) } catch { return exchange.fail(error) }
    fileSystem.syncfs(PendingDone(exchange: exchange), request.header.caller)
  }

  func fallocate(_ request: Request, _ exchange: consuming Exchange) {
    let fallocate: FallocateRequest
    do throws(Errno) { fallocate = try FallocateRequest(parsing: request.body.bytes) } catch {
      return exchange.fail(error)
    }
    let header = request.header
    fileSystem.fallocate(
      header.node, fallocate.handle, at: fallocate.offset, length: fallocate.length, fallocate.mode,
      PendingDone(exchange: exchange), header.caller)
  }

  func copyFileRange(_ request: Request, isWide: Bool, _ exchange: consuming Exchange) {
    let copy: CopyFileRangeRequest
    let header = request.header
    do throws(Errno) {
      copy = try CopyFileRangeRequest(parsing: request.body.bytes, isWide: isWide)
      let distance = max(copy.offset, copy.newOffset) - min(copy.offset, copy.newOffset)
      guard copy.newNode != header.node || distance >= UInt64(copy.count) else { throw .invalidArgument }
    } catch {
      return exchange.fail(error)
    }
    fileSystem.copyFileRange(
      from: FileRange(header.node, copy.handle, at: copy.offset),
      to: FileRange(copy.newNode, copy.newHandle, at: copy.newOffset), count: UInt64(copy.count),
      PendingCount(most: UInt64(copy.count), isWide: isWide, exchange: exchange), header.caller)
  }

  func lseek(_ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    let lseek = try LseekRequest(parsing: request.body.bytes)
    guard let target = lseek.target else { throw .invalidArgument }
    let header = request.header
    let offset = try fileSystem.lseek(header.node, lseek.handle, lseek.offset, target, header.caller)
    return slot.body(LseekReply.byteCount) { LseekReply(offset: offset).encode(into: &$0) }
  }
}
