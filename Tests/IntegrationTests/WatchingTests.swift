import Foundation
import Platform
import Testing

/// /status, /metrics and famfs top, on real mounts.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct WatchingTests {
  private func curl(_ volume: TestVolume, _ path: String) throws -> String {
    let outcome = try run(["curl", "-sS", "-f", "--unix-socket", volume.folder() + "/sock", "http://d" + path])
    try succeed(outcome)
    return outcome.stdout
  }

  /// Reads Prometheus' text format and complains about all that a server would refuse.
  private func samples(_ text: String) throws -> [String: Double] {
    var (types, values): ([String: String], [String: Double]) = ([:], [:])
    let line = try Regex(
      #"^([a-z_]+)(\{[a-z_]+="(?:[^"\\]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\]|\\["\\n])*")*\})? ([0-9.]+)$"#)
    #expect(text.hasSuffix("\n"))
    for row in text.split(separator: "\n") {
      let words = row.split(separator: " ", maxSplits: 3).map(String.init)
      if words[0] == "#" {
        if words[1] == "TYPE" { #expect(types.updateValue(words[3], forKey: words[2]) == nil, "\(row)") }
        continue
      }
      let match = try #require(try line.wholeMatch(in: String(row)), "\(row)")
      let name = String(match[1].substring ?? "")
      let family =
        ["_bucket", "_sum", "_count"].map { name.hasSuffix($0) ? String(name.dropLast($0.count)) : name }
        .first { types[$0] == "histogram" } ?? name
      #expect(types[family] != nil, "\(row)")
      let value = try #require(Double(match[3].substring ?? ""))
      #expect(values.updateValue(value, forKey: name + (match[2].substring ?? "")) == nil, "twice: \(row)")
    }
    return values
  }

  @Test("metrics are what Prometheus reads, and count what was done", .enabled(if: HttpTests.hasCurl, "needs curl"))
  func metrics() throws {
    try withVolume(client: true) { volume in
      let bytes = try volume.add("file", count: 300_000)
      #expect(areSame(try Reading.read.contents(of: volume.master + "/file"), bytes))
      #expect(access(volume.master + "/none", F_OK) == -1)
      let name = "famfs_request_duration_seconds"
      var values: [String: Double] = [:]
      // A reply arrives a moment before it is counted.
      let isCounted = try seconds(until: {
        values = try samples(curl(volume, "/metrics"))
        return values["famfs_read_bytes_total", default: 0] >= 300_000
          && values[name + #"_count{opcode="lookup"}"#] == values[#"famfs_requests_total{opcode="lookup"}"#]
      })
      #expect(isCounted != nil, "\(values)")
      #expect(values[#"famfs_request_errors_total{opcode="lookup"}"#, default: 0] >= 1)
      #expect(values["famfs_master"] == 1 && values["famfs_log_entries"] == 1 && values["famfs_files"] == 1)
      #expect(values["famfs_file_bytes"] == 300_000 && values["famfs_log_capacity_entries"] == 15_420)
      #expect(values.filter { $0.key.hasPrefix("famfs_device_size_bytes{") }.map(\.value) == [67_108_864])
      for opcode in ["lookup", "read"] {
        let buckets = values.filter { $0.key.hasPrefix(name + #"_bucket{opcode="\#(opcode)","#) }
        #expect(buckets.count == 25)
        #expect(
          buckets[name + #"_bucket{opcode="\#(opcode)",le="+Inf"}"#] == values[name + #"_count{opcode="\#(opcode)"}"#])
        #expect(values[name + #"_sum{opcode="\#(opcode)"}"#, default: 0] > 0)
      }
      let sees = try seconds(until: { try samples(curl(volume, "/metrics"))["famfs_peers_alive"] == 2 })
      #expect(sees != nil)
    }
  }

  @Test("status is that of famfs status --json, and more", .enabled(if: HttpTests.hasCurl, "needs curl"))
  func status() throws {
    try withVolume(mounting: ["--commit", "600"]) { volume in
      try volume.add("file", count: 1000)
      try write(contents(5000), to: volume.master + "/staged")
      let text = try curl(volume, "/status")
      let status = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
      let command = try volume.famfs("status", "--json", volume.master).stdout
      let all = try #require(try JSONSerialization.jsonObject(with: Data(command.utf8)) as? [String: Any])
      let mount = try #require((all["mounts"] as? [[String: Any]])?.first)
      #expect(Set(mount.keys).isSubset(of: status.keys))
      for key in ["device", "mount_point", "volume_uuid", "role"] {
        #expect(status[key] as? String == mount[key] as? String, "\(key)")
      }
      #expect(status["daemon_pid"] as? Int == Int(try volume.daemon()))
      let staged = try #require(status["staged"] as? [String: Int])
      #expect(staged == ["files": 1, "directories": 0, "bytes": 5000])
      #expect((status["problems"] as? [Any])?.isEmpty == true && status["header_problem"] is NSNull)
    }
  }

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
