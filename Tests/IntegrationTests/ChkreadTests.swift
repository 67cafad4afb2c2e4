import Foundation
import Platform
import Testing

/// famfs chkread: whether a file's bytes read the same by read and by mmap; superblock and log as text.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ChkreadTests {
  @Test(
    "chkread finds that read and mmap agree, on every kind of mount and off it", arguments: ["never", "auto", "always"])
  func sameBytes(cache: String) throws {
    try withVolume(mounting: ["--cache", cache]) { volume in
      try volume.add("file", count: 2_500_001)
      for path in [volume.master + "/file", volume.room.at("source"), try volume.room.file("empty", [])] {
        let outcome = try volume.famfs("chkread", path)
        #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
        #expect(outcome.stdout.contains("the same"))
      }
    }
  }

  @Test("chkread prints the superblock and the log")
  func metadata() throws {
    try withVolume { volume in
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      try volume.add("dir/file", count: 5)
      let superblock = try volume.famfs("chkread", "-s", volume.master + "/.meta/.superblock")
      try succeed(superblock)
      #expect(superblock.stdout.contains(Host.master.rawValue))
      let log = try volume.famfs("chkread", "--log", volume.master + "/.meta/.log")
      try succeed(log)
      #expect(log.stdout.contains("  next index:    2\n  0: directory dir, mode 0755, "))
      #expect(log.stdout.contains("\n  1: file dir/file, 5 bytes, mode 0644, "))
    }
  }

  @Test("chkread tells what is not a superblock, not a log, or a log with a bad entry")
  func badMetadata() throws {
    try withVolume { volume in
      try volume.add("file", count: 5)
      let log = volume.master + "/.meta/.log"
      expectRefusal(try volume.famfs("chkread", "-s", log), naming: [log, "holds no famfs"])
      let superblock = volume.master + "/.meta/.superblock"
      expectRefusal(try volume.famfs("chkread", "-l", superblock), naming: [superblock, "without a log header"])
      expectRefusal(try volume.famfs("chkread", "-s", "-l", log), naming: ["--superblock", "--log"])
      expectRefusal(try volume.famfs("chkread", volume.master), naming: ["no regular file"])
      expectRefusal(try volume.famfs("chkread", volume.master + "/none"), naming: ["/none"])
      try Media(volume.device).flip(Media.entry(0) + 300)
      let bad = try volume.famfs("chkread", "-l", log)
      #expect(bad.status == 1)
      #expect(bad.stdout.contains("  0: bad: its checksum is wrong\n"), "\(bad)")
      #expect(bad.complaints.count == 1 && bad.stderr.contains("log entry 0"), "\(bad)")
    }
  }
}
