import Foundation
import Platform
import Testing

/// The command line on devices that are not mounted: each option and each error of mkfs, fsck, logplay and mount.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct ContractUnmountedTests {
  private static let noSize = "is no size"

  /// A device that is not mounted, and a fifo, a socket, a loop of links, a small file and an empty one.
  private func withDevice(_ body: (TestVolume) throws -> Void) throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make()
      try room.file("small", contents(5000))
      try room.file("empty", [])
      try retrying { mkfifo(room.at("fifo"), 0o644) }
      try retrying { mknod(room.at("socket"), S_IFSOCK | 0o644, 0) }
      _ = try room.link("loop", to: room.at("loop"))
      try body(volume)
      expectNothingRuns(in: room)
    }
  }

  @Test("mkfs makes, makes anew, destroys and refuses as its options say")
  func make() throws {
    try withDevice { volume in
      let lines = [
        "  Filesystem UUID: ", "  Device UUID: ", "  System UUID: ", "  role of this node: Owner",
        "  log size (bytes):  8388608\n",
      ]
      try volume.expect([
        Expected("mkfs.famfs @D", refused: "@D", "famfs", "--force"),
        Expected("mkfs.famfs -k @D", refused: "@D", "--force"),
        Expected("mkfs.famfs --kill @D", refused: "@D", "--force"),
        Expected("mkfs.famfs -f @D", says: lines[0], lines[1], lines[2], lines[3], lines[4]),
        Expected("mkfs.famfs -fv @D", says: "  log_len:           8388608\n"),
        Expected("mkfs.famfs --force --loglen 0x1000000 @D", says: "  log size (bytes):  16777216\n"),
        Expected("mkfs.famfs @D --for --log 8M", says: "  log size (bytes):  8388608\n"),
        Expected("mkfs.famfs -fl 3m -l 8388608 -- @D", says: lines[4]),
        Expected("mkfs.famfs -f --fuse --nofuse --nodax --set-daxmode --verbose @D", says: lines[4]),
        Expected("mkfs.famfs -f -a 4k @D", says: "  alloc_unit:        4096\n"),
        Expected("mkfs.famfs -kf @D"), Expected("famfs fsck @D", status: 2, refused: "@D", "mkfs.famfs"),
        Expected("mkfs.famfs -k @D"), Expected("mkfs.famfs @D", says: lines[4]),
      ])
    }
  }

  @Test("what mkfs refuses is left as it was")
  func makeRefused() throws {
    try withDevice { volume in
      let before = try volume.everything()
      var table = ["0", "3m", "4m", "9m", "32g"].map {
        Expected("mkfs.famfs -f -l \($0) @D", refused: "log of", "power of two")
      }
      for size in ["-1", "99999999999999999999", "1.5g", "''", "0x", "16777216t", "m", "8mm", "0x8g0"] {
        table.append(Expected("mkfs.famfs -f -l \(size) @D", refused: "--loglen", Self.noSize))
        table.append(Expected("mkfs.famfs -f -s \(size) @D", refused: "--size", Self.noSize))
      }
      table += [
        Expected("mkfs.famfs", refused: "name one device", "mkfs.famfs --help"),
        Expected("mkfs.famfs -f ''", refused: "empty path"),
        Expected("mkfs.famfs -f @D ''", refused: "empty path"),
        Expected("mkfs.famfs -f -a 8k @D", refused: "8192", "2m or 4k"),
        Expected("mkfs.famfs -f -l 64m @D", refused: "@D", "larger device"),
        Expected("mkfs.famfs -f -s 32m @D", refused: "@D", "67108864 bytes", "--size"),
        Expected("mkfs.famfs -f @D @D", refused: "@D"),
        Expected("mkfs.famfs -f @D @R/none", refused: "@R/none", "no such device"),
        Expected("mkfs.famfs --n @D", refused: "--n", "ambiguous"),
        Expected("mkfs.famfs --force=1 @D", refused: "--force", "no argument"),
        Expected("mkfs.famfs -l", refused: "-l", "needs an argument"),
        Expected("mkfs.famfs -s 0 @R/new", refused: "@R/new", "size 0"),
        Expected("mkfs.famfs -s 0x7fffffffffffffff @R/new", refused: "@R/new", "mapped"),
        Expected("mkfs.famfs -s 15m @R/new", refused: "@R/new", "15728640"),
        Expected("mkfs.famfs -s 16m @R/none/new", refused: "@R/none/new", "name another file"),
        Expected("mkfs.famfs -s 16m @R/loop", refused: "@R/loop", "name another file"),
        Expected("mkfs.famfs -s 16m @R/fifo", refused: "@R/fifo", "--size"),
      ]
      for (place, problem) in [
        ("@R/none", "check the name"), ("@R", "name a dax"), ("/dev/null", "name one such as"),
        ("@R/fifo", "name a dax"),
        ("@R/socket", "name a dax"), ("@R/loop", "check the name"), ("@R/small/x", "check the name"),
        ("@R/" + String(repeating: "x", count: 300), "check the name"), ("@R/empty", "--size"),
        ("@R/small", "larger device"),
      ] {
        table.append(Expected("mkfs.famfs -f \(place)", refused: place, problem))
      }
      try volume.expect(table)
      // Another host needs --force just as well.
      try volume.expect([Expected("mkfs.famfs @D", refused: "@D", "--force")], as: .client)
      try volume.expect(
        [Expected("mkfs.famfs -f @D", refused: "FAMFS_STRICT=2")], environment: ["FAMFS_STRICT": "2"])
      try volume.expect([Expected("mkfs.famfs -f @D", refused: "4 GiB")], environment: ["FAMFS_STRICT": "1"])
      #expect(try volume.everything() == before)
      #expect(access(volume.room.at("new"), F_OK) == -1)
    }
  }

  @Test("fsck and logplay read a device on any host, with every option")
  func read() throws {
    try withDevice { volume in
      let before = try volume.everything()
      for (host, role) in [(Host.master, "Owner"), (Host.client, "Client")] {
        try volume.expect(
          [
            Expected(
              "famfs fsck @D", says: "  role of this node: \(role)\n", "  Device capacity:        67108864\n",
              "  Bitmap capacity: ", "  Sum of file sizes:      0\n", "  Allocated bytes:        10485760\n",
              "  Free space:             56623104\n", "  Space amplification:", "  Percent used:",
              "  0 of 15420 entries used\n", "  0 bad log entries detected\n", "  0 files\n", "  0 directories\n"),
            Expected("famfs fsck -v @D", says: "  log_len:           8388608\n"),
            Expected(
              "famfs fsck -vvh @D", says: "Allocated space:        10.00M\n", "  Free space:             54.00M\n"),
            Expected("famfs fsck --human --verbose --force @D", says: "  Free space:             54.00M\n"),
            Expected("famfs fsck -B 2 @D", says: "bucket 0", "bucket 1"),
            Expected("famfs fsck --nbuckets=1024 @D", says: "bucket 1023"),
            Expected("famfs fsck -m @D", says: "Capacity"), Expected("famfs fsck -r @D", says: "Capacity"),
            Expected("famfs fsck -MLFD --fuse --nodax --nofuse --mmap @D", says: "Capacity"),
            Expected("famfs fsck -? @D", says: "Usage: famfs fsck"),
            Expected("famfs logplay @D", says: ": 0 log entries; 0 new files; 0 new directories\n"),
            Expected("famfs logplay -nvc @D", says: ": 0 log entries; 0 new files; 0 new directories\n"),
            Expected("famfs logplay --dryrun --client --mmap @D", says: "0 log entries"),
            Expected("famfs chkread -s @D", says: "  role of this node: \(role)\n"),
          ], as: host)
      }
      #expect(try volume.everything() == before)
    }
  }

  @Test("what fsck and logplay cannot read is named")
  func readRefused() throws {
    try withDevice { volume in
      var table = ["0", "1025", "-1", "x", "''", "99999999999999999999"].map {
        Expected("famfs fsck -B \($0) @D", refused: "--nbuckets", "1 to 1024")
      }
      for (place, problem) in [
        ("@R/none", "check the name"), ("@R", "name a dax"), ("/dev/null", "name one such as"),
        ("@R/fifo", "name a dax"),
        ("@R/socket", "name a dax"), ("@R/loop", "check the name"), ("@R/empty", "size 0"), ("@R/small", "mkfs.famfs"),
      ] {
        table.append(Expected("famfs fsck \(place)", status: 2, refused: place, problem))
        table.append(Expected("famfs logplay \(place)", refused: place))
      }
      table += [
        Expected("famfs fsck", refused: "name one device", "famfs fsck --help"),
        Expected("famfs fsck @D @D", refused: "name one device"), Expected("famfs fsck ''", refused: "empty path"),
        Expected("famfs fsck -mr @D", refused: "--mmap", "--read"),
        Expected("famfs fsck -n @D", refused: "--dry-run", "--repair"),
        Expected("famfs fsck --save @R/saved @D", refused: "--save", "--repair"),
        Expected("famfs logplay", refused: "famfs logplay --help"), Expected("famfs logplay ''", refused: "empty path"),
        Expected("famfs logplay -rm @D", refused: "--mmap", "--read"),
        Expected("famfs logplay -s @D", refused: "--shadow"), Expected("famfs logplay -d @D", refused: "--shadow"),
        Expected("famfs logplay -sS @R/none -d @D", refused: "@R/none", "root"),
        Expected("famfs logplay -S @R -S @R -d @D", refused: "--shadow", "once"),
        Expected("famfs mkmeta @D", refused: "@D", "famfs mount"), Expected("famfs umount @D", refused: "@D"),
        Expected("famfs status @D", refused: "@D"), Expected("famfs check @D", refused: "@D", "famfs mount"),
        Expected("famfs getmap @D", refused: "@D", "famfs mount"),
      ]
      try volume.expect(table)
    }
  }

  @Test("mount takes every option, short and long, and prints one line")
  func mount() throws {
    try withDevice { volume in
      for options in [
        "-f", "-v", "-u", "-p", "-r", "-m", "-D", "-M", "-L", "-S /none", "-t 0", "-t 1.5", "-c never", "-c auto",
        "-c always", "-fvrML --", "--fuse --verbose --cache=auto --timeout 1 --read",
        "--load-module --set-daxmode --shadow /none", "--nouseracc --nodefaultp --dum", "-t 1 -t 9", "--strict",
      ] {
        try volume.expect([
          Expected(
            "famfs mount \(options) @D @M", says: "@M: 0 log entries; 0 files; 0 directories; ", "master\n"),
          Expected("grep famfs /proc/mounts", says: "@D @M fuse.famfs "),
          Expected("famfs umount @M"),
        ])
        #expect(!volume.isMounted(), "\(options)")
      }
    }
  }

  @Test("a mount that is refused leaves nothing mounted")
  func mountRefused() throws {
    try withDevice { volume in
      var table = [("none", "make it with mkdir"), ("fifo", "directory"), ("loop", "another"), ("", "not empty")].map {
        Expected("famfs mount @D @R/\($0.0)", refused: "@R", $0.1)
      }
      for (place, problem) in [
        ("none", "check the name"), ("", "directory"), ("fifo", "name a dax"), ("socket", "name a dax"),
        ("loop", "check the name"), ("empty", "size 0"), ("small", "mkfs.famfs"),
      ] {
        table.append(Expected("famfs mount @R/\(place) @M", refused: "@R", problem))
      }
      for seconds in ["-1", "1.5g", "''", "nan", "inf"] {
        table.append(Expected("famfs mount -t \(seconds) @D @M", refused: "timeout", "seconds"))
      }
      table += [
        Expected("famfs mount @D", refused: "famfs mount --help"), Expected("famfs mount @D @M @C", refused: "--help"),
        Expected("famfs mount @D ''", refused: "empty path"), Expected("famfs mount '' @M", refused: "empty path"),
        Expected("famfs mount -c x @D @M", refused: "cache", "never"),
        Expected("famfs mount -rm @D @M", refused: "--mmap", "--read"),
        Expected("famfs mount -F @D @M", refused: "--nofuse", "FUSE"),
        Expected("famfs mount -R @D @M", refused: "@D is not mounted at @M"),
        Expected("famfs umount @M", refused: "@M"), Expected("famfs umount", refused: "famfs umount --help"),
        Expected("famfs umount ''", refused: "empty path"),
      ]
      try volume.expect(table)
      expectNothingRuns(in: volume.room)
    }
  }

  @Test(
    "whoever may not open the device is told so by every command", .enabled(if: Machine.usersCanRun, "needs setpriv"))
  func users() throws {
    try withDevice { volume in
      try retrying { chmod(volume.device, 0o600) }
      let remedy = "Permission denied; run as root"
      try volume.expect(
        [
          Expected("mkfs.famfs -f @D", refused: "@D", remedy), Expected("mkfs.famfs -kf @D", refused: "@D", remedy),
          Expected("famfs fsck @D", status: 2, refused: "@D", remedy),
          Expected("famfs fsck --repair @D", status: 2, refused: "@D", remedy),
          Expected("famfs logplay @D", refused: "@D", remedy), Expected("famfs mount @D @M", refused: "@D", remedy),
        ], nobody: true)
      try retrying { chmod(volume.device, 0o644) }
      try volume.expect(
        [
          Expected("famfs fsck @D", says: "Capacity"), Expected("famfs logplay @D", says: "0 log entries"),
          Expected("mkfs.famfs -f @D", refused: "@D", remedy),
        ], nobody: true)
    }
  }
}
