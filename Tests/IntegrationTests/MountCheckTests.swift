import Foundation
import Platform
import Testing

/// famfs check: a mounted volume against its log.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct MountCheckTests {
  private struct Report: Decodable {
    struct Problem: Decodable {
      let path: String?
      let problem: String
    }
    let mountPoint, device: String
    let files, directories, unmapped: UInt64
    let superblockGood, logGood: Bool
    let status: Int32
    let problems: [Problem]
  }

  /// A volume with `dir`, `dir/file`, `striped` and `clone`.
  private func withTree(client: Bool = false, _ body: (TestVolume) throws -> Void) throws {
    try withVolume(client: client) { volume in
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      try volume.add("dir/file", count: 10_000)
      try succeed(volume.famfs("creat", "-s", "5m", "-N", "3", "-B", "3", "-C", "2m", volume.master + "/striped"))
      try succeed(volume.famfs("clone", volume.master + "/dir/file", volume.master + "/clone"))
      try body(volume)
    }
  }

  @Test("a good volume gets one line on master and client, by any path in it")
  func good() throws {
    try withTree(client: true) { volume in
      for (host, path) in [(Host.master, "/dir/file"), (.client, "")] {
        let outcome = try volume.famfs("check", volume.mountPoint(of: host) + path, as: host)
        let expected = "famfs check: \(volume.mountPoint(of: host)): 3 files, 1 directories: all good\n"
        #expect(outcome.status == 0 && outcome.stdout == expected && outcome.stderr == "", "\(outcome)")
      }
    }
  }

  @Test("--verbose prints a line for each entry, --json one object and nothing else")
  func forms() throws {
    try withTree { volume in
      let told = try volume.famfs("check", "-v", volume.master)
      try succeed(told)
      #expect(told.stdout.hasPrefix("dir: good\ndir/file: good\nstriped: good\nclone: good\nfamfs check: "))
      let report: Report = try decode(volume.famfs("check", "-v", "--json", volume.master))
      #expect((report.mountPoint, report.device) == (volume.master, volume.device))
      #expect((report.files, report.directories, report.unmapped, report.status) == (3, 1, 0, 0))
      #expect(report.superblockGood && report.logGood && report.problems.isEmpty)
    }
  }

  @Test("entries that a dummy mount has not played are unmapped: status 1")
  func unmapped() throws {
    try withTree { volume in
      try volume.unmount()
      try volume.mount(.master, ["--dummy"])
      let outcome = try volume.famfs("check", volume.master)
      #expect(outcome.status == 1, "\(outcome)")
      #expect(outcome.stdout.hasSuffix("3 files, 1 directories: 4 unmapped or wrong\n"), "\(outcome)")
      #expect(outcome.complaints.count == 4 && outcome.stderr.contains("dir/file: the mount does not show it"))
      let report: Report = try decode(volume.famfs("check", "--json", volume.master), status: 1)
      #expect(report.unmapped == 4 && report.problems.map(\.path) == ["dir", "dir/file", "striped", "clone"])
      try succeed(volume.famfs("logplay", volume.master))
      #expect(try volume.famfs("check", volume.master).status == 0)
    }
  }

  @Test("an entry whose size or extents changed since is wrong: status 1")
  func wrong() throws {
    try withTree { volume in
      let media = Media(volume.device)
      try media.put(Media.entry(1) + 16, 9_999)  // size
      try media.seal(Media.entry(1), 536, at: Media.entry(1) + 536)
      let sized = try volume.famfs("check", volume.master)
      #expect(sized.status == 1, "\(sized)")
      #expect(sized.stderr.contains("dir/file: the mount shows 10000 bytes, and the log has 9999"), "\(sized)")
      try media.put(Media.entry(1) + 16, 10_000)
      try media.put(Media.entry(1) + 144, 30 << 20)  // offset
      try media.seal(Media.entry(1), 536, at: Media.entry(1) + 536)
      let moved = try volume.famfs("check", volume.master)
      #expect(moved.status == 1, "\(moved)")
      #expect(moved.stderr.contains("dir/file: the daemon maps it elsewhere"), "\(moved)")
    }
  }

  @Test("a bad superblock gives 2, a bad log 4, and a bad entry both of log and file")
  func badMetadata() throws {
    try withTree { volume in
      let media = Media(volume.device)
      try media.flip(100)
      let superblock = try volume.famfs("check", volume.master)
      #expect(superblock.status == 2 && superblock.complaints.count == 1, "\(superblock)")
      #expect(superblock.stdout.hasSuffix(": bad superblock\n"), "\(superblock)")
      try media.flip(100)
    }
    try withTree { volume in
      let media = Media(volume.device)
      try media.flip(Media.log + 8)
      let header = try volume.famfs("check", volume.master)
      #expect(header.status == 4 && header.stdout.hasSuffix(": bad log\n"), "\(header)")
      try media.flip(Media.log + 8)
      try media.flip(Media.entry(2) + 300)
      let entry = try volume.famfs("check", volume.master)
      #expect(entry.status == 4 && entry.stderr.contains("log entry 2 (striped): its checksum is wrong"), "\(entry)")
      let report: Report = try decode(volume.famfs("check", "--json", volume.master), status: 4)
      #expect(!report.logGood && report.superblockGood && report.problems.count == 1)
    }
  }

  @Test("files that are made meanwhile are no error")
  func meanwhile() throws {
    try withVolume(["--alloc-unit", "4k"], client: true) { volume in
      var files: [String] = []
      for place in 0..<200 { files += ["--multi", "\(volume.master)/f\(place),4096"] }
      let maker = try Child(["famfs", "creat"] + files, environment: Host.master.environment)
      for _ in 0..<5 {
        let outcome = try volume.famfs("check", volume.client, as: .client)
        #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
      }
      try succeed(maker.wait())
      #expect(try volume.famfs("check", volume.client, as: .client).stdout.contains(": 200 files, 0 directories"))
    }
  }

  @Test("a name that is no UTF-8 is found by its bytes")
  func rawNames() throws {
    try withTree { volume in
      try volume.unmount()
      let media = Media(volume.device)
      try media.put(Media.entry(3) + 40, [0xff, 0xfe, 0])
      try media.seal(Media.entry(3), 536, at: Media.entry(3) + 536)
      try volume.mount()
      let outcome = try volume.famfs("check", volume.master)
      #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
    }
  }

  @Test("check and mkmeta refuse what is not mounted, and mkmeta takes what is")
  func refusals() throws {
    try withVolume { volume in
      expectRefusal(try volume.famfs("check", volume.device), naming: ["not in a mounted famfs"])
      expectRefusal(try volume.famfs("check", "/none"), naming: ["/none"])
      let outcome = try volume.famfs("mkmeta", volume.device)
      #expect(outcome.status == 0 && outcome.stdout == "" && outcome.stderr == "", "\(outcome)")
      #expect(try volume.famfs("mkmeta", "-v", volume.device).stdout.contains(volume.master + "/.meta"))
      try volume.unmount()
      expectRefusal(try volume.famfs("mkmeta", volume.device), naming: [volume.device, "not mounted"])
      expectRefusal(try volume.famfs("mkmeta", "/none"), naming: ["/none"])
    }
  }
}
