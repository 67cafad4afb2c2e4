import CommandKit
import Famfs
import FamfsControl
import Memory
import Platform

/// famfs creat
enum CreatCommand: Command {
  static let name = "creat"
  static let synopsis = "--size SIZE [options] PATH\n       famfs creat --multi PATH,SIZE[,SEED] ... [options]"
  static let about = """
    Make files of a given size in a mounted famfs, filled with zeros or with contents that verify can check.

    Their size is fixed from then on. Programs fill them in place, by write or mmap.
    """
  static let options =
    [
      Option("s", "size", "SIZE", "bytes"),
      Option("r", "randomize", nil, "fill it with random bytes; a file that exists is filled again"),
      Option("S", "seed", "N", "with --randomize: the bytes that this seed gives, for famfs verify"),
      Option("M", "multi", "PATH,SIZE[,SEED]", "one of several files; SIZE 0 with a seed fills a file that exists"),
      Option("t", "threads", "N", "with --multi: make so many at a time, 0 to 256 (1)"),
      Option("m", "mode", "MODE", "permission bits in octal (0644), less the umask"),
      Option("u", "uid", "UID", "owner (the caller)"),
      Option("g", "gid", "GID", "group (the caller's)"),
      Option("v", "verbose", nil, "print a line about each file made"),
    ] + Arguments.stripingOptions
  static let examples = [
    "famfs creat --size 1G /mnt/fam/queue", "famfs creat -s 1G -r -S 42 /mnt/fam/check",
    "famfs creat -t 4 -M /mnt/fam/a,1g,1 -M /mnt/fam/b,1g,2",
  ]

  /// A file to be made, or to be filled again.
  struct Wanted: Sendable {
    let path: String
    /// Nil when it has to be there already.
    let size: UInt64?
    /// Nil for zeros.
    let seed: UInt64?
  }

  static func run(_ arguments: Arguments) throws -> Int32 {
    let wanted = try arguments.has("multi") ? several(arguments) : [one(arguments)]
    let settings = Settings(
      owner: try Ownership(arguments), mode: (try arguments.mode() ?? 0o644) & ~currentUmask(),
      isVerbose: arguments.has("verbose"))
    let striping = try StripingChoice(arguments)
    let threads = try arguments.number("threads", in: 0...256) ?? 1
    let batches = batches(of: wanted, threads: max(1, Int(threads)))
    let failures = Workers.run(threads: Int(threads), batches, tools: { FileMakers(striping: striping) }) {
      settings.make($0, with: $1)
    }
    var last = ""
    for sentence in failures.map({ "\($0)" }) {
      // That the daemon is gone need not be said for each file.
      if sentence != last { printError("\(command): \(sentence)") }
      last = sentence
    }
    return failures.isEmpty ? 0 : 1
  }

  private static func one(_ arguments: Arguments) throws -> Wanted {
    guard arguments.operands.count == 1 else { throw UsageError("name one file to make") }
    let isRandom = arguments.has("randomize")
    let size = try arguments.size("size")
    let seed = try arguments["seed"].map { text throws(UsageError) in try parseSeed(text) }
    if seed != nil && !isRandom { throw UsageError("--seed needs --randomize") }
    if size == nil && !isRandom { throw UsageError("give the file's --size") }
    // Seed 0 means none.
    let chosen = seed.flatMap { $0 == 0 ? nil : $0 } ?? .random(in: 1 ... .max)
    return Wanted(path: arguments.operands[0], size: size, seed: isRandom ? chosen : nil)
  }

  private static func several(_ arguments: Arguments) throws -> [Wanted] {
    guard arguments.operands.isEmpty, !arguments.has("size"), !arguments.has("randomize"), !arguments.has("seed") else {
      throw UsageError("--multi excludes --size, --randomize, --seed and a path of its own")
    }
    return try arguments.all("multi").map { text in
      let fields = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      guard (2...3).contains(fields.count), !fields[0].isEmpty, let size = parseSize(fields[1]) else {
        throw UsageError("--multi '\(text)' is not PATH,SIZE[,SEED]")
      }
      let seed = fields.count == 3 ? try parseSeed(fields[2]) : 0
      return Wanted(path: fields[0], size: size == 0 && seed != 0 ? nil : size, seed: seed == 0 ? nil : seed)
    }
  }

  static func parseSeed(_ text: String) throws(UsageError) -> UInt64 {
    let isHex = text.lowercased().hasPrefix("0x")
    guard let seed = UInt64(isHex ? text.dropFirst(2) : text[...], radix: isHex ? 16 : 10) else {
      throw UsageError("'\(text)' is no seed; give a whole number")
    }
    return seed
  }

