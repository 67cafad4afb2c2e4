import Foundation
import Platform
import Testing

/// famfs creat with contents, and of many files.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct CreateTests {
  private func mode(of path: String) throws -> String {
    try run(["stat", "-c", "%a %u %g %s", path]).stdout.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private func isThere(_ path: String) -> Bool { access(path, F_OK) == 0 }

  @Test("creat --randomize --seed gives contents that verify checks, on both hosts", arguments: [1, 4097, 3_000_001])
  func seeded(size: Int) throws {
    try withVolume(client: true) { volume in
      try succeed(volume.famfs("creat", "-s", "\(size)", "-r", "-S", "42", volume.master + "/file"))
      #expect(seconds(until: { isThere(volume.client + "/file") }) != nil)
      for mount in volume.mounts {
        let outcome = try volume.famfs("verify", "-S", "42", "-f", mount + "/file")
        #expect(outcome.status == 0 && outcome.stderr == "")
        #expect(outcome.stdout == "Success: verified \(size) bytes in file \(mount)/file\n")
      }
      let start = try read(volume.master + "/file").prefix(4)
      #expect(Array(start) == [0x98, 0x5f, 0x52, 0xe2].prefix(size).map { $0 })
      // verify reads files anywhere.
      try succeed(run(["cp", volume.master + "/file", volume.room.at("copy")]))
      try succeed(volume.famfs("verify", "--seed=0x2a", "--filename", volume.room.at("copy")))
    }
  }

  @Test("contents without a seed, or with seed 0, are different each time")
  func unseeded() throws {
    try withVolume { volume in
      var seen: Set<[UInt8]> = []
      for (place, words) in [["-r"], ["-r"], ["-r", "-S", "0"], ["-r", "-S", "0"]].enumerated() {
        let path = volume.master + "/f\(place)"
        try succeed(run(["famfs", "creat", "-s", "1000"] + words + [path], environment: Host.master.environment))
        seen.insert(try read(path))
      }
      #expect(seen.count == 4)
    }
  }

  @Test(
    "a file that exists is filled again with -r, with and without its size", arguments: ["never", "auto", "always"])
  func refill(cache: String) throws {
    try withVolume(mounting: ["--cache", cache]) { volume in
      let path = volume.master + "/file"
      try succeed(volume.famfs("creat", "-s", "100k", path))
      expect(path, holds: Array(repeating: 0, count: 102_400))
      let before = try mode(of: path)
      let log = try volume.metadata()
      for (place, words) in [["-s", "102400"], [], ["-s", "100k", "-N1", "-B1", "-C2m"]].enumerated() {
        let words = ["famfs", "creat", "-r", "-S", "\(place + 5)"] + words + [path]
        try succeed(run(words, environment: Host.master.environment))
        try succeed(volume.famfs("verify", "-S", "\(place + 5)", "-f", path))
      }
      // What is written after that comes after it.
      try FileDescriptor(opening: path, .readWrite).put([1, 2, 3], at: 5)
      #expect(try volume.famfs("verify", "-S", "7", "-f", path).stderr.contains("offset 5"))
      try succeed(volume.famfs("creat", "-r", "-S", "7", path))
      try succeed(volume.famfs("verify", "-S", "7", "-f", path))
      #expect(try mode(of: path) == before)
      #expect(try volume.metadata() == log)
      try volume.unmount()
      try volume.mount()
      try succeed(volume.famfs("verify", "-S", "7", "-f", path))
    }
  }

  @Test("a file that exists with the size is fine and stays as it is; with another size it is refused, naming both")
  func existing() throws {
    try withVolume { volume in
      let path = volume.master + "/file"
      let bytes = try volume.add("file", count: 5000)
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let (before, attributes) = (try volume.everything(), try mode(of: path))
      expect(path, holds: bytes)
      for words in [
        ["-s", "5000", path], ["-M", path + ",5000"], ["-s", "5000", "-m", "777", "-u", "7", path],
        ["-s", "5000", "-N2", "-B2", "-C2m", path],
      ] {
        let outcome = try run(["famfs", "creat"] + words, environment: Host.master.environment)
        #expect(outcome.status == 0 && outcome.stdout == "" && outcome.stderr == "", "\(outcome)")
      }
      for words in [
        ["-s", "4999", path], ["-s", "5001", "-r", path], ["-s", "5k", "-r", "-S", "1", path], ["-M", path + ",1"],
        ["-M", path + ",1,5"],
      ] {
        expectRefusal(
          try run(["famfs", "creat"] + words, environment: Host.master.environment), naming: ["exists", "5000", "not"])
      }
      for words in [
        ["-s", "4096", volume.master + "/dir"], ["-r", volume.master + "/dir"], ["-s", "5", volume.master],
        ["-r", volume.master],
      ] {
        expectRefusal(
          try run(["famfs", "creat"] + words, environment: Host.master.environment), naming: ["exists"])
      }
      expectRefusal(try volume.famfs("creat", "-r", volume.master + "/none"), naming: ["none", "not exist", "size"])
      #expect(try volume.everything() == before)
      #expect(try mode(of: path) == attributes)
      let told = try volume.famfs("creat", "-v", "-s", "5000", path)
      #expect(told.stdout == "famfs creat: is there already: \(path)\n")
    }
  }

  @Test("the volume's own files are never filled again")
  func metaFiles() throws {
    try withVolume { volume in
      try volume.add("file", count: 100)
      let before = try volume.everything()
      for (name, size) in [(".meta/.superblock", "2m"), (".meta/.log", "8m")] {
        let path = volume.master + "/" + name
        expectRefusal(try volume.famfs("creat", "-s", size, path), naming: [".meta"])
        expectRefusal(try volume.famfs("creat", "-r", "-S", "4", path), naming: [".meta"])
        expectRefusal(try volume.famfs("creat", "-M", path + ",0,4"), naming: [".meta"])
      }
      #expect(try volume.everything() == before)
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("mode, owner and umask: -m is and-ed with the umask, the rest as asked for")
  func attributes() throws {
    try withVolume { volume in
      let shell = { (mask: String, words: [String]) in
        try run(
          ["sh", "-c", "umask \(mask); exec \"$0\" creat -s 10 \"$@\"", Machine.program("famfs")] + words,
          environment: Host.master.environment)
      }
      for (name, mask, words, wanted) in [
        ("a", "022", [], "644 0 0 10"), ("b", "077", [], "600 0 0 10"), ("c", "027", ["-m", "777"], "750 0 0 10"),
        ("d", "000", ["-m", "0666", "-u", "12", "-g", "34"], "666 12 34 10"),
        ("e", "000", ["--mode=4755", "--uid=1", "--gid", "4294967294"], "4755 1 4294967294 10"),
      ] {
        try succeed(shell(mask, words + [volume.master + "/" + name]))
        #expect(try mode(of: volume.master + "/" + name) == wanted)
      }
      try succeed(shell("002", ["-v", volume.master + "/v"]))
      try volume.unmount()
      try volume.mount()
      #expect(try mode(of: volume.master + "/d") == "666 12 34 10")
    }
  }

  @Test("many files at once, with threads, and those that exist filled again", arguments: ["1", "4", "256"])
  func multi(threads: String) throws {
    try withVolume(size: "128m") { volume in
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let sizes = (1...20).map { $0 * 7919 }
      let seeded = sizes.flatMap { ["-M", "\(volume.master)/dir/f\($0),\($0),\($0 + 1)"] }
      let make = seeded + ["-M", volume.master + "/z,64k"]
      let check = sizes.flatMap { ["-m", "\(volume.master)/dir/f\($0),\($0 + 1)"] }
      try succeed(run(["famfs", "creat", "-t", threads] + make, environment: Host.master.environment))
      let verified = try run(["famfs", "verify", "--threads", threads] + check)
      try succeed(verified)
      let lines = sizes.map { "Success: verified \($0) bytes in file \(volume.master)/dir/f\($0)" }
      #expect(verified.stdout.split(separator: "\n").map(String.init).sorted() == lines.sorted())
      expect(volume.master + "/z", holds: Array(repeating: 0, count: 65536))
      // SIZE 0 with a seed: those that are there.
      let again = sizes.flatMap { ["--multi", "\(volume.master)/dir/f\($0),0,\($0 + 2)"] }
      try succeed(run(["famfs", "creat", "-t", threads] + again, environment: Host.master.environment))
      let other = sizes.flatMap { ["--multi", "\(volume.master)/dir/f\($0),\($0 + 2)"] }
      let quiet = try run(["famfs", "verify", "-q", "-t", threads] + other)
      #expect(quiet.status == 0 && quiet.stdout == "" && quiet.stderr == "")
      #expect(try run(["famfs", "verify", "-q"] + check).stderr.split(separator: "\n").count == sizes.count)
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("the good ones are made even when others fail, and the status is 1", arguments: ["1", "4"])
  func someFail(threads: String) throws {
    try withVolume { volume in
      try volume.add("there", count: 100)
      let mount = volume.master
      let outcome = try run(
        [
          "famfs", "creat", "-t", threads, "-M", mount + "/none/a,100", "-M", mount + "/b,5000,3",
          "-M", mount + "/there,5", "-M", mount + "/new,0,9", "-M", volume.room.at("outside") + ",5",
          "-M", mount + "/big,100g", "-M", mount + "/c,1",
        ], environment: Host.master.environment)
      #expect(outcome.status == 1 && outcome.stdout == "")
      #expect(outcome.complaints.count == 5, "\(outcome.stderr)")
      for word in ["none/a", "there", "new", "outside", "big"] { #expect(outcome.stderr.contains(word)) }
      #expect(try run(["ls", mount]).stdout == "b\nc\nthere\n")
      try succeed(volume.famfs("verify", "-S", "3", "-f", mount + "/b"))
    }
  }

  @Test("forms exclude each other, and what makes no sense is a usage error that makes nothing")
  func usage() throws {
    try withVolume { volume in
      let (path, before) = (volume.master + "/new", try volume.everything())
      for (words, wanted) in [
        (["-M", path + ",5", path], "--multi"), (["-M", path + ",5", "-s", "5"], "--multi"),
        (["-M", path + ",5", "-r"], "--multi"), (["-M", path + ",5", "-S", "5"], "--multi"),
        (["-s", "5", "-S", "5", path], "--randomize"), (["-s", "5", "-r", "-S", "x", path], "'x'"), ([path], "--size"),
        (["-s", "5"], "name one"), (["-s", "5", path, path + "2"], "name one"), (["-M", path], "PATH,SIZE"),
        (["-M", path + ",x"], "PATH,SIZE"), (["-M", path + ",5", "-t", "-1"], "--threads"),
        (["-M", ",5"], "PATH,SIZE"), (["-M", path + ",5,6,7"], "PATH,SIZE"), (["-M", path + ",5,y"], "'y'"),
        (["-M", path + ",5", "-M", path + ",x"], "PATH,SIZE"),
        (["-M", path + ",5", "-t", "257"], "--threads"), (["-s", "5", "-N3", "-B2", "-C2m", path], "--nbuckets"),
        (["-s", "5", "-N17", "-B64", "-C2m", path], "16"), (["-s", "5", "-N2", "-B65", "-C2m", path], "64"),
        (["-s", "5", "-N2", "-B4", "-C3m", path], "power of two"), (["-s", "5", "-N2", path], "--chunksize"),
        (["-s", "5", "-N2", "-B2", "-C", "1m", path], "allocation unit"),
      ] {
        expectRefusal(try run(["famfs", "creat"] + words, environment: Host.master.environment), naming: [wanted])
      }
      #expect(try volume.everything() == before)
    }
  }

  @Test("on a client and outside a famfs nothing is made")
  func elsewhere() throws {
    try withVolume(client: true) { volume in
      let before = try volume.everything()
      for words in [
        ["-s", "5", "-r", "-S", "1", volume.client + "/new"], ["-M", volume.client + "/new,5,1"],
        ["-s", "8m", "-N2", "-B4", "-C2m", volume.client + "/new"],
      ] {
        expectRefusal(
          try run(["famfs", "creat"] + words, environment: Host.client.environment), naming: [Host.master.rawValue])
      }
      let outside = volume.room.at("outside")
      for words in [["-s", "5", "-r", outside], ["-M", outside + ",5,1"]] {
        expectRefusal(
          try run(["famfs", "creat"] + words, environment: Host.master.environment), naming: ["outside", "famfs mount"])
      }
      #expect(!isThere(outside))
      #expect(try volume.everything() == before)
    }
  }
}
