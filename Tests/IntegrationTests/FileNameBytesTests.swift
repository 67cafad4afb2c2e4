import Foundation
import Platform
import Testing

/// Names are bytes: commands take, make, show and remove those that are not UTF-8.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct FileNameBytesTests {
  /// Runs lines of bash in which $N is a name that is not UTF-8, $R the room, $M and $C the mounts.
  private func shell(_ volume: TestVolume, _ lines: String) throws -> Outcome {
    let script = """
      set -eu; PATH="\(Machine.programs):$PATH"; N=$(printf 'n\\351\\377'); R="$1"; M="$2"; C="$3"; D="$4"
      \(lines)
      """
    return try run(
      ["bash", "-c", script, "bash", volume.room.path, volume.master, volume.client, volume.device],
      environment: Host.master.environment)
  }

  @Test("files and directories are made, copied, committed, checked, shown and removed by such names")
  func all() throws {
    try withVolume(size: "128m", ["--reclaim"], client: true) { volume in
      try succeed(
        shell(
          volume,
          """
          mkdir -p "$R/tree/d$N"; echo one > "$R/tree/d$N/f$N"; echo two > "$R/tree/plain"
          printf three > "$R/tree/$(printf '\\364\\217\\277\\277')"
          printf four > "$R/tree/$(printf 'e\\314\\201')"; printf five > "$R/tree/$(printf '\\303\\251')"
          famfs cp "$R/tree/d$N/f$N" "$M/f$N"
          famfs cp -c "$R/tree/d$N/f$N" "$M/f$N"
          famfs cp -r "$R/tree" "$M/t$N"
          diff -r "$R/tree" "$M/t$N"
          cd "$M"; famfs mkdir -p "a$N/b$N"; cd /
          famfs creat -s 5000 -r -S 3 "$M/a$N/c$N"
          famfs creat -M "$M/m$N,5000,4"
          famfs verify -S 3 -f "$M/a$N/c$N"
          famfs verify -m "$M/m$N,4"
          echo staged > "$M/p$N"
          ! famfs getmap "$M/p$N" 2> /dev/null
          famfs commit "$M/p$N"
          famfs flush "$M/a$N/c$N"
          famfs chkread "$M/a$N/c$N" > /dev/null
          for k in $(seq 1800); do [ -e "$C/p$N" ] && break; sleep 0.1; done
          diff -r "$M/t$N" "$C/t$N"; cmp "$M/p$N" "$C/p$N"
          famfs check "$M" > /dev/null; famfs check "$C" > /dev/null; famfs fsck "$M" > /dev/null
          """))
      let map = try shell(volume, #"famfs getmap --json "$M/a$N/c$N"; famfs getmap "$C/p$N""#)
      #expect(map.status == 0 && map.stdout.contains(#"/an\\xe9\\xff/cn\\xe9\\xff","size":5000,"#), "\(map)")
      #expect(map.stdout.contains(#"/pn\xe9\xff"#), "\(map)")
      let told = try shell(volume, #"famfs cp -v "$R/tree/plain" "$M/v$N"; famfs check -v "$M""#)
      #expect(told.stdout.contains(#"famfs cp: 100%: \#(volume.master)/vn\xe9\xff"#), "\(told)")
      #expect(told.stdout.contains(#"tn\xe9\xff/dn\xe9\xff/fn\xe9\xff: good"#), "\(told)")
      let missing = try shell(volume, #"famfs getmap "$M/none$N""#)
      expectRefusal(missing, naming: [#"/nonen\xe9\xff"#])
      let shadowed = try shell(
        volume, #"mkdir -p "$R/s$N/root"; famfs logplay -Ss "$R/s$N" "$M"; [ -f "$R/s$N/root/t$N/d$N/f$N" ]"#)
      try succeed(shadowed)
      try succeed(shell(volume, #"famfs rm "$M/f$N"; famfs rm -r "$M/t$N" "$M/a$N" "$M/p$N"; [ ! -e "$M/t$N" ]"#))
      #expect(try run(["bash", "-c", "ls \"$0\" | wc -l", volume.master]).stdout == "2\n")
      try succeed(volume.famfs("fsck", volume.master))
    }
  }

  @Test("devices and mount points have such names, too")
  func mounts() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try succeed(
        shell(
          volume,
          """
          mkfs.famfs --size 32m "$R/dev$N" > /dev/null 2>&1
          mkdir "$R/mnt$N"
          famfs mount "$R/dev$N" "$R/mnt$N" > /dev/null
          trap 'famfs umount "$R/mnt$N"' EXIT
          famfs creat -s 5 "$R/mnt$N/x"
          famfs creat -s 5 "$R/mnt$N/x$N"
          [ $(stat -c %s "$R/mnt$N/x$N") = 5 ]
          famfs status "$R/mnt$N" | grep -qF '/mntn\\xe9\\xff'
          """))
      expectNothingRuns(in: room)
    }
  }
}
