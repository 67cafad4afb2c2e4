import Foundation
import Platform
import Testing

/// famfs cp onto files that exist: again, compared, after an interruption.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct CopyAgainTests {
  private func attributes(of path: String) throws -> String { try run(["stat", "-c", "%a %u %g %s %i", path]).stdout }

  @Test(
    "a file of the same size is copied again in place, and nothing else of it changes",
    arguments: ["never", "auto", "always"], [["-t", "0"], ["-c"], ["-m", "600", "-u", "5", "-N2", "-B2", "-C2m"]])
  func again(cache: String, options: [String]) throws {
    try withVolume(client: true, mounting: ["--cache", cache]) { volume in
      try volume.add("file", count: 3_000_001)
      let path = volume.master + "/file"
      expect(path, holds: contents(3_000_001))
      let (before, log) = (try attributes(of: path), try volume.metadata())
      let bytes = contents(3_000_001, seed: 2)
      let source = try volume.room.file("new", bytes)
      let outcome = try run(["famfs", "cp"] + options + [source, path], environment: Host.master.environment)
      #expect(outcome.status == (options == ["-c"] ? 1 : 0) && outcome.stderr == "", "\(outcome)")
      #expect(outcome.stdout == (options == ["-c"] ? "famfs cp: \(path): 733 of 733 pages differed\n" : ""))
      expect(path, holds: bytes)
      #expect(try attributes(of: path) == before)
      #expect(try volume.metadata() == log)
      if cache != "always" { expect(volume.client + "/file", holds: bytes) }
      for host in Host.allCases { try volume.unmount(host) }
      try volume.mount()
      expect(path, holds: bytes)
    }
  }

  @Test("a file of another size is refused, naming both, and the others of a tree are copied")
  func otherSize() throws {
    try withVolume { volume in
      let bytes = try volume.add("file", count: 5000)
      let before = try volume.everything()
      for count in [4999, 5001, 1, 9000] {
        let source = try volume.room.file("new", contents(count, seed: 2))
        for options in [[], ["-c"], ["-t", "0", "-v"]] {
          let words = ["famfs", "cp"] + options + [source, volume.master + "/file"]
          expectRefusal(
            try run(words, environment: Host.master.environment), naming: ["file exists", "5000", "\(count)"])
        }
      }
      #expect(try volume.everything() == before)
      let tree = volume.room.directory("tree")
      for name in ["a", "file", "z"] { try volume.room.file("tree/" + name, contents(100, seed: 3)) }
      let outcome = try volume.famfs("cp", "-r", tree + "/.", volume.master)
      expectRefusal(outcome, naming: ["file exists", "5000", "100"])
      for name in ["a", "z"] { expect(volume.master + "/" + name, holds: contents(100, seed: 3)) }
      expect(volume.master + "/file", holds: bytes)
    }
  }

  @Test("--compare finds one changed page, wherever it is, and tells how much is the same")
  func compare() throws {
    try withVolume(mounting: ["--cache", "auto"]) { volume in
      let count = (5 << 20) + 3
      var bytes = try volume.add("file", count: count)
      let path = volume.master + "/file"
      let pages = 1281
      let same = try volume.famfs("cp", "-cv", volume.room.at("source"), path)
      #expect(same.stdout == "famfs cp: \(path): \(pages) pages are the same\nfamfs cp: 100%: \(path)\n")
      for place in [0, 4095, 4096, 1 << 20, (3 << 20) + 5, count - 1] {
        bytes[place] ^= 1
        let source = try volume.room.file("source", bytes)
        let outcome = try volume.famfs("cp", "--compare", source, path)
        #expect(outcome.status == 1 && outcome.stderr == "", "\(outcome)")
        #expect(outcome.stdout == "famfs cp: \(path): 1 of \(pages) pages differed\n")
        expect(path, holds: bytes)
        let again = try volume.famfs("cp", "--compare", source, path)
        #expect(again.status == 0 && again.stdout == "" && again.stderr == "")
      }
      // What a program wrote through the mount is compared, too.
      try FileDescriptor(opening: path, .readWrite).put([1, 2, 3], at: 10_000)
      #expect(try volume.famfs("cp", "-c", volume.room.at("source"), path).stdout.contains("1 of \(pages) "))
      expect(path, holds: bytes)
    }
  }

  @Test("cp -r that was killed is finished by the same command", arguments: [[], ["-c"], ["-c", "-t", "3"]])
  func restart(options: [String]) throws {
    try withVolume(size: "256m", ["--alloc-unit", "4k"], client: true) { volume in
      let tree = volume.room.directory("tree")
      for part in 0..<8 {
        _ = volume.room.directory("tree/\(part)")
        for place in 0..<50 {
          try volume.room.file("tree/\(part)/\(place)", contents(place * 997 + 1, seed: UInt64(place + part)))
        }
        try volume.room.file("tree/\(part)/large", contents(3 << 20, seed: UInt64(part)))
      }
      let words = ["famfs", "cp", "-r", "-T"] + options + [tree, volume.master + "/copy"]
      let first = try Child(words, environment: Host.master.environment)
      #expect(seconds(until: { access(volume.master + "/copy/1/10", F_OK) == 0 }) != nil)
      first.send(SIGINT)
      _ = try first.wait()
      // Whatever is there is whole.
      for path in try run(["find", volume.client + "/copy", "-type", "f", "-printf", "%P\n"]).stdout.split(
        separator: "\n")
      {
        #expect(areSame(try read(volume.client + "/copy/" + path), try read(tree + "/" + path)), "\(path)")
      }
      try succeed(run(words, environment: Host.master.environment))
      try succeed(run(["diff", "-r", tree, volume.master + "/copy"]))
      try succeed(volume.famfs("fsck", volume.master))
      // Once more, and nothing is made twice.
      try succeed(run(words, environment: Host.master.environment))
      #expect(try volume.famfs("fsck", volume.master).stdout.contains("  417 of "))
    }
  }

  @Test("a file is not copied onto itself, nor two to one name")
  func same() throws {
    try withVolume { volume in
      let bytes = try volume.add("file", count: 5000)
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let link = try volume.room.link("link", to: volume.master + "/file")
      for source in [volume.master + "/file", volume.master + "/./file", link] {
        expectRefusal(try volume.famfs("cp", source, volume.master + "/file"), naming: ["same file"])
      }
      expect(volume.master + "/file", holds: bytes)
      for name in ["a", "b"] { _ = volume.room.directory(name) }
      let (one, two) = (try volume.room.file("a/x", contents(100)), try volume.room.file("b/x", contents(100, seed: 2)))
      let outcome = try volume.famfs("cp", one, two, volume.master + "/dir")
      expectRefusal(outcome, naming: [two, "dir/x"])
      expect(volume.master + "/dir/x", holds: contents(100))
    }
  }

  @Test("what may not be written is not copied to: directories, the volume's own files, read-only mounts")
  func refused() throws {
    try withVolume { volume in
      try volume.add("file", count: 5000)
      try succeed(volume.famfs("mkdir", "-p", volume.master + "/dir/source"))
      let source = volume.room.at("source")
      let large = try volume.room.file("super", contents(2 << 20))
      for options in [["-c"], ["-t0"]] {
        for (from, target, word) in [
          (source, "/dir", "exists"), (large, "/.meta/.superblock", ".meta"), (large, "/.meta/.log", ".meta"),
        ] {
          let before = try volume.everything()
          let words = ["famfs", "cp"] + options + [from, volume.master + target]
          expectRefusal(try run(words, environment: Host.master.environment), naming: [word])
          #expect(try volume.everything() == before)
        }
      }
      try volume.unmount()
      try succeed(
        run(["mount.famfs", volume.device, volume.master, "-o", "ro"], environment: Host.master.environment))
      let before = try volume.everything()
      expectRefusal(try volume.famfs("cp", source, volume.master + "/file"), naming: [volume.master, "ead-only"])
      expectRefusal(try volume.famfs("creat", "-r", volume.master + "/file"), naming: [volume.master, "ead-only"])
      #expect(try volume.everything() == before)
    }
  }

  @Test("on a client all is refused before anything is touched, naming the master")
  func client() throws {
    try withVolume(client: true) { volume in
      try volume.add("file", count: 5000)
      #expect(seconds(until: { access(volume.client + "/file", F_OK) == 0 }) != nil)
      let source = try volume.room.file("source", contents(5000, seed: 9))
      let before = try volume.everything()
      let path = volume.client + "/file"
      for words in [
        ["cp", source, path], ["cp", "-c", source, path], ["cp", "-r", volume.room.at("none"), volume.client],
        ["cp", "--size", "5000", "/dev/zero", path], ["creat", "-s", "5000", path], ["creat", "-r", path],
        ["creat", "-M", path + ",0,5"], ["creat", "-M", path + ",5000"],
      ] {
        let outcome = try run(["famfs"] + words, environment: Host.client.environment)
        expectRefusal(outcome, naming: [Host.master.rawValue])
      }
      #expect(try volume.everything() == before)
    }
  }
}
