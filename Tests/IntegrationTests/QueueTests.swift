import Foundation
import Platform
import Testing

/// pcq in a plain directory: everything but the two mounts.
@Suite(.timeLimit(.minutes(15)))
struct PlainQueueTests {
  private func pcq(_ words: String..., environment: [String: String] = [:]) throws -> Outcome {
    try run(["pcq"] + words, environment: environment)
  }

  /// Lends a queue of 16 buckets of 128 bytes.
  private func withQueue(_ body: (Room, String) throws -> Void) throws {
    try withRoom { room in
      let queue = room.at("q")
      try succeed(pcq("--create", "--bsize", "128", "--nbuckets", "16", queue))
      try body(room, queue)
    }
  }

  private func text(_ path: String) throws -> String { String(decoding: try read(path), as: UTF8.self) }

  /// A line of --info.
  private func info(_ queue: String, _ key: String) throws -> String? {
    let outcome = try pcq("--info", queue)
    try succeed(outcome)
    let lines = outcome.stdout.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    return lines.first { $0.hasPrefix(key + ":") }?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces)
  }

  // MARK: Making and looking

  @Test("create makes two files of the right sizes with these words, and info shows them")
  func create() throws {
    try withRoom { room in
      let queue = room.at("q")
      let outcome = try pcq("-C", "-b", "4k", "-n", "0x40", queue)
      try succeed(outcome)
      #expect(outcome.stdout == "" && outcome.stderr == "")
      let (producer, consumer) = (try read(queue), try read(queue + ".consumer"))
      #expect(producer.count == 2 << 20 + 64 * 4096)
      #expect(consumer.count == 2 << 20)
      // Their space is taken, for a store into memory that is not to be had would end the process.
      for (file, size) in [(queue, producer.count), (queue + ".consumer", consumer.count)] {
        let blocks = try run(["stat", "-c", "%b", file]).stdout.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(try #require(Int(blocks)) * 512 >= size)
      }
      let word: ([UInt8], Int) -> UInt64 = { bytes, place in
        (0..<8).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
      }
      for (place, value) in [
        (0, 0xBEEBEE3), (8, 64), (16, 4096), (24, 2 << 20), (32, 0), (1064, 0), (1072, producer.count),
      ] {
        #expect(word(producer, place) == UInt64(value), "at \(place)")
      }
      for (place, value) in [(0, 0xBEEBEE4), (8, 0), (1_048_592, 0), (1_048_600, 2 << 20)] {
        #expect(word(consumer, place) == UInt64(value), "at \(place)")
      }
      #expect(try info(queue, "bucket size") == "4096")
      #expect(try info(queue, "buckets") == "64")
      #expect(try info(queue, "message size") == "4080")
      #expect(try info(queue, "waiting") == "0")
    }
  }

  @Test(
    "create says what it made with -v, and gives it to a user and a group, by name or number",
    .enabled(if: geteuid() == 0, "needs root"))
  func owner() throws {
    try withRoom { room in
      for (name, user, group, ids) in [("a", "nobody", "12", "65534 12"), ("b", "34", "root", "34 0")] {
        let outcome = try pcq("-Cv", "-b64", "-n2", "-u", user, "-g", group, room.at(name))
        try succeed(outcome)
        #expect(outcome.stdout.contains(room.at(name)))
        for file in [name, name + ".consumer"] {
          #expect(try run(["stat", "-c", "%u %g %a", room.at(file)]).stdout == ids + " 644\n")
        }
      }
    }
  }

  @Test("help is printed with status 0", arguments: ["-h", "-?", "--help"])
  func help(option: String) throws {
    let outcome = try pcq(option)
    #expect(outcome.status == 0 && outcome.stderr == "")
    for word in ["pcq", "--create", "--setperm", "--statusfile", "--nowait"] { #expect(outcome.stdout.contains(word)) }
    #expect(try run(["weft", "pcq", option]).stdout == outcome.stdout)
  }

  // MARK: Messages

  @Test("a producer and a consumer in two processes pass messages, and the status files hold their counts")
  func twoProcesses() throws {
    try withQueue { room, queue in
      let files = [room.at("sent"), room.at("received")]
      let options = ["--nmessages", "20000", "--seed", "42", "--statusfile"]
      let producer = try Child(["pcq", "--producer"] + options + [files[0], queue])
      let consumer = try Child(["pcq", "--consumer"] + options + [files[1], queue])
      for child in [consumer, producer] { try succeed(child.wait()) }
      for file in files { #expect(try text(file) == "20000\n") }
      #expect(try info(queue, "next to send") == "20000")
      #expect(try info(queue, "next to receive") == "20000")
      #expect(try info(queue, "waiting") == "0")
    }
  }

  @Test(
    "both in one process count twice, again and again",
    arguments: [["-p", "-c"], ["-pcw", "-D"], ["--prod", "--cons", "-v"]])
  func both(options: [String]) throws {
    try withQueue { room, queue in
      for _ in 0..<3 {
        try succeed(run(["pcq"] + options + ["-N", "10", "-S", "5", "-f", room.at("status"), queue]))
        #expect(try text(room.at("status")) == "20\n")
      }
      #expect(try info(queue, "next to receive") == "30")
    }
  }

  @Test("drain takes out what is there, counts it, and leaves the queue usable")
  func drain() throws {
    try withQueue { room, queue in
      for count in [0, 7, 15] {
        if count > 0 { try succeed(pcq("-p", "-N", "\(count)", queue)) }
        #expect(try info(queue, "waiting") == "\(count)")
        try succeed(pcq("--drain", "--statusfile", room.at("status"), queue))
        #expect(try text(room.at("status")) == "\(count)\n")
        #expect(try info(queue, "waiting") == "0")
      }
      try succeed(pcq("-p", "-c", "-N", "100", "-S", "1", queue))
    }
  }

  @Test("with nowait a producer ends when the queue is full, and a consumer when it is empty")
  func noWait() throws {
    try withQueue { room, queue in
      let status = room.at("status")
      try succeed(pcq("-p", "--nowait", "-f", status, queue))
      #expect(try text(status) == "15\n")
      try succeed(pcq("-p", "--nowait", "-f", status, queue))
      #expect(try text(status) == "0\n")
      try succeed(pcq("-c", "-w", "-f", status, queue))
      #expect(try text(status) == "15\n")
    }
  }

  @Test("time ends it, status prints a line each second, and nothing is left between two threads")
  func timeAndStatus() throws {
    try withQueue { room, queue in
      let began = Platform.Clock.monotonic()
      let outcome = try pcq("-p", "-c", "--time", "3", "--status", "1", "-f", room.at("status"), queue)
      let took = Double(Platform.Clock.monotonic() - began) / 1e9
      try succeed(outcome)
      #expect(took > 2.9)
      let lines = outcome.stdout.split(separator: "\n")
      #expect((1...4).contains(lines.count), "\(outcome.stdout)")  // fewer where its thread comes late
      #expect(lines.allSatisfy { $0.contains("sent") && $0.contains("received") })
      let count = try #require(UInt64(try text(room.at("status")).dropLast()))
      #expect(count > 0 && count % 2 == 0)
      #expect(try info(queue, "waiting") == "0")
    }
  }

  @Test("a signal ends it cleanly, with the status file written", arguments: [SIGINT, SIGTERM], ["-p", "-c", "-pc"])
  func signals(signal: Int32, ends: String) throws {
    try withQueue { room, queue in
      let child = try Child(["pcq", ends, "-s", "1", "-f", room.at("status"), queue])
      // Its signals are blocked once its threads are there.
      let isUp: () -> Bool = {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.pid)/task"))?.count ?? 0) > 1
      }
      #expect(seconds(until: isUp) != nil)
      child.send(signal)
      let outcome = try child.wait()
      try succeed(outcome)
      #expect(outcome.stderr == "")
      let count = try #require(Int(try text(room.at("status")).dropLast()))
      switch ends {
      case "-p": #expect((0...15).contains(count))
      case "-c": #expect(count == 0)
      default: #expect(count % 2 == 0)
      }
    }
  }

  @Test("a killed producer and a killed consumer lose no message and repeat none that was taken")
  func killed() throws {
    try withQueue { room, queue in
      for round in 0..<20 {
        let victim = try Child(["pcq", round % 2 == 0 ? "-p" : "-c", "-S", "9", queue])
        let other = try Child(["pcq", round % 2 == 0 ? "-c" : "-p", "-S", "9", queue])
        let before = try info(queue, "next to receive")
        let hasMoved = try seconds(until: { try info(queue, "next to receive") != before }) != nil
        #expect(hasMoved)
        victim.send(SIGKILL)
        #expect(try victim.wait().status == 128 + SIGKILL)
        other.send(SIGINT)
        try succeed(other.wait())
      }
      try succeed(pcq("-d", "-S", "9", queue))
    }
  }

  // MARK: Errors in messages

  @Test("messages of another seed are errors, and the status file holds them below zero")
  func wrongSeed() throws {
    try withQueue { room, queue in
      try succeed(pcq("-p", "-N", "3", "-S", "1", queue))
      expectError(try pcq("-c", "-N", "3", "-S", "2", "-f", room.at("status"), queue), naming: [queue, "seed"])
      #expect(try text(room.at("status")) == "-1\n")
      #expect(try pcq("-d", "-S", "2", "-f", room.at("status"), queue).status == 1)
      #expect(try text(room.at("status")) == "-3\n")
      try succeed(pcq("-p", "-c", "-N", "3", "-S", "2", queue))
    }
  }

  @Test("a damaged message is an error that names the remedy, and drain is that remedy")
  func damaged() throws {
    try withQueue { room, queue in
      try succeed(pcq("-p", "-N", "5", queue))
      try Media(queue).flip(2 << 20 + 2 * 128 + 5)
      expectError(try pcq("-c", "-N", "5", "-f", room.at("status"), queue), naming: [queue, "bucket 2", "--drain"])
      #expect(try text(room.at("status")) == "-1\n")
      #expect(try info(queue, "waiting") == "3")
      #expect(try pcq("--drain", "-f", room.at("status"), queue).status == 1)
      #expect(try text(room.at("status")) == "-1\n")
      #expect(try info(queue, "waiting") == "0")
      try succeed(pcq("-p", "-c", "-N", "50", queue))
    }
  }

  /// Status 1 and one line that names these; what was counted may be on standard output.
  private func expectError(
    _ outcome: Outcome, naming words: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(outcome.status == 1, "\(outcome)", sourceLocation: sourceLocation)
    #expect(outcome.complaints.count == 1, "\(outcome.stderr)", sourceLocation: sourceLocation)
    for word in words {
      #expect(outcome.stderr.contains(word), "'\(word)' is not in: \(outcome.stderr)", sourceLocation: sourceLocation)
    }
  }

  // MARK: Permissions

  @Test(
    "setperm says who may write",
    arguments: [("p", "644 444"), ("c", "444 644"), ("b", "644 644"), ("n", "444 444")])
  func setPermissions(who: String, modes: String) throws {
    try withQueue { room, queue in
      for start in ["n", "b", who, "666"] {
        if start == "666" {
          for file in [queue, queue + ".consumer"] { chmod(file, 0o666) }
        } else {
          try succeed(pcq("--setperm", start, queue))
        }
        try succeed(pcq("-P", who, queue))
        let shown = try run(["stat", "-c", "%a", queue, queue + ".consumer"]).stdout
        #expect(shown.split(separator: "\n").joined(separator: " ") == modes)
      }
    }
  }

  @Test(
    "a user without root uses a queue that is theirs, and is told what setperm forbids",
    .enabled(if: Machine.usersCanMount))
  func user() throws {
    try withQueue { room, queue in
      for file in [queue, queue + ".consumer"] { chown(file, 65534, 65534) }
      let user = try asUser(in: room)
      try succeed(run(user + ["-p", "-c", "-N", "100", "-S", "3", queue]))
      try succeed(run(user + ["-P", "p", queue]))
      try succeed(run(user + ["-p", "-N", "1", queue]))
      expectRefusal(try run(user + ["-c", "-N", "1", queue]), naming: [queue + ".consumer", "--setperm"])
      for file in [queue, queue + ".consumer"] { chown(file, 0, 0) }
      expectRefusal(try run(user + ["-P", "b", queue]), naming: [queue, "owner"])
      expectRefusal(try run(user + ["-p", "-N", "1", queue]), naming: [queue, "--setperm"])
      try succeed(run(user + ["-i", queue]))
    }
  }

  // MARK: Refusals

  @Test(
    "contradictory, missing and senseless options are refused with one line and status 1, and nothing changes",
    arguments: [
      (["Q"], "--create"), ([], "name the queue"), (["-p"], "name the queue"), (["-p", "Q", "Q2"], "one queue"),
      (["-C", "Q3"], "--bsize"), (["-C", "-b", "64", "Q3"], "--nbuckets"), (["-C", "-n", "4", "Q3"], "--bsize"),
      (["-C", "-b", "0", "-n", "4", "Q3"], "17"), (["-C", "-b", "16", "-n", "4", "Q3"], "17"),
      (["-C", "-b", "64", "-n", "1", "Q3"], "2 at least"), (["-C", "-b", "64", "-n", "x", "Q3"], "'x'"),
      (["-C", "-b", "1g", "-n", "0x7fffffffffffffff", "Q3"], "do not fit"),
      (["-C", "-b", "-1", "-n", "4", "Q3"], "'-1'"),
      (["-C", "-b", "64", "-n", "4", "-u", "no such user", "Q3"], "no such user"),
      (["-C", "-b", "64", "-n", "4", "-g", "-1", "Q3"], "--gid"),
      (["-C", "-b", "64", "-n", "4", "-p", "Q3"], "exclude"), (["-p", "-i", "Q"], "exclude"),
      (["-d", "-c", "Q"], "exclude"), (["-i", "-d", "Q"], "exclude"),
      (["-P", "b", "-p", "Q"], "exclude"), (["-p", "-b", "64", "Q"], "--bsize"),
      (["-i", "-N", "4", "Q"], "--nmessages"), (["-C", "-b", "64", "-n", "4", "-t", "1", "Q3"], "--time"),
      (["-p", "-N", "many", "Q"], "'many'"), (["-c", "-t", "-1", "Q"], "'-1'"), (["-p", "-s", "x", "Q"], "'x'"),
      (["-p", "-S", "x", "Q"], "'x'"), (["-P", "x", "Q"], "'x'"), (["-P", "", "Q"], "--setperm"),
      (["-p", "-f", "/nowhere/status", "Q"], "/nowhere/status"), (["--frob", "Q"], "--frob"), (["-N"], "-N"),
      (["-i", "none"], "--create"), (["-p", "none"], "none"), (["-c", "none"], "none"), (["-d", "none"], "none"),
      (["-P", "b", "none"], "none"), (["-i", "."], "no plain file"), (["-C", "-b", "64", "-n", "4", "Q"], "exists"),
      (["-C", "-b", "64", "-n", "4", "/nowhere/q"], "/nowhere/q"),
    ] as [([String], String)])
  func refusals(words: [String], naming: String) throws {
    try withQueue { room, queue in
      let before = try [queue, queue + ".consumer"].map { try read($0) }
      let places = ["Q": queue, "Q2": room.at("q2"), "Q3": room.at("q3"), "none": room.at("none"), ".": room.path]
      expectRefusal(try run(["pcq"] + words.map { places[$0] ?? $0 }), naming: ["pcq", naming])
      #expect(try run(["ls", room.path]).stdout == "q\nq.consumer\n")
      #expect(try areSame(read(queue), before[0]) && areSame(read(queue + ".consumer"), before[1]))
    }
  }

  @Test("a missing consumer's file is named, and a half-made queue is not made over")
  func missingHalf() throws {
    try withQueue { room, queue in
      unlink(queue + ".consumer")
      for job in ["-i", "-p", "-c", "-d", "-Pb"] {
        expectRefusal(try pcq(job, queue), naming: [queue + ".consumer", "--create"])
      }
      expectRefusal(try pcq("-C", "-b", "64", "-n", "4", queue), naming: [queue, "exists"])
      rename(queue, room.at("r.consumer"))
      expectRefusal(try pcq("-C", "-b", "64", "-n", "4", room.at("r")), naming: ["r.consumer", "exists"])
      #expect(access(room.at("r"), F_OK) != 0)
    }
  }

  @Test(
    "files that hold anything are refused, never a crash",
    arguments: [
      (0, 0), (8, 0), (8, 1), (8, .max), (8, 1 << 60), (16, 0), (16, 16), (16, .max), (16, 1 << 58), (24, 0),
      (24, .max), (32, 16), (32, .max), (1072, 0), (1072, .max),
    ] as [(Int, UInt64)])
  func hostile(offset: Int, value: UInt64) throws {
    try withQueue { room, queue in
      try Media(queue).put(offset, value)
      for job in [["-i"], ["-p", "-N1"], ["-c", "-N1"], ["-p", "-c", "-N1"], ["-d"]] {
        let outcome = try run(["pcq"] + job + [queue])
        #expect(outcome.status == 1 && outcome.stderr.contains(queue), "\(job): \(outcome)")
      }
    }
  }

  @Test("files that are cut short, empty or of no queue are refused", arguments: [0, 100, 1080, 1 << 20])
  func short(size: Int) throws {
    try withQueue { room, queue in
      truncate(queue + ".consumer", size)
      expectRefusal(try pcq("-i", queue), naming: [queue + ".consumer"])
      truncate(queue, size)
      expectRefusal(try pcq("-i", queue), naming: [queue])
      try room.file("text.consumer", contents(10))
      expectRefusal(try pcq("-i", room.file("text", contents(3 << 20))), naming: ["text", "no queue"])
    }
  }

  @Test("a file cut short under a running consumer ends it with an error")
  func cutShort() throws {
    try withQueue { room, queue in
      let consumer = try Child(["pcq", "-c", queue])
      try succeed(pcq("-p", "-N", "1", queue))
      let isTaken = try seconds(until: { try info(queue, "waiting") == "0" }) != nil
      #expect(isTaken)
      truncate(queue, 0)
      expectError(try consumer.wait(), naming: [queue])
    }
  }

  @Test("a second producer or consumer of one host is refused while the first runs")
  func second() throws {
    try withQueue { room, queue in
      for (end, word) in [("-p", "producer"), ("-c", "consumer")] {
        let first = try Child(["pcq", end, queue])
        let isUp: () -> Bool = {
          ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(first.pid)/task"))?.count ?? 0) > 1
        }
        #expect(seconds(until: isUp) != nil)
        expectRefusal(try pcq(end, "-N", "1", queue), naming: ["another \(word)"])
        first.send(SIGINT)
        try succeed(first.wait())
      }
    }
  }
}

/// pcq between two mounts of one device: what one host sends, the other receives.
@Suite(.realMounts, .timeLimit(.minutes(15)))
struct SharedQueueTests {
  /// A queue on the master's mount that the client sees too.
  private func withSharedQueue(
    _ options: [String] = [], _ body: (TestVolume) throws -> Void
  ) throws {
    try withVolume(options, client: true) { volume in
      try succeed(pcq(.master, ["--create", "--bsize", "1000", "--nbuckets", "50", volume.master + "/q"]))
      #expect(seconds(until: { access(volume.client + "/q", F_OK) == 0 }) != nil)
      try body(volume)
    }
  }

  private func pcq(_ host: Host, _ words: [String]) throws -> Outcome {
    try run(["pcq"] + words, environment: host.environment)
  }

  @Test(
    "a producer on one mount and a consumer on the other pass messages, either way", arguments: Host.allCases,
    ["4k", "2m"])
  func twoMounts(sender: Host, unit: String) throws {
    try withSharedQueue(["--alloc-unit", unit]) { volume in
      let receiver: Host = sender == .master ? .client : .master
      let options = ["-N", "20000", "-S", "11", "-v"]
      for _ in 0..<2 {
        let producer = try Child(
          ["pcq", "-p"] + options + [volume.mountPoint(of: sender) + "/q"], environment: sender.environment)
        let consumer = try Child(
          ["pcq", "-c"] + options + [volume.mountPoint(of: receiver) + "/q"], environment: receiver.environment)
        for child in [consumer, producer] {
          let outcome = try child.wait()
          try succeed(outcome)
          #expect(outcome.stderr == "", "the device was not mapped: \(outcome.stderr)")
        }
      }
      for mount in volume.mounts {
        let outcome = try pcq(.client, ["--info", mount + "/q"])
        #expect(outcome.stdout.contains("next to send:     40000\n"))
        #expect(outcome.stdout.contains("next to receive:  40000\n"))
      }
    }
  }

  @Test("a user who may not open the device goes through the mount, with a note", .enabled(if: Machine.usersCanMount))
  func throughTheMount() throws {
    try withSharedQueue { volume in
      chmod(volume.device, 0o600)
      for mount in volume.mounts { for file in ["/q", "/q.consumer"] { chown(mount + file, 65534, 65534) } }
      let user = try asUser(in: volume.room)
      for (sender, receiver) in [(volume.master, volume.client), (volume.client, volume.master)] {
        let producer = try Child(["pcq", "-p", "-N", "1000", "-S", "4", sender + "/q"])
        let consumer = try Child(user + ["-v", "-c", "-N", "1000", "-S", "4", receiver + "/q"])
        // The consumer first: without it the producer waits, and cannot say what went wrong.
        let outcome = try consumer.wait()
        try succeed(outcome)
        try succeed(producer.wait())
        #expect(outcome.stderr.contains("through its mount"))
        #expect(outcome.stderr.split(separator: "\n").count == 2)
      }
      // Both ends without the device; and without -v no note.
      let producer = try Child(user + ["-p", "-N", "500", "-S", "4", volume.client + "/q"])
      let consumer = try Child(user + ["-c", "-N", "500", "-S", "4", volume.master + "/q"])
      for child in [consumer, producer] {
        let outcome = try child.wait()
        try succeed(outcome)
        #expect(outcome.stderr == "")
      }
    }
  }

  @Test("setperm holds on its own mount")
  func setPermissions() throws {
    try withSharedQueue { volume in
      try succeed(pcq(.client, ["-P", "c", volume.client + "/q"]))
      #expect(try run(["stat", "-c", "%a", volume.client + "/q"]).stdout == "444\n")
      #expect(try run(["stat", "-c", "%a", volume.master + "/q"]).stdout == "644\n")
    }
  }

  @Test("a client makes no queue and is told who does; one too large, one that exists and a bad name leave nothing")
  func refusals() throws {
    try withSharedQueue { volume in
      let before = try volume.everything()
      let make = ["-C", "-b", "4k", "-n", "16"]
      expectRefusal(try pcq(.client, make + [volume.client + "/new"]), naming: [Host.master.rawValue])
      expectRefusal(try pcq(.master, make + [volume.master + "/q"]), naming: ["exists"])
      expectRefusal(try pcq(.master, ["-C", "-b", "4k", "-n", "1m", volume.master + "/new"]), naming: ["no space"])
      let long = String(repeating: "n", count: 75)  // fits, and with its suffix it does not
      expectRefusal(try pcq(.master, make + [volume.master + "/" + long]), naming: [long])
      expectRefusal(try pcq(.master, make + [volume.master + "/none/q"]), naming: ["none/q"])
      #expect(try volume.everything() == before)
      #expect(try run(["ls", volume.master]).stdout == "q\nq.consumer\n")
    }
  }

  @Test("with one free slot in the log neither of the two files is made")
  func lastSlot() throws {
    try withRoom { room in
      let volume = TestVolume(in: room)
      try volume.make()
      try Media(volume.device).fillLog(Media.capacity - 1)
      try volume.mount()
      let before = try volume.everything()
      expectRefusal(try pcq(.master, ["-C", "-b", "4k", "-n", "16", volume.master + "/q"]), naming: ["log is full"])
      #expect(try volume.everything() == before)
      try volume.unmount()
      try Media(volume.device).put(Media.log + 32, UInt64(Media.capacity - 2))
      try Media(volume.device).put(Media.log + 40, UInt64(Media.capacity - 2))
      try volume.mount()
      try succeed(pcq(.master, ["-C", "-b", "4k", "-n", "16", volume.master + "/q"]))
      try volume.unmount()
    }
  }

  @Test("a queue is there after the next mount, with what was in it")
  func remount() throws {
    try withSharedQueue { volume in
      try succeed(pcq(.master, ["-p", "-N", "30", "-S", "8", volume.master + "/q"]))
      for host in Host.allCases { try volume.unmount(host) }
      try volume.mount(.client)
      try succeed(pcq(.client, ["-c", "-N", "30", "-S", "8", volume.client + "/q"]))
    }
  }
}

/// Words that run pcq as another user, from a place that this user can reach: the build need not be one.
private func asUser(in room: Room) throws -> [String] {
  // By cp: a file that this process had written could not be run while another test starts a process.
  try succeed(run(["cp", "-L", Machine.program("pcq"), room.at("pcq")]))
  return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", room.at("pcq")]
}
