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
    // It waits by itself: a `sleep` of its own would outlive it.
    let guardian = try Child(["bash", "-c", "exec 3<> <(:); read -t 1200 -u 3; kill -CONT \(daemon)"])
    defer {
      kill(daemon, SIGCONT)
      guardian.send(SIGKILL)
    }
    // One of its threads may be answering something still.
    try Machine.stop(daemon)
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

  @Test("commands that only ask for a mount's daemon send the mount itself no request, and end")
  func untouched() throws {
    try withTwo { silent, other in
      let control = silent.room.directory("control")
      if try run(["mount", "-t", "fusectl", "none", control]).status != 0 { try Test.cancel("no fusectl here") }
      let mount = try #require(Mount.top(at: silent.master))
      let waiting = "\(control)/\(mount.device.minor)/waiting"
      let link = try silent.room.link("link", to: silent.master)
      try withStopped(silent) {
        try #require(firstLine(of: waiting) == "0")
        let inside = silent.master + "/some/file"
        for words in [
          ["status"], ["status", silent.master], ["status", inside], ["status", link + "/../master/a"],
          ["status", silent.device], ["top", "-n", "1"], ["top", "-n", "1", inside], ["umount", silent.master],
          ["umount", silent.device], ["umount", inside], ["fsck", silent.master], ["fsck", silent.device],
          ["takeover", inside], ["publish", silent.master], ["devadd", silent.master, other.device],
          ["check", silent.master], ["cp", other.device, inside], ["getmap", inside], ["logplay", silent.master],
        ] {
          let child = try Child(["famfs"] + words, environment: Host.master.environment)
          var requests: Set<String> = []
          // What a process asked is taken back when it is killed, so look while it runs.
          let hasEnded = seconds(
            until: {
              requests.insert(firstLine(of: waiting) ?? "none")
              return !Machine.isRunning(child.pid)
            })
          #expect(hasEnded != nil, "\(words)")
          let outcome = try child.wait()
          #expect(requests == ["0"], "\(words): \(outcome)")
          if words[0] != "status" && words[0] != "top" { #expect(outcome.status != 0, "\(words): \(outcome)") }
          #expect(!outcome.stderr.contains("-KILL") || outcome.stderr.contains("is stopped"), "\(outcome)")
        }
      }
      try retrying { umount2(control, 0) }
      #expect(silent.isMounted())
    }
  }

  @Test("what ends a daemon is advised only where a signal has stopped it")
  func advice() throws {
    try withVolume { volume in
      try withStopped(volume) {
        let daemon = Machine.daemons(in: volume.room.path).first ?? 0
        let outcome = try volume.famfs("status", volume.master)
        let words = "process \(daemon) is stopped: let it go on with kill -CONT \(daemon)"
        #expect(outcome.stdout.contains(words), "\(outcome)")
      }
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
