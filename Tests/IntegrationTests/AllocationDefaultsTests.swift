import Foundation
import Platform
import Testing

/// `.meta/.alloc.cfg`: a file of the mount, and what cp and creat make of it.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct AllocationDefaultsTests {
  private static let name = "/.meta/.alloc.cfg"
  private static let usual = "interleaved_alloc:\n  nbuckets: 6\n  nstrips: 5\n  chunk_size: 2m\n"

  private func put(_ text: String, on mount: String) throws {
    try succeed(run(["sh", "-c", "printf %s \"$0\" > \"$1\"", text, mount + Self.name]))
  }

  private func list(_ mount: String) throws -> String { try run(["ls", "-A", mount + "/.meta"]).stdout }

  /// What getmap says of a file: strips or extents, and the chunk size.
  private func layout(of path: String) throws -> [String] {
    let outcome = try run(["famfs", "getmap", path])
    try succeed(outcome)
    return outcome.stdout.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
      .filter { $0.hasPrefix("strips") || $0.hasPrefix("chunk") || $0.hasPrefix("extents") }
  }

  @Test("it is made, written, added to, cut, read and removed like any file, and ends with the mount")
  func file() throws {
    try withVolume(client: true) { volume in
      for mount in volume.mounts {
        let path = mount + Self.name
        #expect(try list(mount) == ".log\n.superblock\n")
        try put(Self.usual, on: mount)
        #expect(try list(mount) == ".alloc.cfg\n.log\n.superblock\n")
        expect(path, holds: Array(Self.usual.utf8))
        #expect(try run(["stat", "-c", "%a %u %g %F", path]).stdout == "644 0 0 regular file\n")
        try succeed(run(["sh", "-c", "echo '# more' >> \"$0\"", path]))
        expect(path, holds: Array((Self.usual + "# more\n").utf8))
        // Written over, it is shorter.
        try put("short", on: mount)
        expect(path, holds: Array("short".utf8))
        try succeed(run(["truncate", "-s", "7", path]))
        expect(path, holds: Array("short\0\0".utf8))
        try succeed(run(["cp", path, volume.room.at("copy")]))
        try succeed(run(["cp", volume.room.at("copy"), path]))
        expect(path, holds: Array("short\0\0".utf8))
        try succeed(run(["touch", "-d", "2001-01-01", path]))
        #expect(failure { open(path, O_CREAT | O_EXCL | O_WRONLY, 0o600) } == .exists)
        #expect(failure { chmod(path, 0o666) } == .notPermitted)
        #expect(failure { chown(path, 5, 5) } == .notPermitted)
        #expect(failure { rename(path, mount + "/.meta/x") } != nil)
        #expect(failure { truncate(path, 4097) } == .fileTooLarge)
        let old = try FileDescriptor(opening: path, .readWrite)
        #expect(throws: Errno.fileTooLarge) { try old.put([1], at: 4096) }
        try old.put([1], at: 4095)
        #expect(try old.status().size == 4096)
        try retrying { unlink(path) }
        #expect(try list(mount) == ".log\n.superblock\n")
        #expect(failure { unlink(path) } == .noEntry)
        // Who has the old one open does not get at the new one.
        try put(Self.usual, on: mount)
        #expect(throws: Errno.stale) { try old.bytes(at: 0, count: 10) }
        expect(path, holds: Array(Self.usual.utf8))
      }
      for (host, mount) in zip(Host.allCases, volume.mounts) {
        // Nothing else can be made or removed there.
        #expect(failure { open(mount + "/.meta/other", O_CREAT | O_WRONLY, 0o600) } != nil)
        #expect(failure { mkdir(mount + "/.meta/other", 0o700) } != nil)
        #expect(failure { unlink(mount + "/.meta/.log") } != nil)
        try volume.unmount(host)
        try volume.mount(host)
        #expect(try list(mount) == ".log\n.superblock\n")
      }
      try succeed(volume.famfs("check", volume.master))
    }
  }

  @Test("cp and creat stripe as it says, what the command line says wins, and small files are contiguous")
  func striping() throws {
    try withVolume(size: "256m") { volume in
      try put("# ours\n---\n" + Self.usual + "...\n", on: volume.master)
      let source = try volume.room.file("source", contents(9 << 20))
      for (name, words, wanted) in [
        ("a", [], ["strips: 5", "chunk: 2097152"]), ("b", ["-N", "3"], ["strips: 3", "chunk: 2097152"]),
        ("c", ["-C", "4m"], ["strips: 5", "chunk: 4194304"]), ("d", ["-N1"], ["extents: 1"]),
        ("e", ["-N2", "-B2", "-C2m"], ["strips: 2", "chunk: 2097152"]),
      ] {
        for (command, operands) in [("cp", [source]), ("creat", ["-s", "5m"])] {
          let path = volume.master + "/" + name + command
          try succeed(
            run(["famfs", command] + words + operands + [path], environment: Host.master.environment))
          #expect(try layout(of: path) == wanted, "\(name) \(command)")
        }
        expect(volume.master + "/" + name + "cp", holds: contents(9 << 20))
      }
      try succeed(volume.famfs("creat", "-s", "2097151", volume.master + "/small"))
      #expect(try layout(of: volume.master + "/small") == ["extents: 1"])
      // Without it, and with nothing in it, files are contiguous.
      for text in ["", "# nothing\n\n"] {
        try put(text, on: volume.master)
        try succeed(volume.famfs("creat", "-s", "5m", volume.master + "/none\(text.count)"))
        #expect(try layout(of: volume.master + "/none\(text.count)") == ["extents: 1"])
      }
      try retrying { unlink(volume.master + Self.name) }
      try succeed(volume.famfs("creat", "-s", "5m", volume.master + "/gone"))
      #expect(try layout(of: volume.master + "/gone") == ["extents: 1"])
      // Scripts of the public famfs leave the chunks out, which are 2 MiB then.
      try succeed(volume.famfs("creat", "-s", "5m", "-N2", "-B2", volume.master + "/usual"))
      try succeed(volume.famfs("cp", "--nstrips", "3", "--nbuckets", "4", source, volume.master + "/usualcp"))
      #expect(try layout(of: volume.master + "/usual") == ["strips: 2", "chunk: 2097152"])
      #expect(try layout(of: volume.master + "/usualcp") == ["strips: 3", "chunk: 2097152"])
    }
  }

  @Test("what is wrong in it is named with file, line and key, and nothing is made")
  func bad() throws {
    try withVolume { volume in
      let source = try volume.room.file("source", contents(9 << 10))
      let before = try volume.everything()
      for (text, words) in [
        ("interleaved_alloc:\n  nbuckets: 6\n  nstrips: x\n", ["line 3", "nstrips", "'x'"]),
        ("interleaved_alloc:\n  nbuckets: 65\n", ["line 2", "nbuckets", "64"]),
        ("interleaved_alloc:\n  nstrips: 2\n  nbuckets: 2\n", ["chunk_size", "missing"]),
        (Self.usual.replacingOccurrences(of: "2m", with: "3m"), ["line 4", "chunk_size", "power of two"]),
        (Self.usual.replacingOccurrences(of: "6", with: "4"), ["nstrips", "nbuckets", "4"]),
        (Self.usual + "  color: 5\n", ["line 5", "color"]),
        (Self.usual + "  nstrips: 5\n", ["line 5", "nstrips", "twice"]),
        ("nstrips: 5\n", ["line 1", "nstrips"]), ("  nstrips: 5\n", ["line 1", "nstrips", "interleaved_alloc"]),
        ("what", ["line 1", "what"]),
      ] {
        try put(text, on: volume.master)
        for command in [["cp", source], ["creat", "-s", "5m"]] {
          expectRefusal(
            try run(["famfs"] + command + [volume.master + "/new"], environment: Host.master.environment),
            naming: [volume.master + Self.name] + words)
        }
      }
      #expect(try volume.everything() == before)
      // Who says all of it needs none of that.
      try succeed(volume.famfs("creat", "-s", "5m", "-N2", "-B2", "-C2m", volume.master + "/new"))
      try put(Self.usual.replacingOccurrences(of: "2m", with: "4k"), on: volume.master)
      expectRefusal(try volume.famfs("creat", "-s", "5m", volume.master + "/no"), naming: ["allocation unit"])
    }
  }
}
