import Foundation
import Platform
import Testing

@Suite(.realMounts, .timeLimit(.minutes(15)))
struct CopyTests {
  private func names(in directory: String) throws -> [String] {
    let found = try run(["find", directory, "-mindepth", "1", "-not", "-path", "*/.meta*", "-printf", "%P %y\n"])
    return found.stdout.split(separator: "\n").map(String.init).sorted()
  }

  @Test("a tree is copied with modes and contents, to a new name and into a directory")
  func tree() throws {
    try withVolume(size: "64m", client: true) { volume in
      let tree = volume.room.directory("tree")
      for directory in ["tree/a", "tree/a/b", "tree/empty"] { _ = volume.room.directory(directory) }
      try volume.room.file("tree/one", contents(1))
      try volume.room.file("tree/a/two", contents(5000, seed: 2))
      try volume.room.file("tree/a/b/three", contents(2 << 20 + 1, seed: 3))
      chmod(tree + "/a", 0o750)
      chmod(tree + "/a/two", 0o604)
      try retrying { symlink("a/two", tree + "/link") }
      try retrying { symlink("a/b", tree + "/linked") }
      try succeed(volume.famfs("cp", "-r", tree, volume.master + "/copy"))
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      try succeed(volume.famfs("cp", "-r", tree, volume.master + "/dir/"))
      #expect(seconds(until: { access(volume.client + "/dir/tree/one", F_OK) == 0 }) != nil)
      for copy in [volume.master + "/copy", volume.master + "/dir/tree", volume.client + "/copy"] {
        let expected = [
          "a d", "a/b d", "a/b/three f", "a/two f", "empty d", "link f", "linked d", "linked/three f", "one f",
        ]
        #expect(try names(in: copy) == expected)
        // Links were followed; diff compares what is behind them.
        try succeed(run(["diff", "-r", tree, copy]))
        let modes = try run(["stat", "-c", "%a", copy + "/a", copy + "/a/two", copy + "/link", copy + "/a/b/three"])
        #expect(modes.stdout == "750\n604\n604\n644\n")
      }
    }
  }

