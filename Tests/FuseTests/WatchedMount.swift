import CYardstick
import FuseTestSupport
import Glibc
import Platform
import Testing

@testable import Fuse

/// Whether what was seen on Linux 6.18 can be looked for here. Older kernels differ; where a newer one does, its test fails,
/// and `FileSystem` or what is built on it may have to change.
let canWatch = canMount && isKernel(atLeast: 6, 18)

/// A mount of a `MemoryFileSystem`, with a record of what the kernel sends.
struct WatchedMount {
  struct Options {
    var traits: FileSystemTraits = []
    var withheld: InitFlags = []
    var added: InitFlags = []
    var holding: Opcode?
    var defaultPermissions = true
    /// Pages of 4 KiB that there are.
    var pages: UInt64?
  }

  let files: MemoryFileSystem
  let device: WatchedDevice
  let notifier: Notifier
  let path: String
  let agreement: Agreement

  func path(_ name: String) -> String { "\(path)/\(name)" }

  /// The node that a name has.
  func node(_ name: String) throws(Errno) -> NodeID {
    NodeID(rawValue: try FileStatus(path: path(name)).inode - MemoryFileSystem.firstInode)
  }

  /// What the kernel sends while `body` runs, without what no process waits for, and without questions about the mount
  /// itself: those may come from other processes that look at all mounts.
  func during(_ body: () throws -> Void) rethrows -> [SeenRequest] {
    let unawaited: Set<Opcode?> = [.release, .releasedir, .forget, .batchForget, .interrupt]
    let ofMount: Set<Opcode?> = [.getattr, .statx, .statfs]
    return try device.during(body).filter { request in
      !unawaited.contains(request.opcode) && !(request.header.node == .root && ofMount.contains(request.opcode))
    }
  }

  /// Makes a file by open(2) and write(2).
  func make(_ name: String, _ contents: [UInt8] = [], _ mode: UInt32 = 0o644) throws(Errno) {
    let file = try FileDescriptor(opening: path(name), [.writeOnly, .create, .truncate], mode: mode)
    try file.write(all: contents)
    try file.closed()
  }
}

/// Mounts while `body` runs, and checks at the end that nothing came that should not have.
func withWatched(_ options: WatchedMount.Options = WatchedMount.Options(), _ body: (WatchedMount) throws -> Void) throws
{
  let directory = try TemporaryDirectory()
  var mounting = MountOptions(source: "memory", subtype: "memory")
  mounting.defaultPermissions = options.defaultPermissions
  let mounted = try Mounting.mount(on: directory.path, mounting)
  let device = WatchedDevice(
    mounted, withheld: options.withheld, added: options.added, holding: options.holding)
  var memory = MemoryFileSystem.Options(traits: options.traits)
  memory.limits.pages = options.pages ?? memory.limits.pages
  let files = MemoryFileSystem(memory)
  let session = Session(files, over: device)
  let server = try Thread(named: "session") { _ = try? session.run(threads: 4) }
  defer {
    device.letGo()
    umount2(directory.path, 2)
    server.join()
  }
  _ = try FileStatus(path: directory.path)
  let agreement = try #require(session.agreement)
  try body(
    WatchedMount(
      files: files, device: device, notifier: Notifier(mounted), path: directory.path, agreement: agreement))
  #expect(files.mistakes == [])
}

func withWatched(_ traits: FileSystemTraits, _ body: (WatchedMount) throws -> Void) throws {
  var options = WatchedMount.Options()
  options.traits = traits
  try withWatched(options, body)
}

extension [SeenRequest] {
  /// Operations, in order, without FLUSH: a program that another test has just started closes copies of all descriptors.
  var operations: [Opcode?] { map(\.opcode).filter { $0 != .flush } }

  /// The operations that are among some, in order.
  func operations(_ some: Set<Opcode>) -> [Opcode] { compactMap(\.opcode).filter(some.contains) }

  func of(_ opcode: Opcode) -> [SeenRequest] { filter { $0.opcode == opcode } }
}

extension FileDescriptor {
  /// A system call whose first argument is the descriptor: its result, or the error number with a minus sign.
  borrowing func call(_ number: Int32, _ arguments: Int...) -> Int {
    let all = arguments + [Int](repeating: 0, count: 5 - arguments.count)
    return yard_call(Int(number), Int(rawValue), all[0], all[1], all[2], all[3], all[4])
  }

  borrowing func write(all bytes: [UInt8]) throws(Errno) {
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try write(all: bytes) }
  }

  borrowing func write(at offset: UInt64, _ bytes: [UInt8]) throws(Errno) {
    try bytes.span.bytes.withUnsafeBytes { (bytes) throws(Errno) in try write(at: offset, all: bytes) }
  }

  /// close(2), with its error.
  consuming func closed() throws(Errno) {
    let number = release()
    try retrying { close(number) }
  }
}

/// Runs something as user and group 65534, and waits for it.
func asNobody(_ body: @escaping @Sendable () throws -> Void) throws {
  let outcome = Monitor<Result<Void, any Error>?>(nil)
  let thread = try Thread(named: "nobody") {
    let result = Result<Void, any Error> {
      try becomeNobody()
      try body()
    }
    outcome.change { $0 = result }
  }
  thread.join()
  try outcome.wait { $0 }.get()
}
