import Glibc
import Platform
import Synchronization

// From the arrival of a request to the method of the file system that answers it.
extension Session {
  /// Answers one request, or hands it to the file system to be answered later: at most one reply is sent, to the number that
  /// the request has.
  func answer(_ slot: RequestSlot, _ thread: ServingThread) {
    slot.arrival = Clock.monotonic()
    let room = slot.request
    let bytes = UnsafeRawBufferPointer(start: room.baseAddress, count: min(slot.requestCount, room.count))
    // Too short to have a number to answer to.
    guard let header = RequestHeader(parsing: bytes.bytes) else { return slot.free() }
    slot.header = header
    (slot.thread, slot.server) = (.passUnretained(thread), self)
    thread.counters.countRequest(header.opcode)
    let exchange = Exchange(slot)
    guard let request = Request(in: slot, bytes) else { return exchange.fail(.inputOutput) }
    let opcode = Opcode(rawValue: header.opcode)
    // A reply to number zero would be a notification.
    guard header.unique != 0 || opcode.map({ !$0.isAnswered }) ?? false else { return exchange.fail(.protocolError) }
    guard let opcode else { return exchange.fail(.noSystemCall) }
    switch opcode {
    case .initialize: finish(exchange, slot) { () throws(Errno) in try initialize(request, slot) }
    case .destroy: destroy(exchange)
    default: hand(opcode, request, exchange, slot, thread)
    }
  }

  /// Hands a request to the file system, for as long as the session lasts.
  private func hand(
    _ opcode: Opcode, _ request: Request, _ exchange: consuming Exchange, _ slot: RequestSlot, _ thread: ServingThread
  ) {
    // Entered first, and looked at then: `endSession` closes first, and counts then.
    thread.inFlight.wrappingAdd(1, ordering: .sequentiallyConsistent)
    slot.isInFlight = true
    guard isOpen.load(ordering: .sequentiallyConsistent) else { return exchange.fail(.inputOutput) }
    switch opcode {
    case .read: read(request, exchange)
    case .write: write(request, exchange)
    case .fsync: fsync(request, exchange)
    case .fsyncdir: fsyncdir(request, exchange)
    case .syncfs: syncfs(request, exchange)
    case .fallocate: fallocate(request, exchange)
    case .copyFileRange: copyFileRange(request, isWide: false, exchange)
    case .copyFileRange64: copyFileRange(request, isWide: true, exchange)
    case .setlk: setLock(request, waits: false, exchange)
    case .setlkw: setLock(request, waits: true, exchange)
    default: finish(exchange, slot) { () throws(Errno) in try handle(opcode, request, slot) }
    }
  }

  /// Sends what `body` prepares, or the error that it throws.
  private func finish(_ exchange: consuming Exchange, _ slot: RequestSlot, _ body: () throws(Errno) -> Reply) {
    let reply: Reply
    exchange.discharge()
    do throws(Errno) { reply = try body() } catch { return fail(slot, error) }
    send(reply, slot)
  }

  /// Prepares the reply to a request that is answered at once.
  private func handle(_ opcode: Opcode, _ request: Request, _ slot: RequestSlot) throws(Errno) -> Reply {
    switch opcode {
    case .lookup: try lookup(request, slot)
    case .getattr: try getattr(request, slot)
    case .readdir: try readdir(request, isPlus: false, slot)
    case .readdirplus: try readdir(request, isPlus: true, slot)
    case .open: try open(request, slot)
    case .release: try release(request)
    case .flush: try flush(request)
    case .lseek: try lseek(request, slot)
    case .opendir: try opendir(request, slot)
    case .releasedir: try releasedir(request)
    case .setattr: try setattr(request, slot)
    case .statx: try statx(request, slot)
    case .statfs: try statfs(request, slot)
    case .access: try access(request)
    case .create: try create(request, slot)
    case .mknod: try mknod(request, slot)
    case .mkdir: try mkdir(request, slot)
    case .symlink: try symlink(request, slot)
    case .readlink: try readlink(request, slot)
    case .link: try link(request, slot)
    case .tmpfile: try tmpfile(request, slot)
    case .unlink: try unlink(request)
    case .rmdir: try rmdir(request)
    case .rename: try rename(request, hasFlags: false)
    case .rename2: try rename(request, hasFlags: true)
    case .getxattr: try getxattr(request, slot)
    case .listxattr: try listxattr(request, slot)
    case .setxattr: try setxattr(request)
    case .removexattr: try removexattr(request)
    case .ioctl: try ioctl(request, slot)
    case .getlk: try getLock(request, slot)
    case .getFmap: try memoryMap(request, slot)
    case .getDaxdev: try memoryDevice(request, slot)
    case .forget: try forget(request)
    case .batchForget: try batchForget(request)
    case .interrupt: try interrupt(request)
    // The kernel asks no more after ENOSYS, and takes files for always ready.
    case .poll, .bmap: throw .noSystemCall
    case .initialize, .destroy, .notifyReply, .setupMapping, .removeMapping, .read, .write, .fsync, .fsyncdir, .syncfs,
      .fallocate, .copyFileRange, .copyFileRange64, .setlk, .setlkw:
      throw fileSystem.refusal(of: opcode)
    }
  }
}
