import Foundation
import Glibc
import Platform
import Testing

/// The daemon's HTTP socket, asked by curl and by bytes that no curl sends.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct HttpTests {
  static let hasCurl = Machine.canMount && Machine.has("curl")

  /// Asks with curl; the status code follows the body.
  private func curl(_ volume: TestVolume, _ path: String, _ options: [String] = []) throws -> String {
    let socket = try volume.folder() + "/sock"
    let words = ["curl", "-sS", "--path-as-is", "-w", "%{http_code}", "--unix-socket", socket]
    return try run(words + options + ["http://d" + path]).stdout
  }

  @Test(
    "it tells the daemon's process, and refuses paths and methods that there are not",
    .enabled(if: hasCurl, "needs curl"))
  func paths() throws {
    try withVolume(size: "16m") { volume in
      let pid = "pid: \(try volume.daemon())\n200"
      #expect(try curl(volume, "/pid") == pid)
      #expect(try curl(volume, "/pid?x=1") == pid)
      for path in ["/", "/none", "/pid/", "//pid", "/../pid"] {
        #expect(try curl(volume, path).hasSuffix("\n404"), "\(path)")
      }
      for path in ["/pid", "/icache_stats", "/icache_dump"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "FROB"] {
          #expect(try curl(volume, path, ["-X", method]).hasSuffix("takes GET\n405"), "\(method) \(path)")
        }
      }
      #expect(try curl(volume, "/log_level", ["-X", "DELETE"]) == "/log_level takes GET, POST, PUT\n405")
      let socket = try volume.folder() + "/sock"
      #expect(try FileStatus(path: socket).permissions == 0o600)
    }
  }

  @Test("the log level is read and set from 0 to 7", .enabled(if: hasCurl, "needs curl"))
  func logLevel() throws {
    try withVolume(size: "16m") { volume in
      #expect(try curl(volume, "/log_level") == "5\n200")
      for (method, level) in [("POST", "0"), ("PUT", "7"), ("POST", " 3\n"), ("PUT", "6")] {
        let number = level.trimmingBlanks()
        #expect(try curl(volume, "/log_level", ["-X", method, "--data-binary", level]) == "\(number)\n200")
        #expect(try curl(volume, "/log_level") == "\(number)\n200")
      }
      for wrong in ["8", "-1", "", "x", "3 4", "99999999999999999999"] {
        #expect(try curl(volume, "/log_level", ["-X", "POST", "--data-binary", wrong]).hasSuffix("\n400"), "\(wrong)")
      }
      let long = try volume.room.file("long", [UInt8](repeating: 0x35, count: 100_000))
      #expect(try curl(volume, "/log_level", ["-X", "PUT", "--data-binary", "@" + long]).hasSuffix("\n413"))
      #expect(try curl(volume, "/log_level") == "6\n200")
    }
  }

  @Test("look-ups are counted", .enabled(if: hasCurl, "needs curl"))
  func counts() throws {
    try withVolume(size: "32m") { volume in
      try volume.add("file", count: 10)
      func counts() throws -> [String: Int] {
        let lines = try curl(volume, "/icache_stats").split(separator: "\n").dropLast()
        return try Dictionary(
          uniqueKeysWithValues: lines.map { line in
            let parts = line.split(separator: " ")
            return (String(parts[0]), try #require(Int(parts[1])))
          })
      }
      let before = try counts()
      #expect(before.keys.sorted() == ["nodes_scanned:", "search_count:", "search_fail_ct:"])
      for number in 0..<10 { #expect(access(volume.master + "/none\(number)", F_OK) == -1) }
      let after = try counts()
      func grown(_ name: String) -> Int { (after[name] ?? 0) - (before[name] ?? 0) }
      #expect(grown("search_fail_ct:") >= 10 && grown("search_count:") >= grown("search_fail_ct:"))
      #expect(grown("nodes_scanned:") == grown("search_count:") - grown("search_fail_ct:"))
    }
  }

  @Test("ls -l asks for ACLs and labels once, and not for each file", .enabled(if: hasCurl, "needs curl"))
  func listingWithAttributes() throws {
    try withVolume(["--alloc-unit", "4k"], mounting: ["--commit", "600"]) { volume in
      for number in 0..<40 { try write([1], to: volume.master + "/f\(number)") }
      func asked() throws -> Int {
        let prefix = "famfs_requests_total{opcode=\"getxattr\"} "
        let line = try curl(volume, "/metrics").split(separator: "\n").first { $0.hasPrefix(prefix) }
        return try #require(line.map { Int($0.dropFirst(prefix.count)) } ?? 0)
      }
      let before = try asked()
      for _ in 0..<3 { #expect(try run(["ls", "-l", volume.master]).stdout.contains("f39")) }
      // Two for each run, and one for each time that the socket's folder is asked for.
      #expect(try asked() - before <= 10)
    }
  }

  @Test("the dump lists every node, also of a full log", .enabled(if: hasCurl, "needs curl"))
  func dump() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      let media = Media(volume.device)
      try media.fillLog(Media.capacity)
      for index in 1000..<1200 { try media.flip(Media.entry(index) + 30) }  // bad ones in a row
      try volume.mount()
      let lines = try curl(volume, "/icache_dump").split(separator: "\n")
      #expect(lines.prefix(2) == ["---", "nodes:"])
      #expect(lines.last == "200")
      #expect(lines.count { $0.hasPrefix("- ino: ") } == Media.capacity - 200 + 4)
      #expect(lines.contains("  path: d\(Media.capacity - 1)") && !lines.contains("  path: d1100"))
      try volume.unmount()
    }
  }

  @Test("garbage, long headers, slow and idle clients, and those that never read keep nobody else out")
  func rudeClients() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      try Media(volume.device).fillLog(Media.capacity)
      try volume.mount()
      let path = try volume.folder() + "/sock"
      let daemon = try volume.daemon()
      func isServed() throws -> Bool {
        try Talk(path).ask("GET /pid HTTP/1.0\r\n\r\n").hasSuffix("\r\n\r\npid: \(daemon)\n")
      }
      let garbage = String(decoding: contents(20_000).map { $0 & 0x7f }, as: UTF8.self)
      for words in [
        garbage, "\r\n\r\n", "GET\r\n\r\n", "GET /pid\r\n\r\n", "GET /pid HTTP/9.9\r\n\r\n",
        "GET /\(String(repeating: "a", count: 100_000)) HTTP/1.1\r\n\r\n",
        "GET /pid HTTP/1.1\r\nHost: d\r\nX: \(String(repeating: "b", count: 1_000_000))\r\n\r\n",
        "POST /log_level HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999999999999999\r\n\r\n3",
        "POST /log_level HTTP/1.1\r\nHost: d\r\nContent-Length: -5\r\n\r\n3",
        "POST /log_level HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n3",
      ] {
        let answer = try Talk(path).ask(words)
        #expect(!answer.hasPrefix("HTTP/1.1 200") || words.hasPrefix("GET /pid"), "\(words.prefix(60)): \(answer)")
        #expect(try isServed(), "\(words.prefix(60))")
      }
      // Slow ones, idle ones, and readers of a long answer who do not read.
      var rude: [Talk] = []
      for number in 0..<100 {
        let talk = try Talk(path)
        switch number % 3 {
        case 0: talk.say("GET /p")
        case 1: break
        default: talk.say("GET /icache_dump HTTP/1.1\r\nHost: d\r\n\r\n")
        }
        rude.append(talk)
      }
      #expect(try isServed())
      for (number, talk) in rude.enumerated() where number % 3 == 0 { talk.say("id HTTP/1.0\r\n\r\n") }
      try volume.famfs("status", volume.master)
      rude = []
      #expect(try isServed())
      #expect(Machine.isRunning(daemon))
      try volume.unmount()
    }
  }

  @Test("without the library the daemon serves all but the socket, and says so")
  func noLibrary() throws {
    let list = try run(["sh", "-c", "ldconfig -p | sed -n 's/.*libmicrohttpd.so.12 .*=> //p'"]).stdout.trimmingBlanks()
    let library = try #require(list.split(separator: "\n").first.map(String.init), "there is no libmicrohttpd")
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make(size: "16m")
      let empty = try room.file("empty", [])
      let script = """
        set -e
        mount --bind \(empty) \(library)
        famfs_fused -d --daxdev \(volume.device) \(volume.master) 2> \(room.at("log")) &
        for i in $(seq 1 3600); do grep -q 'log entries' \(room.at("log")) && break; sleep 0.05; done
        famfs status \(volume.master)
        ls $(getfattr --only-values -n user.famfs.shadow \(volume.master))
        famfs umount \(volume.master)
        """
      let path = Machine.programs + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
      let outcome = try run(
        ["unshare", "--mount", "sh", "-c", script],
        environment: Host.master.environment.merging(["PATH": path]) { $1 })
      try succeed(outcome)
      #expect(outcome.stdout.contains("role:        master") && outcome.stdout.hasSuffix("\ncontrol\n"), "\(outcome)")
      let log = try String(contentsOfFile: room.at("log"), encoding: .utf8)
      #expect(log.split(separator: "\n").count { $0.contains("libmicrohttpd.so.12 is not installed") } == 1, "\(log)")
    }
  }
}

/// A connection to a stream socket.
private final class Talk {
  private let file: FileDescriptor

  init(_ path: String) throws {
    file = FileDescriptor(owning: try retrying { socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0) })
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let descriptor = file.rawValue
    try withUnsafePointer(to: &address) { pointer in
      try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        _ = try retrying { connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_un>.size)) }
      }
    }
  }

  /// Sends as much as the other end takes; it may have closed already.
  func say(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(file.rawValue, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count <= 0 { return }
      rest = rest.dropFirst(count)
    }
  }

  /// Sends, says that no more will come, and takes all that is answered.
  func ask(_ text: String) -> String {
    say(text)
    shutdown(file.rawValue, Int32(SHUT_WR))
    var answer: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(file.rawValue, &piece, piece.count)
      if count <= 0 { return String(decoding: answer, as: UTF8.self) }
      answer += piece[..<count]
    }
  }
}
