import Foundation
import Platform
import Testing

/// The command line on mounted volumes: each option and each error of the commands that make, read and check files.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ContractMountedTests {
  private static let sizes = ["-1", "99999999999999999999", "1.5g", "''", "0x", "1e3", "g"]

  /// A volume with `dir`, `file` (4096 bytes of seed 7) and `striped` (8 MiB), and in the room sources of all kinds.
  private func withFiles(client: Bool = false, _ body: (TestVolume) throws -> Void) throws {
    try withVolume(size: "1g", client: client) { volume in
      let room = volume.room
      try room.file("small", contents(5000))
      try room.file("other", contents(5000, seed: 2))
      try room.file("empty", [])
      try retrying { mkfifo(room.at("fifo"), 0o644) }
      try retrying { mknod(room.at("socket"), S_IFSOCK | 0o644, 0) }
      _ = try room.link("loop", to: room.at("loop"))
      _ = room.directory("tree")
      try room.file("tree/one", contents(10))
      try succeed(volume.famfs("mkdir", volume.master + "/dir"))
      try succeed(volume.famfs("creat", "-s", "4k", "-r", "-S", "7", volume.master + "/file"))
      try succeed(volume.famfs("creat", "-s8m", "-N2", "-B2", "-C2m", volume.master + "/striped"))
      try body(volume)
    }
  }

  @Test("creat takes each option, short and long")
  func create() throws {
    try withFiles { volume in
      try volume.expect([
        Expected("famfs creat -s 1k @M/a"), Expected("famfs creat -s 1K @M/a"), Expected("famfs creat -s 0x400 @M/a"),
        Expected("famfs creat -s 2k -s 1024 -- @M/a"), Expected("famfs creat -rvS5 -s4k @M/b", says: "made @M/b\n"),
        Expected("famfs creat @M/c --siz 4k --rand --see 0x7 --verb", says: "made @M/c\n"),
        Expected("famfs creat -r -S 9 -v @M/c", says: "again @M/c\n"), Expected("famfs verify -qS9 -f @M/c"),
        Expected("famfs creat -s 5 -m 640 -u 5 -g 6 -t 256 @M/d"),
        Expected("stat -c %a:%u:%g:%s @M/d", says: "640:5:6:5\n"),
        Expected("famfs creat --size 5 --mode 600 --uid 7 --gid 8 --threads 1 @M/e"),
        Expected("stat -c %a:%u:%g:%s @M/e", says: "600:7:8:5\n"), Expected("stat -c %a:%u @M/a", says: "644:0\n"),
        Expected("famfs creat -N 16 -B 64 -C 2m -s 5 @M/contiguous"),
        Expected("famfs creat --nstrips 2 --nbuckets 4 --chunksize 2m --size 5m @M/strips"),
        Expected("famfs getmap @M/strips", says: "  strips:  2\n"),
        Expected("famfs creat -t 0 -M @M/f,4k -M @M/g,4k,7"), Expected("famfs creat --multi @M/g,0,8 -t 3"),
        Expected("famfs verify -m @M/g,8 --multi @M/c,9 -t 2", says: "4096 bytes in file @M/g\n", "in file @M/c\n"),
      ])
    }
  }

  @Test("creat refuses what makes no sense, and makes nothing")
  func createRefused() throws {
    try withFiles { volume in
      let before = try volume.metadata()
      var table = Self.sizes.map { Expected("famfs creat -s \($0) @M/new", refused: "--size", "is no size") }
      table += ["9", "-1", "77777", "''"].map {
        Expected("famfs creat -s 1 -m \($0) @M/new", refused: "--mode", "0644")
      }
      for (option, values) in [
        ("uid", ["x", "-1", "''", "4294967295"]), ("gid", ["x", "4294967295"]), ("threads", ["257", "-1", "x"]),
        ("nstrips", ["0", "17"]), ("nbuckets", ["0", "65"]),
      ] {
        for value in values {
          table.append(Expected("famfs creat -s 1 --\(option) \(value) @M/new", refused: "--\(option)", "whole number"))
        }
      }
      table += ["x", "-1", "''", "99999999999999999999"].map {
        Expected("famfs creat -r -S \($0) @M/file", refused: "is no seed")
      }
      table += ["''", "@M/new", ",4k", "@M/new,-1", "@M/new,4k,1,2", "@M/new,1.5g"].map {
        Expected("famfs creat -M \($0)", refused: "--multi", "PATH,SIZE")
      }
      table += [
        Expected("famfs creat", refused: "famfs creat --help"), Expected("famfs creat @M/new", refused: "--size"),
        Expected("famfs creat -s 5", refused: "name one file"), Expected("famfs creat -s 5 ''", refused: "empty path"),
        Expected("famfs creat -s 5 @M/new @M/newer", refused: "name one file"),
        Expected("famfs creat -s 18446744073709551615 @M/new", refused: "@M/new", "no space"),
        Expected("famfs creat -s 17179869183g @M/new", refused: "@M/new", "no space"),
        Expected("famfs creat -s 2g @M/new", refused: "@M/new", "no space", "larger device"),
        Expected("famfs creat -s 5 @M", refused: "@M", "another name"),
        Expected("famfs creat -s 5 @M/file", refused: "@M/file", "4096", "another name"),
        Expected("famfs creat -s 5 @M/dir", refused: "@M/dir", "another name"),
        Expected("famfs creat -s 5 @M/.meta/new", refused: ".meta", "another directory"),
        Expected("famfs creat -s 5 @M/none/new", refused: "@M/none/new", "famfs mkdir"),
        Expected("famfs creat -s 5 @R/new", refused: "@R/new", "famfs mount"),
        Expected("famfs creat -s 5 @R/loop", refused: "@R/loop", "links"),
        Expected("famfs creat -s 4k -S 5 @M/file", refused: "--randomize"),
        Expected("famfs creat -r @M/new", refused: "@M/new", "size"),
        Expected("famfs creat -M @M/new,0,3", refused: "@M/new"),
        Expected("famfs creat -M @M/new,5 -s 5", refused: "--multi"), Expected("famfs creat -M", refused: "argument"),
        Expected("famfs creat -s5 -N3 -B2 -C2m @M/new", refused: "--nstrips", "--nbuckets"),
        Expected("famfs creat -s5 -N2 -B2 -C3m @M/new", refused: "--chunksize", "power of two"),
        Expected("famfs creat -s5 -N2 @M/new", refused: "--nbuckets", "together"),
        Expected("famfs creat -s8m -N2 -B2 -C4k @M/new", refused: "4096", "--chunksize"),
      ]
      try volume.expect(table)
      #expect(try volume.metadata() == before)
    }
  }

  @Test("verify checks, and refuses what it cannot")
  func verify() throws {
    try withFiles(client: true) { volume in
      #expect(seconds(until: { access(volume.client + "/striped", F_OK) == 0 }) != nil)
      var table = ["x", "-1", "''"].map { Expected("famfs verify -S \($0) -f @C/file", refused: "is no seed") }
      for (name, problem) in [
        ("none", "No such file"), ("", "regular"), ("fifo", "regular"), ("socket", "device"), ("loop", "links"),
        ("small/x", "directory"),
      ] {
        table.append(Expected("famfs verify -S 7 -f @R/\(name)", refused: "@R/\(name)", problem))
      }
      table += [
        Expected("famfs verify -S 7 -f @C/file", says: "Success: verified 4096 bytes in file @C/file\n"),
        Expected("famfs verify --see 7 --file @M/file -v -t 4", says: "Success: verified 4096 bytes in file @M/file\n"),
        Expected("famfs verify -q -m @C/file,7"), Expected("famfs verify", refused: "--seed", "--help"),
        Expected("famfs verify -S 7", refused: "--filename"), Expected("famfs verify -f @C/file", refused: "--seed"),
        Expected("famfs verify -S 7 -f @C/file x", refused: "--filename"),
        Expected("famfs verify -S 8 -f @C/file", refused: "@C/file", "seed 8", "offset 0"),
        Expected("famfs verify -S 0 -f @C/file", refused: "@C/file", "seed 0"),
        Expected("famfs verify -m @C/file", refused: "FILE,SEED"),
        Expected("famfs verify -m @C/file,x", refused: "seed"),
        Expected("famfs verify -S 7 -m @C/file,7", refused: "--multi", "--seed"),
        Expected("famfs verify -t 0 -m @C/file,7", refused: "--threads"),
        Expected("famfs verify -t 257 -m @C/file,7", refused: "--threads"),
      ]
      try volume.expect(table, as: .client)
    }
  }

  @Test("mkdir and cp take each option, short and long")
  func fill() throws {
    try withFiles { volume in
      try volume.expect([
        Expected("famfs mkdir @M/a"), Expected("famfs mkdir -p @M/a"), Expected("famfs mkdir -p @M"),
        Expected("famfs mkdir -pv @M/b/c/", says: "made @M/b\n", "made @M/b/c\n"),
        Expected("famfs mkdir -m 700 -u 7 -g 8 -- @M/./d"), Expected("stat -c %a:%u:%g @M/d", says: "700:7:8\n"),
        Expected("famfs mkdir --par --mode 1755 --uid 1 --gid 2 --verb @M/e/f", says: "made @M/e/f\n"),
        Expected("stat -c %a:%u:%g @M/e/f", says: "1755:1:2\n"),
        Expected("famfs cp @R/small @M/a"), Expected("famfs cp -v @R/small @M/g", says: "famfs cp: 100%: @M/g\n"),
        Expected("famfs cp @R/small @M/g"), Expected("famfs cp -c @R/small @M/g"),
        Expected("famfs cp --compare @R/other @M/g", status: 1, says: "@M/g: 2 of 2 pages differed\n"),
        Expected("cmp @R/other @M/g"), Expected("famfs cp @R/small @R/other @M/d"),
        Expected("famfs cp -r @R/tree @M/h"), Expected("cmp @R/tree/one @M/h/one"),
        Expected("famfs cp --recursive @R/tree @M/a"), Expected("cmp @R/tree/one @M/a/tree/one"),
        Expected("famfs cp -rT @R/tree @M/a"), Expected("cmp @R/tree/one @M/a/one"),
        Expected("famfs cp -m 640 -u 5 -g 6 -t 0 @R/small @M/i"), Expected("stat -c %a:%u:%g @M/i", says: "640:5:6\n"),
        Expected("famfs cp --mode 600 --uid 7 --gid 8 --threads 256 @R/small @M/j"),
        Expected("stat -c %a:%u:%g @M/j", says: "600:7:8\n"), Expected("famfs cp --size 5000 @R/small @M/k"),
        Expected("famfs cp -N2 -B2 -C2m @M/striped @M/l"), Expected("famfs getmap @M/l", says: "  strips:  2\n"),
        Expected("famfs fsck @M", says: "  0 bad log entries detected\n"),
      ])
    }
  }

  @Test("mkdir, cp, clone and flush refuse what makes no sense")
  func fillRefused() throws {
    try withFiles { volume in
      let before = try volume.metadata()
      var table = Self.sizes.map { Expected("famfs cp --size \($0) @R/small @M/new", refused: "--size", "is no size") }
      for (source, status, problem) in [
        ("none", Int32(1), "can be read"), ("loop", 1, "can be read"), ("small/x", 1, "can be read"),
        ("tree", 1, "-r"), ("fifo", 22, "--size"), ("socket", 22, "--size"),
      ] {
        table.append(Expected("famfs cp @R/\(source) @M/new", status: status, refused: "@R/\(source)", problem))
      }
      for (place, problem) in [
        ("@R/new", "famfs mount"), ("@M/none/new", "famfs mkdir"), ("@M/file/new", "another name"),
        ("@M/.meta/new", ".meta"), ("''", "empty path"), ("@R/loop/new", "links"), ("@M/dir", "another name"),
        ("@M/" + String(repeating: "x", count: 80), "79 bytes"),
      ] {
        for command in ["cp -T @R/small", "clone @M/file", "mkdir"] {
          table.append(Expected("famfs \(command) \(place)", refused: place == "''" ? "path" : place, problem))
        }
      }
      table += [
        Expected("famfs mkdir", refused: "famfs mkdir --help"), Expected("famfs mkdir -m 9 @M/new", refused: "--mode"),
        Expected("famfs mkdir -u x @M/new", refused: "--uid"), Expected("famfs mkdir -p @M/file", refused: "@M/file"),
        Expected("famfs mkdir -p @M/file/x/y", refused: "@M/file"), Expected("famfs mkdir @M", refused: "@M"),
        Expected("famfs cp @R/small", refused: "famfs cp --help"),
        Expected("famfs cp '' @M/new", refused: "empty path"),
        Expected("famfs cp @R/small @R/other @M/new", refused: "@M/new", "famfs mkdir"),
        Expected("famfs cp @R/small @M/new/", refused: "@M/new/", "slash"),
        Expected("famfs cp @R/small @M/file", refused: "@M/file", "4096", "5000"),
        Expected("famfs cp -r @M/dir @M/dir/new", refused: "itself"),
        Expected("famfs cp @M/file @M/file", refused: "same file"),
        Expected("famfs cp --size 0 @R/small @M/new", refused: "more"),
        Expected("famfs cp -r @R/tree @M/none/below", refused: "@M/none/below", "famfs mkdir"),
        Expected("famfs cp -r @R/tree @M/file/below", refused: "@M/file/below", "another name"),
        Expected("famfs cp --size 5001 @R/small @M/new", refused: "5000"),
        Expected("famfs cp --size 4999 @R/small @M/new", refused: "4999"),
        Expected("famfs cp --size 5 @R/small @R/small @M/dir", refused: "one source"),
        Expected("famfs cp -r --size 5 @R/small @M/new", refused: "--recursive"),
        Expected("famfs cp - @M/new", status: 22, refused: "--size"),
        Expected("famfs cp -t 257 @R/small @M/new", refused: "--threads"),
        Expected("famfs cp -m 8 @R/small @M/new", refused: "--mode"),
        Expected("famfs cp -g -1 @R/small @M/new", refused: "--gid"),
        Expected("famfs cp -N 17 @R/small @M/new", refused: "--nstrips"),
        Expected("famfs cp -C 2m @R/small @M/new", refused: "--chunksize", "together"),
        Expected("famfs clone @M/file", refused: "famfs clone --help"),
        Expected("famfs clone '' @M/new", refused: "empty"),
        Expected("famfs clone @M/dir @M/new", refused: "@M/dir", "name a file"),
        Expected("famfs clone @M/none @M/new", refused: "@M/none"),
        Expected("famfs clone @R/small @M/new", refused: "@R"),
        Expected("famfs clone @M/.meta/.log @M/new", refused: ".meta"),
        Expected("famfs flush", refused: "famfs flush --help"), Expected("famfs flush @M", refused: "@M", "name files"),
        Expected("famfs flush @M/dir", refused: "@M/dir", "name a file"),
        Expected("famfs flush ''", refused: "empty path"),
        Expected("famfs flush @M/none", refused: "@M/none"), Expected("famfs flush @R/fifo", refused: "@R/fifo"),
      ]
      try volume.expect(table)
      #expect(try volume.metadata() == before)
    }
  }

  @Test("on a client what adds is refused with the master's name, and what reads works")
  func client() throws {
    try withFiles(client: true) { volume in
      #expect(seconds(until: { access(volume.client + "/striped", F_OK) == 0 }) != nil)
      let before = try volume.metadata()
      let adding = [
        "mkdir @C/new", "mkdir -p @C/new/er", "creat -s 5 @C/new", "creat -r -S 3 @C/file", "creat -M @C/new,5",
        "cp @R/small @C/new", "cp -c @R/small @C/file", "cp -r @R/tree @C/new", "clone @C/file @C/new",
      ]
      try volume.expect(adding.map { Expected("famfs " + $0, refused: Host.master.rawValue, "master") }, as: .client)
      try volume.expect(
        [
          Expected("mkfs.famfs -f @D", refused: "@D", "mounted"), Expected("mkfs.famfs -kf @D", refused: "@D"),
          Expected("famfs fsck @C", says: "  role of this node: Client\n"),
          Expected("famfs logplay -c @C", says: ": 3 log entries; 0 new files; 0 new directories\n"),
          Expected("famfs check @C/dir", says: "2 files, 1 directories: all good\n"),
          Expected("famfs getmap -q @C/file"),
          Expected("famfs flush -v @C/file", says: "flushed @C/file\n"), Expected("famfs mkdir -p @C/dir"),
          Expected("famfs chkread @C/file", says: "4096 bytes"), Expected("famfs mkmeta @D"),
          Expected("famfs status @C", says: "role:        client\n"),
        ], as: .client)
      #expect(try volume.metadata() == before)
    }
  }

  @Test("reports on a mount, with each option")
  func reports() throws {
    try withFiles { volume in
      let map = [
        "File:      @M/file\n  size:    4096\n", "  extents: 1\n    device 0 offset 0xa00000 length 2097152\n",
      ]
      try volume.expect([
        Expected("famfs getmap @M/file", says: map[0], map[1]), Expected("famfs getmap -c @M/file", says: map[1]),
        Expected("famfs getmap --continue @M/dir/../file", says: map[1]), Expected("famfs getmap -qc @M/file"),
        Expected("famfs getmap @M/.meta/.log", says: "offset 0x200000 length 8388608\n"),
        Expected("famfs getmap", refused: "--help"), Expected("famfs getmap ''", refused: "empty path"),
        Expected("famfs getmap -q --json @M/file", refused: "--quiet"),
        Expected("famfs getmap -q @M/none", refused: "none"),
        Expected("famfs getmap @M/dir", refused: "@M/dir", "only files"),
        Expected("famfs getmap @R/fifo", refused: "@R"),
        Expected("famfs chkread @M/file", says: "same 4096 bytes"), Expected("famfs chkread @R/empty", says: "same 0"),
        Expected("famfs chkread -s @M/.meta/.superblock", says: "  role of this node: Owner\n", "same"),
        Expected("famfs chkread --log -v @M/.meta/.log", says: "  next index:    3\n", "1: file file, 4096 bytes"),
        Expected("famfs chkread -s @M/file", refused: "@M/file"),
        Expected("famfs chkread -l @M/file", refused: "header"),
        Expected("famfs chkread -sl @M/file", refused: "--log"), Expected("famfs chkread @M/dir", refused: "@M/dir"),
        Expected("famfs chkread ''", refused: "empty path"), Expected("famfs chkread @R/fifo", refused: "@R/fifo"),
        Expected("famfs fsck @D", status: 16, refused: "@D", "@M", "--force"),
        Expected("famfs fsck --repair -f @M", status: 16, refused: "@M", "unmount"),
        Expected("famfs fsck -fv @D", says: "  log_len:           8388608\n", "  role of this node: Owner\n"),
        Expected(
          "famfs fsck -h @M/file", says: "  2 files\n  1 directories\n", "Allocated space:", "  3 of 15420 entries"),
        Expected("famfs fsck -B 4 @M", says: "bucket 3"), Expected("famfs logplay @M", says: ": 3 log entries; 0 new"),
        Expected("famfs logplay -n @M/dir", says: ": 3 log entries; 0 new files; 0 new directories\n"),
        Expected("famfs check @M", says: "2 files, 1 directories: all good\n"),
        Expected("famfs check -v @M", says: "dir: good\n", "file: good\n"), Expected("famfs check", refused: "--help"),
        Expected("famfs check @R", refused: "@R", "famfs mount"), Expected("famfs check ''", refused: "empty path"),
        Expected("famfs status @D", says: "@D on @M\n"), Expected("famfs status @R", refused: "@R", "famfs status"),
        Expected("famfs status ''", refused: "empty path"), Expected("famfs mkmeta -v @D", says: "@M/.meta"),
        Expected("famfs mkmeta @M", refused: "@M"), Expected("famfs mkmeta", refused: "--help"),
        Expected("famfs mount @D @M", refused: "@M", "unmount"), Expected("famfs mount @D @C", refused: "@D"),
        Expected("famfs mount -R -t 5 -c never @D @M", says: "@M changed\n"),
        Expected("famfs mount -RD @D @M", refused: "--dummy"),
        Expected("famfs mount -R -t x @D @M", refused: "timeout"),
        Expected("famfs devadd @M", refused: "--help"), Expected("famfs devadd @M ''", refused: "empty path"),
        Expected("famfs devadd @M @R/small", refused: "@R/small"),
        Expected("famfs devadd @M @R/fifo", refused: "@R/fifo"),
        Expected("famfs devadd @R @R/small", refused: "@R"), Expected("famfs devadd -s 1 @M @R/new", refused: "@R/new"),
        Expected("famfs devadd @D @R/small", refused: "@D", "@M"), Expected("famfs devadd @M @D", refused: "@D"),
        Expected("famfs devadd -fvs 16m @M @R/more", says: "@R/more is device 1\n"),
        Expected("famfs umount @R", refused: "@R"), Expected("famfs umount @M @C", refused: "--help"),
      ])
      #expect(access(volume.room.at("new"), F_OK) == -1)
    }
  }

  @Test(
    "a device that was cut short under its mounts is told of by path, and mkfs is not advised", arguments: [40, 1, 0])
  func cut(mebibytes: Int) throws {
    try withVolume(client: true) { volume in
      try volume.room.file("small", contents(5000))
      try succeed(volume.famfs("creat", "-rS3", "-s", "40m", volume.master + "/file"))
      #expect(seconds(until: { access(volume.client + "/file", F_OK) == 0 }) != nil)
      try retrying { truncate(volume.device, off_t(mebibytes) << 20) }
      var table = [
        Expected("famfs verify -S 3 -f @C/file", refused: "@C/file", "Input/output error", "famfs fsck"),
        Expected("famfs creat -rS3 @M/file", refused: mebibytes == 0 ? "@D" : "@M/file"),
        Expected("famfs flush @M/file", refused: mebibytes == 0 ? "@D" : "@M/file"),
        Expected("famfs status @C", says: "@D on @C\n"), Expected("famfs getmap -q @M/file"),
      ]
      if mebibytes == 40 {
        table += [
          Expected("famfs creat -s 5 @M/new", refused: "@M/new: the device's memory", "famfs fsck"),
          Expected("famfs cp @R/small @M/new", refused: "@M/new: the device's memory", "famfs fsck"),
        ]
      }
      try volume.expect(table)
      for command in [["fsck", volume.master], ["fsck", "-f", volume.device], ["check", volume.client]] {
        let outcome = try run(["famfs"] + command, environment: Host.master.environment)
        #expect((1...7).contains(outcome.status), "\(outcome)")
        #expect(outcome.stderr.contains(mebibytes == 40 ? "data area" : volume.device), "\(outcome)")
        #expect(!outcome.stderr.contains("make one with mkfs.famfs"), "\(outcome)")
      }
    }
  }

  @Test(
    "a user reads files, and is told whom the daemon listens to", .enabled(if: Machine.usersCanRun, "needs setpriv"))
  func users() throws {
    try withFiles { volume in
      var table = [
        "mkdir @M/new", "creat -s 5 @M/new", "creat -rS3 @M/file", "creat -M @M/new,5", "cp @R/small @M/new",
        "clone @M/file @M/new", "flush @M/file", "getmap @M/file", "check @M", "logplay @M", "devadd @M @R/small",
      ].map { Expected("famfs " + $0, refused: "@M", "use sudo") }
      table += [
        Expected("famfs fsck @M", status: 2, refused: "@M", "use sudo"), Expected("famfs umount @M", refused: "@M"),
        Expected("famfs verify -S 7 -f @M/file", says: "Success"), Expected("famfs chkread @M/file", says: "same"),
        Expected("famfs chkread -l @M/.meta/.log", refused: "@M/.meta/.log", "Permission denied"),
        Expected("famfs status @M", says: "unreachable", "use sudo"), Expected("famfs mkmeta @D"),
      ]
      try volume.expect(table, nobody: true)
      #expect(volume.isMounted())
    }
  }
}
