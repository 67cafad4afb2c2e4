import Foundation
import Platform
import Testing

/// /status and /metrics of the HTTP socket.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct MetricsTests {
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
}