  @Test("what cannot be copied is named, and the rest is copied")
  func leftOut() throws {
    try withVolume(size: "64m") { volume in
      let tree = volume.room.directory("tree")
      try volume.room.file("tree/good", contents(5000))
      try volume.room.file("tree/secret", contents(10))
      _ = volume.room.directory("tree/closed")
      try volume.room.file("tree/closed/inside", contents(10))
      let deep = "tree/" + String(repeating: "d", count: 60)
      _ = volume.room.directory(deep)
      try volume.room.file(deep + "/" + String(repeating: "f", count: 30), contents(10))
      try retrying { mkfifo(tree + "/fifo", 0o644) }
      try retrying { symlink("/none", tree + "/dangling") }
      try retrying { symlink(".", tree + "/loop") }
      for name in ["secret", "closed"] {
        try retrying { chown(tree + "/" + name, 65534, 65534) }
        chmod(tree + "/" + name, 0)
      }
      let missing = volume.room.at("missing")
      // Root without the right to read everything.
      let plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
      let canDrop = try run(plain + ["cat", tree + "/secret"]).status != 0
      let copy = [Machine.program("famfs"), "cp", "-r", tree, missing, tree + "/good", volume.master]
      let outcome = try run((canDrop ? plain : []) + copy, environment: Host.master.environment)
      #expect(outcome.status == 1 || outcome.status == 22, "\(outcome)")
      #expect(outcome.stdout == "")
      var expected = ["/fifo", "/dangling", "/loop", "79 bytes", missing]
      if canDrop { expected += ["/secret", "/closed"] }
      for word in expected {
        #expect(outcome.complaints.filter { $0.contains(word) }.count == 1, "\(word): \(outcome)")
      }
      #expect(outcome.complaints.count == expected.count, "\(outcome)")
      expect(volume.master + "/tree/good", holds: contents(5000))
      expect(volume.master + "/good", holds: contents(5000))
      for name in ["fifo", "dangling"] {
        #expect(failure { access(volume.master + "/tree/" + name, F_OK) } == .noEntry, "\(name)")
      }
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("empty files are made alike by all ways, on all hosts, with an extent that the public tools can read")
  func emptyFiles() throws {
    try withVolume(size: "64m", client: true) { volume in
      let tree = volume.room.directory("tree")
      let empty = try volume.room.file("tree/e", [])
      try succeed(volume.famfs("cp", empty, volume.master + "/copied"))
      try succeed(volume.famfs("cp", "-r", tree, volume.master + "/tree"))
      try succeed(volume.famfs("creat", "-s", "0", volume.master + "/made"))
      try succeed(volume.famfs("creat", "-M", volume.master + "/several,0", "-M", volume.master + "/more,0,0"))
      try succeed(volume.famfs("cp", "--size", "0", "/dev/null", volume.master + "/piped"))
      try succeed(run(["touch", volume.master + "/touched"]))
      try succeed(
        run(["sh", "-c", "cp \(empty) \(volume.master)/plain; tar cf - -C \(tree) e | tar xf - -C \(volume.master)"]))
      try succeed(volume.famfs("commit", volume.master))
      let names = ["copied", "tree/e", "made", "several", "more", "piped", "touched", "plain", "e"]
      let areSeen = { names.allSatisfy { access(volume.client + "/" + $0, F_OK) == 0 } }
      #expect(seconds(until: areSeen) != nil)
      // Once more, which changes nothing.
      try succeed(volume.famfs("cp", "-c", empty, volume.master + "/copied"))
      try succeed(volume.famfs("creat", "-s", "0", volume.master + "/made"))
      let shadow = volume.room.directory("shadow")
      _ = volume.room.directory("shadow/root")
      try succeed(volume.famfs("logplay", "-Ss", shadow, volume.master))
      for name in names {
        let map = try volume.famfs("getmap", volume.client + "/" + name, as: .client)
        #expect(map.status == 0 && map.stdout.contains("size:    0\n  extents: 1\n"), "\(name): \(map)")
        #expect(map.stdout.contains(" length 2097152\n"), "\(name): \(map)")
        for mount in volume.mounts { expect(mount + "/" + name, holds: []) }
        let text = String(decoding: try read(shadow + "/root/" + name), as: UTF8.self)
        #expect(text.contains("nextents: 1\n  simple_ext_list:\n  - devindex: 0\n"), "\(name): \(text)")
        try succeed(volume.famfs("chkread", volume.client + "/" + name, as: .client))
        try succeed(volume.famfs("flush", volume.client + "/" + name, as: .client))
        try succeed(volume.famfs("verify", "-S", "1", "-f", volume.client + "/" + name, as: .client))
      }
      try succeed(volume.famfs("check", volume.client, as: .client))
      let checked = try volume.famfs("fsck", volume.master)
      try succeed(checked)
      #expect(checked.stdout.contains("Sum of file sizes:      0\n"), "\(checked)")
      #expect(try volume.freeBytes() == (64 - 10 - 2 * UInt64(names.count)) << 20)
      // What has contents and says that it has none is not taken for empty.
      expectRefusal(
        try volume.famfs("cp", "/proc/version", volume.master + "/version"), naming: ["/proc/version", "--size"])
      #expect(failure { access(volume.master + "/version", F_OK) } == .noEntry)
    }
  }

  @Test("a tree cannot be copied into itself, and can be copied next to itself")
  func intoItself() throws {
    try withVolume(size: "64m") { volume in
      try succeed(volume.famfs("mkdir", "-p", volume.master + "/tree/a"))
      let bytes = try volume.add("tree/a/file", count: 3 << 20)
      let before = try volume.everything()
      for target in ["/tree/new", "/tree", "/tree/a", "/tree/a/new"] {
        expectRefusal(
          try volume.famfs("cp", "-r", volume.master + "/tree", volume.master + target),
          naming: ["tree", "into itself"])
      }
      expectRefusal(
        try volume.famfs("cp", "-r", volume.master, volume.master + "/new"), naming: [volume.master, "into itself"])
      #expect(try volume.everything() == before)
      try succeed(volume.famfs("cp", "-r", volume.master + "/tree", volume.master + "/tree2"))
      expect(volume.master + "/tree2/a/file", holds: bytes)
    }
  }

  @Test("several sources need a directory, and a directory needs -r")
  func several() throws {
    try withVolume(size: "32m") { volume in
      let (one, two) = (try volume.room.file("one", contents(10)), try volume.room.file("two", contents(20)))
      let folder = volume.room.directory("folder")
      expectRefusal(try volume.famfs("cp", one, two, volume.master + "/new"), naming: ["new", "famfs mkdir"])
      expectRefusal(try volume.famfs("cp", one, volume.master + "/new/"), naming: ["new", "famfs mkdir"])
      expectRefusal(try volume.famfs("cp", folder, volume.master), naming: [folder, "-r"])
      // In one line: nothing of the tree is tried.
      try volume.room.file("folder/file", contents(10))
      expectRefusal(
        try volume.famfs("cp", "-r", folder, volume.master + "/new/below"), naming: ["/new/below", "famfs mkdir -p"])
      #expect(try names(in: volume.master) == [])
      expectRefusal(try volume.famfs("cp", one, folder, two, volume.master), naming: [folder, "-r"])
      #expect(try names(in: volume.master) == ["one f", "two f"])
    }
  }

  @Test("all numbers of threads copy the same", arguments: ["0", "1", "7"])
  func threads(count: String) throws {
    try withVolume(size: "128m") { volume in
      let tree = volume.room.directory("tree")
      for place in 0..<40 { try volume.room.file("tree/\(place)", contents(place * 3001 + 1, seed: UInt64(place))) }
      let outcome = try volume.famfs("cp", "-v", "-t", count, "-r", tree, volume.master + "/copy")
      try succeed(outcome)
      #expect(outcome.stdout.split(separator: "\n").count == 40)
      #expect(outcome.stdout.contains("famfs cp: 100%: \(volume.master)/copy/39\n"))
      try succeed(run(["diff", "-r", tree, volume.master + "/copy"]))
    }
  }

  @Test("a copy by many threads has more files open than its soft limit says")
  func manyThreads() throws {
    try withVolume(size: "64m", ["--alloc-unit", "4k"]) { volume in
      let tree = volume.room.directory("tree")
      for place in 0..<400 { try volume.room.file("tree/\(place)", contents(place + 1, seed: UInt64(place))) }
      let script = "ulimit -S -n 60; exec \"$0\" cp -r -t 32 \"$1\" \"$2\""
      let outcome = try run(
        ["sh", "-c", script, Machine.program("famfs"), tree, volume.master + "/copy"],
        environment: Host.master.environment)
      try succeed(outcome)
      try succeed(run(["diff", "-r", tree, volume.master + "/copy"]))
    }
  }

  @Test("20 commands at the same time all succeed, and share nothing")
  func concurrent() throws {
    try withVolume(size: "64m") { volume in
      let commands = try (0..<20).map { place in
        try Child(
          ["famfs", "creat", "-s", "\(1000 + place)", volume.master + "/file\(place)"],
          environment: Host.master.environment)
      }
      for command in commands { try succeed(command.wait()) }
      for place in 0..<20 {
        expect(volume.master + "/file\(place)", holds: [UInt8](repeating: 0, count: 1000 + place))
      }
      let checked = try volume.famfs("fsck", volume.master)
      try succeed(checked)
      #expect(checked.stdout.contains("  20 of 15420 entries used\n"))
      try volume.unmount()
      try succeed(volume.famfs("fsck", "-vv", volume.device))
    }
  }

  @Test("of 8 commands that make the same name one succeeds")
  func sameName() throws {
    try withVolume(size: "64m") { volume in
      let commands = try (0..<8).map { place in
        try Child(
          ["famfs", "creat", "-s", "\(1000 + place)", volume.master + "/file"], environment: Host.master.environment)
      }
      let outcomes = try commands.map { try $0.wait() }
      #expect(outcomes.filter { $0.status == 0 }.count == 1)
      for outcome in outcomes where outcome.status != 0 { expectRefusal(outcome, naming: ["file", "exists"]) }
      // One file of one unit: what the others had reserved is free again.
      let isFree: () throws -> Bool = { try volume.freeBytes() == (64 - 10 - 2) << 20 }
      #expect(try seconds(until: isFree) != nil)
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("a new file on space that was used before holds zeros")
  func zeros() throws {
    try withVolume(size: "32m") { volume in
      try volume.add("file", count: 4 << 20)
      try volume.unmount()
      try succeed(run(["mkfs.famfs", "--force", volume.device], environment: Host.master.environment))
      try volume.mount()
      try succeed(volume.famfs("creat", "-s", "3m", volume.master + "/new"))
      expect(volume.master + "/new", holds: [UInt8](repeating: 0, count: 3 << 20))
    }
  }

  @Test("a copy that is cut off in the middle leaves nothing behind", arguments: [SIGKILL, SIGINT])
  func cutOff(signal: Int32) throws {
    try withVolume(size: "1g", client: true) { volume in
      let source = volume.room.at("large")
      let piece = contents(32 << 20)
      let file = try FileDescriptor(opening: source, [.writeOnly, .create])
      for place in 0..<16 { try file.put(piece, at: place * piece.count) }
      let free = try volume.freeBytes()
      let before = try volume.metadata()
      let used: () throws -> Int64 = {
        var status = stat()
        try retrying { stat(volume.device, &status) }
        return Int64(status.st_blocks) * 512
      }
      let start = try used()
      let copy = try Child(["famfs", "cp", source, volume.master + "/new"], environment: Host.master.environment)
      #expect(try seconds(until: { try used() > start + 32 << 20 }) != nil)
      copy.send(signal)
      let outcome = try copy.wait()
      #expect(outcome.status != 0, "the copy was done before it could be cut off")
      #expect(outcome.stdout == "")
      #expect(try seconds(until: { try volume.freeBytes() == free }) != nil)
      for mount in volume.mounts { #expect(try names(in: mount) == []) }
      #expect(try volume.metadata() == before)
      try succeed(volume.famfs("fsck", volume.master))
      // The name and its space can be had again.
      try succeed(volume.famfs("creat", "-s", "900m", volume.master + "/new"))
    }
  }
}
