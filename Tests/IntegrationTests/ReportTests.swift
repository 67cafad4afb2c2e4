import Foundation
import Platform
import Testing

/// famfs status, and what fsck and logplay print for programs.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ReportTests {
  private struct Status: Decodable {
    struct Mount: Decodable {
      let device, mountPoint, state: String
      let trouble, role, masterUuid, volumeUuid, dataPath: String?
      let entries, entryCapacity, badEntries, files, directories, usedBytes, freeBytes: UInt64?
      let daemonPid: pid_t?
    }
    let mounts: [Mount]
  }

  private struct Check: Decodable {
    struct Problem: Decodable {
      let entry: UInt64
      let path: String?
      let problem: String
    }
    struct Bucket: Decodable {
      let offset, bytes, used: UInt64
    }
    let device, role, filesystemUuid, deviceUuid, systemUuid: String
    let allocationUnit, logOffset, logLength, entries, entryCapacity, badEntries, files, directories: UInt64
    let deviceBytes, bitmapBytes, fileBytes, allocatedBytes, freeBytes: UInt64
    let clean: Bool
    let headerProblem: String?
    let problems: [Problem]
    let warnings: [String]
    let buckets: [Bucket]?
  }

  private struct Play: Decodable {
    let path: String
    let entries, newFiles, newDirectories, badEntries: UInt64
  }

  @Test("status shows a mount by its device, its mount point and any path in it, and both mounts of a device")
  func named() throws {
    try withVolume(client: true) { volume in
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      try volume.add("dir/file", count: 3_000_000)
      for path in [volume.master, volume.master + "/dir/file"] {
        let status: Status = try decode(volume.famfs("status", "--json", path))
        let mount = try #require(status.mounts.first)
        #expect(status.mounts.count == 1)
        #expect((mount.device, mount.mountPoint, mount.state) == (volume.device, volume.master, "serving"))
        #expect((mount.role, mount.masterUuid) == ("master", Host.master.rawValue))
        #expect((mount.entries, mount.entryCapacity, mount.badEntries) == (2, 15_420, 0))
        #expect((mount.files, mount.directories) == (1, 1))
        #expect((mount.usedBytes, mount.freeBytes) == (14 << 20, 50 << 20))
        #expect(try mount.daemonPid == volume.daemon())
        #expect((mount.dataPath, mount.trouble) == ("FUSE, page cache; the memory itself by famfs exec", nil))
      }
      let both: Status = try decode(volume.famfs("status", "--json", volume.device))
      #expect(both.mounts.map(\.mountPoint) == volume.mounts)
      #expect(both.mounts.map(\.role) == ["master", "client"])
      let fsck: Check = try decode(volume.famfs("fsck", "--json", volume.master))
      #expect(both.mounts.allSatisfy { $0.volumeUuid == fsck.filesystemUuid })
      let text = try volume.famfs("status", volume.client, as: .client)
      try succeed(text)
      #expect(text.stdout.hasPrefix("\(volume.device) on \(volume.client)\n  role:        client\n"), "\(text)")
      #expect(try volume.famfs("status").stdout.contains("\(volume.device) on \(volume.master)\n"))
      let all: Status = try decode(volume.famfs("status", "--json"))
      #expect(all.mounts.filter { $0.device == volume.device }.count == 2)
    }
  }

  @Test("status refuses with 1 what is not mounted")
  func strangers() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make()
      for name in [volume.device, volume.master, room.at("none"), "/etc/passwd"] {
        expectRefusal(try volume.famfs("status", name), naming: [name, "famfs status"])
        expectRefusal(try volume.famfs("status", "--json", name), naming: [name])
      }
      expectRefusal(try volume.famfs("status", "/none/a", "/none/b"), naming: ["see famfs status --help"])
      expectRefusal(try volume.famfs("status", "--frobnicate"), naming: ["--frobnicate"])
    }
  }

  @Test("status shows a dead daemon as such, by mount point, a path in it, device, and among all")
  func dead() throws {
    try withVolume(mounting: ["--cache", "never"]) { volume in
      try volume.add("file", count: 1)
      let before: Status = try decode(volume.famfs("status", "--json", volume.master))
      #expect(before.mounts.first?.dataPath?.hasPrefix("FUSE, direct I/O") == true)
      let daemon = try volume.daemon()
      kill(daemon, SIGKILL)
      #expect(seconds(until: { !Machine.isRunning(daemon) }) != nil)
      for name in [volume.master, volume.master + "/file", volume.device] {
        let status: Status = try decode(volume.famfs("status", "--json", name))
        #expect(status.mounts.map(\.state) == ["dead"], "\(name)")
        #expect(status.mounts.first?.trouble?.contains("famfs umount") == true)
      }
      let all = try volume.famfs("status")
      #expect(all.status == 0 && all.stdout.contains(" on \(volume.master)\n  dead: "), "\(all)")
    }
  }

  @Test("who may not ask a daemon is told so, and sees the mount all the same", .enabled(if: Machine.usersCanRun))
  func otherUsers() throws {
    try withVolume { volume in
      let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", Machine.program("famfs")]
      let outcome = try run(user + ["status", volume.master])
      #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
      #expect(outcome.stdout.contains("  unreachable: ") && outcome.stdout.contains("sudo"), "\(outcome)")
    }
  }

  @Test("fsck --json says what fsck says, mounted and not, and nothing else goes to standard output")
  func checkJSON() throws {
    try withVolume { volume in
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      try volume.add("dir/file", count: 3_000_000)
      try succeed(volume.famfs("clone", volume.master + "/dir/file", volume.master + "/clone"))
      let mounted: Check = try decode(volume.famfs("fsck", "-v", "--json", volume.master))
      #expect((mounted.role, mounted.systemUuid, mounted.device) == ("master", Host.master.rawValue, volume.device))
      #expect((mounted.entries, mounted.files, mounted.directories, mounted.badEntries) == (3, 2, 1, 0))
      #expect((mounted.allocationUnit, mounted.logOffset, mounted.logLength) == (2 << 20, 2 << 20, 8 << 20))
      #expect((mounted.deviceBytes, mounted.bitmapBytes, mounted.entryCapacity) == (64 << 20, 64 << 20, 15_420))
      #expect((mounted.fileBytes, mounted.allocatedBytes, mounted.freeBytes) == (6_000_000, 14 << 20, 50 << 20))
      #expect(mounted.clean && mounted.problems.isEmpty && mounted.headerProblem == nil && mounted.buckets == nil)
      #expect(mounted.warnings.count == 1)
      try volume.unmount()
      try Media(volume.device).flip(Media.entry(1) + 300)
      let bad: Check = try decode(volume.famfs("fsck", "--json", volume.device, as: .client), status: 1)
      #expect((bad.role, bad.clean, bad.badEntries) == ("client", false, 1))
      #expect(bad.problems.first?.entry == 1 && bad.problems.first?.path == "dir/file")
      #expect(bad.problems.first?.problem.contains("checksum") == true)
    }
  }

  @Test("a path on media with line breaks in it makes up no line of fsck's")
  func forgedLine() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make()
      try Media(volume.device).put(136, Array("/dev/x\n  9 bad log entries detected\0".utf8))
      let lines = try volume.famfs("fsck", "-v", volume.device).stdout.split(separator: "\n")
      #expect(lines.filter { $0.contains("bad log entries detected") }.count == 2)
      #expect(lines.filter { $0.hasPrefix("  9 bad") }.isEmpty)
    }
  }

  @Test("fsck --nbuckets shows how equal parts of the device are used")
  func buckets() throws {
    try withVolume { volume in
      try volume.add("file", count: 7 << 20)  // 10 MiB of superblock and log, then 8 MiB
      for option in [["-B", "4"], ["--nbuckets=4"]] {
        let outcome = try run(["famfs", "fsck"] + option + [volume.master])
        try succeed(outcome)
        #expect(
          outcome.stdout.contains("\nBucket usage:\n  bucket 0: 16777216 of 16777216, 100.00% |####"), "\(outcome)")
        #expect(outcome.stdout.contains("\n  bucket 1: 2097152 of 16777216, 12.50% |#####   "), "\(outcome)")
        #expect(outcome.stdout.contains("\n  bucket 3: 0 of 16777216, 0.00% |    "), "\(outcome)")
      }
      #expect(try volume.famfs("fsck", "-h", "-B", "4", volume.master).stdout.contains("bucket 1: 2.00M of 16.00M"))
      let report: Check = try decode(volume.famfs("fsck", "--json", "-B", "5", volume.master))
      let buckets = try #require(report.buckets)
      #expect(buckets.map(\.offset) == [0, 12 << 20, 24 << 20, 36 << 20, 48 << 20])
      #expect(buckets.map(\.bytes).reduce(0, +) == 64 << 20)
      #expect(buckets.map(\.used) == [12 << 20, 6 << 20, 0, 0, 0])
      for wrong in ["0", "1025", "many", "-1"] {
        expectRefusal(try volume.famfs("fsck", "-B", wrong, volume.master), naming: ["--nbuckets", wrong])
      }
    }
  }

  @Test("logplay --json counts on a mount and on a device")
  func playJSON() throws {
    try withVolume { volume in
      try volume.add("file", count: 1)
      for options in [[], ["--dryrun"]] {
        let outcome = try run(["famfs", "logplay", "--json"] + options + [volume.master])
        let play: Play = try decode(outcome)
        #expect((play.path, play.entries, play.newFiles, play.badEntries) == (volume.master, 1, 0, 0))
      }
      try volume.unmount()
      let play: Play = try decode(volume.famfs("logplay", "--json", volume.device))
      #expect((play.entries, play.newFiles, play.newDirectories, play.badEntries) == (1, 1, 0, 0))
    }
  }
}
