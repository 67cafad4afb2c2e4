import Foundation
import Platform
import Testing

/// A daemon that does not answer keeps nobody waiting who asks about something else.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct SilentDaemonTests {
  /// Stops a volume's daemon meanwhile. Whoever touches the mount then waits, so it goes on whatever happens, also when this
  /// process is killed: another one sees to it. Nothing may be open on the mount.
  private func withStopped(_ volume: TestVolume, _ body: () throws -> Void) throws {
    let daemon = try volume.daemon()
    let guardian = try Child(["sh", "-c", "sleep 300; kill -CONT \(daemon)"])
    defer {
      kill(daemon, SIGCONT)
      guardian.send(SIGKILL)
    }
    kill(daemon, SIGSTOP)
    try body()
  }

  private func withTwo(_ body: (_ silent: TestVolume, _ other: TestVolume) throws -> Void) throws {
    try withVolume { silent in try withVolume { other in try body(silent, other) } }
  }

  @Test("status lists all mounts, and says of the silent one that it is unreachable")
  func status() throws {
    try withTwo { silent, other in
      try withStopped(silent) {
        let line = "\(silent.device) on \(silent.master)\n  unreachable: its daemon does not answer; "
        var text = Outcome(status: -1, stdout: "", stderr: "")
        // A daemon that gets no processor for long looks the same.
        let isShown = try seconds(until: {
          text = try silent.famfs("status")
          #expect(text.status == 0 && text.stdout.contains(line), "\(text)")
          return text.stdout.contains("\(other.device) on \(other.master)\n  role:        master\n")
        })
        #expect(isShown != nil, "\(text)")
        // By a name in it, which nobody can look up.
        let inside = try silent.famfs("status", "--json", silent.master + "/some/file")
        #expect(inside.status == 0)
        #expect(inside.stdout.contains("\"state\":\"unreachable\",\"trouble\":\"its daemon does not"), "\(inside)")
      }
      let serves = try seconds(until: { try silent.famfs("status", silent.master).stdout.contains("  role:   ") })
      #expect(serves != nil)
    }
  }

  @Test("top shows the others, time after time, and the silent one when it goes on")
  func top() throws {
    try withTwo { silent, other in
      let sees = { (text: String, words: String) in text.contains("\(silent.master)\(words)") }
      try withStopped(silent) {
        // A daemon that gets no processor for long looks the same.
        let isShown = try seconds(until: {
          let text = try silent.famfs("top", "-d", "0.1", "-n", "5", silent.master, other.master)
          #expect(text.status == 0 && sees(text.stdout, ": its daemon does not answer; "), "\(text)")
          #expect(!sees(text.stdout, ": master"), "\(text)")
          return text.stdout.contains("\(other.device) on \(other.master): master")
        })
        #expect(isShown != nil)
      }
      let serves = try seconds(until: { sees(try silent.famfs("top", "-n", "1", silent.master).stdout, ": master") })
      #expect(serves != nil)
    }
  }

  @Test("other devices are made, mounted, checked and unmounted")
  func others() throws {
    try withTwo { silent, other in
      try withStopped(silent) {
        try other.unmount()
        try succeed(other.famfs("fsck", other.device))
        try succeed(run(["mkfs.famfs", "--force", other.device], environment: Host.master.environment))
        expectRefusal(
          try other.famfs("mount", other.device, silent.master), naming: [silent.device, "does not answer", "unmount"])
        try other.mount()
        try succeed(other.famfs("mkdir", other.master + "/d"))
        #expect(access(other.master + "/d", F_OK) == 0)
      }
    }
  }

  @Test("umount of the silent one says what to do, and --lazy detaches it")
  func unmount() throws {
    try withVolume { volume in
      try withStopped(volume) {
        for operand in [volume.master, volume.device] {
          expectRefusal(try volume.famfs("umount", operand), naming: [volume.master, "kill -CONT", "--lazy"])
          #expect(volume.isMounted())
        }
        try succeed(volume.famfs("umount", "--lazy", volume.master))
        #expect(!volume.isMounted())
      }
      expectNothingRuns(in: volume.room)
      try volume.mount()
    }
  }
}
