import Foundation
import Platform
import Testing

/// What the master adds appears on the client without any command there.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct FollowerTests {
  private func status(_ path: String) throws -> stat {
    var status = stat()
    try retrying { lstat(path, &status) }
    return status
  }

  @Test("a name that was looked up before it existed is found")
  func lookedUp() throws {
    try withVolume(client: true) { volume in
      var longest = 0.0
      for round in 0..<5 {
        let seen = volume.client + "/file\(round)"
        #expect(failure { access(seen, F_OK) } == .noEntry)
        let bytes = try volume.add("file\(round)", count: 5000, seed: UInt64(round))
        longest = max(longest, try #require(seconds(until: { access(seen, F_OK) == 0 })))
        expect(seen, holds: bytes)
      }
      print("a new file was seen by the client after at most \(Int(longest * 1000)) ms")
    }
  }

  @Test("a name in a new directory, and in one that was new when it was listed, is found")
  func inNewDirectory() throws {
    try withVolume(client: true) { volume in
      let seen = volume.client + "/a/b"
      #expect(failure { access(seen + "/file", F_OK) } == .noEntry)
      try succeed(volume.famfs("mkdir", "-p", volume.master + "/a/b"))
      try #require(seconds(until: { access(seen, F_OK) == 0 }) != nil)
      #expect(try run(["ls", seen]).stdout == "")
      #expect(failure { access(seen + "/file", F_OK) } == .noEntry)
      let bytes = try volume.add("a/b/file", count: 1)
      try #require(seconds(until: { access(seen + "/file", F_OK) == 0 }) != nil)
      expect(seen + "/file", holds: bytes)
    }
  }

  @Test("a listing shows a new name, also through a directory that is held open")
  func listed() throws {
    try withVolume(client: true) { volume in
      #expect(try run(["ls", "-A", volume.client]).stdout == ".meta\n")
      let directory = try #require(opendir(volume.client))
      defer { closedir(directory) }
      let names: () -> [String] = {
        rewinddir(directory)
        var names: [String] = []
        while let entry = readdir(directory) {
          let name = withUnsafeBytes(of: &entry.pointee.d_name) { $0.prefix { $0 != 0 }.map(\.self) }
          names.append(String(decoding: name, as: UTF8.self))
        }
        return names
      }
      #expect(names().sorted() == [".", "..", ".meta"])
      try volume.add("new", count: 10)
      try #require(seconds(until: { names().contains("new") }) != nil)
      #expect(names().sorted() == [".", "..", ".meta", "new"])
      #expect(try run(["ls", volume.client]).stdout == "new\n")
    }
  }

  @Test("the client's directories get their new link count and time")
  func directoryAttributes() throws {
    try withVolume(client: true) { volume in
      let before = try status(volume.client)
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let isCounted: () throws -> Bool = { try status(volume.client).st_nlink == before.st_nlink + 1 }
      #expect(try seconds(until: isCounted) != nil)
      let after = try status(volume.client)
      let times = [before, after].map { $0.st_mtim.tv_sec * 1_000_000_000 + $0.st_mtim.tv_nsec }
      #expect(times[1] > times[0])
      #expect(try status(volume.client + "/dir").st_nlink == 2)
      let isSameOnMaster: () throws -> Bool = { try status(volume.master).st_nlink == after.st_nlink }
      #expect(try seconds(until: isSameOnMaster) != nil)
    }
  }

  @Test("the client's free space follows")
  func space() throws {
    try withVolume(client: true) { volume in
      let before = try volume.freeBytes(.client)
      try volume.add("file", count: 3 << 20)
      #expect(try seconds(until: { try volume.freeBytes(.client) == before - 4 << 20 }) != nil)
      #expect(try volume.freeBytes(.master) == before - 4 << 20)
    }
  }

  @Test("a client mounted with --dummy shows files once famfs logplay was run")
  func dummy() throws {
    try withVolume { volume in
      let bytes = try volume.add("file", count: 100)
      try volume.mount(.client, ["--dummy"])
      #expect(failure { access(volume.client + "/file", F_OK) } == .noEntry)
      let told = try volume.famfs("logplay", volume.client, as: .client)
      #expect(told.stdout.contains("1 log entries; 1 new files; 0 new directories"), "\(told)")
      expect(volume.client + "/file", holds: bytes)
    }
  }
}
