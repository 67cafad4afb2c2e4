import Foundation
import Fuse
import FuseTestSupport
import Glibc
import Platform
import Testing
import Yardstick

/// A mount of `MemoryFileSystem` over /dev/fuse, served by this process.
enum MemoryMount {
  /// Names that a file can have: few, because each costs four requests.
  static let mostLinks: UInt32 = 1500

  /// How many random operations the longer run makes: WEFT_YARDSTICK_OPERATIONS.
  static let operations = ProcessInfo.processInfo.environment["WEFT_YARDSTICK_OPERATIONS"].flatMap { Int($0) }

  /// Mounts while `body` runs. The cases remove all that they made, so behind them the kernel must give back all that it
  /// knew, and must have asked for nothing that was not there.
  static func whileMounted(
    on path: String, _ traits: FileSystemTraits, _ body: (YardstickTarget) async throws -> Void
  ) async throws {
    var options = MemoryFileSystem.Options(traits: traits)
    options.limits.links = mostLinks
    let files = MemoryFileSystem(options)
    let device = try Mounting.mount(on: path, MountOptions(source: "memory", subtype: "memory"))
    let session = Session(files, over: device)
    let server = try Thread(named: "session") { _ = try? session.run(threads: 3) }
    defer {
      // A case that left something open must not keep the session from its end.
      if umount2(path, 0) != 0 {
        Issue.record("the mount is in use behind all cases: \(Errno.current)")
        umount2(path, 1 | 2)  // MNT_FORCE aborts the connection
      }
      server.join()
    }
    try await body(.memory(at: path, traits))
    #expect(isForgotten(files), "\(files.nodeCount) nodes, \(files.lookupCount) lookups, \(files.openCount) open")
    #expect(files.mistakes.isEmpty)
    #expect(files.calls.later > 0, "some requests were answered by another thread")
  }

  /// Waits until the kernel knows the root only. No process waits for releases and forgets.
  private static func isForgotten(_ files: MemoryFileSystem) -> Bool {
    let end = Clock.monotonic() + 180_000_000_000
    while Clock.monotonic() < end {
      if files.nodeCount == 1 && files.lookupCount == 0 && files.openCount == 0 { return true }
      Clock.sleep(nanoseconds: 1_000_000)
    }
    return false
  }
}

extension YardstickTarget {
  /// A `MemoryFileSystem` over /dev/fuse, as of Linux 6.18.
  static func memory(at directory: String, _ traits: FileSystemTraits) -> YardstickTarget {
    var target = YardstickTarget(
      name: "FUSE", directory: directory,
      lacking: [
        // The kernel never sends these.
        .shiftRange, .whiteout,
        // FUSE inodes are S_NOATIME, and reads from the page cache are not told.
        .accessTimes,
        // `Mounting` mounts with nosuid and nodev.
        .devices, .setIDPrograms,
        // The kernel does not tell of a chown that changes neither owner nor group, nor check flags in access(2).
        .strictSetID, .flagsInAccess,
      ])
    // The server is not told which owners of locks are descriptions; where the kernel keeps the locks, it knows.
    if traits.contains(.posixLocks) { target.features.remove(.descriptionHolders) }
    if !traits.contains(.posixACL) { target.features.remove(.acl) }
    if traits.contains(.writeBack) {
      // The server is not told of dirty pages: not before LSEEK, and not when a file becomes immutable. The kernel keeps
      // the time of change, and ioctl(2) does not set it.
      target.features.subtract([.dirtyHoles, .strictFlags, .flagTimes])
    }
    target.operations = MemoryMount.operations ?? (traits.contains(.writeBack) ? 5_000 : 2_000)
    target.seconds = Int64.min...Int64.max
    target.attributeLimit = 65_536
    target.linkLimit = Int(MemoryMount.mostLinks)
    return target
  }
}
