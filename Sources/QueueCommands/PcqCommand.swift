import CommandKit
import Glibc
import Platform
import Queue

/// pcq
enum PcqCommand: Command {
  static let name = "pcq"
  static let command = "pcq"
  static let synopsis = "--create | --info | --drain | --producer | --consumer | --setperm WHO [options] QUEUE"
  static let about = """
    Make, fill and empty a queue that a producer on one host and a consumer on another share.

    It is two files, QUEUE and QUEUE.consumer, in a mounted famfs or, for two processes of one host, in any directory.
    Without --nmessages and --time a producer or consumer goes on until SIGINT. With both, two threads run.
    """
  static let options = [
    Option("C", "create", nil, "make the queue"),
    Option("b", "bsize", "SIZE", "with --create: bytes of a bucket, 16 more than of a message"),
    Option("n", "nbuckets", "N", "with --create: number of buckets, one more than the messages that it holds"),
    Option("u", "uid", "USER", "with --create: owner, a name or a number (the caller)"),
    Option("g", "gid", "GROUP", "with --create: group, a name or a number (the caller's)"),
    Option("i", "info", nil, "print how the queue is"),
    Option("d", "drain", nil, "take out all messages, bad ones too, and end"),
    Option("p", "producer", nil, "send messages"),
    Option("c", "consumer", nil, "receive messages, and check each"),
    Option("N", "nmessages", "N", "end after so many messages sent, and so many received (0: no limit)"),
    Option("t", "time", "SECONDS", "end after so many seconds (0: no limit)"),
    Option("s", "status", "SECONDS", "print a line every so many seconds (0: none)"),
    Option("S", "seed", "N", "fill messages from this seed, or expect what it gives (0: zeros, nothing expected)"),
    Option("f", "statusfile", "FILE", "write the count of messages to FILE at the end, or less the count of errors"),
    Option("P", "setperm", "WHO", "who may write on this host: p producer, c consumer, b both, n none"),
    Option("w", "nowait", nil, "end when the queue is full, or empty, rather than wait"),
    Option("D", "debug", nil, nil),
    Option("v", "verbose", nil, "say more"),
  ]
  static let examples = [
    "pcq --create --bsize 4k --nbuckets 1024 /mnt/fam/q",
    "pcq --producer --nmessages 1000000 --seed 7 /mnt/fam/q    # on one host",
    "pcq --consumer --nmessages 1000000 --seed 7 /mnt/fam/q    # on another",
  ]

  /// What is to be done: each is an option of its own.
  private enum Job: String, CaseIterable {
    case create, info, drain, setperm, producer, consumer

    /// Whether messages go through it.
    var runs: Bool { self == .drain || self == .producer || self == .consumer }
  }

  static func run(_ arguments: Arguments) throws -> Int32 {
    guard arguments.operands.count == 1, let path = arguments.operands.first else {
      throw UsageError(arguments.operands.isEmpty ? "name the queue" : "name one queue, not several")
    }
    switch try job(of: arguments) {
    case .create: try create(path, arguments)
    case .info: try info(path)
    case .setperm: try setPermissions(path, arguments)
    case .drain: return try QueueRun(path, [.drain], QueueRun.Settings(arguments)).run()
    case .producer, .consumer:
      let ends: [QueueRun.End] =
        (arguments.has("producer") ? [.producer] : []) + (arguments.has("consumer") ? [.consumer] : [])
      return try QueueRun(path, ends, QueueRun.Settings(arguments)).run()
    }
    return 0
  }

  /// The one job asked for; options that belong to another one are refused.
  private static func job(of arguments: Arguments) throws(UsageError) -> Job {
    let jobs = Job.allCases.filter { arguments.has($0.rawValue) }
    guard let job = jobs.first else {
      throw UsageError("say what to do: --create, --info, --drain, --producer, --consumer or --setperm")
    }
    if jobs.count > 1 && jobs != [.producer, .consumer] {
      throw UsageError("--\(jobs[0].rawValue) and --\(jobs[1].rawValue) exclude each other; give one")
    }
    let foreign =
      (job == .create ? [] : ["bsize", "nbuckets", "uid", "gid"])
      + (job.runs ? [] : ["nmessages", "time", "status", "seed", "statusfile", "nowait"])
    if let option = foreign.first(where: { arguments.has($0) }) {
      throw UsageError("--\(option) does not go with --\(job.rawValue); leave one out")
    }
    return job
  }

  // MARK: Create, info, setperm

  private static func create(_ path: String, _ arguments: Arguments) throws {
    guard let bucketSize = try arguments.size("bsize") else { throw UsageError("give the buckets' size with --bsize") }
    guard let buckets = try arguments.size("nbuckets") else { throw UsageError("give their number with --nbuckets") }
    let shape = try QueueShape(bucketCount: buckets, bucketSize: bucketSize)
    try QueueMaker.make(path, shape, owner: QueueOwner(arguments))
    if arguments.has("verbose") {
      printLine("\(command): made \(path) and \(path)\(QueueFiles.suffix), \(buckets) buckets of \(bucketSize) bytes")
    }
  }

  private static func info(_ path: String) throws {
    let queue = try QueueFiles(path).open(writing: [], note: { _ in })
    let shape = queue.shape
    // The consumer first: should both go on meanwhile, it is not seen ahead of the producer.
    let (consumer, received) = (try queue.consumerIndex(), try queue.consumerSequence())
    let (producer, sent) = (try queue.producerIndex(), try queue.producerSequence())
    printOut(
      """
      queue:              \(path)
        bucket size:      \(shape.bucketSize)
        buckets:          \(shape.bucketCount)
        message size:     \(shape.payloadSize)
        file size:        \(shape.fileSize)
        producer index:   \(producer)
        next to send:     \(sent)
        consumer index:   \(consumer)
        next to receive:  \(received)
        waiting:          \(shape.waiting(producer: producer, consumer: consumer))

      """)
  }

  /// One of `p`, `c`, `b` and `n`: the files that may be written.
  private static func setPermissions(_ path: String, _ arguments: Arguments) throws {
    let who = arguments["setperm"] ?? ""
    let choices: [String: Set<QueueFiles.Part>] = [
      "p": [.producer], "c": [.consumer], "b": [.producer, .consumer], "n": [],
    ]
    guard let writable = choices[who] else {
      throw UsageError("--setperm: '\(who)' is none of p (producer), c (consumer), b (both) and n (none)")
    }
    let files = QueueFiles(path)
    _ = try files.open(writing: [], note: { _ in })
    for part in [QueueFiles.Part.producer, .consumer] {
      let name = files.path(of: part)
      let isWritable = writable.contains(part)
      do throws(Errno) {
        // One descriptor: the name may stand for another file by the next call.
        let file = try FileDescriptor(opening: name, [.readOnly, .nonBlocking])
        let status = try file.status()
        guard status.kind == .regular else { throw Errno.invalidArgument }
        // Whatever it was before: as it is made, or for nobody.
        let mode = status.permissions & ~0o222 | (isWritable ? 0o200 : 0)
        try retrying { fchmod(file.rawValue, mode) }
      } catch {
        throw SentenceError("\(name): its mode cannot be changed: \(error); be its owner or root")
      }
      if arguments.has("verbose") { printLine("\(command): \(name) is \(isWritable ? "writable" : "read-only") now") }
    }
  }
}
