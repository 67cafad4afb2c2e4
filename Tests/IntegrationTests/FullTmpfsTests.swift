import Foundation
import Platform
import Testing

/// A device in a tmpfs that has no more room.
@Suite(.realMounts, .enabled(if: geteuid() == 0, "needs root, to mount a tmpfs"), .timeLimit(.minutes(15)))
struct FullTmpfsTests {
  @Test(
    "copies into a full tmpfs fail with a sentence, show nothing, and are well as soon as there is room",
    arguments: ["never", "always"])
  func full(pages: String) throws {
    try withRoom { room in
      let place = try room.tmpfs("full", "size=32m,huge=\(pages)")
      let volume = TestVolume(in: room, device: place + "/device")
      try volume.make(size: "128m")
      try volume.mount()
      let daemon = try volume.daemon()
      let source = try room.file("source", contents(5 << 20))
      // What is left, by small pieces to the last page.
      _ = try run(["dd", "if=/dev/zero", "of=" + place + "/rest", "bs=4k", "status=none"])
      expectRefusal(try volume.famfs("cp", source, volume.master + "/copy"), naming: ["no room", "make room"])
      #expect(try run(["cp", source, volume.master + "/plain"]).status == 1)
      #expect(access(volume.master + "/copy", F_OK) != 0)
      unlink(place + "/rest")
      try succeed(volume.famfs("cp", source, volume.master + "/copy"))
      try succeed(run(["cmp", source, volume.master + "/copy"]))
      #expect(try volume.daemon() == daemon)
      try succeed(volume.famfs("check", volume.master))
    }
  }
}