  /// What all files of one call have in common.
  private struct Settings: Sendable {
    let owner: Ownership
    let mode: UInt32
    let isVerbose: Bool

    /// - Returns: what failed.
    func make(_ batch: [Wanted], with makers: FileMakers) -> [any Error] {
      var failures: [any Error] = []
      var jobs: [Job] = []
      for wanted in batch {
        do {
          let path = try VolumePath(wanted.path, among: makers.mounts)
          let maker = try makers.maker(for: path.mount)
          if path.path.isEmpty { throw FamfsError.exists(wanted.path) }
          jobs.append(Job(wanted: wanted, path: path, maker: maker))
        } catch {
          failures.append(error)
        }
      }
      while let maker = jobs.first?.maker {
        let (mine, others) = (jobs.filter { $0.maker === maker }, jobs.filter { $0.maker !== maker })
        jobs = others
        failures += make(mine, with: maker)
      }
      return failures
    }

    private struct Job {
      let wanted: Wanted
      let path: VolumePath
      let maker: FileMaker

      /// Stores its contents.
      var fill: FileMaker.Fill {
        var contents = wanted.seed.map { RandomContents(seed: $0) }
        return { device, range, _ in try CreatCommand.fill(device, range, &contents) }
      }
    }

    private func make(_ jobs: [Job], with maker: FileMaker) -> [any Error] {
      let new = jobs.filter { $0.wanted.size != nil }
      let files = new.map { job in
        let name = NewName(path: job.path.path, permissions: mode, userID: owner.userID, groupID: owner.groupID)
        return FileMaker.NewFile(name: name, size: job.wanted.size ?? 0)
      }
      let outcomes = maker.makeEach(files) { place, space in try maker.fill(space, with: new[place].fill) }
      var failures: [any Error] = []
      for (job, outcome) in zip(new, outcomes) {
        switch outcome {
        case .made: tell("made", job)
        case .refused(let error): attempt(&failures) { try takeExisting(job, or: error) }
        case .failed(let error): failures.append(error)
        }
      }
      for job in jobs where job.wanted.size == nil {
        attempt(&failures) {
          try checkIsFile(job.path)
          try refill(job)
        }
      }
      return failures
    }

    private func attempt(_ failures: inout [any Error], _ body: () throws -> Void) {
      do { try body() } catch { failures.append(error) }
    }

    private func tell(_ outcome: String, _ job: Job) {
      if isVerbose { printLine("\(CreatCommand.command): \(outcome) \(job.path.absolute)") }
    }

    private func refill(_ job: Job) throws {
      try job.maker.refill(job.path, size: job.wanted.size, fill: job.fill)
      tell("filled again", job)
    }

    /// A file that could not be made may be there, with its size.
    /// - Parameter refusal: why it could not be made; holds unless it is a file.
    private func takeExisting(_ job: Job, or refusal: FamfsError) throws {
      guard !job.path.isReserved, let there = try? FileStatus(path: job.path.absolute), there.kind == .regular else {
        throw refusal
      }
      if let size = job.wanted.size, there.size != size {
        throw FileMaker.otherSize(job.path, there.size, wanted: size)
      }
      if job.wanted.seed != nil { try refill(job) } else { tell("is there already:", job) }
    }

    private func checkIsFile(_ path: VolumePath) throws(FamfsError) {
      guard let there = try? FileStatus(path: path.absolute) else {
        throw .other("\(path.absolute) does not exist; give its size")
      }
      if there.kind != .regular { throw .exists(path.absolute) }
    }
  }

  /// Files that share their messages to the daemon: so many that each thread has some, and few bytes, for they become
  /// visible together.
  private static func batches(of wanted: [Wanted], threads: Int) -> [[Wanted]] {
    let most = max(1, min(32, wanted.count / (4 * threads)))
    var batches: [[Wanted]] = []
    var left: UInt64 = 0
    for one in wanted {
      let size = one.size ?? .max
      if batches.isEmpty || batches[batches.count - 1].count == most || size > left {
        batches.append([])
        left = 1 << 20
      }
      batches[batches.count - 1].append(one)
      left -= min(left, size)
    }
    return batches
  }

  private static func fill(_ device: MappedDevice, _ range: Extent, _ contents: inout RandomContents?) throws {
    guard contents != nil else { return try device.zero(at: range.offset, count: range.length) }
    let piece = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Int(min(range.length, 1 << 20)), alignment: 4096)
    defer { piece.deallocate() }
    device.prepare(at: range.offset, count: range.length)
    var done: UInt64 = 0
    while done < range.length {
      let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<Int(min(UInt64(piece.count), range.length - done))])
      contents?.fill(part)
      try device.write(at: range.offset + done, from: UnsafeRawBufferPointer(part))
      done += UInt64(part.count)
    }
  }
}
