import Foundation
import Platform
import Testing

/// Writes that are to be durable when they return, to files that programs make on the master's mount.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct SyncedFileTests {
  /// Options of the mount, whether it is opened for reading, too, and flags of open(2) and pwritev2(2), as python has them.
  static let ways: [(options: [String], access: String, open: String, write: String, bytes: Int)] = [
    ([], "O_WRONLY", "O_SYNC", "0", 3_000_001), ([], "O_RDWR", "O_DSYNC", "0", 3_000_001),
    ([], "O_RDWR", "O_SYNC|os.O_APPEND", "0", 70_001), ([], "O_WRONLY", "O_DSYNC|os.O_EXCL", "0", 1),
    ([], "O_RDWR", "O_EXCL", "os.RWF_SYNC", 70_001), ([], "O_WRONLY", "O_EXCL", "os.RWF_DSYNC", 70_001),
    (["--cache", "never"], "O_WRONLY", "O_SYNC", "0", 3_000_001),
    (["--cache", "never"], "O_RDWR", "O_DSYNC", "0", 70_001),
    (["--cache", "always"], "O_RDWR", "O_SYNC", "0", 3_000_001),
    (["--cache", "always"], "O_RDWR", "O_EXCL", "os.RWF_DSYNC", 3_000_001),
  ]

  @Test(
    "what a synchronous write has returned for outlasts a daemon that is killed, while the file is open",
    .enabled(if: Machine.hasPython, "needs python3"), arguments: ways)
  func outlasts(_ way: (options: [String], access: String, open: String, write: String, bytes: Int)) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(["--alloc-unit", "4k"])
      let options = ["--commit", "600"] + way.options
      try volume.mount(.master, options)
      let bytes = contents(way.bytes)
      let source = try room.file("source", bytes)
      // Killed by the program that wrote, before it closes the file.
      let script = """
        import os, signal, sys
        data = open(sys.argv[1], 'rb').read()
        f = os.open(sys.argv[2], os.O_CREAT|os.\(way.access)|os.\(way.open), 0o644)
        assert os.pwritev(f, [data], 0, \(way.write)) == len(data)
        os.kill(int(sys.argv[3]), signal.SIGKILL)
        """
      let daemon = try volume.daemon()
      try succeed(run(["python3", "-c", script, source, volume.master + "/f", "\(daemon)"]))
      try #require(seconds(until: { !Machine.isRunning(daemon) }) != nil)
      _ = try volume.famfs("umount", volume.master)
      try volume.mount(.master, options)
      expect(volume.master + "/f", holds: bytes)
      try volume.unmount()
    }
  }

  @Test("a file whose first synchronous write was not its last says so, unless it has its size before")
  func grown() throws {
    try withVolume(["--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      let (path, seen) = (volume.master + "/f", volume.client + "/f")
      let zeros = try run(["dd", "if=/dev/zero", "of=" + path, "bs=4k", "count=2", "oflag=dsync"])
      #expect(zeros.status == 1 && zeros.stderr.contains("File too large"), "\(zeros)")
      try #require(seconds(until: { access(seen, F_OK) == 0 }) != nil)
      #expect(try FileStatus(path: seen).size == 4096)
      let whole = volume.master + "/whole"
      try succeed(run(["truncate", "-s", "8192", whole]))
      try succeed(
        run(["dd", "if=/dev/urandom", "of=" + whole, "bs=4k", "count=2", "oflag=dsync", "conv=notrunc"]))
      try #require(seconds(until: { access(volume.client + "/whole", F_OK) == 0 }) != nil)
      expect(volume.client + "/whole", holds: try read(whole))
    }
  }

  @Test("a synchronous write to a file with a passing name leaves it its name")
  func passing() throws {
    try withVolume(["--alloc-unit", "4k"], client: true, mounting: ["--commit", "600"]) { volume in
      let path = volume.master + "/f"
      try succeed(run(["dd", "if=/dev/zero", "of=" + path + ".tmp", "bs=4k", "count=3", "oflag=sync"]))
      #expect(failure { rename(path + ".tmp", path) } == nil)
      try #require(seconds(until: { access(volume.client + "/f", F_OK) == 0 }) != nil)
      #expect(try FileStatus(path: volume.client + "/f").size == 3 * 4096)
    }
  }
}
