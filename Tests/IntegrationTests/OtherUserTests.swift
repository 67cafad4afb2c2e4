import Foundation
import Platform
import Testing

/// Users other than root.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct OtherUserTests {
  /// Runs a program as nobody.
  private func asNobody(_ words: [String], _ environment: [String: String] = [:]) throws -> Outcome {
    let switching = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    return try run(switching + [Machine.program(words[0])] + words.dropFirst(), environment: environment)
  }

  @Test("root's mount lets others read what modes allow, and not the volume's own files")
  func others() throws {
    try withVolume(size: "32m") { volume in
      let bytes = try volume.add("open", count: 5000)
      try succeed(volume.famfs("cp", "-m", "600", volume.room.at("source"), volume.master + "/secret"))
      try succeed(volume.famfs("cp", "-m", "600", "-u", "65534", volume.room.at("source"), volume.master + "/own"))
      try succeed(volume.famfs("mkdir", "-m", "700", volume.master + "/closed"))
      for name in ["open", "own"] {
        let read = try asNobody(["sha256sum", volume.master + "/" + name])
        try succeed(read)
        #expect(try read.stdout.prefix(64) == run(["sha256sum", volume.room.at("source")]).stdout.prefix(64))
      }
      for name in ["secret", ".meta/.superblock", ".meta/.log"] {
        let refused = try asNobody(["cat", volume.master + "/" + name])
        #expect(refused.status == 1)
        #expect(refused.stderr.contains("Permission denied"), "\(refused)")
      }
      for directory in ["closed", ".meta"] {
        #expect(try asNobody(["ls", volume.master + "/" + directory]).stderr.contains("Permission denied"))
      }
      let written = try asNobody(["dd", "if=/dev/zero", "of=\(volume.master)/open", "bs=1", "count=1", "conv=notrunc"])
      #expect(written.stderr.contains("Permission denied"))
      expect(volume.master + "/open", holds: bytes)
      for owner in ["own", "open"] {
        let changed = try asNobody(["chmod", "644", volume.master + "/" + owner])
        #expect((changed.status == 0) == (owner == "own"), "\(changed)")
      }
    }
  }

  @Test("others cannot change root's volume through its daemon", .enabled(if: Machine.usersCanRun, "needs setpriv"))
  func othersCommands() throws {
    try withVolume(size: "32m") { volume in
      let before = try volume.everything()
      let source = try volume.room.file("file", [1, 2, 3])
      for words in [
        ["mkdir", volume.master + "/new"], ["creat", "-s", "5", volume.master + "/new"],
        ["cp", source, volume.master + "/new"],
      ] {
        expectRefusal(
          try asNobody(["famfs"] + words, Host.master.environment), naming: [volume.master, "sudo"])
      }
      #expect(try volume.everything() == before)
      try succeed(volume.famfs("creat", "-s", "5", volume.master + "/open"))
      let after = try volume.everything()
      expectRefusal(try asNobody(["famfs", "getmap", volume.master + "/open"]), naming: [volume.master, "sudo"])
      expectRefusal(
        try asNobody(["famfs", "umount", volume.master], Host.master.environment), naming: [volume.master])
      #expect(volume.isMounted())
      #expect(try volume.everything() == after)
    }
  }

  @Test("with --nouseraccess nobody else gets in")
  func nobodyElse() throws {
    try withVolume(size: "16m", mounting: ["--nouseraccess"]) { volume in
      let refused = try asNobody(["ls", volume.master])
      #expect(refused.stderr.contains("Permission denied"))
      try succeed(run(["ls", volume.master]))
    }
  }

  @Test(
    "a directory in /tmp that another user made is named with the remedy, and not used where /run/user is there",
    .enabled(if: Machine.usersCanRun, "needs setpriv"))
  func runDirectory() throws {
    let (taken, base) = ("/tmp/famfs-65534", "/run/user/65534")
    if access(taken, F_OK) == 0 || access(base, F_OK) == 0 { try Test.cancel("\(taken) or \(base) is there already") }
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "32m")
      for path in [volume.device, volume.master] { try retrying { chown(path, 65534, 65534) } }
      var environment = Host.master.environment
      environment["XDG_RUNTIME_DIR"] = ""
      try retrying { mkdir(taken, 0o777) }
      defer { rmdir(taken) }
      let words = ["famfs", "mount", volume.device, volume.master]
      expectRefusal(
        try asNobody(words, environment), naming: [taken, "belongs to user 0", "set XDG_RUNTIME_DIR to a directory"])
      let isNew = mkdir("/run/user", 0o755) == 0
      try retrying { mkdir(base, 0o700) }
      defer {
        rmdir(base + "/famfs-65534")
        rmdir(base)
        if isNew { rmdir("/run/user") }
      }
      try retrying { chown(base, 65534, 65534) }
      let outcome = try asNobody(words, environment)
      #expect(access(base + "/famfs-65534", F_OK) == 0, "\(outcome)")
      #expect(!outcome.stderr.contains("XDG_RUNTIME_DIR"), "\(outcome)")
      if outcome.status == 0 {
        try succeed(asNobody(["famfs", "status", volume.device], environment))
        try succeed(asNobody(["famfs", "umount", volume.device], environment))
      }
      expectNothingRuns(in: room)
    }
  }

  @Test(
    "idle connections of a user to the HTTP socket leave a quarter of all for root",
    .enabled(if: Machine.usersCanMount && Machine.has("perl"), "needs setpriv, fusermount3, perl"))
  func httpShare() throws {
    // Those that are too many are closed at once, and all others once they are idle for 10 s, the first of them first.
    let script = """
      use IO::Socket::UNIX;
      for (1..6) {
        my @held = map { IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$ARGV[0]: $!" } 1..128;
        $held[-1]->sysread(my $end, 1);
        $held[0]->blocking(0);
        exit 0 unless defined $held[0]->sysread(my $first, 1);
      }
      exit 1;
      """
    try withRoom { room in
      let volume = TestVolume(in: room)
      let runtime = room.directory("run")
      try volume.make(size: "32m")
      for path in [volume.device, volume.master, runtime] { try retrying { chown(path, 65534, 65534) } }
      var environment = Host.master.environment
      environment["XDG_RUNTIME_DIR"] = runtime
      try succeed(asNobody(["famfs", "mount", volume.device, volume.master], environment))
      let socket = try run(["find", runtime, "-name", "sock"]).stdout.trimmingBlanks()
      let outcome = try asNobody(["perl", "-e", script, socket])
      try succeed(asNobody(["famfs", "umount", volume.master], environment))
      if socket.isEmpty { try Test.cancel("libmicrohttpd is not installed") }
      #expect(outcome.status == 0, "\(outcome)")
      expectNothingRuns(in: room)
    }
  }

  @Test(
    "a user mounts a device of his own through fusermount3, and keeps it to himself",
    .enabled(if: Machine.usersCanMount, "needs setpriv, fusermount3 with setuid, and a /dev/fuse for all"))
  func ownMount() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      let runtime = room.directory("run")
      try volume.make(size: "32m")
      for path in [volume.device, volume.master, runtime] { try retrying { chown(path, 65534, 65534) } }
      var environment = Host.master.environment
      environment["XDG_RUNTIME_DIR"] = runtime
      let source = try room.file("source", contents(5000))
      try succeed(asNobody(["famfs", "mount", volume.device, volume.master], environment))
      try succeed(asNobody(["famfs", "cp", source, volume.master + "/file"], environment))
      try succeed(asNobody(["famfs", "mkdir", volume.master + "/dir"], environment))
      try succeed(asNobody(["cmp", source, volume.master + "/file"]))
      #expect(try asNobody(["stat", "-c", "%u %g", volume.master + "/file"]).stdout == "65534 65534\n")
      // Not even root comes in.
      #expect(failure { access(volume.master + "/file", F_OK) } == .accessDenied)
      try succeed(asNobody(["famfs", "umount", volume.master], environment))
      expectNothingRuns(in: room)
      #expect(try run(["find", runtime, "-name", "mount-*"]).stdout == "")
    }
  }
}
