import Foundation
import Platform
import Testing

/// Logs that hold what they should not.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct BadLogTests {
  /// A volume, not mounted, with the files `file0` to `file4` as entries 0 to 4.
  private func withFive(_ body: (TestVolume, Media) throws -> Void) throws {
    try withVolume(size: "32m") { volume in
      for place in 0..<5 { try volume.add("file\(place)", count: 5000, seed: UInt64(place)) }
      try volume.unmount()
      try body(volume, Media(volume.device))
    }
  }

  @Test("a bad entry in the middle is named, the good ones are shown, and nothing can be added")
  func badEntry() throws {
    try withFive { volume, media in
      try media.flip(Media.entry(2) + 300)
      let before = try volume.everything()
      let mounted = try volume.famfs("mount", volume.device, volume.master)
      #expect(mounted.status == 0)
      #expect(mounted.complaints.count == 1, "\(mounted)")
      for word in ["warning", "1 bad", "log entry 2", "file2", "checksum"] { #expect(mounted.stderr.contains(word)) }
      #expect(try run(["ls", volume.master]).stdout == "file0\nfile1\nfile3\nfile4\n")
      for place in [0, 1, 3, 4] {
        expect(volume.master + "/file\(place)", holds: contents(5000, seed: UInt64(place)))
      }
      let words = ["bad", "log entry 2", "file2", "copy the good files"]
      expectRefusal(try volume.famfs("mkdir", volume.master + "/new"), naming: words)
      expectRefusal(try volume.famfs("creat", "-s", "1", volume.master + "/new"), naming: words)
      expectRefusal(try volume.famfs("cp", volume.room.at("source"), volume.master + "/new"), naming: words)
      for place in [volume.master, volume.device] {
        let checked = try volume.famfs("fsck", "--force", place)
        #expect(checked.status == 1)
        #expect(checked.complaints.count == 1)
        for word in ["log entry 2", "file2", "checksum"] { #expect(checked.stderr.contains(word), "\(checked)") }
        #expect(checked.stdout.contains("  1 bad log entries detected\n"))
        #expect(checked.stdout.contains("  4 files\n"))
      }
      try volume.unmount()
      #expect(try volume.everything() == before)
    }
  }

  @Test("a client shows the good entries that come behind a bad one, while it is mounted")
  func badEntryFollowed() throws {
    try withFive { volume, media in
      try media.put(Media.log + 40, 2)
      try volume.mount(.client)
      #expect(try run(["ls", volume.client]).stdout == "file0\nfile1\n")
      try media.flip(Media.entry(2) + 300)
      try media.put(Media.log + 40, 5)
      #expect(seconds(until: { access(volume.client + "/file4", F_OK) == 0 }) != nil)
      #expect(try run(["ls", volume.client]).stdout == "file0\nfile1\nfile3\nfile4\n")
      let checked = try volume.famfs("fsck", volume.client, as: .client)
      #expect(checked.status == 1)
      #expect(checked.stderr.contains("log entry 2 (file2)"), "\(checked)")
    }
  }

  @Test("an entry with .. in its path is not followed out of the mount")
  func escape() throws {
    try withFive { volume, media in
      try media.put(Media.entry(3) + 40, Array("../x\0".utf8))
      try media.seal(Media.entry(3), 536, at: Media.entry(3) + 536)
      let mounted = try volume.famfs("mount", volume.device, volume.master)
      #expect(mounted.stderr.contains("log entry 3"), "\(mounted)")
      #expect(try run(["ls", "-A", volume.master]).stdout == ".meta\nfile0\nfile1\nfile2\nfile4\n")
    }
  }

  @Test("a header that claims more entries than fit is told of, and nothing can be added")
  func beyond() throws {
    try withFive { volume, media in
      try media.put(Media.log + 40, UInt64.max)
      let before = try volume.everything()
      let mounted = try volume.famfs("mount", volume.device, volume.master)
      #expect(mounted.status == 0)
      #expect(mounted.stderr.contains("claims 18446744073709551615 entries"), "\(mounted)")
      #expect(try run(["ls", volume.master]).stdout == "file0\nfile1\nfile2\nfile3\nfile4\n")
      let refused = try volume.famfs("mkdir", volume.master + "/new")
      expectRefusal(refused, naming: ["entries"])
      #expect(try volume.famfs("fsck", volume.master).status == 1)
      try volume.unmount()
      #expect(try volume.everything() == before)
    }
  }

  @Test("the last slot of the log is used, and then the log is full")
  func full() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "32m")
      try Media(volume.device).fillLog(Media.capacity - 1)
      try volume.mount()
      try succeed(volume.famfs("mkdir", volume.master + "/last"))
      let before = try volume.everything()
      let words = ["log is full", "15420", "--loglen"]
      expectRefusal(try volume.famfs("mkdir", volume.master + "/new"), naming: words)
      expectRefusal(try volume.famfs("creat", "-s", "1", volume.master + "/new"), naming: words)
      expectRefusal(try volume.famfs("cp", try room.file("a", [1]), volume.master + "/new"), naming: words)
      #expect(try volume.everything() == before)
      #expect(try FileManager.default.contentsOfDirectory(atPath: volume.master).count == Media.capacity + 1)
      try volume.unmount()
      let checked = try volume.famfs("fsck", volume.device)
      #expect(checked.status == 0)
      #expect(checked.stdout.contains("  15420 of 15420 entries used\n"), "\(checked)")
    }
  }
}
