import CommandKit
import Famfs
import FamfsControl
import Glibc
import Platform

/// famfs top
enum TopCommand: Command {
  static let name = "top"
  static let synopsis = "[options] [MOUNT...]"
  static let about = """
    Watch the famfs mounts of this host, or some of them: requests, latencies, followers, space.

    On a terminal a view that is drawn again every two seconds: q ends it, and the space bar has it look at once.
    Elsewhere the same as text, one block after another. What is shown is since the last look, or at first since the
    mount began. That of 99% of requests is told from buckets that double, so it is exact to a factor of two. Reads that
    the page cache answers are no requests.

    With --json a line for each look: time and mounts, a list of device, mount_point, trouble (a sentence, or null); and
    of those that serve role, uptime_seconds, interval_ns, since_mount, requests, errors, read_bytes, written_bytes,
    mean_ns, p99_ns and operations (of opcode, requests, errors, mean_ns, p99_ns) of that interval, entries,
    entry_capacity, bad_entries, files, directories, used_bytes, free_bytes, staged_files, staged_directories,
    staged_bytes and hosts (of host_name, system_uuid, role, alive, entries, lag).
    """
  static let options = [
    Option("d", "delay", "SECONDS", "look so often, 0.1 to 3600; 2 without it"),
    Option("n", "count", "COUNT", "end after so many looks"),
    Option(nil, "json", nil, "print a line of JSON for each look"),
  ]
  static let examples = ["famfs top", "famfs top -d 10 -n 6 /mnt/fam", "famfs top --json -n 1"]

  static func run(_ arguments: Arguments) throws -> Int32 {
    let delay = try arguments["delay"].map { try nanoseconds($0, of: "--delay") } ?? 2_000_000_000
    guard (100_000_000...3_600_000_000_000).contains(delay) else {
      throw UsageError("--delay takes 0.1 to 3600 seconds")
    }
    let count = try arguments.number("count", in: 1...UInt32.max) ?? UInt32.max
    let sampler = TopSampler(try arguments.operands.isEmpty ? nil : arguments.operands.map(mountPoint))
    if Terminal.isOutput && !arguments.has("json") {
      var screen = try TopScreen(sampler, delay: delay, count: count)
      try screen.run()
    } else {
      print(sampler, delay: delay, count: count, asJSON: arguments.has("json"))
    }
    return 0
  }

  /// Of what mount people speak: its mount point, a path in it, or its device.
  private static func mountPoint(_ operand: String) throws -> String {
    if let mount = MountedVolume.around(operand) { return mount.mountPoint }
    if let mount = MountedVolume.of(device: operand).first { return mount.mountPoint }
    throw FamfsError.other("\(operand) is no mounted famfs, and in none; famfs status shows all")
  }

  /// Block after block, until nobody reads any more.
  private static func print(_ sampler: TopSampler, delay: UInt64, count: UInt32, asJSON: Bool) {
    var looks = TopLooks()
    for number in 0..<count {
      if number > 0 && !pause(delay) { return }
      let figures = looks.add(sampler.look())
      if asJSON {
        JSON.object([
          ("time", .text(timestamp(Clock.realtime()))),
          ("mounts", .list(figures.map { TopJSON.value($0.sample, $0.figures) })),
        ]).print()
      } else {
        let head = (number > 0 ? "\n" : "") + "\(timestamp(Clock.realtime()))\n"
        printOut(head + lines(figures).map { $0 + "\n" }.joined())
      }
      if StandardStreams.failure != nil { return }
    }
  }

  /// The lines of all mounts.
  static func lines(_ figures: [(sample: TopSample, figures: TopFigures?)]) -> [String] {
    if figures.isEmpty { return ["no famfs is mounted"] }
    return Array(figures.map { TopText.lines($0.sample, $0.figures) }.joined(separator: [""]))
  }

  /// - Returns: false when the reader of standard output has gone meanwhile.
  private static func pause(_ nanoseconds: UInt64) -> Bool {
    let end = Clock.monotonic() + nanoseconds
    while true {
      let now = Clock.monotonic()
      if now >= end { return true }
      var output = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
      if poll(&output, 1, Int32((end - now) / 1_000_000) + 1) > 0 { return false }
    }
  }
}

/// One look after another.
struct TopLooks {
  private var before: [String: MountFacts] = [:]

  /// Takes in a look.
  /// - Returns: what each mount has done since the last one; no figures for those that do not answer.
  mutating func add(_ samples: [TopSample]) -> [(sample: TopSample, figures: TopFigures?)] {
    let figures = samples.map { sample in
      let facts = try? sample.facts.get()
      return (sample: sample, figures: facts.map { TopFigures($0, since: before[sample.mountPoint]) })
    }
    before = Dictionary(figures.compactMap { pair in pair.figures.map { (pair.sample.mountPoint, $0.facts) } }) { $1 }
    return figures
  }
}
