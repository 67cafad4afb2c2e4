import Foundation
import Platform
import Testing

/// GNU tar on the master's mount: what it cannot make it must hear of.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct TarTests {
  /// An archive with links of all kinds, and behind them a file that needs more than one record.
  private func archive(in room: Room) throws -> String {
    let script = """
      set -eu; mkdir tree; cd tree; mkdir sub
      ln -s /etc/hostname absolute; ln -s ../../outside sub/upwards
      head -c 100000 /dev/zero > large; echo text > sub/file
      tar -cf ../archive.tar --no-recursion absolute sub sub/upwards large sub/file
      ln -s large relative; ln sub/file sub/hard
      tar -cf ../hard.tar sub/file sub/hard; tar -cf ../relative.tar relative
      """
    try succeed(run(["bash", "-c", "cd \(room.path); " + script]))
    return room.at("archive.tar")
  }

  private let placeholders = ["absolute", "sub/upwards"]

  @Test(
    "symbolic links cannot be made, so tar says so, exits 2 and leaves no placeholder", arguments: ["0", "1", "600"])
  func delayedLinks(_ delay: String) throws {
    try withVolume(["--alloc-unit", "4k"], client: true, mounting: ["--commit", delay]) { volume in
      let outcome = try run(["tar", "-C", volume.master, "-xf", archive(in: volume.room)])
      #expect(outcome.status == 2, "\(outcome)")
      for name in placeholders {
        #expect(outcome.stderr.contains("\(name): Cannot create symlink"), "\(outcome)")
        #expect(access(volume.master + "/" + name, F_OK) != 0, "\(name) is left")
      }
      expect(volume.master + "/sub/file", holds: Array("text\n".utf8))
      try succeed(volume.famfs("commit", volume.master))
      #expect(seconds(until: { access(volume.client + "/large", F_OK) == 0 }) != nil)
      #expect(try run(["find", volume.client, "-perm", "0"]).stdout == "")
      for name in ["hard", "relative"] {
        let outcome = try run(["tar", "-C", volume.master, "-xf", volume.room.at("\(name).tar")])
        #expect(outcome.status == 2, "\(outcome)")
        #expect(outcome.stderr.contains("Operation not permitted"), "\(outcome)")
      }
    }
  }

  @Test("tar knows its placeholder again when it was committed meanwhile, and says that it cannot be removed")
  func committedPlaceholders() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      let (path, mount) = (try archive(in: volume.room), volume.master)
      // The first record has the links. The rest follows when they are committed, by force.
      let script = """
        set -eu; { head -c 10240 \(path); n=0
          until [ -e \(mount)/sub/upwards ]; do sleep 0.02; n=$((n+1)); [ $n -lt 9000 ]; done
          $0 commit \(mount)/absolute; $0 commit \(mount)/sub/upwards
          stat -c %i \(mount)/absolute > \(volume.room.at("number")); echo 2 > /proc/sys/vm/drop_caches
          tail -c +10241 \(path); } | tar -C \(mount) -xf -
        """
      let outcome = try run(["bash", "-c", script, Machine.program("famfs")], environment: Host.master.environment)
      #expect(outcome.status == 2, "\(outcome)")
      for name in placeholders {
        #expect(outcome.stderr.contains("\(name): Cannot unlink: Operation not permitted"), "\(outcome)")
      }
      let before = try String(decoding: read(volume.room.at("number")), as: UTF8.self)
      #expect(try run(["stat", "-c", "%i", mount + "/absolute"]).stdout == before)
    }
  }

  @Test("a file keeps its number through the commit, when the kernel has forgotten it, and in listings")
  func numbers() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      let mount = volume.master
      let script = """
        set -eu; cd \(mount); mkdir -p d/e; for n in $(seq 50); do echo $n > d/e/$n; done; rm d/e/7; echo x > tmp-y; mv tmp-y d/y
        look() { find . -mindepth 1 -path ./.meta -prune -o -printf '%p %i\\n' | sort; }
        listed() { find . -mindepth 1 -maxdepth 3 -path ./.meta -prune -o -print | sort | while read -r name; do
          ls -ia "${name%/*}" | while read -r number base; do [ "$base" != "${name##*/}" ] || echo "$name $number"; done; done; }
        look > \(volume.room.at("before")); $0 commit \(mount)/d/e/9; $0 commit \(mount)
        look > \(volume.room.at("after")); echo 2 > /proc/sys/vm/drop_caches; look > \(volume.room.at("again"))
        echo 2 > /proc/sys/vm/drop_caches; listed > \(volume.room.at("listed"))
        """
      try succeed(run(["bash", "-c", script, Machine.program("famfs")], environment: Host.master.environment))
      let before = try read(volume.room.at("before"))
      #expect(before.count { $0 == UInt8(ascii: "\n") } == 52)
      for name in ["after", "again", "listed"] { expect(volume.room.at(name), holds: before) }
      // Files that come from commands, and those of an earlier mount, have the log's.
      try succeed(volume.famfs("cp", "/etc/hostname", mount + "/h"))
      let status = try FileStatus(path: mount + "/h")
      #expect(status.inode < 1 << 32)
    }
  }
}
