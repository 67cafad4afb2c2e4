import Foundation
import Platform
import Testing

/// What clients, and masters of strict mounts, refuse to programs and commands.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct RefusalTests {
  /// A volume with `file` (10,000 bytes), `dir` and `dir/inner`.
  private func withTree(_ body: (TestVolume) throws -> Void) throws {
    try withVolume(size: "32m", client: true) { volume in
      try volume.add("file", count: 10_000)
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      try volume.add("dir/inner", count: 10)
      #expect(seconds(until: { access(volume.client + "/dir/inner", F_OK) == 0 }) != nil)
      try body(volume)
    }
  }

  @Test("on a client, famfs mkdir, cp, creat and commit are refused and name the master")
  func commands() throws {
    try withTree { volume in
      let before = try volume.everything()
      let source = volume.room.at("source")
      for words in [
        ["mkdir", volume.client + "/new"], ["mkdir", "-p", volume.client + "/new/er"],
        ["cp", source, volume.client + "/new"], ["cp", "-r", volume.master + "/dir", volume.client + "/new"],
        ["creat", "--size", "4096", volume.client + "/new"], ["commit", volume.client + "/file"],
      ] {
        let outcome = try run(["famfs"] + words, environment: Host.client.environment)
        // A tree's directory and each of its files are refused, one line each.
        if words.contains("-r") {
          #expect(outcome.status == 1)
        } else {
          expectRefusal(outcome, naming: [Host.master.rawValue, "master"])
        }
        #expect(outcome.stderr.contains(Host.master.rawValue), "\(outcome)")
      }
      #expect(try volume.everything() == before)
      #expect(try run(["ls", volume.client]).stdout == "dir\nfile\n")
    }
  }

  @Test("through a read-only bind mount, or a mount that became read-only, no command changes anything")
  func readOnly() throws {
    try withVolume(size: "64m", ["--reclaim"]) { volume in
      try volume.add("file", count: 10_000)
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let source = try volume.room.file("fresh", contents(10_000, seed: 5))
      let view = volume.room.directory("view")
      try succeed(run(["mount", "--bind", volume.master, view]))
      defer { umount2(view, Int32(MNT_DETACH)) }
      let tree = volume.room.directory("tree")
      let more = try volume.room.file("more", [])
      truncate(more, 32 << 20)
      let words: (String) -> [[String]] = { mount in
        [
          ["cp", source, mount + "/new"], ["cp", source, mount + "/file"],
          ["cp", "-r", tree, mount + "/t"],
          ["mkdir", mount + "/new"], ["mkdir", "-p", mount + "/dir/new"], ["creat", "-s", "5", mount + "/new"],
          ["creat", "-r", mount + "/file"], ["clone", mount + "/file", mount + "/new"], ["rm", mount + "/file"],
          ["rm", "-r", mount + "/dir"], ["commit", mount + "/dir"], ["publish", "--force", mount],
          ["takeover", "--force", mount],
        ]
      }
      func expectRefusals(_ mount: String, _ words: [[String]]) throws {
        let before = try volume.metadata()
        for words in words {
          let outcome = try run(["famfs"] + words, environment: Host.master.environment)
          expectRefusal(outcome, naming: [mount, "ead-only"])
        }
        #expect(try volume.metadata() == before)
        expect(volume.master + "/file", holds: contents(10_000))
      }
      try succeed(run(["mount", "-i", "-o", "remount,bind,ro", view]))
      try expectRefusals(view, words(view) + [["devadd", view, more]])
      // Through the other one it goes on.
      try succeed(volume.famfs("creat", "-s", "5", volume.master + "/other"))
      try succeed(run(["mount", "-i", "-o", "remount,ro", volume.master]))
      try expectRefusals(volume.master, words(volume.master))
      try succeed(run(["mount", "-i", "-o", "remount,rw", volume.master]))
      try succeed(volume.famfs("mkdir", volume.master + "/new"))
    }
  }

  @Test("a client's UUID in the environment does not open the master's mount to it, nor the other way round")
  func foreignEnvironment() throws {
    try withTree { volume in
      // The mount's daemon decides, not the command's environment.
      expectRefusal(
        try volume.famfs("creat", "-s", "1", volume.client + "/new", as: .master), naming: [Host.master.rawValue])
      try succeed(volume.famfs("creat", "-s", "1", volume.master + "/new", as: .client))
    }
  }

  /// Each system call that would change names or sizes.
  private func attempts(in mount: String) -> [(name: String, error: Errno?)] {
    let (file, new) = (mount + "/file", mount + "/new")
    return [
      ("mkdir", failure { mkdir(new, 0o755) }),
      ("open O_CREAT", failure { open(new, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }),
      ("open O_CREAT in a directory", failure { open(mount + "/dir/new", O_WRONLY | O_CREAT | O_EXCL, 0o644) }),
      ("rename", failure { rename(file, new) }),
      ("rename over", failure { rename(file, mount + "/dir/inner") }),
      ("exchange", failure { exchange(file, mount + "/dir/inner") }),
      ("unlink", failure { unlink(file) }),
      ("rmdir", failure { rmdir(mount + "/dir") }),
      ("link", failure { link(file, new) }),
      ("symlink", failure { symlink("file", new) }),
      ("mknod fifo", failure { mknod(new, S_IFIFO | 0o644, 0) }),
      ("mknod file", failure { mknod(new, S_IFREG | 0o644, 0) }),
      ("truncate shorter", failure { truncate(file, 5) }),
      ("truncate longer", failure { truncate(file, 20_000) }),
      ("open O_TRUNC", failure { open(file, O_WRONLY | O_TRUNC | O_CLOEXEC) }),
      ("write log", failure { open(mount + "/.meta/.log", O_WRONLY | O_CLOEXEC) }),
      ("read and write log", failure { open(mount + "/.meta/.log", O_RDWR | O_CLOEXEC) }),
      ("write superblock", failure { open(mount + "/.meta/.superblock", O_WRONLY | O_CLOEXEC) }),
      ("truncate log", failure { truncate(mount + "/.meta/.log", 0) }),
      ("chmod log", failure { chmod(mount + "/.meta/.log", 0o666) }),
      ("unlink log", failure { unlink(mount + "/.meta/.log") }),
      ("create in .meta", failure { open(mount + "/.meta/new", O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }),
    ]
  }

  @Test("system calls that would change names or sizes are refused to root", arguments: Host.allCases)
  func systemCalls(host: Host) throws {
    try withTree { volume in
      let mount = volume.mountPoint(of: host)
      if host == .master {
        // As the public famfs: else a master's mount takes new files, see StagingMountTests.
        try volume.unmount()
        try volume.mount(.master, ["--strict"])
      }
      let before = try volume.everything()
      let listed = try run(["find", mount, "-printf", "%P %s %m %U %G\n"]).stdout
      for attempt in attempts(in: mount) {
        switch host {
        case .master: #expect(attempt.error == .notPermitted, "\(attempt.name)")
        // The size of a file is nobody's to change; everything else is the master's.
        case .client:
          let refusals: [Errno] = [.readOnlyFileSystem, .notPermitted]
          #expect(attempt.error.map { refusals.contains($0) } ?? false, "\(attempt.name): \(attempt)")
        }
      }
      #expect(try volume.everything() == before)
      #expect(try run(["find", mount, "-printf", "%P %s %m %U %G\n"]).stdout == listed)
    }
  }

  @Test("extended attributes, preallocation and unnamed files are refused as not supported", arguments: Host.allCases)
  func notSupported(host: Host) throws {
    try withTree { volume in
      let mount = volume.mountPoint(of: host)
      if host == .master {
        // As the public famfs: else a master's mount takes new files, see StagingMountTests.
        try volume.unmount()
        try volume.mount(.master, ["--strict"])
      }
      let before = try volume.everything()
      // An fallocate that would make the file larger fails as a write behind its end does.
      let refusals: [Errno] = [.notSupported, .notPermitted, .readOnlyFileSystem, .fileTooLarge]
      let file = try FileDescriptor(opening: mount + "/file", .readWrite)
      for (name, error) in [
        ("setxattr", failure { setxattr(mount + "/file", "user.a", "b", 1, 0) }),
        ("removexattr", failure { removexattr(mount + "/file", "user.famfs.shadow") }),
        ("fallocate", failure { fallocate(file.rawValue, 0, 0, 20_000) }),
        ("punch hole", failure { fallocate(file.rawValue, 3, 0, 4096) }),
        ("O_TMPFILE", failure { open(mount, O_RDWR | unnamedFile, 0o644) }),
      ] {
        #expect(error.map { refusals.contains($0) } ?? false, "\(name): \(String(describing: error))")
      }
      #expect(try volume.everything() == before)
    }
  }

  @Test("superblock and log read as they are on the device, on both hosts")
  func metaFiles() throws {
    try withTree { volume in
      let metadata = try volume.metadata()
      for mount in volume.mounts {
        // Heartbeats stand behind the first 4 KiB.
        let shown = try FileDescriptor(opening: mount + "/.meta/.superblock", .readOnly)
        #expect(try shown.status().size == 2 << 20)
        #expect(areSame(try shown.bytes(at: 0, count: 4096), Array(metadata.prefix(4096))))
        expect(mount + "/.meta/.log", holds: Array(metadata.dropFirst(2 << 20)))
      }
      #expect(try run(["stat", "-c", "%a %s", volume.master + "/.meta/.log"]).stdout == "644 8388608\n")
      #expect(try run(["stat", "-c", "%a %s", volume.client + "/.meta/.log"]).stdout == "444 8388608\n")
      #expect(try run(["stat", "-c", "%a %s", volume.client + "/.meta/.superblock"]).stdout == "444 2097152\n")
    }
  }
}
