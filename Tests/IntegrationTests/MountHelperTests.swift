import Foundation
import Platform
import Testing

/// mount(8), fstab(5) and umount(8), through mount.famfs; and the mount options of the daemon.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct MountHelperTests {
  /// Runs a script where mount(8) finds mount.famfs: in a mount namespace of its own, with an /sbin of its own. `$D` is
  /// the device, `$M` a mount point.
  private func script(_ volume: TestVolume, _ lines: String) throws -> Outcome {
    let sbin = volume.room.directory("sbin")
    let helper = sbin + "/mount.famfs"
    if failure({ access(helper, F_OK) }) != nil {
      try retrying { symlink(Machine.program("mount.famfs"), helper) }
    }
    let setup = """
      mount --bind '\(sbin)' "$(realpath /sbin)"
      cd '\(volume.room.path)'
      trap 'umount -lq $M || :' EXIT

      """
    let environment = Host.master.environment.merging(["D": volume.device, "M": volume.master]) { $1 }
    return try run(["unshare", "-m", "bash", "-ec", setup + lines], environment: environment)
  }

  private func withUnmounted(_ body: (TestVolume) throws -> Void) throws {
    try withVolume(size: "16m") { volume in
      try volume.unmount()
      try body(volume)
    }
  }

  @Test("mount -t famfs mounts without a word, and umount unmounts")
  func byHand() throws {
    try withUnmounted { volume in
      let outcome = try script(
        volume,
        """
        mount -t famfs $D $M
        grep -q "^$D $M fuse.famfs rw,nosuid,nodev" /proc/mounts
        umount $M
        ! grep -q $M /proc/mounts
        mount -v -t famfs -o cache=never,timeout=1,noatime $D $M >&2
        """)
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.stdout == "")
      #expect(outcome.stderr.hasPrefix("mount.famfs: \(volume.master): 0 log entries; "))
    }
  }

  @Test("mount -a and mount MOUNTPOINT heed a line of fstab")
  func table() throws {
    try withUnmounted { volume in
      let options = "defaults,nofail,_netdev,auto,user,exec,x-systemd.device-timeout=5,comment=x,cache=always,dummy"
      try volume.room.file("fstab", Array("\(volume.device) \(volume.master) famfs \(options) 0 0\n".utf8))
      let outcome = try script(
        volume,
        """
        mount -a -T fstab
        grep "^$D $M fuse.famfs " /proc/mounts
        mount -a -T fstab  # it is there already
        umount $M
        mount -T fstab $M
        grep -c "^$D $M fuse.famfs " /proc/mounts
        umount $D
        """)
      #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
      #expect(outcome.stdout.hasSuffix("\n1\n"))
      #expect(!outcome.stdout.contains("noexec"))
    }
  }

  @Test("a line of fstab with noauto and user is mounted by hand alone, -f mounts nothing, and -i remounts")
  func noauto() throws {
    try withUnmounted { volume in
      let options = "noauto,user,ro,_netdev,x-systemd.automount,x-systemd.requires=network.target,nofail"
      try volume.room.file("fstab", Array("\(volume.device) \(volume.master) famfs \(options) 0 0\n".utf8))
      let outcome = try script(
        volume,
        """
        mount -a -T fstab
        ! grep -q " $M fuse.famfs " /proc/mounts
        mount -f -T fstab $M
        ! grep -q " $M fuse.famfs " /proc/mounts
        mount -n -s -o frobnicate -T fstab $M
        grep -q " $M fuse.famfs ro," /proc/mounts
        mount -i -o remount,rw $M
        grep -q " $M fuse.famfs rw," /proc/mounts
        mount -i -o remount,ro $M
        mkdir $M/new 2>&1 | grep -o Read-only.*
        """)
      #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
      #expect(outcome.stdout == "Read-only file system\n")
    }
  }

  @Test("a mount with ro is read-only to everybody, one with noexec runs nothing")
  func readOnly() throws {
    try withUnmounted { volume in
      let bin = Machine.programs
      let outcome = try script(
        volume,
        """
        mount -t famfs $D $M
        '\(bin)/famfs' cp /bin/true $M/program
        $M/program
        umount $M
        mount -t famfs -o ro,noexec $D $M
        grep -q "^$D $M fuse.famfs ro,nosuid,nodev,noexec," /proc/mounts
        cmp /bin/true $M/program
        $M/program 2>/dev/null || echo noexec
        dd if=/dev/zero of=$M/program count=1 conv=notrunc status=none 2>&1 | grep -o Read-only.*
        '\(bin)/famfs' mkdir $M/new 2>&1 || true
        '\(bin)/famfs' cp /bin/true $M/new 2>&1 || true
        """)
      #expect(outcome.status == 0 && outcome.stderr == "", "\(outcome)")
      let lines = outcome.stdout.split(separator: "\n")
      #expect(lines.prefix(2) == ["noexec", "Read-only file system"])
      #expect(lines.count == 4 && lines.dropFirst(2).allSatisfy { $0.contains("is mounted read-only") })
    }
  }

  @Test("unknown and malformed mount options are refused with status 1, unknown ones not when sloppy")
  func options() throws {
    try withUnmounted { volume in
      let operands = [volume.device, volume.master]
      for (list, words) in [
        ("frobnicate", ["'frobnicate'"]), ("rw,frob=1", ["'frob=1'"]), ("cache", ["cache needs a value"]),
        ("cache=", ["cache needs a value"]), ("dummy=1", ["'dummy=1'"]), ("suid", ["'suid'", "leave it out"]),
        ("dev", ["'dev'", "leave it out"]), ("remount,ro", ["'remount'", "unmount", "famfs mount --remount"]),
        ("source=x", ["source"]),
      ] {
        expectRefusal(try run(["mount.famfs"] + operands + ["-o", list]), naming: words + ["mount.famfs --help"])
      }
      let sloppy = ["-s", "-o", "frobnicate,frob=1", "-o", "ro,rw,cache=never"]
      try succeed(run(["mount.famfs"] + operands + sloppy, environment: Host.master.environment))
      #expect(volume.isMounted())
      #expect(try run(["grep", volume.device, "/proc/mounts"]).stdout.contains(" rw,"))
      expectRefusal(try run(["mount.famfs"] + operands), naming: [volume.master, "already"], status: 32)
    }
  }

  @Test("what cannot be mounted gives status 32, and mount -f mounts nothing")
  func failures() throws {
    try withUnmounted { volume in
      expectRefusal(try run(["mount.famfs", volume.room.at("none"), volume.master]), naming: ["none"], status: 32)
      expectRefusal(try run(["mount.famfs", volume.device, volume.room.at("none")]), naming: ["none"], status: 32)
      let badValue = ["mount.famfs", volume.device, volume.master, "-o", "cache=sometimes"]
      expectRefusal(try run(badValue), naming: ["sometimes", "never"], status: 32)
      try succeed(run(["mount.famfs", "-fnv", volume.device, volume.master]))
      #expect(!volume.isMounted())
    }
  }

  @Test("famfs_fused takes a source and a device as mount options")
  func daemonOptions() throws {
    try withUnmounted { volume in
      let (device, room) = (volume.device, volume.room.path)
      for list in ["source=\(room),shadow=\(room),daxdev=\(device),timeout=1,cache=never", "source=\(device)"] {
        let daemon = try Child(["famfs_fused", "-o", list, volume.master], environment: Host.master.environment)
        #expect(seconds(until: { volume.isMounted() && access(volume.master + "/.meta", F_OK) == 0 }) != nil)
        try volume.unmount()
        #expect(try daemon.wait().status == 0)
      }
    }
  }

  @Test("famfs_fused refuses to go without a source, or a mount point that is a directory")
  func daemonRefusals() throws {
    try withUnmounted { volume in
      let source = "source=" + volume.device
      let file = try volume.room.file("file", [1])
      for (words, expected) in [
        (["-o", source], ["mount point"]), ([volume.master], ["source"]),
        (["-o", "daxdev=" + volume.device, volume.master], ["source"]),
        (["-o", source, volume.room.at("none")], ["none", "mkdir"]), (["-o", source, file], [file, "directory"]),
        (["-o", "source=" + volume.room.path, volume.master], ["is a directory"]),
        (["-o", source + ",frob", volume.master], ["'frob'"]),
      ] {
        expectRefusal(try run(["famfs_fused"] + words, environment: Host.master.environment), naming: expected)
      }
    }
  }
}
