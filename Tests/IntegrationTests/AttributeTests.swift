import Foundation
import Platform
import Testing

/// Mode, owner and times of committed files and directories, as all hosts see them.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct AttributeTests {
  private static let hasRsync = access("/usr/bin/rsync", X_OK) == 0

  /// Everything of a tree that a copy keeps, the top itself too.
  private func listing(_ top: String) throws -> String {
    let outcome = try run([
      "find", top, "-path", top + "/.meta", "-prune", "-o", "-printf", "%P %y %m %U %G %s %T@\n",
    ])
    return outcome.stdout.split(separator: "\n").map { line in
      // A directory's size says nothing.
      let words = line.split(separator: " ", omittingEmptySubsequences: false)
      return words.contains("d")
        ? words.enumerated().filter { $0.offset != 5 }.map(\.element).joined(separator: " ") : line[...].description
    }.sorted().joined(separator: "\n")
  }

  private func makeSource(in room: Room) throws -> String {
    let source = room.directory("tree")
    let script = """
      set -eu; cd \(source); umask 022
      mkdir -p a/b/c d; for n in 1 2 3; do echo $n > a/f$n; echo $n > a/b/c/f$n; done
      echo x > d/private; chmod 0400 d/private; chmod 4755 a/f1; chown 12:34 a/f2 a/b
      chmod 2770 a/b; chmod 0500 d; chmod 1777 .
      touch -d '2001-02-03 04:05:06.789' a/f1 a/b/c/*; touch -d '2011-01-01' a/f2 a/f3 d/private
      touch -d '1999-09-09 09:09:09.123456789' a/b/c a/b; touch -d '2031-01-01' d; touch -d '2003-03-03' a .
      """
    try succeed(run(["bash", "-c", script]))
    return source
  }

  @Test(
    "what cp -a and tar make has its modes, owners and times on all hosts, and after the unmount",
    arguments: ["cp -a $S/. $M", "tar --format=posix -C $S -cf - . | tar -C $M -xpf -"], ["1", "0"])
  func copies(command: String, delay: String) throws { try compare(command, delay) }

  @Test(
    "so has what rsync -a makes, and once more, from another host, it finds nothing to do",
    .enabled(if: hasRsync, "needs rsync"))
  func rsync() throws {
    try compare("rsync -a $S/ $M/", "1") { source, volume in
      let again = try run(["rsync", "-ani", "--exclude", ".meta", source + "/", volume.client + "/"])
      #expect(again.status == 0 && again.stdout == "", "\(again)")
    }
  }

  private func compare(
    _ command: String, _ delay: String, _ then: (String, TestVolume) throws -> Void = { _, _ in }
  ) throws {
    try withVolume(["--alloc-unit", "4k"], client: true, mounting: ["--commit", delay]) { volume in
      let source = try makeSource(in: volume.room)
      let wanted = try listing(source)
      try succeed(run(["bash", "-c", "set -euo pipefail; S=\(source); M=\(volume.master); \(command)"]))
      #expect(try listing(volume.master) == wanted)
      #expect(try seconds(until: { try listing(volume.client) == wanted }) != nil, "a host that follows")
      #expect(try listing(volume.client) == wanted && listing(volume.master) == wanted)
      try then(source, volume)
      let entries = try used(volume)
      try volume.unmount(.client)
      try volume.unmount(.master)
      try volume.mount(.master)
      try volume.mount(.client)
      for mount in volume.mounts { #expect(try listing(mount) == wanted) }
      #expect(try used(volume) == entries)
      try succeed(volume.famfs("fsck", volume.master))
      try succeed(volume.famfs("check", volume.client, as: .client))
    }
  }

  /// Entries of the log.
  private func used(_ volume: TestVolume) throws -> UInt64 {
    try Media(volume.device).get(Media.log + 40, 8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  @Test("chmod of a committed file is seen on other hosts a moment later, in one entry, and holds")
  func followed() throws {
    try withVolume(client: true) { volume in
      try volume.add("f", count: 10)
      try succeed(volume.famfs("mkdir", volume.master + "/d"))
      let (file, seen) = (volume.master + "/f", volume.client + "/f")
      #expect(seconds(until: { access(seen, F_OK) == 0 && access(volume.client + "/d", F_OK) == 0 }) != nil)
      let before = try used(volume)
      for mode in (0..<200).map({ mode_t($0) }) + [0o604] { #expect(failure { chmod(file, mode) } == nil) }
      #expect(try seconds(until: { try FileStatus(path: seen).permissions == 0o604 }) != nil)
      #expect(try used(volume) - before <= 3, "200 changes")
      // A directory that the other host's kernel has looked up opens, and closes, for its users.
      #expect(failure { chmod(volume.master + "/d", 0o700) } == nil)
      #expect(try seconds(until: { try FileStatus(path: volume.client + "/d").permissions == 0o700 }) != nil)
      #expect(failure { chown(volume.master, 12, 34) } == nil)
      try volume.unmount(.master)  // at once: nothing is waited for
      try volume.mount(.master)
      for mount in volume.mounts {
        var shown = ""
        let isShown = try seconds(until: {
          shown = try run(["stat", "-c", "%a %u %g", mount + "/f", mount + "/d", mount]).stdout
          return shown == "604 0 0\n700 0 0\n755 12 34\n"
        })
        #expect(isShown != nil, "\(shown)")
      }
      let log = try run(["famfs", "chkread", "--log", volume.master + "/.meta/.log"]).stdout
      #expect(log.contains("attributes of f, which entry 0 made: mode 0604"), "\(log)")
      #expect(log.contains("attributes of the root"))
    }
  }

  @Test("after fsync a killed daemon has lost no change of a file or directory; a touch in a loop takes few entries")
  func killed() throws {
    try withVolume { volume in
      try volume.add("f", count: 10)
      try succeed(volume.famfs("mkdir", volume.master + "/d"))
      for (name, mode) in [("f", 0o640), ("d", 0o2750)] as [(String, mode_t)] {
        let file = try FileDescriptor(opening: volume.master + "/" + name, .readOnly)
        #expect(fchmod(file.rawValue, mode) == 0 && fchown(file.rawValue, 5, 6) == 0)
        #expect(
          failure { utimensat(AT_FDCWD, volume.master + "/" + name, [timespec(), timespec(tv_sec: 9, tv_nsec: 8)], 0) }
            == nil)
        #expect(fsync(file.rawValue) == 0)
      }
      let entries = try used(volume)
      try succeed(
        run(["bash", "-c", "for n in $(seq 300); do touch \(volume.master)/f; done; touch -d @77 \(volume.master)/f"]))
      #expect(try used(volume) - entries <= 10)
      let daemon = try volume.daemon()
      let file = try FileDescriptor(opening: volume.master + "/f", .readOnly)
      #expect(fsync(file.rawValue) == 0)
      kill(daemon, SIGKILL)
      #expect(seconds(until: { kill(daemon, 0) != 0 }) != nil)
      umount2(volume.master, Int32(MNT_DETACH))
      try volume.mount(.master)
      let shown = try run(["stat", "-c", "%a %u %g %Y", volume.master + "/f", volume.master + "/d"]).stdout
      #expect(shown == "640 5 6 77\n2750 5 6 9\n")
    }
  }

  @Test("where the log is nearly full chmod works, holds until the unmount, and fsync says so; files are made still")
  func nearlyFull() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(["--alloc-unit", "4k"])
      try Media(volume.device).fillLog(Media.capacity - Media.capacity / 4)
      try volume.mount()
      let path = volume.master + "/d7"
      #expect(failure { chmod(path, 0o700) } == nil)
      #expect(try FileStatus(path: path).permissions == 0o700)
      do {
        let directory = try FileDescriptor(opening: path, [.readOnly, .directory])
        #expect(failure { fsync(directory.rawValue) } == .noSpace)
      }
      try write([1], to: volume.master + "/file")
      try volume.unmount()
      try volume.mount()
      expect(volume.master + "/file", holds: [1])
      #expect(try FileStatus(path: path).permissions == 0o755)
      try volume.unmount()
    }
  }
}
