import Foundation
import Platform
import Testing

/// Paths as people type them and as the kernel takes them: byte for byte.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct VolumePathTests {
  @Test("trailing slashes, dots, doubled slashes and relative paths work everywhere")
  func spellings() throws {
    try withVolume(size: "64m") { volume in
      let source = try volume.room.file("file", contents(10))
      for (place, spelling) in ["/d0/", "//d1", "/./d2", "/d3/.", "/d0/../d4"].enumerated() {
        try succeed(volume.famfs("mkdir", volume.master + spelling))
        try succeed(volume.famfs("creat", "-s", "5", volume.master + "/d\(place)//./made"))
        try succeed(volume.famfs("cp", source, volume.master + "//d\(place)/./"))
        expect(volume.master + "/d\(place)/file", holds: contents(10))
        #expect(failure { access(volume.master + "/d\(place)/made", F_OK) } == nil)
      }
      let relative = "cd '\(volume.master)/d0' && '\(Machine.program("famfs"))'"
      try succeed(run(["sh", "-c", relative + " mkdir -p x/y ../z"], environment: Host.master.environment))
      try succeed(run(["sh", "-c", relative + " cp ../../file x/y/"], environment: Host.master.environment))
      expect(volume.master + "/d0/x/y/file", holds: contents(10))
      #expect(failure { access(volume.master + "/z", F_OK) } == nil)
    }
  }

  @Test("a symbolic link to a device, a mount point or a directory in it is followed")
  func links() throws {
    try withVolume(size: "16m") { volume in
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let device = try volume.room.link("link", to: volume.device)
      let inside = try volume.room.link("inside", to: volume.master + "/dir")
      try succeed(volume.famfs("creat", "-s", "5", inside + "/file"))
      expect(volume.master + "/dir/file", holds: [0, 0, 0, 0, 0])
      let checked = try volume.famfs("fsck", device)
      #expect(checked.status == 16)
      expectRefusal(try run(["mkfs.famfs", "-f", device], environment: Host.master.environment), naming: ["mounted"])
      let isUnmounted = { try volume.famfs("umount", device).status == 0 }
      let time = try seconds(until: isUnmounted)
      #expect(time != nil)
    }
  }

  @Test("names that only look the same are different, in mount points too")
  func lookalikes() throws {
    try withRoom { room in
      // An accented letter, and a letter with an accent: Swift takes them for equal.
      let names = ["\u{e9}", "e\u{301}"]
      let volume = TestVolume(in: room)
      try volume.make(size: "32m")
      let mounts = names.map { room.directory($0) }
      try succeed(volume.famfs("mount", volume.device, mounts[0]))
      expectRefusal(try volume.famfs("creat", "-s", "5", mounts[1] + "/outside"), naming: ["not in a mounted famfs"])
      expectRefusal(try volume.famfs("umount", mounts[1]), naming: ["no mounted famfs"])
      for name in names { try succeed(volume.famfs("creat", "-s", "5", mounts[0] + "/" + name)) }
      for name in ["\u{301}a", "\u{301}"] {
        try succeed(volume.famfs("mkdir", "-p", mounts[0] + "/" + name + "/" + name))
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: mounts[0]).count == 5)
      try succeed(volume.famfs("umount", mounts[0]))
    }
  }

  @Test("mkdir, creat and cp work through a bind mount of a directory")
  func bindMount() throws {
    try withVolume(size: "32m") { volume in
      try succeed(volume.famfs("mkdir", "-p", volume.master + "/a/b"))
      let bound = volume.room.directory("bound")
      try succeed(run(["mount", "--bind", volume.master + "/a/b", bound]))
      let source = try volume.room.file("file", contents(10))
      try succeed(volume.famfs("mkdir", "-p", bound + "/c/d"))
      try succeed(volume.famfs("mkdir", bound + "/e"))
      try succeed(volume.famfs("creat", "-s", "5", bound + "/e/made"))
      try succeed(volume.famfs("cp", "-r", source, bound + "/c/d"))
      expect(volume.master + "/a/b/c/d/file", holds: contents(10))
      #expect(failure { access(volume.master + "/a/b/e/made", F_OK) } == nil)
      try succeed(run(["umount", bound]))
    }
  }

  @Test("several commands make the same directories with -p at the same time")
  func parents() throws {
    try withVolume(size: "16m") { volume in
      let path = volume.master + "/a/b/c/d/e/f"
      let commands = try (0..<8).map { _ in
        try Child(["famfs", "mkdir", "-p", path], environment: Host.master.environment)
      }
      for command in commands { try succeed(command.wait()) }
      #expect(failure { access(path, F_OK) } == nil)
      #expect(try volume.famfs("fsck", volume.master).stdout.contains("  6 of 15420 entries used\n"))
    }
  }
}
