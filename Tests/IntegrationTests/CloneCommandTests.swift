import Foundation
import Platform
import Testing

/// famfs clone.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct CloneCommandTests {
  @Test("a clone shows what its source shows, now and later, and fsck warns")
  func clones() throws {
    try withVolume(client: true) { volume in
      let bytes = try volume.add("file", count: 100_000)
      let free = try volume.freeBytes()
      let (source, clone) = (volume.master + "/file", volume.master + "/clone")
      let outcome = try volume.famfs("clone", source, clone)
      #expect(outcome.status == 0 && outcome.stdout == "" && outcome.stderr == "")
      #expect(try volume.freeBytes() == free)
      #expect(seconds(until: { access(volume.client + "/clone", F_OK) == 0 }) != nil)
      for mount in volume.mounts { expect(mount + "/clone", holds: bytes) }
      try FileDescriptor(opening: clone, .readWrite).put([9, 9, 9], at: 50)
      for mount in volume.mounts {
        #expect(try FileDescriptor(opening: mount + "/file", .readOnly).bytes(at: 50, count: 3) == [9, 9, 9])
      }
      let check = try volume.famfs("fsck", volume.master)
      #expect(check.status == 0 && check.stderr.contains("clone is a clone"))
      try volume.unmount()
      try volume.mount()
      #expect(try volume.freeBytes() == free)
    }
  }

  @Test("what cannot be cloned is refused, and nothing changes")
  func refusals() throws {
    try withVolume(client: true) { volume in
      try volume.add("file", count: 100)
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      let outside = try volume.room.file("outside", [1])
      let before = try volume.everything()
      let (m, c) = (volume.master, volume.client)
      for (words, wanted) in [
        ([m + "/none", m + "/new"], ["none", "no such"]), ([m + "/dir", m + "/new"], ["dir", "directory"]),
        ([m + "/file", m + "/file"], ["exists"]), ([m + "/file", m + "/none/new"], ["mkdir -p"]),
        ([m + "/file", outside], ["outside", "mount"]), ([outside, m + "/new"], ["outside", "mount"]),
        ([m + "/file", c + "/new"], ["same mounted famfs"]), ([c + "/file", c + "/new"], [Host.master.rawValue]),
        ([m + "/.meta/.superblock", m + "/new"], [".meta"]), ([m + "/.meta/.log", m + "/new"], [".meta"]),
        ([m, m + "/new"], []), ([m + "/file"], ["name a file"]), ([m + "/file", m + "/a", m + "/b"], ["name a file"]),
        ([], ["name a file"]),
      ] {
        expectRefusal(try run(["famfs", "clone"] + words, environment: Host.master.environment), naming: wanted)
      }
      #expect(try volume.everything() == before)
    }
  }
}
