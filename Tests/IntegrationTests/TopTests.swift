import Foundation
import Platform
import Testing

/// famfs top.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct TopTests {
  @Test("top looks for as long as it is let: looks leave no thread behind")
  func topGoesOn() throws {
    try withVolume { volume in
      // Stacks of 256 MiB: a dozen that stay behind are more than the process may have.
      let outcome = try run([
        "bash", "-c",
        "ulimit -s 262144 && ulimit -v 4194304 && exec \(Machine.program("famfs")) top --json -n 40 -d 0.1 \(volume.master)",
      ])
      try succeed(outcome)
      let lines = outcome.stdout.split(separator: "\n")
      #expect(lines.count == 40)
      for line in lines { #expect(line.contains("\"trouble\":null"), "\(line)") }
    }
  }

  @Test("top prints blocks and lines of JSON into a pipe, and tells when the mount ends")
  func topInPipe() throws {
    try withVolume { volume in
      try volume.add("file", count: 1000)
      let text = try volume.famfs("top", "-n", "2", "-d", "0.1", volume.master)
      try succeed(text)
      #expect(text.stdout.components(separatedBy: "\(volume.device) on \(volume.master): master, up ").count == 3)
      #expect(text.stdout.contains("(since the mount began)") && text.stdout.contains("\n  lookup "), "\(text)")
      #expect(!text.stdout.contains("\u{1b}"))
      let lines = try volume.famfs("top", "--json", "-n", "2", "-d", "0.1", volume.device).stdout.split(separator: "\n")
      #expect(lines.count == 2)
      for line in lines {
        let look = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let mount = try #require((look["mounts"] as? [[String: Any]])?.first)
        #expect(mount["mount_point"] as? String == volume.master && mount["files"] as? Int == 1)
      }
      for wrong in [["-d", "0"], ["-d", "x"], ["-n", "0"], [volume.room.path]] {
        let outcome = try run(["famfs", "top"] + wrong, environment: Host.master.environment)
        expectRefusal(outcome, naming: ["famfs top"])
      }
      let printed = volume.room.at("printed")
      let top = try Child([
        "sh", "-c", "exec \(Machine.program("famfs")) top -n 1000 -d 0.1 \(volume.master) > \(printed)",
      ])
      try #require(seconds(until: { (try? FileStatus(path: printed).size) ?? 0 > 0 }) != nil)
      try volume.unmount()
      let isTold: () -> Bool = {
        (try? String(contentsOfFile: printed, encoding: .utf8))?.contains("\(volume.master) is not mounted any more")
          ?? false
      }
      #expect(seconds(until: isTold) != nil)
      top.send(SIGTERM)
      _ = try top.wait()
    }
  }

  @Test("on a terminal q, ^C and signals end top, and the terminal is as before", .enabled(if: Machine.hasPython))
  func topOnTerminal() throws {
    try withVolume { volume in
      let script = """
        import os, pty, select, signal, sys, termios, time
        how = sys.argv[1]
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            import fcntl
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for n in (0, 1, 2): os.dup2(slave, n)
            os.execv(sys.argv[2], ['famfs', 'top', '-d', '0.1', sys.argv[3]])
        out, acted, end = b'', False, time.time() + 600
        while time.time() < end:
            if select.select([master], [], [], 0.05)[0]: out += os.read(master, 65536)
            if not acted and b'since the mount' in out:
                acted = True
                assert not termios.tcgetattr(slave)[3] & termios.ICANON
                if how == 'q': os.write(master, b'q')
                elif how == 'c': os.write(master, bytes([3]))
                else: os.kill(pid, signal.SIGTERM)
            if acted:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done: break
        else: sys.exit('it did not end: %r' % out[-300:])
        while select.select([master], [], [], 0)[0]: out += os.read(master, 65536)
        assert termios.tcgetattr(slave) == before
        assert out.startswith(b'\\x1b[?1049h') and out.endswith(b'\\x1b[?1049l'), out[-100:]
        assert status == {'q': 0, 'c': signal.SIGINT, 't': signal.SIGTERM}[how], status
        """
      for how in ["q", "c", "t"] {
        try succeed(run(["python3", "-c", script, how, Machine.program("famfs"), volume.master]))
      }
    }
  }
}
