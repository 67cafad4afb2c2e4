import Fuse
import FuseTestSupport
import Glibc
import Platform
import Testing
import Yardstick

/// A mount of `MemoryFileSystem` over /dev/fuse, served by this process.
enum MemoryMount {
  /// Mounts while `body` runs. Behind it the kernel must have given back all that it knew, and have asked for nothing
  /// that was not there.
  static func whileMounted(
    on path: String, _ traits: FileSystemTraits, _ body: (YardstickTarget) async throws -> Void
  ) async throws {
    let files = MemoryFileSystem(MemoryFileSystem.Options(traits: traits))
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
    #expect(files.mistakes.isEmpty)
    #expect(files.calls.later > 0, "some requests were answered by another thread")
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
        // The kernel does not say that a chown changes nobody, nor check flags in access(2).
        .strictSetID, .flagsInAccess,
      ])
    // The server is not told which owners of locks are descriptions; where the kernel keeps the locks, it knows.
    if traits.contains(.posixLocks) { target.features.remove(.descriptionHolders) }
    if !traits.contains(.posixACL) { target.features.remove(.acl) }
    target.seconds = Int64.min...Int64.max
    target.attributeLimit = 65_536
    target.linkLimit = 65_000
    return target
  }
}
